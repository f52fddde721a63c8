"""A key as the command line shows it, in JSON with the members of the JSON API: never a hash or a secret."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from keys.kinds import NEVER_USED, KeyType
from keys.models import Key
from keys.rows import access_of
from keys.verification import Facts
from projects.models import Project
from projects.moments import timestamp

COLUMNS: Sequence[str] = (
    "NAME", "KEY", "KEY ID", "TYPE", "ACCESS", "STATUS", "CREATED", "LAST USED", "EXPIRES",
)  # fmt: skip


def described(key: Key, catalogue: Sequence[str], at: datetime) -> dict[str, Any]:
    """Return a key's members; `catalogue` are its project's scopes. No query: it comes with its activity."""
    use = key.activity.last_used_at
    return {
        "key_id": key.key_id,
        "name": key.name,
        "type": key.type,
        "environment": key.environment,
        "scopes": key.grant.listed(catalogue),
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


def columns(key: Key, at: datetime) -> Sequence[str]:
    """Return a key's row of the table, under `COLUMNS`."""
    use = key.activity.last_used_at
    return (
        key.name,
        key.preview,
        key.key_id,
        KeyType(key.type).label,
        access_of(key),
        key.status(at).value,
        timestamp(key.created_at),
        "never" if use == NEVER_USED else timestamp(use),
        "never" if key.never_expires else timestamp(key.expires_at),
    )


def identity(facts: Facts) -> dict[str, Any]:
    """Return what the holder of a key may know of it, with the members of `whoami`. One query."""
    return {
        "key_id": facts.key_id,
        "name": facts.name,
        "type": facts.type,
        "environment": facts.environment,
        "project": facts.project,
        "scopes": facts.grant.listed(Project(pk=facts.project_id).scopes()),
        "created_at": timestamp(facts.created_at),
        "expires_at": timestamp(facts.expires) if facts.expires else None,
    }
