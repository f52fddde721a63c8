"""Which keys are checked, when and from where: counted in memory, written every second.

A write for each request would leave a third of the throughput. So a check only adds to a buffer of its
process, which a thread of its own writes: each second, when the process ends, and early where very many
different keys fill it. What a crash can lose is the last second of counts, never a decision.
"""

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.util import Finalize
from typing import Any, Final

from django.db import DatabaseError, InterfaceError, connection, transaction

from keys.models import DayCount, HourCount, KeyActivity, StrayCount
from keys.sources import Source

log = logging.getLogger("keyrack.activity")

EVERY_SECONDS: Final = 1.0
# So many different counters wake the writer early; twice as many, where it can't write, and what is new is
# dropped. A counter takes about 200 bytes.
SPILL: Final = 5_000
_HOUR: Final = 3600


@dataclass(slots=True)
class _Buffer:
    """What was counted since the last write: by key, hour and outcome; and the last use of each key."""

    counts: dict[tuple[int, int, str], int] = field(default_factory=dict)
    uses: dict[int, tuple[datetime, Source]] = field(default_factory=dict)

    def add(self, key_pk: int, hour: int, outcome: str, count: int = 1) -> None:
        place = key_pk, hour, outcome
        self.counts[place] = self.counts.get(place, 0) + count

    def used(self, key_pk: int, at: datetime, source: Source) -> None:
        before = self.uses.get(key_pk)
        if before is None or before[0] < at:
            self.uses[key_pk] = at, source


class Activity:
    """The counters of one process. Threads may note at once; one thread writes."""

    def __init__(self, spill: int = SPILL) -> None:
        self._spill = spill
        self._buffer = _Buffer()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._writer: threading.Thread | None = None
        self._ended = False
        self._failing = False

    def note(self, key_pk: int, outcome: str, at: datetime, source: Source, *, used: bool) -> None:
        """Count a check; `used` where the key passed, which makes it its last use. No query.

        `key_pk` is 0 for a token that no key is known by.
        """
        hour = int(at.timestamp()) // _HOUR
        with self._lock:
            buffer = self._buffer
            if len(buffer.counts) >= 2 * self._spill and (key_pk, hour, outcome) not in buffer.counts:
                return
            buffer.add(key_pk, hour, outcome)
            if used:
                buffer.used(key_pk, at, source)
            full = len(buffer.counts) >= self._spill
        if self._writer is None:
            self._start()
        if full:
            self._wake.set()

    def flush(self) -> None:
        """Write what was counted. Where the database is away it stays in memory, for the next time."""
        with self._writing:
            with self._lock:
                taken, self._buffer = self._buffer, _Buffer()
            if not taken.counts:
                return
            try:
                _write(taken)
            except (DatabaseError, InterfaceError) as error:
                connection.close()
                self._keep(taken)
                # Once, and not each second that the database is away.
                if not self._failing:
                    log.warning("The counts of checks can't be written now: %s", type(error).__name__)
                self._failing = True
            else:
                self._failing = False

    def _keep(self, taken: _Buffer) -> None:
        with self._lock:
            for (key_pk, hour, outcome), count in taken.counts.items():
                self._buffer.add(key_pk, hour, outcome, count)
            for key_pk, (at, source) in taken.uses.items():
                self._buffer.used(key_pk, at, source)

    def _start(self) -> None:
        with self._writing:
            if self._writer is None and not self._ended:
                self._writer = threading.Thread(target=self._run, name="keyrack-activity", daemon=True)
                self._writer.start()
                # Not atexit: a worker of the server ends by a signal, and runs these alone.
                Finalize(self, self.end, exitpriority=10)

    def _run(self) -> None:
        while not self._ended:
            self._wake.wait(EVERY_SECONDS)
            self._wake.clear()
            self.flush()
        connection.close()

    def end(self) -> None:
        """Write the rest, and let the writer go: for the end of the process."""
        self._ended = True
        self._wake.set()
        self.flush()


def _write(taken: _Buffer) -> None:
    """Write the counters in one transaction, in an order that is the same in every process.

    Two processes that wrote the same rows in different orders would wait for each other for ever.
    """
    known = [(*place, taken.counts[place]) for place in sorted(taken.counts) if place[0]]
    strays = [(*place, taken.counts[place]) for place in sorted(taken.counts) if not place[0]]
    hours = [(key, _moment(hour), outcome, count) for key, hour, outcome, count in known]
    days = _summed((key, _moment(hour).date(), outcome, count) for key, hour, outcome, count in known)
    stray = _summed((_moment(hour).date(), outcome, count) for _, hour, outcome, count in strays)
    uses = [
        (at, source.address or "", source.client, key, at) for key, (at, source) in sorted(taken.uses.items())
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        _add(cursor, HourCount, ("key_id", "hour", "outcome"), hours)
        _add(cursor, DayCount, ("key_id", "day", "outcome"), days)
        _add(cursor, StrayCount, ("day", "outcome"), stray)
        if uses:
            cursor.executemany(_USE, uses)


_USE: Final = (
    f"UPDATE {KeyActivity._meta.db_table} "  # noqa: S608
    "SET last_used_at = %s, last_used_address = %s, last_used_client = %s "
    "WHERE key_id = %s AND last_used_at < %s"
)


def _add(
    cursor: Any, model: type[HourCount | DayCount | StrayCount], place: tuple[str, ...], rows: list[Any]
) -> None:
    """Add to the counters at these places. The ORM's upsert can only overwrite."""
    if not rows:
        return
    table, columns = model._meta.db_table, ", ".join((*place, "count"))
    marks = ", ".join(["%s"] * (len(place) + 1))
    sql = (
        f"INSERT INTO {table} ({columns}) VALUES ({marks}) "  # noqa: S608
        f"ON CONFLICT ({', '.join(place)}) DO UPDATE SET count = {table}.count + excluded.count"
    )
    cursor.executemany(sql, rows)


def _summed(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the rows with the counts of the same place added up, in order."""
    sums: dict[tuple[Any, ...], int] = {}
    for *place, count in rows:
        sums[tuple(place)] = sums.get(tuple(place), 0) + count
    return [(*place, count) for place, count in sorted(sums.items())]


def _moment(hour: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(hours=hour)


activity: Final = Activity()
