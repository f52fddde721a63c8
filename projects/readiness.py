"""Whether this process can do its work now: what `/readyz` tells an orchestrator.

It looks at the database, at the Redis where one is configured, and whether the database is that of this
version: every migration applied, every trigger in its place.
"""

import logging
import time
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Final

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from config.outages import is_outage
from projects import triggers

log = logging.getLogger("keyrack.readiness")

FINE: Final = "ok"
_NO_ANSWER: Final = "no answer"
_REDIS_SECONDS: Final = 1.0
# However often it is asked, it looks no oftener: whoever can reach it needs no permission.
_LOOK_EVERY_SECONDS: Final = 1.0
# So long one thread waits for another's look. Longer, and a database that hangs would keep all of them.
_PATIENCE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Report:
    """What was found of each part, in words without anything secret: no address, no error text."""

    parts: dict[str, str]

    @property
    def is_ready(self) -> bool:
        """Redis is optional where rate limits let requests pass without it."""
        needed = set(self.parts)
        if settings.KEYRACK_THROTTLE_FAILS == "open":
            needed.discard("redis")
        return all(self.parts[name] == FINE for name in needed)


def look() -> Report:
    """Look at every part. Four queries and a PING; it waits as long as a connection may take."""
    parts = _database()
    if settings.KEYRACK_REDIS_URL:
        parts["redis"] = _redis()
    return Report(parts)


def _database() -> dict[str, str]:
    try:
        applied = set(MigrationRecorder(connection).applied_migrations())
        missing = triggers.expected(connection) - triggers.installed(connection)
    except (DatabaseError, InterfaceError) as error:
        # It may have been restarted: the next look is on a new connection.
        connection.close()
        return {"database": _NO_ANSWER if is_outage(error) else "can't be read"}
    unapplied = len(_migrations() - applied)
    return {
        "database": FINE,
        "migrations": f"{unapplied} not applied" if unapplied else FINE,
        "triggers": f"{len(missing)} missing" if missing else FINE,
    }


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """Return the migrations of this version. They are files, read once."""
    return frozenset(MigrationLoader(None).disk_migrations or ())


def _redis() -> str:
    try:
        _client(settings.KEYRACK_REDIS_URL).ping()
    except (RedisError, OSError):
        return _NO_ANSWER
    return FINE


@cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )


class Readiness:
    """The latest report of this process, at most a second old; and a line in the log when it changes."""

    def __init__(self) -> None:
        self._looking = Lock()
        self._looked_at = float("-inf")
        self._latest = Report({"database": "not looked at yet"})

    def report(self) -> Report:
        """Return the latest report, at most a second old; or that the database doesn't answer in time."""
        if not self._looking.acquire(timeout=_PATIENCE_SECONDS):
            return Report({"database": _NO_ANSWER})
        try:
            if time.monotonic() - self._looked_at >= _LOOK_EVERY_SECONDS:
                self._keep(look())
            return self._latest
        finally:
            self._looking.release()

    def _keep(self, found: Report) -> None:
        before, first = self._latest, self._looked_at == float("-inf")
        self._latest, self._looked_at = found, time.monotonic()
        if found == before or (first and found.is_ready):
            return
        wrong = ", ".join(f"{name}: {text}" for name, text in found.parts.items() if text != FINE)
        if wrong:
            log.warning("Not %s. %s", "well" if found.is_ready else "ready", wrong)
        else:
            log.info("Ready again.")


readiness: Final = Readiness()
