"""`make bench ARGS="reach"`: pages, searches and the check, at a thousand keys and at a million.

Whole pages over HTTP, behind the server of production, all middleware in between, beside a thousand other
projects. Two databases are asked in turn, request by request, so that what else the machine does meets both
alike; a pair is the medians of so many requests to each, and the median of the pairs' ratios counts.

Like is compared with like: the keys are made so that each filter and each search finds more than a page at
every size, or nothing at every size (`tests.benchmarks.alike`). The rows of both pages are counted, and where
they differ it says so.

`--keep FOLDER` keeps the databases for the next run; making a million keys takes minutes.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from tests.benchmarks.measuring import Pairs
from tests.benchmarks.reach_cases import LAST_PAGES, LEAST, Case, cases
from tests.benchmarks.reach_grounds import Ground, Server, servers

DATABASES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
QUICK: Final = ("--keys", "1000", "2000", "--others", "5", "--pairs", "1", "--requests", "1")
_CHECK: Final = Case("check", "", 1.2)
# How many requests a check is measured over, for each of a page: it takes a twentieth of the time.
_CHECKS: Final = 20


@dataclass(slots=True)
class Findings:
    """What was measured beside its floors; printed as it comes, and once more what was missed."""

    missed: list[str] = field(default_factory=list)

    def say(self, title: str, text: str, *, reached: bool) -> None:
        line = f"    {title:<30} {text}  {'reached' if reached else 'MISSED'}"
        print(line, flush=True)
        if not reached:
            self.missed.append(line.strip())

    def end(self, ground: str) -> None:
        print(
            f"  {ground}: {len(self.missed)} of the floors were missed"
            if self.missed
            else f"  {ground}: every floor was reached"
        )
        for line in self.missed:
            print(f"    {line}")


@dataclass(frozen=True, slots=True)
class Side:
    """What is asked of a server, and the clock that it is measured by."""

    ask: Callable[[], Any]
    clock: Callable[[], float]

    def seconds(self) -> float:
        began = self.clock()
        self.ask()
        return self.clock() - began


def side(server: Server, ask: Callable[[], Any], options: Any) -> Side:
    return Side(ask, server.processor if options.processor else time.perf_counter)


def measured(small: Side, large: Side, pairs: int, requests: int) -> Pairs:
    """Return the median seconds of both sides, pair by pair: now this one first and now that one."""
    found = Pairs([], [])
    for each in (small, large):
        each.ask()
    for pair in range(pairs):
        sides = [(small, list[float]()), (large, list[float]())]
        for _ in range(requests):
            for each, taken in sides if pair % 2 == 0 else reversed(sides):
                taken.append(each.seconds())
        (_, a), (_, b) = sides
        found.ours.append(statistics.median(b))
        found.theirs.append(statistics.median(a))
    return found


def compare(case: Case, small: Side, large: Side, findings: Findings, options: Any, note: str = "") -> None:
    """Measure both in turn, and say the median of the ratios."""
    requests = options.requests * (_CHECKS if case is _CHECK else 1)
    found = measured(small, large, options.pairs, requests)
    a, b = (statistics.median(each) * 1000 for each in (found.theirs, found.ours))
    ratios = f"{found.ratio:5.2f}  ({found.ratios[0]:.2f} to {found.ratios[-1]:.2f})"
    text = f"{ratios}  {a:6.2f} → {b:6.2f} ms  at most {case.most}{note}"
    findings.say(case.title, text, reached=found.ratio <= case.most)


def sizes(small: Server, large: Server, findings: Findings, options: Any) -> None:
    """Compare two sizes."""
    print(f"  {large.keys:,} keys beside {small.keys:,}", flush=True)
    for server in (small, large):
        # The server has closed it while the next database was filled; a closed one is opened by itself.
        server.connection.close()
    for case in _chosen(cases(), options):
        addresses = [case.address(server.facts) for server in (small, large)]
        rows = [server.rows(url) for server, url in zip((small, large), addresses, strict=True)]
        note = "" if rows[0] == rows[1] else f"  NOT ALIKE: {rows[0]} and {rows[1]} rows"
        asks = [partial(server.page, url) for server, url in zip((small, large), addresses, strict=True)]
        compare(case, side(small, asks[0], options), side(large, asks[1], options), findings, options, note)
    for case in _chosen([_CHECK], options):
        compare(case, side(small, small.check, options), side(large, large.check, options), findings, options)
    last_pages(large, findings, options)
    findings.say("memory of a worker", f"{large.memory()} MB, at most 150", reached=large.memory() < 150)


def last_pages(large: Server, findings: Findings, options: Any) -> None:
    """Compare the last pages of lists with their first."""
    for title, (first, last) in LAST_PAGES.items():
        for case in _chosen([Case(title, "")], options):
            url = last.format(**large.facts)
            note = "" if large.rows(first) == large.rows(url) else "  NOT ALIKE"
            begin, end = (side(large, partial(large.page, each), options) for each in (first, url))
            compare(case, begin, end, findings, options, note + ", beside the first")


def alone(ground: Ground, findings: Findings, options: Any) -> None:
    """Say what one process does: a page beside the list of Django's admin, and what the page is made of."""
    measured = ground.child("page", options.pairs)
    found = [theirs / ours for ours, theirs in zip(measured["ours"], measured["theirs"], strict=True)]
    ours, times = statistics.median(measured["ours"]) * 1000, statistics.median(found)
    text = f"{times:5.1f}  ({min(found):.1f} to {max(found):.1f}) times our {ours:.1f} ms of CPU, at least 4"
    text += f"; with 50 revoked keys below {statistics.median(measured['whole']) * 1000:.1f} ms"
    findings.say(f"Django's admin, {ground.keys:,} keys", text, reached=times >= 4)
    print("\n".join(f"      {line}" for line in measured["profile"]))


def issuing(ground: Ground, findings: Findings) -> None:
    """Say how many keys are issued a second, into a copy."""
    with ground.copied() as copy:
        rates = copy.child("issue")
    text = f"{rates['with']:,.0f} a second, {rates['without']:,.0f} without the search index, at least 300"
    findings.say("issuing", text, reached=rates["with"] >= 300)
    print("\n".join(f"      {line}" for line in rates["profile"]))


def _chosen(offered: Sequence[Case], options: Any) -> list[Case]:
    return [
        case for case in offered if not options.cases or any(part in case.title for part in options.cases)
    ]


def measure(kind: str, options: Any) -> Findings:
    findings = Findings()
    print(f"\n== {DATABASES[kind]}", flush=True)
    with servers(kind, options) as running:
        if kind == "sqlite":
            if _chosen([Case("Django's admin", "")], options):
                for server in {running[0].keys: running[0], running[-1].keys: running[-1]}.values():
                    alone(server.ground, findings, options)
            if _chosen([Case("issuing", "")], options):
                issuing(running[0].ground, findings)
        for large in running[1:]:
            sizes(running[0], large, findings, options)
    findings.end(DATABASES[kind])
    return findings


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog='make bench ARGS="reach …"', description=(__doc__ or "").partition("\n\n")[0], allow_abbrev=False
    )
    parser.add_argument("--only", choices=list(DATABASES), help="one database alone")
    parser.add_argument("--keys", type=int, nargs="+", default=[1000, 100_000, 1_000_000], help="the sizes")
    parser.add_argument("--others", type=int, default=1000, help="so many other projects beside it")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument(
        "--processor", action="store_true", help="measure processor time: on a machine that does much else"
    )
    parser.add_argument("--requests", type=int, default=10, help="of each side in a pair")
    parser.add_argument(
        "--cases", nargs="+", metavar="PART", help="those alone whose titles have one of these"
    )
    parser.add_argument("--keep", metavar="FOLDER", help="keep the databases here, and use those that are")
    options = parser.parse_args(arguments)
    if min(options.keys) < LEAST or sorted(options.keys) != options.keys:
        parser.error(f"The sizes go up, and begin at {LEAST} at least.")
    for kind in [options.only] if options.only else DATABASES:
        measure(kind, options)


if __name__ == "__main__":
    main(sys.argv[1:])
