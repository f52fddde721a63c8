"""Floods of wrong secrets of keys that exist: good traffic beside them, against good traffic alone."""

import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import cycle, islice
from typing import Final

from keys import tokens
from tests.benchmarks.contestants import KEYRACK
from tests.benchmarks.grounds import Ground
from tests.benchmarks.measuring import Options, Pairs, alternating
from tests.benchmarks.served import CONNECTIONS, Served, served

# More than Keyrack remembers to be wrong: none of them is known when it comes again.
_DISTINCT: Final = 25_000


def measure(ground: Ground, options: Options) -> dict[str, Pairs]:
    """Return the rates of good traffic under each flood, beside those without."""
    good = ground.tokens[KEYRACK.name]
    floods = {
        "old secrets again and again, on half as many connections": (good, CONNECTIONS // 2),
        "each secret another, on a quarter as many": (_many(good), CONNECTIONS // 4),
        "each secret another, on half as many": (_many(good), CONNECTIONS // 2),
    }
    results = {}
    with served(KEYRACK, ground) as server:
        for name, (keys, connections) in floods.items():
            flood, heard = partial(server.flooded, wrong_secrets(keys), connections), list[float]()
            results[name] = alternating(
                partial(_under_flood, server, flood, options.seconds, heard),
                partial(server.rate, options.seconds),
                options.pairs,
            )
            print(f"    {statistics.median(heard):,.0f} wrong secrets a second: {name}")
    return results


def _many(good: Sequence[str]) -> Sequence[str]:
    return [*islice(cycle(good), _DISTINCT)]


def wrong_secrets(good: Sequence[str]) -> list[str]:
    """Return well-formed tokens with the ids of these keys: nothing cheap tells that they are wrong."""
    return [tokens.generate("live", token[8:20]).text for token in good]


def _under_flood(
    server: Served,
    flood: Callable[[float], AbstractContextManager[list[float]]],
    seconds: float,
    heard: list[float],
) -> float:
    # As long as the good traffic and a second before and after, so that there is always some.
    with flood(seconds + 1) as rates:
        rate = server.rate(seconds)
    heard += rates
    return rate
