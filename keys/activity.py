"""Which keys are checked, when and from where: counted in memory, written every second.

A write for each request would leave a third of the throughput. So a check only adds to a buffer of its
process, which a thread of its own writes: each second, when the process ends, and early where very many
different keys fill it. What a crash can lose is the last second of counts, never a decision.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from multiprocessing.util import Finalize
from typing import Any, Final

from django.db import DatabaseError, InterfaceError, connection, transaction

from keys import upserts
from keys.counters import Buffer, Day, hour_of, moment_of
from keys.models import DayCount, HourCount, Key, KeyActivity, ScopeUse, SourceUse, StrayCount
from keys.sources import Source
from keys.upserts import DAY, NUMBER, TEXT, TIME
from projects.models import Resource

log = logging.getLogger("keyrack.activity")

EVERY_SECONDS: Final = 1.0
# So many different counters wake the writer early. Where it can't write there may be twice as many, and what
# is new then is dropped. A counter takes about 500 bytes.
SPILL: Final = 5_000


class Activity:
    """The counters of one process. Threads may note at once; one thread writes."""

    def __init__(self, spill: int = SPILL) -> None:
        self._spill = spill
        self._buffer = self._empty()
        self._day = Day(0, spill)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._writer: threading.Thread | None = None
        self._ended = False
        self._failing = False

    def note(
        self,
        key_pk: int,
        outcome: str,
        at: datetime,
        source: Source,
        *,
        used: bool,
        scopes: Sequence[str] = (),
    ) -> None:
        """Count a check; `used` where the key passed, which makes it its last use, of these scopes. No query.

        `key_pk` is 0 for a token that no key is known by.
        """
        with self._lock:
            if self._buffer.goes_on(key_pk, outcome, at, source, used, scopes):
                return
            day = self._today(hour_of(at) // 24) if used else None
            self._buffer.note(key_pk, str(outcome), at, source, scopes, day)
            full = self._buffer.size >= self._spill
        if self._writer is None:
            self._start()
        # A database that is away is asked each second, and not as fast as checks come.
        if full and not self._failing:
            self._wake.set()

    def _today(self, number: int) -> Day:
        if self._day.number != number:
            self._day = Day(number, self._spill)
        return self._day

    def _empty(self) -> Buffer:
        return Buffer(2 * self._spill)

    def flush(self) -> None:
        """Write what was counted. Where the database is away it stays in memory, for the next time."""
        with self._writing:
            with self._lock:
                taken, self._buffer = self._buffer, self._empty()
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

    def _keep(self, taken: Buffer) -> None:
        with self._lock:
            newer, self._buffer = self._buffer, taken
            taken.take_in(newer)

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


def _write(taken: Buffer) -> None:
    """Write the counters in one transaction, in an order that is the same in every process.

    Two processes that wrote the same rows in different orders would wait for each other for ever.
    """
    stored = _as_stored()
    hours = {hour: stored(moment_of(hour)) for hour in {hour for _, hour, _ in taken.counts}}
    days = {hour: moment_of(hour).date() for hour in hours}
    counts = [(*place, taken.counts[place].number) for place in sorted(taken.counts)]
    known, strays = [row for row in counts if row[0]], [row for row in counts if not row[0]]
    by_hour = [(key, hours[hour], outcome, count) for key, hour, outcome, count in known]
    by_day = _summed(((key, days[hour], outcome), count) for key, hour, outcome, count in known)
    stray = _summed(((days[hour], outcome), count) for _, hour, outcome, count in strays)
    uses = [(key, stored(use.at), *_told(use.source)) for key, use in sorted(taken.uses.items())]
    calls = [
        (*place, each.count, stored(each.first), stored(each.last))
        for place, each in sorted(taken.calls.items())
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        _add(cursor, HourCount, {"key_id": NUMBER, "hour": TIME, "outcome": TEXT}, by_hour)
        _add(cursor, DayCount, {"key_id": NUMBER, "day": DAY, "outcome": TEXT}, by_day)
        _add(cursor, StrayCount, {"day": DAY, "outcome": TEXT}, stray)
        _note_last(cursor, uses)
        upserts.run(cursor, _CALLS, (NUMBER, TEXT, TEXT, NUMBER, TIME, TIME), calls)
        if taken.scopes:
            upserts.run(cursor, _SCOPES, (NUMBER, TEXT, DAY), _known_scopes(taken.scopes))


def _told(source: Source) -> tuple[str, str]:
    return source.address or "", source.client


def _known_scopes(used: dict[tuple[int, str], date]) -> list[tuple[Any, ...]]:
    """Return those that are in their project's catalogue, as rows. Two queries.

    A gateway asks for whatever stands in a path: nobody shall fill the table with invented scopes.
    """
    projects = dict(Key.objects.filter(pk__in={key for key, _ in used}).values_list("pk", "project_id"))
    resources = Resource.objects.filter(project_id__in=set(projects.values()))
    known = {(resource.project_id, scope) for resource in resources for scope in resource.scopes()}
    return [
        (key, scope, used[key, scope]) for key, scope in sorted(used) if (projects.get(key), scope) in known
    ]


def _as_stored() -> Callable[[datetime], Any]:
    """Return how a time is given to the database: as the ORM stores it, since SQLite compares texts."""
    if connection.vendor == "sqlite":
        return _as_text
    stored: Callable[[datetime], Any] = connection.ops.adapt_datetimefield_value
    return stored


def _as_text(moment: datetime) -> str:
    # What the ORM writes, in a tenth of the time: in UTC, without saying so.
    return moment.astimezone(UTC).isoformat(" ")[: -len("+00:00")]


_LAST: Final = KeyActivity._meta.db_table
_LOCK: Final = (
    f"WITH mine AS (SELECT 1 FROM {_LAST} WHERE key_id = ANY(%s::bigint[]) "  # noqa: S608
    "ORDER BY key_id FOR NO KEY UPDATE) SELECT count(*) FROM mine"
)
_USE: Final = (
    f"UPDATE {_LAST} SET last_used_at = c1, last_used_address = c2, last_used_client = c3 "  # noqa: S608
    f"FROM {{rows}} WHERE {_LAST}.key_id = c0 AND {_LAST}.last_used_at < c1"
)
_CALLED: Final = SourceUse._meta.db_table
_CALLS: Final = (
    f"INSERT INTO {_CALLED} (key_id, address, client, count, first_used_at, last_used_at) "  # noqa: S608
    "SELECT c0, c1, c2, c3, c4, c5 FROM {rows} WHERE true ORDER BY c0, c1, c2 "
    "ON CONFLICT (key_id, address, client) DO UPDATE SET "
    f"count = {_CALLED}.count + excluded.count, "
    f"first_used_at = CASE WHEN excluded.first_used_at < {_CALLED}.first_used_at "
    f"THEN excluded.first_used_at ELSE {_CALLED}.first_used_at END, "
    f"last_used_at = CASE WHEN excluded.last_used_at > {_CALLED}.last_used_at "
    f"THEN excluded.last_used_at ELSE {_CALLED}.last_used_at END"
)
_SCOPES: Final = (
    f"INSERT INTO {ScopeUse._meta.db_table} (key_id, scope, last_used_on) "  # noqa: S608
    "SELECT c0, c1, c2 FROM {rows} WHERE true ORDER BY c0, c1 "
    "ON CONFLICT (key_id, scope) DO UPDATE SET last_used_on = excluded.last_used_on "
    f"WHERE excluded.last_used_on > {ScopeUse._meta.db_table}.last_used_on"
)


def _note_last(cursor: Any, rows: list[tuple[Any, ...]]) -> None:
    """Write the last use of each key."""
    if rows and connection.vendor == "postgresql":
        # An UPDATE takes its rows in whatever order it finds them.
        cursor.execute(_LOCK, [upserts.array(NUMBER, [key for key, *_ in rows])])
    upserts.run(cursor, _USE, (NUMBER, TIME, TEXT, TEXT), rows)


def _add(
    cursor: Any,
    model: type[HourCount | DayCount | StrayCount],
    place: dict[str, str],
    rows: list[tuple[Any, ...]],
) -> None:
    """Add to the counters at these places. The ORM's upsert can only overwrite."""
    table, columns = model._meta.db_table, ", ".join(place)
    given = ", ".join(f"c{n}" for n in range(len(place)))
    sql = (
        f"INSERT INTO {table} ({columns}, count) "  # noqa: S608
        f"SELECT {given}, c{len(place)} FROM {{rows}} WHERE true ORDER BY {given} "
        f"ON CONFLICT ({columns}) DO UPDATE SET count = {table}.count + excluded.count"
    )
    upserts.run(cursor, sql, (*place.values(), NUMBER), rows)


def _summed(rows: Iterable[tuple[tuple[Any, ...], int]]) -> list[tuple[Any, ...]]:
    """Return the rows with the counts of the same place added up, in order."""
    sums: dict[tuple[Any, ...], int] = {}
    for place, count in rows:
        sums[place] = sums.get(place, 0) + count
    return [(*place, count) for place, count in sorted(sums.items())]


activity: Final = Activity()
