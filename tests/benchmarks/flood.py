"""A flood of wrong secrets of keys that exist, beside good traffic, against good traffic alone."""

import statistics
from collections.abc import Sequence

from keys import tokens
from tests.benchmarks.contestants import KEYRACK
from tests.benchmarks.grounds import Ground
from tests.benchmarks.measuring import Options, Pairs, alternating
from tests.benchmarks.served import CONNECTIONS, Served, served


def measure(ground: Ground, options: Options) -> dict[str, Pairs]:
    """Return the rates of good traffic under the flood, beside those without."""
    wrong = wrong_secrets(ground.tokens[KEYRACK.name])
    floods: list[float] = []
    with served(KEYRACK, ground) as server:
        rates = alternating(
            lambda: _under_flood(server, wrong, options.seconds, floods),
            lambda: server.rate(options.seconds),
            options.pairs,
        )
    print(f"    wrong secrets: {statistics.median(floods):,.0f} a second")
    return {"good traffic beside it, against alone": rates}


def wrong_secrets(good: Sequence[str]) -> list[str]:
    """Return well-formed tokens with the ids of these keys: nothing cheap tells that they are wrong."""
    return [tokens.generate("live", token[8:20]).text for token in good]


def _under_flood(server: Served, wrong: Sequence[str], seconds: float, floods: list[float]) -> float:
    # As long as the good traffic and a second before and after, so that there is always some.
    with server.flooded(wrong, CONNECTIONS // 2, seconds + 1) as flood:
        rate = server.rate(seconds)
    floods += flood
    return rate
