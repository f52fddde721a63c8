"""`make bench`: each benchmark prints ratios against a peer measured in the same run, then a table of all.

They are no tests: nothing fails because a machine is slow. ARGS="http --only sqlite" chooses; `--quick` looks
whether all of it runs, in a minute or two. `reach` has floors in the place of peers, and options of its own:
ARGS="reach --help" lists them.
"""

import argparse
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from tests.benchmarks import activity, flood, grounds, http, in_process, reach, secret_hash
from tests.benchmarks.grounds import Ground
from tests.benchmarks.measuring import Options, Pairs
from tests.benchmarks.tables import circumstances, table

Measure = Callable[[Ground, Options], dict[str, Pairs]]

GROUNDS: Final[dict[str, Callable[[Options], AbstractContextManager[Ground]]]] = {
    "sqlite": grounds.sqlite,
    "postgresql": grounds.postgresql,
}
BENCHMARKS: Final[dict[str, tuple[str, Measure]]] = {
    "http": ("`authorize` over HTTP, so many times as fast as", http.measure),
    "in_process": ("`check()` in process, so many times as fast as", in_process.measure),
    "activity": ("What counting leaves of the speed", activity.measure),
    "flood": ("What a flood of wrong secrets leaves to good traffic", flood.measure),
}
QUICK: Final = Options(keys=200, chosen=50, pairs=1, seconds=1)


def main() -> None:
    if sys.argv[1:2] == ["reach"]:
        reach.main(sys.argv[2:])
        return
    names, only, options = _parse()
    if "secret_hash" in names:
        print(f"\n{(secret_hash.__doc__ or '').splitlines()[0]}")
        secret_hash.main()
    chosen = [name for name in BENCHMARKS if name in names]
    results: dict[str, dict[str, dict[str, Pairs]]] = {BENCHMARKS[name][0]: {} for name in chosen}
    for ground in only if chosen else []:
        for name, rows in measure_on(ground, chosen, options).items():
            results[name][{"sqlite": "SQLite", "postgresql": "PostgreSQL"}[ground]] = rows
    if chosen:
        print(f"\n{circumstances(options)}\n\n{table(results)}")
    if "reach" in names:
        databases = ["--only", *only] if len(only) == 1 else []
        reach.main([*databases, *(reach.QUICK if options == QUICK else ())])


def _parse() -> tuple[list[str], list[str], Options]:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", allow_abbrev=False)
    everything = ["secret_hash", *BENCHMARKS, "reach"]
    # Not `choices`: argparse would look for no name at all among them.
    parser.add_argument("name", nargs="*", help=", ".join(everything))
    parser.add_argument("--only", choices=list(GROUNDS), help="one database alone")
    parser.add_argument("--quick", action="store_true", help="little, and only once")
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args()
    if unknown := set(given.name) - set(everything):
        parser.error(f"There is no benchmark {', '.join(sorted(unknown))}.")
    options = QUICK if given.quick else Options(given.keys, min(1000, given.keys), given.pairs, seconds=2)
    return given.name or everything, [given.only] if given.only else list(GROUNDS), options


def measure_on(name: str, chosen: list[str], options: Options) -> dict[str, dict[str, Pairs]]:
    """Return what was measured on one kind of database, by benchmark and peer."""
    print(f"\n== {name}: making {options.keys:,} keys of each kind", flush=True)
    results = {}
    with GROUNDS[name](options) as ground:
        for each in chosen:
            title, measure = BENCHMARKS[each]
            print(f"  {title}", flush=True)
            results[title] = measure(ground, options)
            for peer, pairs in results[title].items():
                print(f"    {peer}: {pairs}", flush=True)
    return results


if __name__ == "__main__":
    main()
