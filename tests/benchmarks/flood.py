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
    results = {}
    with served(KEYRACK, ground) as server:
        for share in (4, 2):
            connections, floods = CONNECTIONS // share, list[float]()
            name = f"good traffic on {CONNECTIONS} connections beside a flood on {connections}, against alone"
            results[name] = alternating(
                lambda: _under_flood(server, wrong, connections, options.seconds, floods),  # noqa: B023
                lambda: server.rate(options.seconds),
                options.pairs,
            )
            print(f"    wrong secrets: {statistics.median(floods):,.0f} a second")
    return results


def wrong_secrets(good: Sequence[str]) -> list[str]:
    """Return well-formed tokens with the ids of these keys: nothing cheap tells that they are wrong."""
    return [tokens.generate("live", token[8:20]).text for token in good]


def _under_flood(
    server: Served, wrong: Sequence[str], connections: int, seconds: float, floods: list[float]
) -> float:
    # As long as the good traffic and a second before and after, so that there is always some.
    with server.flooded(wrong, connections, seconds + 1) as flood:
        rate = server.rate(seconds)
    floods += flood
    return rate
