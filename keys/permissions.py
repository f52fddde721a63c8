"""Who may do what to a key. The verbs in `keys.lifecycle` ask here, for every surface alike.

A person may what their role allows (PRODUCT.md, section 8). A key may act only within its own bounds: no
verb gives a key or a person more than they have.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.core.exceptions import PermissionDenied, ValidationError

from keys.drafts import Draft
from keys.kinds import KeyType
from keys.models import Key
from keys.networks import lie_within
from keys.scopes import Grant, above_operators
from projects.audit import Actor
from projects.models import Role

ISSUABLE: Final = tuple(kind for kind in KeyType if kind != KeyType.SYSTEM)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a key reaches: what it may do, where (`channel` "" is everywhere), and how long.

    `networks` is None for a draft whose networks are none: its own rules refuse it, with whatever else is
    wrong.
    """

    grant: Grant
    environment: str
    expires_at: datetime
    channel: str = ""
    networks: str | None = ""

    @classmethod
    def of(cls, key: Key | Draft) -> "Reach":
        if isinstance(key, Draft):
            try:
                networks: str | None = key.stored_networks
            except ValidationError:
                networks = None
            return cls(key.grant, key.environment, key.ends_at, key.channel, networks)
        channel = key.channel.slug if key.channel else ""
        return cls(key.grant, key.environment, key.expires_at, channel, key.networks)

    def lies_within(self, other: "Reach") -> bool:
        """Say whether a key of this reach could do nothing that one of the `other` can't."""
        return (
            self.grant.lies_within(other.grant)
            and self.environment == other.environment
            and self.expires_at <= other.expires_at
            and other.channel in ("", self.channel)
            and (self.networks is None or lie_within(self.networks, other.networks or ""))
        )


@dataclass(frozen=True, slots=True)
class KeyActor(Actor):
    """A key that acts through the JSON API, with the bounds that it acts in."""

    key_pk: int = 0
    reach: Reach | None = None

    @classmethod
    def acting(cls, key: Key, address: str | None = None) -> "KeyActor":
        # The role is the highest: what a key may do is not a matter of roles but of its reach.
        return cls("key", key.key_id, key.name, Role.OWNER, address, None, key.pk, Reach.of(key))


def issuable_types(role: Role) -> list[KeyType]:
    """Return the types of key that a person of this role may issue."""
    if role < Role.OPERATOR:
        return []
    return [kind for kind in ISSUABLE if kind != KeyType.PRIVILEGED or role >= Role.ADMIN]


def may_issue(actor: Actor, reach: Reach) -> None:
    """Raise PermissionDenied unless the actor may issue a key of this reach."""
    _require(actor, Role.OPERATOR)
    if reach.grant.everything or any(above_operators(scope) for scope in reach.grant.picked):
        _require(actor, Role.ADMIN)
    _require_within(actor, reach)


def may_handle(actor: Actor, key: Key) -> None:
    """Raise PermissionDenied unless the key is the actor's own, or the actor is an admin.

    A key as actor: not itself, and only keys within its own bounds.
    """
    _refuse_itself(actor, key)
    own = actor.user is not None and key.created_by_id == actor.user.pk
    _require(actor, Role.OPERATOR if own else Role.ADMIN)
    _require_within(actor, key)


def may_edit(actor: Actor, key: Key) -> None:
    """Raise PermissionDenied unless the actor may issue such a key, and this one is theirs to handle."""
    may_handle(actor, key)
    may_issue(actor, Reach.of(key))


def may_renew(actor: Actor, key: Key) -> None:
    """Raise PermissionDenied unless the actor may replace the key's secret.

    The Automator Key is for admins, owners and the command line: no key renews it.
    """
    if not key.is_protected:
        may_edit(actor, key)
        return
    _require(actor, Role.ADMIN)
    if actor.kind == "key":
        raise PermissionDenied("A key can't renew the Automator Key.")


def may_revoke(actor: Actor, key: Key) -> None:
    """Raise PermissionDenied unless the actor may end the key.

    Any operator may end anybody's: whoever is on call must be able to stop a leak. A key may end itself,
    and keys within its own bounds.
    """
    _require(actor, Role.OPERATOR)
    if not (actor.kind == "key" and actor.id == key.key_id):
        _require_within(actor, key)


def may_pause(actor: Actor, key: Key) -> None:
    """Raise PermissionDenied unless the actor may stop the key for a while.

    Any operator may stop anybody's, as they may end it. A key may pause others within its bounds, not itself.
    """
    _require(actor, Role.OPERATOR)
    _refuse_itself(actor, key)
    _require_within(actor, key)


def may_reveal(actor: Actor, key: Key) -> None:
    """Raise PermissionDenied unless the key is the actor's to edit; no key may reveal another.

    So not who made a privileged key as an admin, and is an operator by now: its token is more than they have.
    """
    if actor.kind == "key":
        raise PermissionDenied("A key can't reveal another.")
    may_edit(actor, key)


def may_manage_providers(actor: Actor) -> None:
    """Raise PermissionDenied unless the actor is an admin. No key manages the keys of others."""
    _require(actor, Role.ADMIN)
    if actor.kind == "key":
        raise PermissionDenied("A key can't manage provider keys.")


def _require(actor: Actor, role: Role) -> None:
    if actor.role < role:
        raise PermissionDenied(f"Ask an {role.label.lower()} to do that.")


def _require_within(actor: Actor, wanted: Reach | Key) -> None:
    if not isinstance(actor, KeyActor) or not actor.reach:
        return
    reach = wanted if isinstance(wanted, Reach) else Reach.of(wanted)
    if not reach.lies_within(actor.reach):
        raise PermissionDenied(
            "A key acts only on keys whose scopes, environment, channel, networks and expiry lie within"
            " its own."
        )


def _refuse_itself(actor: Actor, key: Key) -> None:
    if actor.kind == "key" and actor.id == key.key_id:
        raise PermissionDenied("On itself a key may only revoke.")
