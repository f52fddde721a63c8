"""What a process counts of checks until it is written: bounded, and quick to add to. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from keys.sources import Source

# Of one key so many places are told apart in a day, by each process; further ones are one row.
MOST_SOURCES: Final = 100
_HOUR: Final = timedelta(hours=1)


@dataclass(slots=True)
class Count:
    """How many checks came to one outcome."""

    number: int = 0


@dataclass(slots=True)
class Use:
    """The last use of a key."""

    at: datetime
    source: Source


@dataclass(slots=True)
class Calls:
    """How often a key was used from one place, and between when."""

    count: int
    first: datetime
    last: datetime

    def add(self, other: "Calls") -> None:
        self.count += other.count
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)


@dataclass(slots=True)
class _Run:
    """The counters of a key's last check: the next one is mostly alike, and finds them here at once."""

    outcome: str
    source: Source
    scopes: Sequence[str]
    begins: datetime
    ends: datetime
    count: Count
    use: Use | None
    calls: Calls | None

    def takes(self, outcome: str, at: datetime, source: Source, used: bool, scopes: Sequence[str]) -> bool:
        """Count a check that is like the last one; say whether it was."""
        if not (
            self.begins <= at < self.ends
            and self.outcome == outcome
            and self.source == source
            and self.scopes == scopes
            and used is (self.use is not None)
        ):
            return False
        self.count.number += 1
        use, calls = self.use, self.calls
        if use is not None and calls is not None:
            calls.count += 1
            if at > calls.last:
                calls.last = at
            elif at < calls.first:
                calls.first = at
            if at > use.at:
                use.at = at
        return True


@dataclass(slots=True)
class Buffer:
    """What was counted since the last write: by key, hour and outcome; and of what passed the last use of
    each key, its scopes, and where its calls came from. Of each at most so many: what is new then is dropped.
    """

    most: int
    counts: dict[tuple[int, int, str], Count] = field(default_factory=dict)
    uses: dict[int, Use] = field(default_factory=dict)
    scopes: dict[tuple[int, str], date] = field(default_factory=dict)
    calls: dict[tuple[int, str, str], Calls] = field(default_factory=dict)
    _runs: dict[int, _Run] = field(default_factory=dict)

    def goes_on(
        self, key_pk: int, outcome: str, at: datetime, source: Source, used: bool, scopes: Sequence[str]
    ) -> bool:
        """Count a check that is like the last one of its key; say whether it was."""
        run = self._runs.get(key_pk)
        return run is not None and run.takes(outcome, at, source, used, scopes)

    def note(
        self,
        key_pk: int,
        outcome: str,
        at: datetime,
        source: Source,
        scopes: Sequence[str],
        day: "Day | None",
    ) -> None:
        """Count a check; with a day, it is a use of the key."""
        hour = hour_of(at)
        count = self._counted((key_pk, hour, outcome))
        use = calls = None
        if day:
            use = self._used(key_pk, at, source)
            calls = self._called(day.place(key_pk, source), Calls(1, at, at))
            self._asked(key_pk, scopes, day)
        if count and (not day or (use and calls and use.source == source)):
            begins = moment_of(hour)
            ends = begins + _HOUR
            self._runs[key_pk] = _Run(outcome, source, tuple(scopes), begins, ends, count, use, calls)
        else:
            self._runs.pop(key_pk, None)

    def take_in(self, newer: "Buffer") -> None:
        """Add what was counted since."""
        # What came since may have another source: a run of before would go on with a use that isn't its own.
        self._runs.clear()
        for place, count in newer.counts.items():
            self._counted(place, count.number)
        for key_pk, use in newer.uses.items():
            self._used(key_pk, use.at, use.source)
        for where, calls in newer.calls.items():
            self._called(where, calls)
        for scope, day in newer.scopes.items():
            if self._takes(self.scopes, scope):
                self.scopes[scope] = day

    def _counted(self, place: tuple[int, int, str], number: int = 1) -> Count | None:
        count = self.counts.get(place)
        if count is None:
            if len(self.counts) >= self.most:
                return None
            count = self.counts[place] = Count()
        count.number += number
        return count

    def _used(self, key_pk: int, at: datetime, source: Source) -> Use | None:
        use = self.uses.get(key_pk)
        if use is None:
            if len(self.uses) < self.most:
                use = self.uses[key_pk] = Use(at, source)
        elif use.at < at:
            use.at, use.source = at, source
        return use

    def _called(self, place: tuple[int, str, str], calls: Calls) -> Calls | None:
        before = self.calls.get(place)
        if before is not None:
            before.add(calls)
        elif len(self.calls) < self.most:
            before = self.calls[place] = calls
        return before

    def _asked(self, key_pk: int, scopes: Sequence[str], day: "Day") -> None:
        for scope in scopes:
            # A scope that there is no room for is still to be written.
            if not day.knows(key_pk, scope) and self._takes(self.scopes, (key_pk, scope)):
                day.learn(key_pk, scope)
                self.scopes[key_pk, scope] = day.date

    def _takes(self, counted: Mapping[Any, Any], place: Any) -> bool:
        """Say whether this is there already, or there is room for it."""
        return place in counted or len(counted) < self.most

    @property
    def size(self) -> int:
        return max(len(self.counts), len(self.scopes), len(self.calls))


class Day:
    """What this process has noted on one day: each scope is written once, and places are bounded."""

    def __init__(self, number: int, most: int) -> None:
        self.number = number
        self.date = moment_of(hour=number * 24).date()
        self._most = most
        self._scopes: set[tuple[int, str]] = set()
        self._sources: dict[int, set[tuple[str, str]]] = {}

    def knows(self, key_pk: int, scope: str) -> bool:
        return (key_pk, scope) in self._scopes

    def learn(self, key_pk: int, scope: str) -> None:
        if len(self._scopes) >= 4 * self._most:
            self._scopes.clear()
        self._scopes.add((key_pk, scope))

    def place(self, key_pk: int, source: Source) -> tuple[int, str, str]:
        """Return the row that counts a call from there."""
        found = source.address or "", source.client
        if len(self._sources) >= self._most and key_pk not in self._sources:
            self._sources.clear()
        known = self._sources.get(key_pk)
        if known is None:
            known = self._sources[key_pk] = set()
        if found not in known:
            if len(known) >= MOST_SOURCES:
                return key_pk, "", ""
            known.add(found)
        return key_pk, *found


def hour_of(at: datetime) -> int:
    """Return the number of the hour that `at` is in, from the beginning of 1970 (UTC)."""
    return int(at.timestamp()) // 3600


@lru_cache(maxsize=64)
def moment_of(hour: int) -> datetime:
    """Return when the hour with this number begins."""
    return _EPOCH + hour * _HOUR


_EPOCH: Final = datetime.fromtimestamp(0, UTC)
