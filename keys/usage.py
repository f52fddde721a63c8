"""What the counters say of keys, formatted for the pages: bars, sums, scopes, places. Reads alone."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from django.db.models import F

from keys.models import DayCount, HourCount, Key, ScopeUse, SourceUse
from keys.scopes import NEVER_IMPLIED
from keys.verification import Outcome
from projects.moments import Moment
from projects.querysets import PAGE_SIZE, Compare, Row
from projects.statements import Select

DAYS_IN_A_ROW: Final = 14
DAYS_ON_A_PAGE: Final = 30
PLACES_SHOWN: Final = 10
_HOUR: Final = timedelta(hours=1)
_WEEK: Final = timedelta(days=7)
# What follows the number of refusals; a key is known in none but these.
REFUSALS: Final[dict[str, str]] = {
    Outcome.REVOKED: "after it was revoked",
    Outcome.EXPIRED: "after it expired",
    Outcome.PAUSED: "while it was paused",
    Outcome.WRONG_ENVIRONMENT: "in the wrong environment",
    Outcome.NETWORK_NOT_ALLOWED: "from a network that isn't allowed",
    Outcome.WRONG_CHANNEL: "in the wrong channel",
    Outcome.SCOPE_MISSING: "without the scope",
    Outcome.RATE_LIMITED: "beyond the rate limit",
}
_PASSED: Final = Select(
    lambda first, last, *pks: DayCount.objects.filter(
        Compare(F("key_id"), Row(*pks), arg_joiner=" IN "),
        day__gte=first,
        day__lte=last,
        outcome=Outcome.VALID,
    ).values_list("key_id", "day", "count"),
    values=2 + PAGE_SIZE,
)


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar for each day, as the paths of a picture: what passed, what was refused, days without either."""

    label: str
    width: int
    height: int
    allowed: str
    refused: str
    idle: str


@dataclass(frozen=True, slots=True)
class Day:
    """The checks of one day (UTC)."""

    iso: str
    text: str
    allowed: str
    refused: str


@dataclass(frozen=True, slots=True)
class Month:
    """The checks of a key in 30 days, today first, and why some were refused, most often first."""

    days: Sequence[Day]
    bars: Bars
    refusals: Sequence[str]


@dataclass(frozen=True, slots=True)
class UsedScope:
    """A scope that was asked for, and the last day of that."""

    scope: str
    last: Moment


@dataclass(frozen=True, slots=True)
class Place:
    """Where calls came from, how many, and between when."""

    address: str
    client: str
    count: str
    first: Moment
    last: Moment


@dataclass(frozen=True, slots=True)
class Places:
    """The last places that calls came from; `more` where there were others."""

    shown: Sequence[Place]
    more: bool


@dataclass(frozen=True, slots=True)
class Lately:
    """What a row shows of a key's use: its bars; and of one that is being replaced, whether it may stop."""

    bars: Bars
    stopping: str = ""


def lately(keys: Sequence[Key], at: datetime) -> dict[int, Lately]:
    """Return what the rows of these keys show, by primary key.

    One query for each fifty; one more where one is rotating.
    """
    if not keys:
        return {}
    days = _last_days(at, DAYS_IN_A_ROW)
    counts = {key.pk: [0] * len(days) for key in keys}
    place_of = {day: place for place, day in enumerate(days)}
    for key_pk, day, count in _counts(list(counts), days):
        counts[key_pk][place_of[day]] = count
    rotating = [key for key in keys if key.revoked_at is not None and not key.is_revoked(at)]
    ends = _stopping(rotating, at)
    return {pk: Lately(_row_bars(tuple(each)), ends.get(pk, "")) for pk, each in counts.items()}


def this_week(key: Key, at: datetime) -> str:
    """Return how often the key was used in the last 7 days, as "1,204 requests"; "" for none. One query."""
    since = (at - _WEEK).astimezone(UTC).date()
    found = DayCount.objects.filter(key=key, day__gt=since, outcome=Outcome.VALID)
    count = sum(found.values_list("count", flat=True))
    return _counted(count, "request") if count else ""


def stopping(key: Key, at: datetime) -> str:
    """Return whether a key that is being replaced may stop; "" for any other. One query, for such a key."""
    rotating = key.revoked_at is not None and not key.is_revoked(at)
    return _stopping([key], at)[key.pk] if rotating else ""


def month(key: Key, at: datetime) -> Month:
    """Return the last 30 days of a key. One query."""
    dates = _last_days(at, DAYS_ON_A_PAGE)
    allowed: dict[date, int] = defaultdict(int)
    refused: dict[date, int] = defaultdict(int)
    reasons: dict[str, int] = defaultdict(int)
    found = DayCount.objects.filter(key=key, day__gte=dates[0], day__lte=dates[-1])
    for day, outcome, count in found.values_list("day", "outcome", "count"):
        if outcome == Outcome.VALID:
            allowed[day] += count
        else:
            refused[day] += count
            reasons[outcome] += count
    sums = [(allowed[day], refused[day]) for day in dates]
    passed, turned_away = sum(allowed.values()), sum(refused.values())
    label = f"{passed:,} allowed and {turned_away:,} refused in {DAYS_ON_A_PAGE} days"
    days = [Day(day.isoformat(), _moment(day).day, f"{allowed[day]:,}", f"{refused[day]:,}") for day in dates]
    often = sorted(reasons.items(), key=lambda reason: -reason[1])
    why = [f"{count:,} {REFUSALS[outcome]}" for outcome, count in often]
    return Month(days[::-1], _bars(label, sums, step=20, height=96), why)


def scopes(key: Key, catalogue: Iterable[str]) -> tuple[list[UsedScope], list[str]]:
    """Return the scopes of a key that were used, the last first, and those that were not. One query."""
    granted = key.grant.listed(catalogue)
    if key.grant.everything:
        granted = sorted(scope for scope in catalogue if scope not in NEVER_IMPLIED)
    used = dict(ScopeUse.objects.filter(key=key).values_list("scope", "last_used_on"))
    inside = sorted(set(used) & set(granted), key=lambda scope: (-used[scope].toordinal(), scope))
    unused = [scope for scope in granted if scope not in used]
    return [UsedScope(scope, _moment(used[scope])) for scope in inside], unused


def places(key: Key) -> Places:
    """Return where the key's calls came from, the last first. One query."""
    found = list(SourceUse.objects.filter(key=key).order_by("-last_used_at", "pk")[: PLACES_SHOWN + 1])
    shown = [
        Place(
            use.address,
            use.client,
            f"{use.count:,}",
            Moment.of(use.first_used_at),
            Moment.of(use.last_used_at),
        )
        for use in found[:PLACES_SHOWN]
    ]
    return Places(shown, len(found) > PLACES_SHOWN)


def _counts(pks: Sequence[int], days: Sequence[date]) -> Iterator[Sequence[Any]]:
    """Yield how often each key passed on each of the days: the key, the day, the count."""
    for start in range(0, len(pks), PAGE_SIZE):
        some = pks[start : start + PAGE_SIZE]
        # As many each time, so that the query is the same one.
        padded = [*some, *[some[-1]] * (PAGE_SIZE - len(some))]
        yield from _PASSED.rows(days[0], days[-1], *padded)


def _stopping(keys: Sequence[Key], at: datetime) -> dict[int, str]:
    """Say of each key whether anything still asks with it. One query, for any."""
    if not keys:
        return {}
    # A count is of a whole hour: the one in which an hour ago lay counts too, so that "0" is never wrong.
    since = (at - _HOUR).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    refused: dict[int, int] = defaultdict(int)
    found = HourCount.objects.filter(key__in=keys, hour__gte=since).exclude(outcome=Outcome.VALID)
    for key_pk, count in found.values_list("key_id", "count"):
        refused[key_pk] += count
    return {key.pk: _told(key, refused[key.pk], since, at) for key in keys}


def _told(key: Key, refused: int, since: datetime, at: datetime) -> str:
    use = key.activity
    if use.last_used_at >= at - _HOUR:
        who = use.last_used_address or use.last_used_client
        return f"still used by {who}" if who else "still used"
    if refused:
        asked = _counted(refused, "request")
        return f"not used in the last hour, but {asked} refused since {since:%H:%M} UTC"
    return "0 requests in the last hour: safe to stop"


def _last_days(at: datetime, count: int) -> list[date]:
    today = at.astimezone(UTC).date()
    return [today - timedelta(days=ago) for ago in range(count - 1, -1, -1)]


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _moment(day: date) -> Moment:
    return Moment.of(datetime.combine(day, datetime.min.time(), UTC))


@lru_cache(maxsize=1000)
def _row_bars(counts: tuple[int, ...]) -> Bars:
    total = sum(counts)
    label = f"{_counted(total, 'use')} in {DAYS_IN_A_ROW} days"
    return _bars(label, [(count, 0) for count in counts], step=5, height=20)


def _bars(label: str, days: Sequence[tuple[int, int]], *, step: int, height: int) -> Bars:
    """Return the bars of days with so many allowed and refused. The busiest fills the picture."""
    most, wide = max(map(sum, days), default=0), step - max(1, step // 5)
    allowed = refused = idle = ""
    for number, (passed, turned_away) in enumerate(days):
        left, above = number * step, _tall(turned_away, most, height)
        tall = min(_tall(passed, most, height), height - above)
        if tall:
            allowed += f"M{left} {height - tall}h{wide}v{tall}h-{wide}z"
        if above:
            refused += f"M{left} {height - tall - above}h{wide}v{above}h-{wide}z"
        if not tall and not above:
            idle += f"M{left} {height - 1}h{wide}v1h-{wide}z"
    width = step * len(days) - (step - wide)
    return Bars(label, width, height, allowed, refused, idle)


def _tall(count: int, most: int, height: int) -> int:
    # Never less than 2 pixels: once is not never.
    return max(2, round(count / most * height)) if count else 0
