"""The password or a code again, before what could hurt most: in the form itself, good for 30 minutes.

A page of its own in between would lose what was typed, or keep it in the session; so the fields stand in the
form that needs them, with JavaScript and without. Who gave one of them, or signed in, within the last 30
minutes isn't asked.
"""

import time
from typing import Any, Final

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from allauth.core.internal import ratelimit
from allauth.mfa.models import Authenticator
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from config.sealing import SealingError
from projects import second_factor
from projects.audit import Actor
from projects.forms import CodeField, QuietForm
from projects.models import Role, User
from projects.second_factor import WRONG_CODE

_LIMITS: Final = "allauth.account"
_FIELDS: Final = ("current_password", "current_code")


def is_fresh(request: HttpRequest) -> bool:
    """Say whether the person proved themselves in this session within the last 30 minutes. No query."""
    records = get_authentication_records(request, request.user)
    at = max((record["at"] for record in records), default=0.0)
    return 0 <= time.time() - at < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def confirm(request: HttpRequest, password: str, code: str = "") -> None:
    """Take the person's password, or a code of their second factor: they are fresh from now on.

    Where both are given one of them is enough: a browser may have filled in the other.
    Raises ValidationError, by field, for wrong ones and after too many attempts (ACCOUNT_RATE_LIMITS).
    """
    if not password and not code:
        raise ValidationError({"current_password": _missing(_person(request))})
    if not ratelimit.consume(request, app=_LIMITS, action="reauthenticate", user=request.user):
        field = "current_password" if password else "current_code"
        raise ValidationError({field: "Too many failed attempts. Wait a minute, then try again."})
    if password and get_adapter().reauthenticate(request.user, password):
        reauthenticate_by_password(request)
    elif not code:
        raise ValidationError({"current_password": "That password isn't right."})
    else:
        _confirm_by_code(request, code)


def _missing(person: User) -> str:
    if person.has_usable_password():
        return "Enter your password."
    return "Your account has no password. Ask whoever runs this Keyrack for a password link."


def _confirm_by_code(request: HttpRequest, code: str) -> None:
    try:
        factor = try_code(request, _person(request), code)
    except ValidationError as error:
        raise ValidationError({"current_code": error}) from None
    known = {"id": factor.pk, "type": factor.type, "reauthenticated": True}
    record_authentication(request, request.user, "mfa", **known)


def try_code(request: HttpRequest, user: User, code: str) -> Authenticator:
    """Return the factor that a code belongs to; the code is spent by that.

    Raises ValidationError for a wrong or spent code, and after too many of them: codes are short, so they are
    limited as sign-ins are, wherever they are asked for.
    """
    usage = attempt(request, user)
    actor = Actor.person(user, Role.VIEWER, getattr(request, "client_address", None))
    try:
        factor = second_factor.accept(user, code, actor=actor, at=timezone.now())
    except SealingError as error:
        raise ValidationError(f"Your second factor can't be read. {error}") from None
    if factor is None:
        raise ValidationError(WRONG_CODE)
    # Only this attempt is forgiven: else whoever knows one code could try others at leisure.
    usage.rollback()
    return factor


def attempt(request: HttpRequest, user: User) -> ratelimit.RateLimitUsage:
    """Count an attempt at a code, and return what forgives it (`rollback`). Raises ValidationError."""
    usage = ratelimit.consume(request, app=_LIMITS, action="login_failed", key=f"second-factor:{user.pk}")
    if not usage:
        raise ValidationError("Too many failed attempts. Wait five minutes, then try again.")
    return usage


class FreshForm(QuietForm):
    """A form of something that asks for the password again; it has no such field for whoever is fresh.

    Who has a second factor may give a code of it instead. One that needs it for some rows only is made with
    `sensitive`; one that needs it for some of what is sent overrides `is_sensitive`.
    """

    current_password = forms.CharField(
        label="Your password",
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        help_text="Asked for again before what could hurt most. Good for 30 minutes.",
    )
    current_code = CodeField(
        label="Or a code", required=False, help_text="From your authenticator app, or a recovery code."
    )

    def __init__(self, *args: Any, request: HttpRequest, sensitive: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request
        if not sensitive or is_fresh(request):
            self._ask_no_more()
        elif not second_factor.has_second_factor(_person(request)):
            del self.fields["current_code"]

    def is_sensitive(self) -> bool:
        """Say whether what was sent needs the password."""
        return True

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        password, code = (data.pop(name, "") for name in _FIELDS)
        if "current_password" in self.fields and self.is_sensitive():
            try:
                confirm(self._request, password, code)
            except ValidationError as error:
                self.take(error)
            else:
                # Whatever else is wrong: the form that comes back needn't ask a second time.
                self._ask_no_more()
        return data

    def _ask_no_more(self) -> None:
        for name in _FIELDS:
            self.fields.pop(name, None)


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise TypeError("Nobody is signed in.")
    return request.user
