"""The password again, before what could hurt most: asked for in the form itself, good for 30 minutes.

A page of its own in between would lose what was typed, or keep it in the session; so the field for the
password stands in the form that needs it, with JavaScript and without. Who gave it, or signed in, within the
last 30 minutes isn't asked.
"""

import time
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from allauth.core import ratelimit
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from projects.forms import QuietForm


def is_fresh(request: HttpRequest) -> bool:
    """Say whether the person gave their password in this session within the last 30 minutes. No query."""
    records = get_authentication_records(request, request.user)
    at = max((record["at"] for record in records), default=0.0)
    return 0 <= time.time() - at < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def confirm(request: HttpRequest, password: str) -> None:
    """Take the person's password: they are fresh from now on.

    Raises ValidationError for a wrong one, and after too many attempts (the setting ACCOUNT_RATE_LIMITS).
    """
    if not password:
        raise ValidationError("Enter your password.")
    if not ratelimit.consume(request, action="reauthenticate", user=request.user):
        raise ValidationError("Too many failed attempts. Wait a minute, then try again.")
    if not get_adapter().reauthenticate(request.user, password):
        raise ValidationError("That password isn't right.")
    reauthenticate_by_password(request)


class FreshForm(QuietForm):
    """A form of something that asks for the password again; it has no such field for whoever is fresh.

    One that needs it for some rows only is made with `sensitive`; one that needs it for some of what is sent
    overrides `is_sensitive`.
    """

    current_password = forms.CharField(
        label="Your password",
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        help_text="Asked for again before what could hurt most. Good for 30 minutes.",
    )

    def __init__(self, *args: Any, request: HttpRequest, sensitive: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request
        if not sensitive or is_fresh(request):
            del self.fields["current_password"]

    def is_sensitive(self) -> bool:
        """Say whether what was sent needs the password."""
        return True

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        password = data.pop("current_password", "")
        if "current_password" in self.fields and self.is_sensitive():
            try:
                confirm(self._request, password)
            except ValidationError as error:
                self.add_error("current_password", error)
            else:
                # Whatever else is wrong: the form that comes back needn't ask a second time.
                del self.fields["current_password"]
        return data
