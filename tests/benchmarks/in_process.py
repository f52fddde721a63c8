"""`check()` in process, against what a peer does at the same place."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from tests.benchmarks.contestants import API_KEY_NEW, KEYRACK, PEERS, Contestant
from tests.benchmarks.grounds import ROOT, Ground
from tests.benchmarks.measuring import Options, Pairs, alternating


class Checker:
    """A process that checks tokens when it is told to."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self._requests, self._answers = requests, answers

    def rate(self, checks: int) -> float:
        """Return how many checks it does in a second, over so many."""
        print(checks, file=self._requests, flush=True)
        return checks / float(self._answers.readline())

    def rate_over(self, seconds: float) -> float:
        """Return how many checks it does in a second, over about so many seconds."""
        return self.rate(max(100, int(self.rate(200) * seconds)))


@contextmanager
def checking(contestant: Contestant, ground: Ground) -> Iterator[Checker]:
    command = [sys.executable, "-m", "tests.benchmarks.child", contestant.module, "check"]
    with subprocess.Popen(
        command, cwd=ROOT, env=ground.environment(contestant), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        for token in ground.tokens[contestant.name]:
            print(token, file=process.stdin)
        print(file=process.stdin, flush=True)
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{contestant.name} can't check its keys")
        yield Checker(process.stdin, process.stdout)
        process.stdin.close()


def measure(ground: Ground, options: Options) -> dict[str, Pairs]:
    """Return the rates beside each peer's."""
    results = {}
    with checking(KEYRACK, ground) as ours:
        # Without a request it is all the same in which project a check stands.
        for peer in (each for each in PEERS if each is not API_KEY_NEW):
            with checking(peer, ground) as theirs:
                results[peer.name] = alternating(
                    lambda: ours.rate_over(options.seconds / 4),
                    lambda theirs=theirs: theirs.rate_over(options.seconds / 4),  # type: ignore[misc]
                    2 * options.pairs,
                )
    return results
