"""A key as people read it, formatted once in Python: templates only place the words.

Three fifths of a page's time was template rendering, most of it date filters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.core.exceptions import PermissionDenied

from keys import rates
from keys.kinds import NEVER_USED, KeyType, Status
from keys.models import Key
from keys.permissions import may_edit, may_pause, may_renew, may_reveal
from keys.usage import Bars, Lately
from projects.audit import Actor
from projects.models import Role
from projects.moments import Moment, distance

_SCOPES_SPELT_OUT: Final = 2
# A key that nobody has stored yet is given a new secret instead.
_NOT_ROTATED: Final = frozenset({Status.REVOKED, Status.ROTATING, Status.UNCONFIRMED})
_NOT_PAUSED: Final = frozenset({Status.REVOKED, Status.EXPIRED, Status.PAUSED})
_TAGS: Final = dict(KeyType.choices)
_IN_USE: Final = timedelta(days=7)


# Not frozen, which would take three times as long to make: a page makes a hundred.
@dataclass(slots=True)
class Row:
    """One row of the keys table, or of the revoked keys."""

    key_id: str
    name: str
    note: str
    preview: str
    last4: str
    type: str
    tag: str
    access: str
    channel: str
    holder: str
    status: str
    last_used: Moment | None
    last_used_from: str
    last_used_address: str
    bars: Bars | None
    stopping: str
    created: Moment
    created_by: str
    expires: Moment | None
    expires_in: str
    expires_soon: bool
    revoked: Moment | None
    revoked_by: str
    reason: str
    protected: bool
    may_edit: bool
    may_revoke: bool
    may_renew: bool
    may_rotate: bool
    may_pause: bool
    may_resume: bool
    may_reveal: bool
    paused: bool
    ends: Moment | None

    @classmethod
    def of(cls, key: Key, actor: Actor, at: datetime, lately: Lately | None = None) -> "Row":
        """Format a key for somebody, with its use lately where the row shows it.

        No query: the key comes with its activity and its channel.
        """
        status = key.status(at)
        use = key.activity
        return cls(
            key_id=key.key_id,
            name=key.name,
            note=key.note,
            preview=key.preview,
            last4=key.last4,
            type=key.type,
            tag=_TAGS[key.type],
            access=access_of(key),
            channel=key.channel.name if key.channel else "",
            holder=key.holder,
            status="" if status is Status.ACTIVE else status.value,
            last_used=None if use.last_used_at == NEVER_USED else Moment.of(use.last_used_at),
            last_used_from=" · ".join(filter(None, [use.last_used_client, use.last_used_address])),
            last_used_address=use.last_used_address,
            bars=lately.bars if lately else None,
            stopping=lately.stopping if lately else "",
            created=Moment.of(key.created_at),
            created_by=key.created_by_label,
            expires=None if key.never_expires else Moment.of(key.expires_at),
            expires_in="never" if key.never_expires else distance(key.expires_at, at),
            expires_soon=status is Status.EXPIRES_SOON,
            revoked=Moment.of(key.revoked_at) if key.revoked_at else None,
            revoked_by=key.revoked_by_label,
            reason=key.revoked_reason,
            protected=key.is_protected,
            **_verbs(key, actor, status),
            paused=key.paused_at is not None,
            ends=Moment.of(key.revoked_at) if key.revoked_at and status is Status.ROTATING else None,
        )


def _verbs(key: Key, actor: Actor, status: Status) -> dict[str, bool]:
    """Return for each verb of a row whether it is offered to somebody."""
    ended = key.is_protected or status is Status.REVOKED
    editable = not ended and allowed(may_edit, actor, key)
    return {
        "may_edit": editable and status is not Status.ROTATING,
        "may_revoke": actor.role >= Role.OPERATOR and not ended,
        "may_renew": status is Status.UNCONFIRMED and allowed(may_renew, actor, key),
        "may_rotate": editable and status not in _NOT_ROTATED,
        "may_pause": not ended and status not in _NOT_PAUSED and allowed(may_pause, actor, key),
        "may_reveal": key.sealed is not None and not key.is_protected and allowed(may_reveal, actor, key),
        "may_resume": editable and status is Status.PAUSED,
    }


def access_of(key: Key) -> str:
    """Return what a key may do, in a few words."""
    if key.grant.everything:
        return "Everything"
    if key.grant.reads:
        return "Read, chat"
    picked = key.scopes.split()
    return ", ".join(picked) if len(picked) <= _SCOPES_SPELT_OUT else f"{len(picked)} scopes"


def limits_of(key: Key) -> list[str]:
    """Return where a key may be used from and how often, a line each; nothing where it isn't limited."""
    rate = rates.parse(key.rate)
    networks = f"Only from {key.networks.replace(' ', ', ')}" if key.networks else ""
    return [*filter(None, [networks, f"At most {rate.count:,} uses per {rate.per}" if rate else ""])]


def in_use(key: Key, at: datetime) -> bool:
    """Say whether the key was used in the last 7 days, so that ending it would break something."""
    return key.activity.last_used_at >= at - _IN_USE


def allowed(rule: Callable[[Actor, Key], None], actor: Actor, key: Key) -> bool:
    """Say whether a rule of `keys.lifecycle` lets the actor at the key, instead of raising."""
    try:
        rule(actor, key)
    except PermissionDenied:
        return False
    return True
