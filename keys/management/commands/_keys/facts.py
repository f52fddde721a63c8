"""A key as a row of the command line's table."""

from collections.abc import Sequence
from datetime import datetime

from keys.kinds import NEVER_USED, KeyType
from keys.models import Key
from keys.rows import access_of
from projects.moments import timestamp

COLUMNS: Sequence[str] = (
    "NAME", "KEY", "KEY ID", "TYPE", "ACCESS", "STATUS", "CREATED", "LAST USED", "EXPIRES",
)  # fmt: skip


def columns(key: Key, at: datetime) -> Sequence[str]:
    """Return a key's row of the table, under `COLUMNS`."""
    use = key.activity.last_used_at
    return (
        key.name,
        key.preview,
        key.key_id,
        KeyType(key.type).label,
        f"{access_of(key)} in {key.channel.slug}" if key.channel else access_of(key),
        key.status(at).value,
        timestamp(key.created_at),
        "never" if use == NEVER_USED else timestamp(use),
        "never" if key.never_expires else timestamp(key.expires_at),
    )
