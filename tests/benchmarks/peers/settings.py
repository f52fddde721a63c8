"""Settings of the peers: no middleware, one renderer, open connections, the database as Keyrack's."""

import os
from pathlib import Path

import dj_database_url

SECRET_KEY = "of no use to anybody"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.benchmarks.peers.urls"
MIDDLEWARE: list[str] = []
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework.authtoken",
    "rest_framework_api_key",
    "knox",
]
USE_TZ = True
USE_I18N = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": Path(os.environ["KEYRACK_DATA"]) / "peers.sqlite3",
    "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL;"},
}
_URL = os.environ.get("DATABASE_URL")
DATABASES = {"default": {**(dj_database_url.parse(_URL) if _URL else _SQLITE), "CONN_MAX_AGE": None}}

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
}
# Without an end, a token isn't looked at twice nor written to.
REST_KNOX = {"TOKEN_TTL": None, "AUTO_REFRESH": False}
