"""How Keyrack bends django-allauth: no accounts are made here, failures look alike, factors are sealed."""

from typing import Any, ClassVar
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.stages import AuthenticateStage
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.shortcuts import resolve_url

from projects.factor_sealing import seal, unseal
from projects.models import User
from projects.second_factor import has_second_factor


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Named by the setting ACCOUNT_ADAPTER."""

    error_messages: ClassVar[dict[str, Any]] = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "That email or password isn't right.",
        "too_many_login_attempts": "Too many failed attempts. Wait five minutes, then try again.",
        "enter_current_password": "That isn't your current password.",
        "incorrect_password": "That password isn't right.",
        "invalid_password_reset": "This link doesn't work any more.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never: accounts come from the first run, from staff or from an invitation."""
        return False

    def is_ajax(self, request: HttpRequest) -> bool:
        """Never: these pages answer in HTML alone, whatever a client asks for."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that the throttle counts by; all whose address can't be known share one."""
        return getattr(request, "client_address", None) or "unknown"

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return resolve_url("/")

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Return the account, or None: also where it isn't active, so that nobody learns of it."""
        user = super().authenticate(request, **credentials)
        return user if user is not None and user.is_active else None

    def get_login_stages(self) -> list[str]:
        """The steps of a sign-in after the password: the code, for whoever has a second factor."""
        return ["projects.adapter.CodeStage"]

    def clean_password(self, password: str, user: AbstractBaseUser | None = None) -> str:
        """Return a password that may be set. Raises ValidationError."""
        invented = isinstance(user, User) and user.must_change_password
        if invented and user is not None and user.check_password(password):
            raise ValidationError("Choose another password than the one you were given.")
        return str(super().clean_password(password, user))

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        """Set a password that the person chose, which ends the duty to change an invented one.

        Other sessions end by themselves: each holds a MAC over the password's hash.
        """
        assert isinstance(user, User)
        user.set_password(password)
        user.must_change_password = False
        user.save(update_fields=["password", "must_change_password"])


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Named by the setting MFA_ADAPTER."""

    # Called `secret`: error reports leave variables out by their names.

    def encrypt(self, secret: str) -> str:
        """Return an app's secret, or the seed of recovery codes, sealed for whoever it belongs to."""
        return seal(secret)

    def decrypt(self, encrypted_text: str) -> str:
        """Return what was sealed. Raises SealingError."""
        return unseal(encrypted_text)

    def get_totp_issuer(self) -> str:
        """The name in an authenticator app. With the host: a person may have accounts at two Keyracks."""
        host = urlsplit(settings.KEYRACK_URL).hostname or ""
        # No colon may stand in it (the Key URI Format): there the account's name begins.
        return f"Keyrack ({host.replace(':', '.')})"

    def get_totp_label(self, user: AbstractBaseUser) -> str:
        return f"{self.get_totp_issuer()}:{user.get_username()}"


class CodeStage(AuthenticateStage):  # type: ignore[misc]
    """The step of a sign-in that asks for a code. It remembers with which password the sign-in began."""

    def handle(self) -> tuple[Any, bool]:
        self.state["password"] = self.login.user.get_session_auth_hash()
        step: tuple[Any, bool] = super().handle()
        return step


def still_holds(stage: CodeStage) -> bool:
    """Say whether a half-finished sign-in may go on: it is no session yet, so what ends those is asked here.

    The account is open, its password is still the one that began this, and there is a factor to ask for.
    """
    user = stage.login.user
    unchanged = stage.state.get("password") == user.get_session_auth_hash()
    return bool(user.is_active and unchanged and has_second_factor(user))
