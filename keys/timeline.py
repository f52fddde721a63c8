"""The life of a key as sentences, from its audit events."""

from dataclasses import dataclass

from projects.models import AuditEvent
from projects.moments import Moment
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
