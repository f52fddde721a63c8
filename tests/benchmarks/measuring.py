"""Pairs of measurements, one after the other, so that what else the machine does meets both sides alike."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured."""

    keys: int
    chosen: int
    pairs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rates (so many a second) of two sides, pair by pair."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratios(self) -> list[float]:
        return sorted(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    def __str__(self) -> str:
        a, b = statistics.median(self.ours), statistics.median(self.theirs)
        low, high = self.ratios[0], self.ratios[-1]
        return f"{self.ratio:.2f} ({low:.2f} to {high:.2f}); {a:,.0f} and {b:,.0f} a second"


def alternating(ours: Callable[[], float], theirs: Callable[[], float], pairs: int) -> Pairs:
    """Measure both sides `pairs` times, now this one first and now that one."""
    measured = Pairs([], [])
    for n in range(pairs):
        sides = [(ours, measured.ours), (theirs, measured.theirs)]
        for measure, rates in sides if n % 2 == 0 else reversed(sides):
            rates.append(measure())
    return measured
