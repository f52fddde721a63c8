"""The counters of checks: buffered in memory, written in a batch, by several processes at once."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from keys import activity as module
from keys.activity import Activity, activity
from keys.counters import MOST_SOURCES
from keys.kinds import NEVER_USED
from keys.lifecycle import Issued
from keys.models import DayCount, HourCount, KeyActivity, ScopeUse, SourceUse, StrayCount
from keys.sources import Source, client_name
from keys.verification import check
from projects.models import Project
from tests.db.racing import race
from tests.factories import IssuedFactory

pytestmark = pytest.mark.django_db

HERE = Source("192.0.2.41", "curl")
# Read before the tests take it away.
START = Activity._start


@pytest.fixture
def issued(project: Project, at: datetime) -> Issued:
    return IssuedFactory(project=project, at=at)


def hours(issued: Issued) -> dict[tuple[datetime, str], int]:
    rows = HourCount.objects.filter(key=issued.key)
    return {(row.hour, row.outcome): row.count for row in rows}


def use(issued: Issued) -> KeyActivity:
    return KeyActivity.objects.get(key=issued.key)


def test_a_check_writes_nothing_until_it_is_flushed(issued: Issued, at: datetime) -> None:
    check(issued.token, at=at)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            check(issued.token, at=at)
    assert len(queries) == 5
    assert not HourCount.objects.exists()
    assert use(issued).last_used_at == NEVER_USED


def test_every_check_is_counted_by_key_time_and_verdict(issued: Issued, at: datetime) -> None:
    at = at.replace(minute=59)
    later = at + timedelta(minutes=2)
    for _ in range(3):
        check(issued.token, at=at, source=HERE)
    check(issued.token, at=later, source=HERE, scopes=["sources:write"])
    check(issued.token, at=later, source=HERE)
    activity.flush()
    hour = at.replace(minute=0, second=0, microsecond=0)
    assert hours(issued) == {
        (hour, "valid"): 3,
        (hour + timedelta(hours=1), "scope-missing"): 1,
        (hour + timedelta(hours=1), "valid"): 1,
    }
    days = DayCount.objects.filter(key=issued.key).values_list("outcome", "count")
    assert sum(count for outcome, count in days if outcome == "valid") == 4


def test_counts_add_up_over_flushes(issued: Issued, at: datetime) -> None:
    for _ in range(3):
        check(issued.token, at=at)
        activity.flush()
    assert sum(hours(issued).values()) == 3
    assert DayCount.objects.get(key=issued.key).count == 3


def test_the_last_use_is_the_latest_whatever_the_order(issued: Issued, at: datetime) -> None:
    check(issued.token, at=at, source=HERE)
    check(issued.token, at=at - timedelta(minutes=1), source=Source("192.0.2.7", "Zapier"))
    activity.flush()
    # Of another process, which is a second behind.
    check(issued.token, at=at - timedelta(seconds=1), source=Source("192.0.2.8", "wget"))
    activity.flush()
    seen = use(issued)
    assert (seen.last_used_at, seen.last_used_address, seen.last_used_client) == (at, "192.0.2.41", "curl")


def test_a_refusal_is_no_use(issued: Issued, at: datetime) -> None:
    check(issued.token, at=at, environment="test", source=HERE)
    activity.flush()
    assert use(issued).last_used_at == NEVER_USED
    assert hours(issued)


def test_tokens_that_no_key_is_known_by_are_one_counter_each_day(project: Project, at: datetime) -> None:
    for _ in range(20):
        token = IssuedFactory(project=project).token
        check(f"{token[:-1]}{'1' if token[-1] == '0' else '0'}", at=at)
    check("nonsense", at=at)
    activity.flush()
    assert not HourCount.objects.exists()
    assert StrayCount.objects.filter(outcome="malformed").count() == 1
    assert StrayCount.objects.get(outcome="malformed").count == 21


def test_what_only_asks_is_not_counted(issued: Issued, at: datetime) -> None:
    check(issued.token, at=at, counted=False)
    activity.flush()
    assert not HourCount.objects.exists()


def test_a_use_makes_an_unconfirmed_key_a_used_one(issued: Issued, at: datetime) -> None:
    assert issued.key.is_unconfirmed()
    check(issued.token, at=at)
    activity.flush()
    issued.key.refresh_from_db()
    assert not type(issued.key).objects.of(issued.key.project).get(pk=issued.key.pk).is_unconfirmed()


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A database that goes away in the middle of a write."""

    def gone(*_: Any) -> None:
        raise OperationalError("gone")

    with monkeypatch.context() as patch:
        patch.setattr("keys.upserts.run", gone)
        patch.setattr(connection, "close", lambda: None)
        yield patch


def test_while_the_database_is_away_nothing_is_lost_and_one_line_is_logged(
    issued: Issued, at: datetime, away: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for seconds in range(3):
        check(issued.token, at=at + timedelta(seconds=seconds), source=HERE, scopes=["sources:read"])
        activity.flush()
    # What was written before it went away is undone with the rest.
    assert not HourCount.objects.exists()
    away.undo()
    check(issued.token, at=at + timedelta(seconds=3), source=HERE)
    activity.flush()
    assert sum(hours(issued).values()) == DayCount.objects.get(key=issued.key).count == 4
    assert places(issued) == {("192.0.2.41", "curl"): 4}
    assert ScopeUse.objects.get(key=issued.key).scope == "sources:read"
    assert use(issued).last_used_at == at + timedelta(seconds=3)
    assert [record.getMessage() for record in caplog.records if record.name == "keyrack.activity"] == [
        "The counts of checks can't be written now: OperationalError"
    ]


def test_what_is_kept_for_a_database_that_is_away_has_bounds(at: datetime, away: pytest.MonkeyPatch) -> None:
    counters = Activity(spill=10)
    for number in range(1, 100):
        here = Source(f"192.0.2.{number}")
        counters.note(number, "valid", at, here, used=True, scopes=[f"made:up{number}"])
        if number % 15 == 0:
            counters.flush()
    kept = counters._buffer
    # The first ones: what fits is never lost for what comes later.
    assert [key for key, _, _ in kept.counts] == [*kept.uses] == [*range(1, 21)]
    assert len(kept.calls) == len(kept.scopes) == 20
    # It is asked again in a second, and not at once.
    counters._wake.clear()
    counters.note(1, "valid", at, HERE, used=True)
    assert not counters._wake.is_set()
    assert kept.counts[1, int(at.timestamp()) // 3600, "valid"].number == 2


def test_a_flood_of_different_keys_wakes_the_writer_early(at: datetime) -> None:
    counters = Activity(spill=10)
    for key in range(1, 10):
        counters.note(key, "valid", at, HERE, used=True)
    assert not counters._wake.is_set()
    counters.note(10, "valid", at, HERE, used=True)
    assert counters._wake.is_set()


@pytest.mark.django_db(transaction=True)
def test_processes_that_write_the_same_counters_at_once_add_up(issued: Issued, at: datetime) -> None:
    others = [IssuedFactory(project=issued.key.project) for _ in range(5)]
    everybody = [issued, *others]

    def process(reverse: bool) -> None:
        counters = Activity()
        for _ in range(20):
            for each in reversed(everybody) if reverse else everybody:
                counters.note(each.key.pk, "valid", at, HERE, used=True)
            counters.flush()

    results = race(*[partial(process, number % 2 == 0) for number in range(4)])
    assert results == [None] * 4
    for each in everybody:
        assert sum(hours(each).values()) == 80


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Activity]:
    """Counters whose thread writes, every twentieth of a second."""
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.05)
    counters = Activity()
    monkeypatch.setattr(Activity, "_start", START)
    yield counters
    counters.end()
    if counters._writer:
        counters._writer.join(10)


@pytest.mark.django_db(transaction=True)
def test_a_thread_writes_by_itself_and_the_rest_is_written_at_the_end(
    running: Activity, issued: Issued, at: datetime
) -> None:
    running.note(issued.key.pk, "valid", at, HERE, used=True)
    deadline = time.monotonic() + 60
    while not hours(issued) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert sum(hours(issued).values()) == 1
    assert [thread.name for thread in threading.enumerate()].count("keyrack-activity") == 1
    running.note(issued.key.pk, "valid", at, HERE, used=True)
    running.end()
    assert sum(hours(issued).values()) == 2


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("curl/8.5.0", "curl"),
        ("python-requests/2.34", "python-requests"),
        ("Mozilla/5.0 (X11; Linux) Gecko", "Mozilla"),
        ("Zapier", "Zapier"),
        ("MS Teams/1.0", "MS Teams"),
        ("", ""),
        ("\x00\x01", ""),
        ("é" * 5, ""),
        ("x" * 5000, "x" * 60),
        ("kr_live_" + "a1B2" * 14, ""),
    ],
)
def test_a_client_is_known_by_its_product_alone(agent: str, name: str) -> None:
    assert client_name(agent) == name


def test_an_hour_is_that_of_the_world(issued: Issued) -> None:
    moment = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)
    activity.note(issued.key.pk, "valid", moment, HERE, used=False)
    activity.flush()
    assert list(hours(issued)) == [(moment.replace(minute=0), "valid")]


# Scopes and places


def places(issued: Issued) -> dict[tuple[str, str], int]:
    return {(use.address, use.client): use.count for use in SourceUse.objects.filter(key=issued.key)}


def test_times_are_stored_as_the_orm_stores_them(issued: Issued, at: datetime) -> None:
    """On SQLite a time is a text: in another spelling it would be another time, and a list lose its place."""
    check(issued.token, at=at, source=HERE)
    activity.flush()
    assert KeyActivity.objects.filter(last_used_at=at).get().key == issued.key
    assert SourceUse.objects.filter(last_used_at=at, first_used_at=at).exists()
    assert HourCount.objects.filter(hour=at.replace(minute=0, second=0, microsecond=0)).exists()


@pytest.mark.parametrize("client", ['a "quoted" one', "back\\slash", "{a,b}", "NULL", "é中", ""])
def test_every_client_is_written_as_it_is(issued: Issued, at: datetime, client: str) -> None:
    for name in (client, "another"):
        check(issued.token, at=at, source=Source("192.0.2.41", name))
    check(issued.token, at=at + timedelta(seconds=1), source=Source("192.0.2.41", client))
    activity.flush()
    assert use(issued).last_used_client == client
    places = SourceUse.objects.filter(key=issued.key).values_list("client", "count")
    assert dict(places) == {client: 2, "another": 1}


def test_a_scope_that_passed_is_noted_with_its_day(project: Project, at: datetime) -> None:
    issued = IssuedFactory(project=project, at=at, scopes=["sources:read", "chat:read"])
    check(issued.token, at=at, scopes=["sources:read"])
    check(issued.token, at=at, scopes=["sources:write"])
    activity.flush()
    assert [(use.scope, use.last_used_on) for use in ScopeUse.objects.all()] == [("sources:read", at.date())]
    later = at + timedelta(days=2)
    check(issued.token, at=later, scopes=["sources:read", "chat:read"])
    activity.flush()
    # Of another process, which writes late.
    late = Activity()
    late.note(issued.key.pk, "valid", at, HERE, used=True, scopes=["sources:read"])
    late.flush()
    found = dict(ScopeUse.objects.values_list("scope", "last_used_on"))
    assert found == {"sources:read": later.date(), "chat:read": later.date()}


def test_a_scope_is_written_once_a_day(issued: Issued, at: datetime) -> None:
    check(issued.token, at=at, scopes=["sources:read"])
    activity.flush()
    with CaptureQueriesContext(connection) as queries:
        check(issued.token, at=at, scopes=["sources:read"])
        activity.flush()
    assert not [query for query in queries if "scopeuse" in query["sql"]]


def test_invented_scopes_fill_no_table(project: Project, at: datetime) -> None:
    """Gateways ask for whatever stands in a path, and a privileged key may all of it."""
    issued = IssuedFactory(project=project, at=at, type="privileged")
    for number in range(20):
        assert check(issued.token, at=at, scopes=[f"made-up-{number}:read"]).is_valid
    check(issued.token, at=at, scopes=["sources:read"])
    activity.flush()
    assert [use.scope for use in ScopeUse.objects.all()] == ["sources:read"]


def test_where_calls_came_from_is_counted_by_address_and_client(issued: Issued, at: datetime) -> None:
    elsewhere = Source("2001:db8::7", "Zapier")
    for source, seconds in ((HERE, 9), (elsewhere, 5), (HERE, 0), (HERE, 4)):
        check(issued.token, at=at + timedelta(seconds=seconds), source=source)
        if seconds == 5:
            activity.flush()
    check(issued.token, at=at, source=Source("192.0.2.66", "curl"), scopes=["sources:write"])
    activity.flush()
    # What was refused is no use.
    assert places(issued) == {("192.0.2.41", "curl"): 3, ("2001:db8::7", "Zapier"): 1}
    use = SourceUse.objects.get(address="192.0.2.41")
    assert (use.first_used_at, use.last_used_at) == (at, at + timedelta(seconds=9))


def test_whoever_changes_their_address_with_every_call_fills_no_table(issued: Issued, at: datetime) -> None:
    for number in range(MOST_SOURCES + 50):
        check(issued.token, at=at, source=Source(f"2001:db8::{number:x}", "curl"))
    activity.flush()
    found = places(issued)
    assert len(found) == MOST_SOURCES + 1
    assert found["", ""] == 50
    # A place that is known goes on being counted.
    check(issued.token, at=at, source=Source("2001:db8::1", "curl"))
    activity.flush()
    assert places(issued)["2001:db8::1", "curl"] == 2


def test_one_key_that_comes_from_everywhere_takes_no_room_of_the_others(at: datetime) -> None:
    counters = Activity(spill=10)
    for number in range(100):
        counters.note(1, "valid", at, Source(f"192.0.2.{number}"), used=True, scopes=[f"made:up{number}"])
    assert counters._wake.is_set()
    counters.note(2, "valid", at, HERE, used=True)
    kept, hour = counters._buffer, int(at.timestamp()) // 3600
    assert len(kept.calls) == len(kept.scopes) == 20
    counted = {place: count.number for place, count in kept.counts.items()}
    assert counted == {(1, hour, "valid"): 100, (2, hour, "valid"): 1}
