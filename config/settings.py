"""Keyrack's settings: one file, read from the environment. README.md lists the variables."""

import base64
import os
import secrets
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from redis.backoff import NoBackoff
from redis.retry import Retry

from config import env as parse
from config import keyfiles
from config.addresses import TrustedProxies
from config.env import Env

BASE_DIR: Final = Path(__file__).resolve().parent.parent

env: Final = Env(os.environ)

# Where and for whom

KEYRACK_DATA: Final = Path(env.text("KEYRACK_DATA") or BASE_DIR / "var").absolute()
KEYRACK_PORT: Final = env.read("PORT", parse.port, 8000)
KEYRACK_URL: Final = env.read("KEYRACK_URL", parse.base_url, f"http://127.0.0.1:{KEYRACK_PORT}")
KEYRACK_TRUSTED_PROXIES: Final = env.read("KEYRACK_TRUSTED_PROXIES", TrustedProxies.parse, TrustedProxies())
# Where the server listens, and in how many processes. Beyond one they share PostgreSQL and Redis.
KEYRACK_LISTEN: Final = env.read("KEYRACK_LISTEN", parse.ip, "127.0.0.1")
KEYRACK_WORKERS: Final = env.read("KEYRACK_WORKERS", parse.count(64), 1)
# More than one, so that a password being hashed doesn't hold up the rest. More answer less: a thread lets
# another run while its query does, and on SQLite, whose answers take microseconds, they then do little but
# wake each other. Over a network there is something to wait for.
KEYRACK_THREADS: Final = env.read("KEYRACK_THREADS", parse.count(64), 3 if env.text("DATABASE_URL") else 2)
# With it /metrics answers whoever presents it; without, there is no such address.
KEYRACK_METRICS_TOKEN: Final = env.read("KEYRACK_METRICS_TOKEN", parse.passphrase, "")
DEBUG = env.read("KEYRACK_DEBUG", parse.flag, False)

_PUBLIC: Final = urlsplit(KEYRACK_URL)
_TLS: Final = _PUBLIC.scheme == "https"
_LOOPBACK: Final = ["127.0.0.1", "localhost", "[::1]"]
_PUBLIC_HOST: Final = f"[{_PUBLIC.hostname}]" if ":" in (_PUBLIC.hostname or "") else _PUBLIC.hostname

_MORE_HOSTS: list[str] = env.read("KEYRACK_HOSTS", parse.hosts, [])

ALLOWED_HOSTS = [
    *(_LOOPBACK if _PUBLIC_HOST in _LOOPBACK else [str(_PUBLIC_HOST)]),
    *_MORE_HOSTS,
]

# Secrets: from the environment, else from files that the first start makes in the data folder


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(parse.KEY_BYTES)).decode()


SECRET_KEY = env.text("KEYRACK_SECRET_KEY") or keyfiles.secret(
    KEYRACK_DATA, "secret.key", lambda: secrets.token_urlsafe(64)
)
_SEALING_KEYS: tuple[bytes, ...] = env.read("KEYRACK_SEALING_KEYS", parse.byte_keys, ())
KEYRACK_SEALING_KEYS: Final = _SEALING_KEYS or parse.byte_keys(
    keyfiles.secret(KEYRACK_DATA, "sealing.keys", _new_key)
)
KEYRACK_AUDIT_KEY: Final = env.read("KEYRACK_AUDIT_KEY", parse.byte_key, b"") or parse.byte_key(
    keyfiles.secret(KEYRACK_DATA, "audit.key", _new_key)
)

# The application

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

INSTALLED_APPS = [
    "config.apps.ConfigConfig",
    "keys",
    "projects",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "csp",
    "django_htmx",
    "lucide",
    "template_partials",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "config.middleware.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Django's own lengthens each answer by a random amount, which is its answer to BREACH.
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    # Every view but those marked `login_not_required` needs somebody who is signed in.
    "config.fragments.SignedInMiddleware",
    "config.middleware.MustChangePasswordMiddleware",
    "projects.middleware.SecondFactorMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "projects.context.switcher",
            ],
        },
    }
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
# One language: without look-ups of translations a page renders faster.
USE_I18N = False
DATE_FORMAT = "j M Y"
DATETIME_FORMAT = "j M Y, H:i"

# The database: SQLite in the data folder, or PostgreSQL

_SQLITE: Final[dict[str, Any]] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": KEYRACK_DATA / "keyrack.sqlite3",
    # A test database in memory fails under threads ("table is locked").
    "TEST": {"NAME": KEYRACK_DATA / "test.sqlite3"},
    "OPTIONS": {
        # A transaction takes the write lock when it begins: one that reads first and writes later
        # would otherwise fail where another has written in between, however long it waits.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # synchronous=FULL: in WAL mode NORMAL may lose the last commits in a power cut, and a
        # revocation that was answered must survive one. recursive_triggers: INSERT OR REPLACE would
        # otherwise delete a row without its DELETE trigger being asked. cache_size: 12 MB for each
        # connection; with its own 2 MB SQLite reads most pages of a large database anew. temp_store: what a
        # statement would need to be undone, such as the counts of a thousand keys, is written to no file.
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA recursive_triggers=ON; "
            "PRAGMA cache_size=-12288; PRAGMA temp_store=MEMORY;"
        ),
    },
}
_DATABASE: Final = env.read("DATABASE_URL", parse.postgresql, _SQLITE)
if _DATABASE is _SQLITE:
    keyfiles.reserve(KEYRACK_DATA / "keyrack.sqlite3")
else:
    # For the SELECT of a check (keys/reading.py); Django's own cursors prepare nothing. A pooler that gives
    # each transaction another connection may know of none.
    _PREPARED: Final = env.read("KEYRACK_PREPARED_STATEMENTS", parse.flag, True)
    # A server that vanished, without even closing its connections, is noticed within seconds, not hours.
    _DATABASE["OPTIONS"] = {
        "connect_timeout": 5,
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
        "prepare_threshold": 0 if _PREPARED else None,
    } | _DATABASE.get("OPTIONS", {})

# Kept open: a new connection for each request costs 6 to 20 times its query.
DATABASES = {"default": _DATABASE | {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}}

KEYRACK_REDIS_URL: Final = env.read("REDIS_URL", parse.redis, "")
# Whether a key with a rate limit passes while Redis is away: `closed` (it gets 503) or `open`.
KEYRACK_THROTTLE_FAILS: Final = env.read("KEYRACK_THROTTLE_FAILS", parse.one_of("closed", "open"), "closed")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": KEYRACK_REDIS_URL,
        "KEY_PREFIX": "keyrack",
        # A sign-in shall not wait for a Redis that has vanished as long as TCP does, nor for the client's own
        # pauses between attempts. Once more at once: the connection may be from before a restart.
        "OPTIONS": {
            "socket_timeout": 1,
            "socket_connect_timeout": 1,
            "retry": Retry(NoBackoff(), 1),
        },
    }
    if KEYRACK_REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# Static files: named by their contents, compressed, kept by browsers for ever

STATIC_URL = "/static/"
STATIC_ROOT = KEYRACK_DATA / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# People

AUTH_USER_MODEL = "projects.User"
AUTHENTICATION_BACKENDS = ["projects.backend.Backend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in {
        "UserAttributeSimilarityValidator": {"user_attributes": ["email", "name"]},
        "MinimumLengthValidator": {"min_length": 10},
        "CommonPasswordValidator": {},
    }.items()
]
# A link of `manage.py passwordlink` works for a day, and once.
PASSWORD_RESET_TIMEOUT = 24 * 60 * 60

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "account_login"

ACCOUNT_ADAPTER = "projects.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "projects.account_forms.SignInForm",
    "change_password": "projects.account_forms.ChangePasswordForm",
    "reset_password_from_key": "projects.account_forms.NewPasswordForm",
    "reauthenticate": "projects.account_forms.ConfirmPasswordForm",
}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 30 * 60
# Django's own: allauth's writes a row of e-mail addresses while it checks a link, and later signs
# people in under an address that was changed since.
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "django.contrib.auth.tokens.PasswordResetTokenGenerator"  # noqa: S105 -- a class, no password
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/5m/key",
    "change_password": "10/m/user",
    "reauthenticate": "10/m/user",
    "reset_password_from_key": "20/m/ip",
    # Every link that is opened and every form of one, whether or not there is such an invitation.
    "invitation": "30/m/ip",
}

# A second factor: a code of an authenticator app, or a recovery code
MFA_ADAPTER = "projects.adapter.SecondFactorAdapter"
MFA_FORMS = {
    "authenticate": "projects.account_forms.SignInCodeForm",
    "reauthenticate": "projects.account_forms.ConfirmCodeForm",
}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
# The code before and the one after the current one, for clocks that differ by up to half a minute.
MFA_TOTP_TOLERANCE = 1

SESSION_ENGINE = "config.sessions"
SESSION_COOKIE_NAME = "keyrack_session"
# A working day; whoever stays longer signs in again.
SESSION_COOKIE_AGE = 12 * 60 * 60
# In the session and not in a cookie: a message holds names of keys.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# The browser's side of security

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _TLS
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60 if _TLS else 0
CSRF_TRUSTED_ORIGINS = [KEYRACK_URL]
if _TLS and KEYRACK_TRUSTED_PROXIES:
    # config/middleware.py drops the header where it doesn't come from such a proxy.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SILENCED_SYSTEM_CHECKS = [
    # HSTS for subdomains, and preloading: Keyrack has one host name, and the names below it (or, at
    # the top of a domain, all of its hosts) are not its own to decide about.
    "security.W005",
    "security.W021",
]

# Logs and error reports

DEFAULT_EXCEPTION_REPORTER = "config.reports.Reporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "config.reports.ReportFilter"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "config.logs.JsonLines"}},
    "handlers": {"stderr": {"class": "config.logs.Lines", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        # Django's own handlers would also write plain lines and send e-mail.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # What was refused is in the line of its request already.
        "django.request": {"level": "ERROR"},
    },
}
