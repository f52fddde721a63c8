"""How Keyrack bends django-allauth: accounts are not made here, and there is one kind of failure."""

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.shortcuts import resolve_url

from projects.models import User


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
