"""The audit log: append, chain, verify.

Each event carries an HMAC-SHA-256, under a key that is kept outside the database, over itself and the
MAC of the event before it. Whoever can write to the database but doesn't hold that key can't change,
drop or insert an event without `verify` noticing; a cut tail is noticed by comparing with a head that
was exported before.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from django.conf import settings
from django.db import connection, transaction

from projects import statements
from projects.models import SITE_LOG, AuditChain, AuditEvent, Role, User
from projects.statements import Select

Changes = Mapping[str, Any]

_SIGNED: Final = (
    "project_id", "number", "actor_kind", "actor_id", "actor_label", "verb",
    "object_kind", "object_id", "object_label", "changes", "address",
)  # fmt: skip
_MOVE: Final = f"UPDATE {AuditChain._meta.db_table} SET number = %s, mac = %s WHERE project_id = %s"  # noqa: S608
_HEAD: Final = Select(
    lambda pk: AuditChain.objects.select_for_update().filter(pk=pk).values_list("number", "mac")
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: a person, a key or the system, with the role that they act in."""

    kind: Literal["person", "key", "system"]
    id: str
    label: str
    role: Role
    address: str | None = None
    user: User | None = field(default=None, repr=False, compare=False)

    @classmethod
    def person(cls, user: User, role: Role, address: str | None = None) -> "Actor":
        return cls("person", str(user.pk), user.label, role, address, user)

    @classmethod
    def system(cls, label: str = "system") -> "Actor":
        """The project's own automation, or whoever runs commands on the machine."""
        return cls("system", "", label, Role.OWNER)


class Log:
    """One project's log, its head locked; made by `log()`."""

    def __init__(self, chain: AuditChain, actor: Actor, at: datetime) -> None:
        self._chain, self._actor, self._at = chain, actor, at

    def record(
        self, verb: str, kind: str = "", object_id: str = "", label: str = "", /, **changes: Any
    ) -> AuditEvent:
        """Append an event and return it. Two queries; `changes` must be plain JSON without floats.

        What it is about is given by position: a thing's label may be what changed.
        """
        event = AuditEvent(
            project_id=self._chain.project_id,
            number=self._chain.number + 1,
            at=self._at,
            actor_kind=self._actor.kind,
            actor_id=self._actor.id,
            actor_label=self._actor.label,
            verb=verb,
            object_kind=kind,
            object_id=object_id,
            object_label=label,
            changes=changes,
            address=self._actor.address or "",
        )
        event.mac = mac_of(event, self._chain.mac)
        statements.insert(event)
        self._chain.number, self._chain.mac = event.number, event.mac
        with connection.cursor() as cursor:
            cursor.execute(_MOVE, (event.number, event.mac, event.project_id))
        return event

    def record_past(self, events: Sequence[AuditEvent]) -> None:
        """Append events that say themselves who did what, and when: for a past that was invented.

        They get their numbers and MACs here. A query for each, to move the head, and one for a hundred.
        """
        for event in events:
            event.number = self._chain.number + 1
            event.mac = mac_of(event, self._chain.mac)
            self._chain.number, self._chain.mac = event.number, event.mac
        AuditEvent.objects.bulk_create(events)
        # One by one: the head moves one event at a time, and a trigger holds that.
        with connection.cursor() as cursor:
            cursor.executemany(_MOVE, [(event.number, event.mac, event.project_id) for event in events])


@contextmanager
def log(project_id: int, actor: Actor, at: datetime) -> Iterator[Log]:
    """Open a transaction and lock the head of a log: the first lock of every verb.

    Whatever is written inside, events and all, is committed together or not at all. The head's row is
    made when it isn't there yet (`SITE_LOG` for what belongs to no project).
    """
    with transaction.atomic():
        found = _HEAD.rows(project_id)
        if not found:
            AuditChain.objects.bulk_create([AuditChain(project_id=project_id)], ignore_conflicts=True)
            found = _HEAD.rows(project_id)
        number, mac = found[0]
        yield Log(AuditChain(project_id, number, mac), actor, at)


def mac_of(event: AuditEvent, previous: str) -> str:
    """Return the event's MAC (hex) over its fields and the MAC before it."""
    body = {name: getattr(event, name) for name in _SIGNED}
    body["at"] = event.at.astimezone(UTC).isoformat(timespec="microseconds")
    body["previous"] = previous
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hmac.new(settings.KEYRACK_AUDIT_KEY, text.encode(), hashlib.sha256).hexdigest()


def head(project_id: int = SITE_LOG) -> tuple[int, str]:
    """Return the number and MAC of the last event of a log; (0, "") where there is none."""
    chain = AuditChain.objects.filter(pk=project_id).first()
    return (chain.number, chain.mac) if chain else (0, "")


def verify(project_id: int, exported: tuple[int, str] | None = None) -> list[str]:
    """Return what is wrong with a log, in its order; an empty list proves the chain.

    `exported` is a head that was kept elsewhere: without it, a log that was cut back together with its
    head looks whole. Reads every event of the log, in constant memory.
    """
    problems: list[str] = []
    number, previous = 0, ""
    before = head(project_id)
    events = AuditEvent.objects.filter(project_id=project_id).order_by("number")
    for event in events.iterator(chunk_size=1000):
        if event.number != number + 1:
            problems.append(f"event {number + 1} is missing: {event.number} follows {number}")
        if event.mac != mac_of(event, previous):
            problems.append(f"event {event.number} was changed, or does not follow {number}")
        number, previous = event.number, event.mac
        if exported and exported[0] == number and exported[1] != previous:
            problems.append(f"event {number} is not the one that was exported")
    after = head(project_id)
    # Verbs go on meanwhile: the log may have grown past the head read before, not past the one after.
    if (number, previous) not in (before, after) and not before[0] < number < after[0]:
        problems.append(f"the log ends at event {number}, its head says {after[0]}")
    if exported and exported[0] > number:
        problems.append(f"the log ends at event {number}, the exported head is {exported[0]}")
    return problems
