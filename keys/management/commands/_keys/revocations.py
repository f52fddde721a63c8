"""The end of keys, one after the other: each in its own transaction, none kept by another's failure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils import timezone

from keys import lifecycle
from keys.conflicts import AlreadyRevoked, Conflict, Protected
from keys.kinds import NEVER_USED
from keys.management.commands._keys import exits
from keys.models import Key
from projects.audit import Actor
from projects.models import Project
from projects.moments import timestamp

_SHOWN: Final = 10
_OUTCOMES: Final[dict[type[Conflict], str]] = {AlreadyRevoked: "already_revoked", Protected: "protected"}


@dataclass(frozen=True, slots=True)
class Revocation:
    """What became of one key: a word for scripts, a line for people, and its exit code."""

    key_id: str
    outcome: str
    code: int
    text: str
    key: Key | None = None


def revoke(project: Project, key_id: str, actor: Actor, reason: str) -> Revocation:
    """Revoke a key, and return what became of it. Raises ValidationError for the reason, PermissionDenied."""
    try:
        key = lifecycle.revoke(project, key_id, actor=actor, at=timezone.now(), reason=reason)
    except Key.DoesNotExist:
        text = f"There is no key “{key_id}” in {project.slug}."
        return Revocation(key_id, "unknown", exits.REFUSED, text)
    except Conflict as conflict:
        outcome = _OUTCOMES.get(type(conflict), "conflict")
        return Revocation(key_id, outcome, exits.CONFLICT, exits.said(conflict), conflict.key)
    return Revocation(key_id, "revoked", exits.DONE, f"{key.name} ({key.key_id}) was revoked.", key)


def question(project: Project, key_ids: Sequence[str], say: Callable[[str], None]) -> str:
    """Say which keys would end, the first ten of them, and return what to ask."""
    known = {key.key_id: key for key in Key.objects.of(project).filter(key_id__in=key_ids[:_SHOWN])}
    for key_id in key_ids[:_SHOWN]:
        say(f"  {_line(known[key_id])}" if key_id in known else f"  {key_id}: not in {project.slug}")
    if len(key_ids) > _SHOWN:
        say(f"  and {len(key_ids) - _SHOWN:,} more")
    them = "this key" if len(key_ids) == 1 else f"these {len(key_ids):,} keys"
    say(f"Requests with {them} fail from the moment you revoke. This can't be undone.")
    return f"Revoke {them} of {project.name}? [y/N] "


def _line(key: Key) -> str:
    use = key.activity.last_used_at
    used = "never used" if use == NEVER_USED else f"last used {timestamp(use)}"
    return f"{key.name} ({key.preview}), {used}"
