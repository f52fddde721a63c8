"""Times as people read them, formatted once in Python."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

_MONTHS: Final = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]
_UNITS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True)
class Moment:
    """A time: for machines, and as it reads without JavaScript."""

    iso: str
    text: str
    day: str

    @classmethod
    def of(cls, moment: datetime) -> "Moment":
        return _moment(moment.astimezone(UTC))


@lru_cache(maxsize=4096)
def _moment(utc: datetime) -> Moment:
    """A page has two hundred of them, and the same ones the next time."""
    day = f"{utc.day} {_MONTHS[utc.month - 1]} {utc.year}"
    return Moment(timestamp(utc), f"{day}, {utc:%H:%M} UTC", day)


def timestamp(moment: datetime) -> str:
    """Return a time for machines, in UTC and whole seconds (RFC 3339): `2026-11-21T12:11:00Z`."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def distance(moment: datetime, at: datetime) -> str:
    """Return how far away a time is: "in 82 days", "in 5 hours", "3 days ago".

    A fiftieth of the unit is forgiven: what was made a minute ago to live 90 days ends "in 90 days".
    """
    seconds = abs((moment - at).total_seconds())
    span, unit = next((span, unit) for span, unit in _UNITS if seconds / span + 0.02 >= 1 or span == 1)
    size = int(seconds / span + 0.02)
    words = f"{size:,} {unit}" if size == 1 else f"{size:,} {unit}s"
    return f"in {words}" if moment > at else f"{words} ago"
