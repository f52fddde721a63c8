"""What is away for a while and comes back by itself: a database, or a Redis, that doesn't answer."""

from typing import Final

from django.db import InterfaceError, OperationalError
from redis.exceptions import RedisError

# Seconds after which asking again makes sense.
RETRY_AFTER: Final = 2

# SQLite's codes for what passes: busy, locked, an I/O error, a full disk, a file that can't be opened.
_SQLITE_PASSES: Final = frozenset({5, 6, 10, 13, 14})


class Unavailable(Exception):
    """Something that Keyrack needs is away. Nothing was decided, and nothing is known to have been done."""


def is_outage(error: BaseException) -> bool:
    """Say whether the same request may well succeed later, without anything being mended in Keyrack.

    SQLite's OperationalError also stands for mistakes, such as a column that isn't there. They are not.
    """
    if isinstance(error, OperationalError):
        code = getattr(error.__cause__, "sqlite_errorcode", None)
        return code is None or code & 0xFF in _SQLITE_PASSES
    return isinstance(error, InterfaceError | RedisError | Unavailable)


def what_is_away(error: BaseException) -> str:
    """Return how the log calls it."""
    return "database" if isinstance(error, OperationalError | InterfaceError) else "Redis"
