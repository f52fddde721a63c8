"""The life of a key as sentences, from its audit events."""

from dataclasses import dataclass
from datetime import datetime

from keys.models import Key
from projects.models import AuditEvent
from projects.moments import Moment, distance
from projects.sentences import sentence


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened to a key."""

    who: str
    deed: str
    reason: str
    address: str
    when: Moment


def told(event: AuditEvent) -> Told:
    """Return an event as a sentence; a verb without words of its own is named as it is."""
    return Told(
        who=event.actor_label,
        deed=sentence(event.verb, "this key"),
        reason=event.changes.get("reason", ""),
        address=event.address,
        when=Moment.of(event.at),
    )


def last_change(key: Key, at: datetime) -> str:
    """Say who changed the key last, and how long before `at`. One query."""
    events = AuditEvent.objects.filter(
        project_id=key.project_id, object_kind="key", object_id=key.key_id
    ).order_by("-number")
    last = events[0]
    ago = "just now" if (at - last.at).total_seconds() < 1 else distance(last.at, at)
    return f"{last.actor_label} changed this key {ago}."
