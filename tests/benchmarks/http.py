"""`authorize` over HTTP, against the peers."""

from tests.benchmarks.contestants import KEYRACK, PEERS
from tests.benchmarks.grounds import Ground
from tests.benchmarks.measuring import Options, Pairs, alternating
from tests.benchmarks.served import served


def measure(ground: Ground, options: Options) -> dict[str, Pairs]:
    """Return the rates beside each peer's."""
    with served(KEYRACK, ground) as ours:
        results = {}
        for peer in PEERS:
            with served(peer, ground) as theirs:
                results[peer.name] = alternating(
                    lambda: ours.rate(options.seconds),
                    lambda theirs=theirs: theirs.rate(options.seconds),  # type: ignore[misc]
                    options.pairs,
                )
        return results
