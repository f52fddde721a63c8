"""Verifying a key's secret, against verifying a person's password with Django's Argon2 hasher.

Why a key's hash is quick on purpose stands in keys/tokens.py; this shows how quick.
"""

import statistics
import time
from collections.abc import Callable

from argon2 import PasswordHasher

from keys import tokens

PAIRS = 9
# Django's Argon2PasswordHasher: 100 MiB, two passes, eight lanes.
PASSWORDS = PasswordHasher(time_cost=2, memory_cost=102_400, parallelism=8)


def seconds(work: Callable[[], object], times: int) -> float:
    """Return the CPU time of one call, in seconds, over `times` calls."""
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times


def main() -> None:
    token = tokens.generate("live")
    quick, slow = tokens.hash_secret(token.secret), PASSWORDS.hash("correct horse battery staple")
    pairs = [
        (
            seconds(lambda: tokens.verify_secret(quick, token.secret), 500),
            seconds(lambda: PASSWORDS.verify(slow, "correct horse battery staple"), 3),
        )
        for _ in range(PAIRS)
    ]
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"  a key's secret {ours * 1e6:.0f} µs, a password {theirs * 1e3:.0f} ms of CPU")
    print(f"  ratio {ratio:,.0f} (median of {PAIRS} alternating pairs)")
