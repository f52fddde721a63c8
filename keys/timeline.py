"""The life of a key as sentences, from its audit events."""

from dataclasses import dataclass
from typing import Final

from projects.models import AuditEvent
from projects.moments import Moment

_DEEDS: Final = {
    "key.issued": "created this key",
    "key.confirmed": "stored its secret",
    "key.renewed": "gave it a new secret",
    "key.edited": "edited this key",
    "key.paused": "paused this key",
    "key.resumed": "resumed this key",
    "key.rotated": "rotated this key",
    "key.revealed": "looked at its secret",
    "key.revoked": "revoked this key",
}


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
        deed=_DEEDS.get(event.verb, event.verb),
        reason=event.changes.get("reason", ""),
        address=event.address,
        when=Moment.of(event.at),
    )
