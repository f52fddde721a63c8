"""A key as machines read it, at the JSON API and on the command line alike: never a hash, never a secret."""

from collections.abc import Sequence
from datetime import datetime

from keys import bodies
from keys.kinds import NEVER_USED
from keys.models import Key
from keys.verification import Facts
from projects.models import Project
from projects.moments import timestamp


def described(key: Key, catalogue: Sequence[str], at: datetime) -> bodies.Key:
    """Return a key's members; `catalogue` are its project's scopes.

    No query: the key comes with its activity and its channel.
    """
    use = key.activity.last_used_at
    return {
        "key_id": key.key_id,
        "name": key.name,
        "type": key.type,
        "environment": key.environment,
        "scopes": key.grant.listed(catalogue),
        "channel": key.channel.slug if key.channel else None,
        "holder": key.holder or None,
        "networks": key.networks.split(),
        "rate": key.rate or None,
        "note": key.note,
        "preview": key.preview,
        "status": key.status(at).name.lower(),
        "created_at": timestamp(key.created_at),
        "created_by": key.created_by_label,
        "expires_at": None if key.never_expires else timestamp(key.expires_at),
        "last_used_at": None if use == NEVER_USED else timestamp(use),
        "revoked_at": timestamp(key.revoked_at) if key.revoked_at else None,
        "revoked_by": key.revoked_by_label or None,
        "revoked_reason": key.revoked_reason or None,
        "version": key.version,
    }


def identity(facts: Facts) -> bodies.Identity:
    """Return what the holder of a key may know of it, with the members of `whoami`. One query."""
    return {
        "key_id": facts.key_id,
        "name": facts.name,
        "type": facts.type,
        "environment": facts.environment,
        "project": facts.project,
        "scopes": facts.grant.listed(Project(pk=facts.project_id).scopes()),
        "channel": facts.channel,
        "created_at": timestamp(facts.created_at),
        "expires_at": timestamp(facts.expires) if facts.expires else None,
    }
