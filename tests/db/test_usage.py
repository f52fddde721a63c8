"""What the pages say of a key's use, from the counters."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keys import lifecycle, usage
from keys.lifecycle import Issued
from keys.models import DayCount, HourCount, Key, KeyActivity, ScopeUse, SourceUse
from keys.usage import REFUSALS
from keys.verification import Outcome
from projects.audit import Actor
from projects.models import Project
from tests.factories import IssuedFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def at() -> datetime:
    return datetime(2026, 11, 21, 14, 20, tzinfo=UTC)


@pytest.fixture
def issued(project: Project, at: datetime) -> Issued:
    return IssuedFactory(project=project, at=at - 40 * DAY, scopes=["chat:read", "sources:read", "chat:send"])


def counted(key: Key, ago: int, count: int, at: datetime, outcome: str = "valid") -> None:
    DayCount.objects.create(key=key, day=(at - ago * DAY).date(), outcome=outcome, count=count)


def read(key: Key) -> Key:
    return Key.objects.of(key.project).get(pk=key.pk)


# The bars of a row


def test_a_row_has_a_bar_for_each_of_14_days_today_last(issued: Issued, at: datetime) -> None:
    counted(issued.key, 0, 10, at)
    counted(issued.key, 13, 5, at)
    for outside in (14, -1):
        counted(issued.key, outside, 99, at)
    counted(issued.key, 3, 50, at, "scope-missing")
    bars = usage.lately([issued.key], at)[issued.key.pk].bars
    assert bars.label == "15 uses in 14 days"
    assert (bars.width, bars.height) == (69, 20)
    # Half as high on the first day; a line where nothing was.
    assert bars.allowed == "M0 10h4v10h-4zM65 0h4v20h-4z"
    assert bars.idle.count("M") == 12
    assert bars.refused == ""


@pytest.mark.parametrize(
    ("count", "label"), [(0, "0 uses in 14 days"), (1, "1 use in 14 days"), (1204, "1,204 uses in 14 days")]
)
def test_its_label_counts(issued: Issued, at: datetime, count: int, label: str) -> None:
    if count:
        counted(issued.key, 2, count, at)
    assert usage.lately([issued.key], at)[issued.key.pk].bars.label == label


def test_one_use_beside_a_million_is_still_seen(issued: Issued, at: datetime) -> None:
    counted(issued.key, 0, 1_000_000, at)
    counted(issued.key, 1, 1, at)
    bars = usage.lately([issued.key], at)[issued.key.pk].bars
    assert "M60 18h4v2h-4z" in bars.allowed


def test_keys_are_told_apart_in_one_query(project: Project, issued: Issued, at: datetime) -> None:
    other = IssuedFactory(project=project)
    counted(other.key, 1, 7, at)
    with CaptureQueriesContext(connection) as queries:
        found = usage.lately([issued.key, other.key], at)
    assert len(queries) == 1
    assert [found[key.pk].bars.label[:6] for key in (issued.key, other.key)] == ["0 uses", "7 uses"]
    with CaptureQueriesContext(connection) as queries:
        assert usage.lately([], at) == {}
    assert not queries.captured_queries


def test_the_day_is_that_of_utc(issued: Issued) -> None:
    late = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
    counted(issued.key, 0, 3, late)
    elsewhere = late.astimezone(timezone(timedelta(hours=-5)))
    bars = usage.lately([issued.key], elsewhere)[issued.key.pk].bars
    assert bars.label == "3 uses in 14 days"
    assert "M65 " in bars.allowed


# Whether an old key may stop


@pytest.fixture
def old(project: Project, issued: Issued, at: datetime) -> Key:
    """A key that is being replaced."""
    lifecycle.rotate(project, issued.key.key_id, grace=DAY, actor=Actor.system(), at=at - 3 * HOUR)
    return read(issued.key)


def asked(key: Key, at: datetime, outcome: str, count: int = 1) -> None:
    HourCount.objects.create(key=key, hour=at.replace(minute=0), outcome=outcome, count=count)


def test_without_a_call_for_an_hour_it_is_safe_to_stop(old: Key, at: datetime) -> None:
    asked(old, at - 2 * HOUR, "valid", 9)
    asked(old, at - 2 * HOUR, "scope-missing", 9)
    KeyActivity.objects.filter(key=old).update(last_used_at=at - HOUR - timedelta(seconds=1))
    assert usage.stopping(read(old), at) == "0 requests in the last hour: safe to stop"


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ({"last_used_address": "192.0.2.41", "last_used_client": "curl"}, "still used by 192.0.2.41"),
        ({"last_used_client": "curl"}, "still used by curl"),
        ({}, "still used"),
    ],
    ids=str,
)
def test_it_names_who_still_uses_it(old: Key, at: datetime, use: dict[str, Any], said: str) -> None:
    KeyActivity.objects.filter(key=old).update(last_used_at=at - timedelta(minutes=59), **use)
    assert usage.stopping(read(old), at) == said
    assert usage.lately([read(old)], at)[old.pk].stopping == said


def test_whoever_only_knocks_is_told_of(old: Key, at: datetime) -> None:
    asked(old, at - HOUR, "network-not-allowed", 2)
    asked(old, at, "scope-missing", 1)
    said = "not used in the last hour, but 3 requests refused since 13:00 UTC"
    assert usage.stopping(read(old), at) == said


def test_of_other_keys_nothing_is_said_and_asked(issued: Issued, at: datetime) -> None:
    key = read(issued.key)
    with CaptureQueriesContext(connection) as queries:
        assert usage.stopping(key, at) == ""
    assert not queries.captured_queries
    assert usage.lately([key], at)[key.pk].stopping == ""


def test_once_it_has_ended_nothing_is_said(old: Key, at: datetime) -> None:
    assert usage.stopping(read(old), at + 2 * DAY) == ""


# This week


def test_a_week_is_7_days_and_counts_what_passed(issued: Issued, at: datetime) -> None:
    assert usage.this_week(issued.key, at) == ""
    counted(issued.key, 0, 1, at)
    assert usage.this_week(issued.key, at) == "1 request"
    counted(issued.key, 6, 1203, at)
    counted(issued.key, 7, 5, at)
    counted(issued.key, 1, 5, at, "rate-limited")
    assert usage.this_week(issued.key, at) == "1,204 requests"


# 30 days


def test_a_month_has_what_passed_and_why_others_did_not(issued: Issued, at: datetime) -> None:
    counted(issued.key, 0, 1200, at)
    counted(issued.key, 29, 4, at)
    counted(issued.key, 0, 2, at, "rate-limited")
    counted(issued.key, 5, 9, at, "scope-missing")
    counted(issued.key, 30, 50, at)
    month = usage.month(issued.key, at)
    assert month.bars.label == "1,204 allowed and 11 refused in 30 days"
    assert month.refusals == ["9 without the scope", "2 beyond the rate limit"]
    assert len(month.days) == 30
    first, last = month.days[0], month.days[-1]
    assert (first.iso, first.text) == ("2026-11-21", "21 Nov 2026")
    assert (first.allowed, first.refused) == ("1,200", "2")
    assert (last.iso, last.allowed, last.refused) == ("2026-10-23", "4", "0")
    assert month.bars.refused.count("M") == 2


def test_bars_of_both_kinds_stay_in_the_picture(issued: Issued, at: datetime) -> None:
    counted(issued.key, 0, 10_000, at)
    counted(issued.key, 0, 1, at, "scope-missing")
    bars = usage.month(issued.key, at).bars
    assert bars.refused == "M580 0h16v2h-16z"
    assert bars.allowed == "M580 2h16v94h-16z"


def test_every_outcome_that_a_key_can_meet_has_words() -> None:
    unknown = {Outcome.MALFORMED, Outcome.UNKNOWN, Outcome.VALID}
    assert {*REFUSALS} == {*Outcome} - unknown


# Scopes and places


def test_scopes_are_told_as_used_and_unused(project: Project, issued: Issued, at: datetime) -> None:
    for scope, ago in (("chat:read", 9), ("sources:read", 1), ("sources:write", 0)):
        ScopeUse.objects.create(key=issued.key, scope=scope, last_used_on=(at - ago * DAY).date())
    used, unused = usage.scopes(issued.key, project.scopes())
    # What an edit has taken away is neither.
    assert [(each.scope, each.last.day) for each in used] == [
        ("sources:read", "20 Nov 2026"), ("chat:read", "12 Nov 2026"),
    ]  # fmt: skip
    assert unused == ["chat:send"]


def test_of_a_key_that_may_do_everything_the_catalogue_is_told(project: Project, at: datetime) -> None:
    key = IssuedFactory(project=project, type="privileged").key
    ScopeUse.objects.create(key=key, scope="sources:read", last_used_on=at.date())
    used, unused = usage.scopes(key, project.scopes())
    assert [each.scope for each in used] == ["sources:read"]
    assert "keys:write" in unused
    assert "gateway:use" not in unused


def test_the_last_ten_places_are_told_last_first(issued: Issued, at: datetime) -> None:
    for number in range(11):
        when = at - number * HOUR
        SourceUse.objects.create(
            key=issued.key, address=f"192.0.2.{number}", client="curl", count=1200 + number,
            first_used_at=when - DAY, last_used_at=when,
        )  # fmt: skip
    places = usage.places(issued.key)
    assert [place.address for place in places.shown] == [f"192.0.2.{number}" for number in range(10)]
    assert places.more
    assert (places.shown[0].client, places.shown[0].count) == ("curl", "1,200")
    SourceUse.objects.filter(address="192.0.2.10").delete()
    assert not usage.places(issued.key).more
