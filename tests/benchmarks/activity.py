"""What counting costs: `authorize` over HTTP with activity, against the same without."""

from tests.benchmarks.contestants import KEYRACK, UNCOUNTED
from tests.benchmarks.grounds import Ground
from tests.benchmarks.measuring import Options, Pairs, alternating
from tests.benchmarks.served import served


def measure(ground: Ground, options: Options) -> dict[str, Pairs]:
    """Return the rates with activity, beside those without."""
    with served(KEYRACK, ground) as counted, served(UNCOUNTED, ground) as uncounted:
        rates = alternating(
            lambda: counted.rate(options.seconds), lambda: uncounted.rate(options.seconds), options.pairs
        )
    return {"Keyrack with activity, beside without": rates}
