"""What people send about keys. Forms parse; the verbs in `keys.lifecycle` decide."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.http import HttpRequest
from django.utils.formats import date_format

from config.redaction import holds_token
from keys.drafts import Draft
from keys.forms_limits import LimitsForm
from keys.kinds import AGENT_LIFETIME, AGENT_SCOPES, NEVER_EXPIRES, Environment, KeyType
from keys.permissions import issuable_types
from keys.querysets import NEWEST_FIRST, SORTS, STATUSES
from keys.scope_matrix import MatrixRow, matrix, offered, scopes_of
from projects.forms import QuietForm
from projects.models import Resource, Role
from projects.reauthentication import FreshForm

DATE: Final = "date"
NEVER: Final = "never"
LIFETIMES: Final = {
    "30": ("30 days", timedelta(days=30)),
    "90": ("90 days", timedelta(days=90)),
    "365": ("1 year", timedelta(days=365)),
}
DEFAULT_LIFETIME: Final = "90"

TYPE_HINTS: Final = {
    KeyType.PRIVILEGED: "Full access to the project. For trusted server-to-server automation.",
    KeyType.VIEWER: "Reads, and chats with bots. Changes nothing. For channel bots and wider distribution.",
    KeyType.RESTRICTED: "Only the scopes you pick.",
}
LEAKS: Final = {
    KeyType.PRIVILEGED: "If a privileged key leaks, someone can read, change and delete everything in"
    " this project.",
    KeyType.VIEWER: "If a viewer key leaks, someone can read this project but change nothing.",
    KeyType.RESTRICTED: "If a restricted key leaks, someone can do what its scopes allow, and no more.",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A radio card of a key's type."""

    value: str
    label: str
    hint: str
    leak: str
    checked: bool


class EndForm(QuietForm):
    """When a key ends: after a while, on a date, or never."""

    field_of: Mapping[str, str] = {"expires_at": "until"}

    lifetime = forms.ChoiceField(
        label="Expires", error_messages={"invalid_choice": "Choose when the key expires."}
    )
    until = forms.DateField(
        label="Last day",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d"],
        help_text="The key works to the end of this day (UTC).",
        error_messages={"invalid": "Enter a date, such as 2027-02-18."},
    )

    def __init__(self, *args: Any, at: datetime, **options: Any) -> None:
        super().__init__(*args, **options)
        self._at = at
        self._field("lifetime").choices = lifetimes(at)
        self.fields["until"].widget.attrs["min"] = (at + timedelta(days=1)).date().isoformat()

    def _field(self, name: str) -> forms.ChoiceField:
        field = self.fields[name]
        if not isinstance(field, forms.ChoiceField):
            raise TypeError(name)
        return field

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("lifetime") == DATE and "until" in data:
            until = data["until"]
            if until is None or until <= self._at.astimezone(UTC).date():
                self.add_error("until", "Choose a date after today.")
        return data

    def expires_at(self) -> datetime:
        """Return when the key of a valid form ends."""
        return _expiry(self.cleaned_data["lifetime"], self.cleaned_data["until"], self._at)


class NewKeyForm(EndForm):
    """What is asked of every new key: its name, its end, its environment. Sent once, by its nonce."""

    nonce = forms.RegexField(
        r"^[0-9a-f]{32}\Z", widget=forms.HiddenInput, error_messages={
            "required": "Open this form anew: it was sent without its number.",
            "invalid": "Open this form anew: its number was changed.",
        },
    )  # fmt: skip
    name = forms.CharField(
        label="Key name",
        required=False,
        strip=False,
        help_text="What the key is for, such as the integration it belongs to.",
    )
    environment = forms.ChoiceField(
        label="Environment",
        choices=Environment.choices,
        error_messages={"invalid_choice": "Choose Live or Test."},
    )
    field_order: Sequence[str] = ("nonce", "name", "lifetime", "until", "environment")

    def __init__(self, data: Any = None, *, at: datetime) -> None:
        initial = {
            "nonce": uuid.uuid4().hex,
            "lifetime": DEFAULT_LIFETIME,
            "environment": Environment.LIVE,
        }
        super().__init__(data, at=at, initial=initial)


class KeyForm(FreshForm, LimitsForm, NewKeyForm):
    """A new key. What the person's role can't issue isn't offered; a privileged one asks for the password."""

    type = forms.ChoiceField(
        label="Key type",
        initial=KeyType.RESTRICTED,
        error_messages={
            "required": "Choose a type of key.",
            "invalid_choice": "Choose a type of key.",
        },
    )
    scopes = forms.MultipleChoiceField(
        label="Scopes",
        required=False,
        error_messages={"invalid_choice": "Pick scopes that are in the table."},
    )
    note = forms.CharField(label="Note", required=False, widget=forms.Textarea(attrs={"rows": 2}))
    # In the order of the dialog, which the summary of errors keeps to.
    field_order = (
        "nonce", "type", "scopes", "current_password", "name", "lifetime", "until", "environment", "note",
        "networks", "rate_count", "rate_per",
    )  # fmt: skip
    field_of: Mapping[str, str] = {**EndForm.field_of, **LimitsForm.field_of}

    def __init__(
        self,
        data: Any = None,
        *,
        request: HttpRequest,
        role: Role,
        catalogue: Sequence[Resource],
        at: datetime,
    ) -> None:
        self._types = [kind for kind in issuable_types(role) if kind in TYPE_HINTS]
        super().__init__(data, request=request, sensitive=KeyType.PRIVILEGED in self._types, at=at)
        if "current_password" in self.fields:
            hint = "Asked for a privileged key alone. Good for 30 minutes."
            self.fields["current_password"].help_text = hint
        self._offered = offered(catalogue, role)
        self._field("type").choices = [(kind.value, kind.label) for kind in self._types]
        self._field("scopes").choices = [(scope, scope) for scope in scopes_of(self._offered)]

    def is_sensitive(self) -> bool:
        return bool(self.cleaned_data.get("type") == KeyType.PRIVILEGED)

    def draft(self) -> Draft:
        """Return what the valid form asks for."""
        data = self.cleaned_data
        restricted = data["type"] == KeyType.RESTRICTED
        return Draft(
            name=data["name"],
            type=data["type"],
            # Boxes that were ticked before another type was chosen are hidden, not meant.
            scopes=data["scopes"] if restricted else (),
            environment=data["environment"],
            expires_at=self.expires_at(),
            note=data["note"],
            networks=self.networks_wanted(),
            rate=self.rate_wanted(),
        )

    def types(self) -> list[Choice]:
        chosen = self["type"].value()
        return [
            Choice(kind.value, f"{kind.label} key", TYPE_HINTS[kind], LEAKS[kind], kind.value == chosen)
            for kind in self._types
        ]

    def matrix(self) -> list[MatrixRow]:
        """Return the scopes as a table: resource × action."""
        return matrix(self._offered, self["scopes"].value())


class AgentForm(QuietForm):
    """A new agent key: a name. Its end is no choice, and its scopes are ticked already."""

    nonce = KeyForm.base_fields["nonce"]
    name = KeyForm.base_fields["name"]
    scopes = KeyForm.base_fields["scopes"]

    def __init__(self, data: Any = None, *, role: Role, catalogue: Sequence[Resource], at: datetime) -> None:
        self._offered = offered(catalogue, role)
        known = scopes_of(self._offered)
        ticked = [scope for scope in AGENT_SCOPES if scope in known]
        super().__init__(data, initial={"nonce": uuid.uuid4().hex, "scopes": ticked})
        scopes: Any = self.fields["scopes"]
        scopes.choices = [(scope, scope) for scope in known]
        self.fields["name"].help_text = "What the agent does, or where it runs."
        self.expires = day(at + AGENT_LIFETIME)

    def clean_scopes(self) -> list[str]:
        scopes: list[str] = self.cleaned_data["scopes"]
        if not scopes:
            # To the verb no scopes are a key that asks for none, and gets the usual ones. Whoever has taken
            # every tick away doesn't mean that.
            raise forms.ValidationError("Pick at least one scope.")
        return scopes

    def draft(self) -> Draft:
        """Return what the valid form asks for."""
        data = self.cleaned_data
        return Draft(name=data["name"], type=KeyType.AGENT, scopes=data["scopes"])

    def matrix(self) -> list[MatrixRow]:
        """Return the scopes as a table: resource × action."""
        return matrix(self._offered, self["scopes"].value())

    def unfolded(self) -> bool:
        """Say whether the scopes are to be seen at once: where they are wrong, or none is ticked."""
        return bool(self["scopes"].errors) or not self["scopes"].value()


def lifetimes(at: datetime) -> list[tuple[str, str]]:
    """Return the choices of when a key ends, each with the date that it means."""
    spans = [(value, f"{label} ({day(at + span)})") for value, (label, span) in LIFETIMES.items()]
    return [*spans, (DATE, "On a date"), (NEVER, "Never. Not recommended")]


def day(moment: datetime) -> str:
    """Return the day of a time (UTC), as people read it."""
    return date_format(moment.astimezone(UTC), "j M Y")


def _expiry(lifetime: str, until: Any, at: datetime) -> datetime:
    if lifetime == NEVER:
        return NEVER_EXPIRES
    if lifetime == DATE:
        return datetime.combine(until, time.max, UTC)
    return at + LIFETIMES[lifetime][1]


def _refuse_token(term: str) -> None:
    """Refuse a key as a search term: `keys.listing.search_query` makes `key=` of it before."""
    if holds_token(term):
        raise forms.ValidationError("Search for a key by its id.")


FILTERS: Final = ("type", "status", "environment", "mine", "unused")


class ListForm(QuietForm):
    """What the address of a page with keys says: search, filters, sort and place in both tables.

    A page that shows one type of key has no filter of that name. What isn't given has no field: copying all
    of them takes longer than asking the database.
    """

    q = forms.CharField(required=False, max_length=200, validators=[_refuse_token])
    key = forms.RegexField(r"^(?:[0-9A-Za-z]{4,12}|-)\Z", required=False)
    type = forms.ChoiceField(label="Type", required=False)
    status = forms.ChoiceField(
        label="Status", required=False, choices=[("", "Any status"), *STATUSES.items()]
    )
    environment = forms.ChoiceField(
        label="Environment", required=False, choices=[("", "Live and test"), *Environment.choices]
    )
    mine = forms.BooleanField(label="Created by me", required=False)
    unused = forms.BooleanField(label="Not used for 90 days", required=False)
    # A person's public id; the pages about members lead here with it.
    by = forms.RegexField(r"^[0-9A-Za-z]{12}\Z", required=False)
    sort = forms.ChoiceField(required=False, choices=[(name, name) for name in SORTS])
    after = forms.RegexField(r"^[0-9A-Za-z]{12}\Z", required=False)
    before = forms.RegexField(r"^[0-9A-Za-z]{12}\Z", required=False)
    rq = forms.CharField(required=False, max_length=200, validators=[_refuse_token])
    rkey = forms.RegexField(r"^(?:[0-9A-Za-z]{4,12}|-)\Z", required=False)
    rafter = forms.RegexField(r"^[0-9A-Za-z]{12}\Z", required=False)
    rbefore = forms.RegexField(r"^[0-9A-Za-z]{12}\Z", required=False)

    def __init__(self, params: Mapping[str, Any], *, types: Sequence[KeyType]) -> None:
        self.filters = [name for name in FILTERS if name != "type" or len(types) > 1]
        known = [name for name in self.base_fields if name not in FILTERS or name in self.filters]
        self.unknown = params.keys() - known
        # Django copies what stands here.
        self.base_fields = {  # type: ignore[misc]
            name: self.base_fields[name] for name in known if name in params
        }
        super().__init__(params, auto_id="filter_%s")
        if "type" in self.fields:
            kinds: Any = self.fields["type"]
            kinds.choices = [("", "Any type"), *((kind.value, kind.label) for kind in types)]

    def values(self) -> dict[str, Any]:
        """Return what is given, without blanks; nothing of a form that isn't valid."""
        if not self.is_valid():
            return {"sort": NEWEST_FIRST}
        given = {name: value for name, value in self.cleaned_data.items() if value}
        return {"sort": NEWEST_FIRST, **given}
