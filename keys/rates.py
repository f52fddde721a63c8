"""How often a key may be used: a number per second, minute, hour or day. Pure."""

import re
from dataclasses import dataclass
from typing import Final

SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
MOST: Final = 1_000_000

_RATE: Final = re.compile(r"([1-9][0-9]{0,6})/(second|minute|hour|day)")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many uses in each window of time."""

    count: int
    per: str

    @property
    def seconds(self) -> int:
        return SECONDS[self.per]

    def __str__(self) -> str:
        return f"{self.count}/{self.per}"


def parse(text: str) -> Rate | None:
    """Return the rate that `text` is, such as `100/minute`; None for nothing. Raises ValueError."""
    if not text:
        return None
    match = _RATE.fullmatch(text)
    if match is None or int(match[1]) > MOST:
        raise ValueError(f"Use a number up to {MOST:,} per second, minute, hour or day, such as 100/minute.")
    return Rate(int(match[1]), match[2])
