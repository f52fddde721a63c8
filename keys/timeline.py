"""The life of a key as sentences, from its audit events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keys.models import Key
from projects.models import AuditEvent
from projects.moments import Moment, distance
from projects.sentences import Change, changes_of, sentence

# How the console calls what an edit changes, in the order of its dialog; by the name in the event.
_LABELS: Final = {
    "name": "Key name",
    "note": "Note",
    "scopes": "Scopes",
    "expires at": "Expires",
    "networks": "Allowed networks",
    "rate": "Rate limit",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened to a key; an edit with each value before and after."""

    who: str
    deed: str
    reason: str
    changes: Sequence[Change]
    address: str
    when: Moment


def told(event: AuditEvent) -> Told:
    """Return an event as a sentence; a verb without words of its own is named as it is."""
    return Told(
        who=event.actor_label,
        deed=sentence(event.verb, "this key"),
        reason=event.changes.get("reason", ""),
        changes=_edits(event) if event.verb == "key.edited" else (),
        address=event.address,
        when=Moment.of(event.at),
    )


def _edits(event: AuditEvent) -> Sequence[Change]:
    """Return what an edit changed, in the words and the order of its dialog."""
    changed = {change.name: change for change in changes_of(event)}
    return [_worded(changed[name]) for name in _LABELS if name in changed]


def _worded(change: Change) -> Change:
    before, after = change.before or "none", change.after
    if change.name == "expires at":
        before, after = (value.replace("none", "never") for value in (before, after))
    return Change(_LABELS[change.name], before, after)


def last_change(key: Key, at: datetime) -> str:
    """Say who changed the key last, and how long before `at`. One query."""
    events = AuditEvent.objects.filter(
        project_id=key.project_id, object_kind="key", object_id=key.key_id
    ).order_by("-number")
    last = events[0]
    ago = "just now" if (at - last.at).total_seconds() < 1 else distance(last.at, at)
    return f"{last.actor_label} changed this key {ago}."
