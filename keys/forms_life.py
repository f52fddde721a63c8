"""What people send about a key that is there. Forms parse; the verbs in `keys.lifecycle` decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.http import HttpRequest

from keys import forms_limits
from keys.drafts import Edit
from keys.forms import DATE, EndForm, day, lifetimes
from keys.forms_limits import LimitsForm
from keys.kinds import DEFAULT_GRACE, GRACES, PICKS_SCOPES, KeyType
from keys.models import Key
from keys.scope_matrix import MatrixRow, matrix, offered, scopes_of
from keys.scopes import above_operators
from projects.forms import QuietForm
from projects.models import Resource, Role
from projects.moments import Moment
from projects.reauthentication import FreshForm

KEEP: Final = "keep"
GRACE_LABELS: Final = {"now": "Stop it now", "1h": "1 hour", "24h": "24 hours", "7d": "7 days"}


class RevokeForm(QuietForm):
    """The end of a key. One that was used in the last 7 days asks for its last 4 characters."""

    last4 = forms.CharField(required=False, strip=True)
    reason = forms.CharField(label="Reason (optional)", required=False)

    def __init__(self, data: Any = None, *, key: Key, in_use: bool) -> None:
        super().__init__(data)
        self._key = key
        if in_use:
            self.fields["last4"].label = f"Type the last 4 characters ({key.last4}) to confirm"
            self.fields["last4"].widget.attrs.update(
                autocomplete="off", autocapitalize="off", spellcheck="false", maxlength=4
            )
        else:
            del self.fields["last4"]

    def clean_last4(self) -> str:
        last4: str = self.cleaned_data["last4"]
        if last4 != self._key.last4:
            raise forms.ValidationError(f"Type {self._key.last4}, the last 4 characters of the key.")
        return last4


class _SeenForm(QuietForm):
    """About a key as the person saw it."""

    version = forms.IntegerField(widget=forms.HiddenInput, error_messages={
        "required": "Open this form anew: it was sent without its number.",
        "invalid": "Open this form anew: its number was changed.",
    })  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grace:
    """A radio card of how long the old key goes on working."""

    value: str
    label: str
    ends: Moment
    checked: bool


class RotateForm(FreshForm):
    """A key's replacement: how long the old one works beside it. A privileged one asks for the password."""

    grace_period = forms.ChoiceField(
        label="Stop the old key",
        choices=[(name, name) for name in GRACES],
        initial=DEFAULT_GRACE,
        error_messages={
            "required": "Choose when the old key stops.",
            "invalid_choice": "Choose when the old key stops.",
        },
    )

    def __init__(self, data: Any = None, *, request: HttpRequest, key: Key, at: datetime) -> None:
        super().__init__(data, request=request, sensitive=key.grant.everything)
        self._key, self._at = key, at

    def grace(self) -> timedelta:
        """Return what the valid form asks for."""
        return GRACES[self.cleaned_data["grace_period"]]

    def graces(self) -> list[Grace]:
        """Return the choices, each with the time that it means: never later than the key's own end."""
        chosen = self["grace_period"].value()
        return [
            Grace(name, GRACE_LABELS[name], self._ends(span), name == chosen) for name, span in GRACES.items()
        ]

    def _ends(self, span: timedelta) -> Moment:
        return Moment.of(min(self._at + span, self._key.expires_at))


class RenewForm(FreshForm, _SeenForm):
    """A fresh secret. Of a key that may do everything it asks for the password."""

    def __init__(self, data: Any = None, *, request: HttpRequest, key: Key) -> None:
        # The Automator Key, and a privileged one: its new secret is worth what a new key is.
        super().__init__(
            data, initial={"version": key.version}, request=request, sensitive=key.grant.everything
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """What a field says in the form, and what the key says by now."""

    label: str
    now: str
    typed: str


class EditForm(FreshForm, LimitsForm, EndForm, _SeenForm):
    """What may be changed in a key of its type. What more access could come of asks for the password.

    That is a change of anything but name and note, in a key that may do everything or has a scope that
    only admins give.
    """

    field_of: Mapping[str, str] = {**EndForm.field_of, **LimitsForm.field_of}

    name = forms.CharField(label="Key name", required=False, strip=False)
    note = forms.CharField(label="Note", required=False, widget=forms.Textarea(attrs={"rows": 3}))
    scopes = forms.MultipleChoiceField(
        label="Scopes",
        required=False,
        error_messages={"invalid_choice": "Pick scopes that are in the table."},
    )
    field_order = (
        "version", "name", "note", "scopes", "lifetime", "until", "networks", "rate_count", "rate_per",
        "current_password", "current_code",
    )  # fmt: skip

    def __init__(
        self,
        data: Any = None,
        *,
        request: HttpRequest,
        key: Key,
        role: Role,
        catalogue: Sequence[Resource],
        at: datetime,
    ) -> None:
        held = key.scopes.split()
        initial = {"version": key.version, "name": key.name, "note": key.note, "scopes": held}
        initial |= {"lifetime": KEEP, **forms_limits.initial(key)}
        high = key.grant.everything or (key.type in PICKS_SCOPES and role >= Role.ADMIN)
        super().__init__(data, initial=initial, request=request, sensitive=high, at=at)
        self._key = key
        self._offered = offered(catalogue, role, held)
        self._field("scopes").choices = [(scope, scope) for scope in scopes_of(self._offered)]
        self._field("lifetime").required = False
        self._field("lifetime").choices = [(KEEP, _kept(key)), *lifetimes(at)]
        if key.type not in PICKS_SCOPES:
            del self.fields["scopes"]
        if key.type == KeyType.AGENT or key.is_expired(at):
            del self.fields["lifetime"], self.fields["until"]
        if "current_password" in self.fields:
            hint = "Asked for where more than name and note changes. Good for 30 minutes."
            self.fields["current_password"].help_text = hint

    def is_sensitive(self) -> bool:
        """Say whether access that only admins give is changed."""
        picked = self.cleaned_data.get("scopes", [])
        high = self._key.grant.everything or any(map(above_operators, {*picked, *self._key.scopes.split()}))
        return high and (bool(self.errors) or self._changes_access(self.edit()))

    def _changes_access(self, wanted: Edit) -> bool:
        key = self._key
        return (
            wanted.scopes is not None
            or wanted.expires_at not in (None, key.expires_at)
            or (wanted.networks is not None and list(wanted.networks) != key.networks.split())
            or (wanted.rate is not None and wanted.rate != key.rate)
        )

    def edit(self) -> Edit:
        """Return what the valid form asks for."""
        data = self.cleaned_data
        given = self.data.keys()
        return Edit(
            name=data["name"],
            note=data["note"],
            scopes=self._scopes(),
            expires_at=self._end(),
            networks=self.networks_wanted() if "networks" in given else None,
            rate=self.rate_wanted() if "rate_count" in given else None,
        )

    def _scopes(self) -> Sequence[str] | None:
        picked: Sequence[str] | None = self.cleaned_data.get("scopes")
        # As it is, so that a scope which has left the catalogue is in nobody's way.
        return None if set(picked or ()) == set(self._key.scopes.split()) else picked

    def _end(self) -> datetime | None:
        keeps = self.cleaned_data.get("lifetime", KEEP) in (KEEP, "")
        return None if keeps else self.expires_at()

    def matrix(self) -> list[MatrixRow]:
        """Return the scopes as a table: resource × action."""
        return matrix(self._offered, self["scopes"].value())

    def overtaken(self, key: Key, message: str) -> list[Difference]:
        """Turn the form to the key as it is by now, with what was typed, and return where the two differ."""
        self.add_error(None, message)
        kept: Any = self.data
        kept = kept.copy()
        kept["version"] = str(key.version)
        self.data = kept
        if "lifetime" in self.fields:
            self._field("lifetime").choices = [(KEEP, _kept(key)), *lifetimes(self._at)]
        found = [Difference(label, now, typed) for label, now, typed in self._sides(key)]
        return [each for each in found if each.now != each.typed]

    def _sides(self, key: Key) -> list[tuple[str, str, str]]:
        """Return each field's label, what the key says, and what was typed."""

        def typed(name: str) -> str:
            return (self[name].value() or "").replace("\r\n", "\n")

        sides = [("Key name", key.name, typed("name")), ("Note", key.note, typed("note"))]
        if "scopes" in self.fields:
            picked = " ".join(sorted(self["scopes"].value() or ()))
            sides.append(("Scopes", key.scopes.replace(" ", ", "), picked.replace(" ", ", ")))
        if "lifetime" in self.fields and self["lifetime"].value() not in (KEEP, None, ""):
            sides.append(("Expires", _end_of(key), self._end_typed()))
        if "networks" in self.data:
            now, wanted = key.networks.replace(" ", ", "), ", ".join(self.networks_typed())
            sides.append(("Allowed networks", now, wanted))
        if "rate_count" in self.data:
            sides.append(("Rate limit", key.rate, self.rate_typed()))
        return sides

    def _end_typed(self) -> str:
        chosen = self["lifetime"].value()
        until = self["until"].value() or ""
        return f"On a date: {until}" if chosen == DATE else dict(lifetimes(self._at)).get(chosen, "")


def _kept(key: Key) -> str:
    return f"As it is ({_end_of(key)})"


def _end_of(key: Key) -> str:
    return "never" if key.never_expires else day(key.expires_at)
