"""keys/counters.py: what is counted by a run is what is counted one by one."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from keys.counters import Buffer, Day, hour_of
from keys.sources import Source

START = datetime(2026, 11, 21, 22, 50, tzinfo=UTC)
SOURCES = [Source("192.0.2.1", "curl"), Source("192.0.2.1", "python"), Source()]
SCOPES = [("sources:read",), ("sources:read", "sources:write"), ()]


@pytest.mark.parametrize("seed", range(20))
def test_alike_or_not_in_order_or_not_every_check_counts_once(seed: int) -> None:
    given = random.Random(seed)
    buffer, today = Buffer(10_000), hour_of(START) // 24
    days = {number: Day(number, 1000) for number in range(today - 1, today + 30)}
    counts: Counter[tuple[int, int, str]] = Counter()
    calls: Counter[tuple[int, str, str]] = Counter()
    last: dict[int, datetime] = {}
    asked: set[tuple[int, str]] = set()
    at, source, scopes, outcome = START, SOURCES[0], SCOPES[0], "valid"
    for _ in range(2000):
        # Mostly as before; else with something else, or a little earlier, or in another hour.
        at += timedelta(seconds=given.choice([0, 1, 1, 1, -2, 400]))
        if given.random() < 0.2:
            source, scopes = given.choice(SOURCES), given.choice(SCOPES)
            outcome = given.choice(["valid", "valid", "expired"])
        key, used = given.choice([1, 1, 1, 2]), outcome == "valid"
        if not buffer.goes_on(key, outcome, at, source, used, scopes):
            buffer.note(key, outcome, at, source, scopes, days[hour_of(at) // 24] if used else None)
        counts[key, hour_of(at), outcome] += 1
        if used:
            calls[key, source.address or "", source.client] += 1
            last[key] = max(at, last.get(key, at))
            asked |= {(key, scope) for scope in scopes}
    assert {place: count.number for place, count in buffer.counts.items()} == counts
    assert {place: each.count for place, each in buffer.calls.items()} == calls
    assert {key: use.at for key, use in buffer.uses.items()} == last
    assert set(buffer.scopes) == asked
    for key, use in buffer.uses.items():
        assert buffer.calls[key, use.source.address or "", use.source.client].last == use.at
    assert all(each.first <= each.last for each in buffer.calls.values())


def test_a_key_s_run_ends_where_there_is_no_room_for_its_place() -> None:
    buffer, day = Buffer(1), Day(hour_of(START) // 24, 1000)
    for source in SOURCES:
        buffer.note(1, "valid", START, source, (), day)
        assert buffer.goes_on(1, "valid", START, source, True, ()) is (source is SOURCES[0])
    assert [count.number for count in buffer.counts.values()] == [4]
    assert [each.count for each in buffer.calls.values()] == [2]


def test_the_last_use_keeps_its_own_source_after_what_came_since_is_taken_in() -> None:
    here, there = SOURCES[:2]
    kept, newer, day = Buffer(10), Buffer(10), Day(hour_of(START) // 24, 1000)
    kept.note(1, "valid", START, here, (), day)
    newer.note(1, "valid", START + timedelta(seconds=1), there, (), day)
    kept.take_in(newer)
    later = START + timedelta(seconds=2)
    if not kept.goes_on(1, "valid", later, here, True, ()):
        kept.note(1, "valid", later, here, (), day)
    assert (kept.uses[1].at, kept.uses[1].source) == (later, here)
    assert [count.number for count in kept.counts.values()] == [3]
