"""The audit log of a project: what its address asks for, and what it shows."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import QueryDict

from config.redaction import holds_token, key_id_in
from projects.forms import QuietForm
from projects.models import AuditEvent, Project
from projects.moments import Moment
from projects.querysets import Order, Topic, page, read_from
from projects.sentences import DEEDS, TOPICS, Change, changes_of, parts

Events = QuerySet[AuditEvent]
Filter = Callable[[Events], Events]

# By the time that stands beside an event; its number, which an address may hold, breaks ties.
NEWEST_FIRST: Final = Order("at", tie="number")
_CHUNK: Final = 1000
_FEW: Final = 1000
_KEY_ID: Final = re.compile(r"[0-9A-Za-z]{12}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_REFUSED: Final = "That holds the secret of a key. Give the key's ID instead."
_NO_DATE: Final = {"invalid": "Enter a date, such as 2027-02-18."}


def _deeds() -> list[Any]:
    """Return the choices of *What*: all of a topic, or one verb of it."""
    by_topic = [
        (label, [(topic, f"{label}: everything"), *((verb, words.replace("{}", "…"))
         for verb, words in DEEDS.items() if verb.startswith(f"{topic}."))])
        for topic, label in TOPICS.items()
    ]  # fmt: skip
    return [("", "Everything"), *by_topic]


def _day_field(label: str) -> forms.DateField:
    day = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    formats = ["%Y-%m-%d"]
    return forms.DateField(
        label=label, required=False, widget=day, input_formats=formats, error_messages=_NO_DATE
    )


class EventsForm(QuietForm):
    """The filters. A pasted token is never kept: its key id takes its place, or it is refused."""

    who = forms.CharField(label="Who", required=False, max_length=254)
    what = forms.ChoiceField(
        label="What",
        required=False,
        choices=_deeds(),
        error_messages={"invalid_choice": "Choose something that is in the list."},
    )
    key = forms.CharField(label="Key ID", required=False, max_length=254)
    since = _day_field("First day")
    until = _day_field("Last day")

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, auto_id="filter_%s")
        for name in ("who", "key"):
            self.fields[name].widget.attrs.update(autocomplete="off", spellcheck="false")
        self.fields["who"].widget.attrs.update(
            list="actors", placeholder="Name or key ID", autocapitalize="off"
        )
        self.fields["key"].widget.attrs.update(placeholder="7Fq2aB3dE5gH", autocapitalize="off")

    def clean_who(self) -> str:
        return _public(self.cleaned_data["who"])

    def clean_key(self) -> str:
        key_id = _public(self.cleaned_data["key"])
        if key_id and not _KEY_ID.fullmatch(key_id):
            raise ValidationError("Enter a key ID: 12 letters and digits.")
        return key_id

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        since, until = data.get("since"), data.get("until")
        if since and until and until < since:
            self.add_error("until", "Choose a last day that isn't before the first.")
        return data

    def given(self) -> dict[str, str]:
        """Return what the valid form asks for, as an address says it."""
        given = {name: value for name, value in self.cleaned_data.items() if value}
        return given | {name: given[name].isoformat() for name in ("since", "until") if name in given}


def _public(text: str) -> str:
    """Return the text, or the key id of the token in it. Raises ValidationError for another secret."""
    key_id = key_id_in(text)
    if not key_id and holds_token(text):
        raise ValidationError(_REFUSED)
    return key_id or text.strip()


def holds_secret(params: QueryDict) -> bool:
    """Say whether somebody typed an address with a key in it: it must leave the address bar."""
    return any(holds_token(text) for _, texts in params.lists() for text in texts)


def without_secrets(params: QueryDict) -> str:
    """Return the query of such an address without its secrets; key ids stand where there were tokens."""
    named = ("who", "key")
    kept = {
        name: (key_id_in(text) if name in named else "") or text
        for name in EventsForm.base_fields
        if (text := params.get(name) or "")
    }
    return urlencode({name: text for name, text in kept.items() if not holds_token(text)})


def events_of(project: Project, given: Mapping[str, str]) -> Events:
    """Return the project's events that the filters leave, in no order.

    A query where *Who* may be the id of a key, and one for each of several filters. Each has its index
    (`AuditEvent`); of several, one that leaves few decides.
    """
    found = AuditEvent.objects.filter(project_id=project.pk)
    who, what, key_id = (given.get(name, "") for name in ("who", "what", "key"))
    filters: list[Filter] = []
    if who:
        filters.append(lambda events: _by(events, who))
    if what:
        filters.append(lambda events: _of_kind(events, what, narrowed=bool(who)))
    if key_id:
        filters.append(lambda events: events.filter(object_kind="key", object_id=key_id))
    if len(filters) > 1:
        found = _among_few(found, filters)
    for each in filters:
        found = each(found)
    if since := given.get("since"):
        found = found.filter(at__gte=datetime.combine(date.fromisoformat(since), time.min, UTC))
    if until := given.get("until"):
        found = found.filter(at__lte=datetime.combine(date.fromisoformat(until), time.max, UTC))
    return found


def _among_few(found: Events, filters: Sequence[Filter]) -> Events:
    """Return the events of the first filter that leaves a thousand at most, by their numbers; else all.

    What two filters leave may be rare though each leaves many: then no index finds it, and all that one of
    them leaves is looked through.
    """
    for narrow in filters:
        numbers = list(narrow(found).order_by().values_list("pk", flat=True)[: _FEW + 1])
        if len(numbers) <= _FEW:
            return read_from(found.filter(pk__in=numbers))
    return found


def _of_kind(found: Events, what: str, *, narrowed: bool) -> Events:
    """Return the events of a verb, or of all verbs of a topic."""
    if "." in what:
        return found.filter(verb=what)
    if narrowed:
        # Most events are of one topic: without statistics SQLite would rather look through all of those.
        return found.filter(verb__startswith=f"{what}.")
    return found.alias(topic=Topic("verb")).filter(topic=what)


def _by(found: Events, who: str) -> Events:
    """Return what somebody did: by the name that the log shows, or by the id of a key."""
    if _KEY_ID.fullmatch(who):
        by_key = found.filter(actor_kind="key", actor_id=who)
        if by_key.exists():
            return by_key
    return found.filter(actor_label=who)


def newest_first(events: Events) -> Iterator[AuditEvent]:
    """Yield all of the events, newest first, in constant memory.

    Each thousand is a query of its own. One long query would hold a transaction open for as long as a
    slow reader takes, and SQLite couldn't shorten its write-ahead log meanwhile.
    """
    rows = list(NEWEST_FIRST.applied(events)[:_CHUNK])
    while rows:
        yield from rows
        if len(rows) < _CHUNK:
            return
        rows = list(NEWEST_FIRST.applied(events.filter(NEWEST_FIRST.past(rows[-1])))[:_CHUNK])


@dataclass(frozen=True, slots=True)
class EventRow:
    """One row of the audit log. What was done stands in three parts: words, a name, words."""

    number: int
    when: Moment
    who: str
    who_key: str
    before: str
    label: str
    after: str
    made: list[Change]
    changed: list[Change]
    key_id: str
    address: str

    @classmethod
    def of(cls, event: AuditEvent) -> "EventRow":
        before, label, after = parts(event.verb, event.object_label or event.object_id)
        changes = changes_of(event)
        return cls(
            number=event.number,
            when=Moment.of(event.at),
            who=event.actor_label or event.actor_kind,
            who_key=event.actor_id if event.actor_kind == "key" else "",
            before=before,
            label=label,
            after=after,
            made=[change for change in changes if change.before is None],
            changed=[change for change in changes if change.before is not None],
            key_id=event.object_id if event.object_kind == "key" else "",
            address=event.address,
        )


class BadCursor(Exception):
    """The address names an event that isn't in this project's log."""


@dataclass(frozen=True, slots=True)
class EventTable:
    """A page of the log, and the queries of its links."""

    rows: list[EventRow]
    previous: str
    next: str
    query: str
    filtered: bool


def table(project: Project, given: Mapping[str, str], params: Mapping[str, Any]) -> EventTable:
    """Return the page of events that follows, or precedes, the number which `params` name.

    One query, and one for that event. Raises BadCursor.
    """
    found, filters = events_of(project, given), urlencode(given)
    after, before = _edge(project, params.get("after")), _edge(project, params.get("before"))
    shown = page(found, NEWEST_FIRST, after=after, before=before)
    if not shown.rows and (after or before):
        shown = page(found, NEWEST_FIRST)
    rows = [EventRow.of(event) for event in shown.rows]
    back = urlencode({**given, "before": rows[0].number}) if rows and shown.has_previous else ""
    on = urlencode({**given, "after": rows[-1].number}) if rows and shown.has_next else ""
    return EventTable(rows, back, on, filters, bool(given))


def _edge(project: Project, number: str | None) -> AuditEvent | None:
    if not number:
        return None
    known = AuditEvent.objects.filter(project_id=project.pk)
    event = known.filter(number=int(number)).first() if _NUMBER.fullmatch(number) else None
    if event is None:
        raise BadCursor
    return event
