"""`python -m tests.benchmarks.reach`: a page, a search and a check, at a thousand keys and at a million.

Whole pages over HTTP, behind the server of production, all middleware in between. Two databases are asked in
turn, so that what else the machine does meets both alike. `--only sqlite`, `--keys 1000 100000 1000000`.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg

from tests import services

ROOT: Final = Path(__file__).parents[2]
LIST: Final = "/projects/northwind/settings/keys/"
LOG: Final = "/projects/northwind/settings/audit/"
# What somebody types: words that many names have, few and none; of three letters, two and one.
TERMS: Final = {
    "many": "crawler", "few": "quokka", "none": "zzyzx", "three letters": "doc", "two letters": "bi",
    "one letter": "s", "one letter, few": "q",
}  # fmt: skip
PAGES: Final = {
    "first page": "", "by name": "?sort=name", "last used first": "?sort=-used",
    "next to expire": "?sort=expires",
    "one type": "?type=channel", "not confirmed": "?status=unconfirmed", "expired": "?status=expired",
    "paused": "?status=paused", "created by me": "?mine=1", "not used": "?unused=1",
    **{f"search: {what}": f"?q={quote(term)}" for what, term in TERMS.items()},
}  # fmt: skip


@dataclass(slots=True)
class Server:
    """A database of so many keys behind a server, and somebody signed in."""

    keys: int
    process: subprocess.Popen[bytes]
    connection: HTTPConnection
    facts: dict[str, Any]

    def page(self, url: str) -> None:
        self._get(url, {"Cookie": f"keyrack_session={self.facts['cookie']}"})

    def check(self) -> None:
        url = "/api/v1/authorize?project=northwind&scope=sources:read"
        self._get(url, {"Authorization": f"Bearer {self.facts['token']}"})

    def memory(self) -> int:
        """Return the most that any process of the server has used, in MB."""
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        pids = [str(self.process.pid), *found.stdout.split()]
        peaks = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
        return max(int(text.split("VmHWM:")[1].split()[0]) for text in peaks) // 1024

    def _get(self, url: str, headers: Mapping[str, str]) -> None:
        self.connection.request("GET", url, headers={"Accept-Encoding": "gzip", **headers})
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise AssertionError(f"{url} answered {response.status}: {body[:200]!r}")


def compare(title: str, small: Any, large: Any, options: argparse.Namespace) -> float:
    """Measure both in turn, and print the median of the ratios."""
    ratios, times = [], []
    for side in (small, large):
        side()
    for pair in range(options.pairs):
        order = [small, large] if pair % 2 == 0 else [large, small]
        taken = {side: _seconds(side, options.requests) for side in order}
        ratios.append(taken[large] / taken[small])
        times.append((taken[small], taken[large]))
    ratio = statistics.median(ratios)
    a, b = (statistics.median(each) * 1000 for each in zip(*times, strict=True))
    print(
        f"    {title:<28} {ratio:5.2f}  ({min(ratios):.2f} to {max(ratios):.2f})  {a:6.1f} → {b:6.1f} ms",
        flush=True,
    )
    return ratio


def _seconds(work: Any, times: int) -> float:
    """Return the median seconds of one request."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def measure(small: Server, large: Server, options: argparse.Namespace) -> None:
    print(f"  {large.keys:,} keys beside {small.keys:,}")
    for server in (small, large):
        # The server has closed it while the next database was filled; a closed one is opened by itself.
        server.connection.close()
    for title, query in PAGES.items():
        compare(title, lambda q=query: small.page(LIST + q), lambda q=query: large.page(LIST + q), options)
    compare("audit log", lambda: small.page(LOG), lambda: large.page(LOG), options)
    compare("check", small.check, large.check, options)
    last = f"{LIST}?after={large.facts['after']}"
    compare("last page, beside the first", lambda: large.page(LIST), lambda: large.page(last), options)
    print(f"    memory of a worker: {large.memory()} MB")


@contextmanager
def servers(kind: str, options: argparse.Namespace) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        url = stack.enter_context(services.postgresql()) if kind == "postgresql" else ""
        yield [stack.enter_context(served(keys, url, options)) for keys in options.keys]


@contextmanager
def served(keys: int, url: str, options: argparse.Namespace) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="keyrack-reach-") as folder:
        environment, port = _environment(folder, keys, url), services.free_port()
        for command in (["migrate", "-v0"], ["collectstatic", "--noinput", "-v0"]):
            _run(["manage.py", *command], environment)
        history = str(min(keys, 100_000))
        _run(["manage.py", "seed", "--keys", str(keys), "--history", history], environment)
        facts = child("enter", environment, options.others)
        if not url and keys == min(options.keys):
            alone(environment, options)
        environment |= {"PORT": str(port)}
        with subprocess.Popen([sys.executable, "manage.py", "serve"], cwd=ROOT, env=environment) as process:
            try:
                server = Server(keys, process, _connected(port), facts)
                yield server
            finally:
                process.send_signal(signal.SIGTERM)


def alone(environment: dict[str, str], options: argparse.Namespace) -> None:
    """Print what one process does on SQLite: a page beside the admin's, and issuing."""
    measured = child("page", environment, options.pairs)
    ratios = [theirs / ours for ours, theirs in zip(measured["ours"], measured["theirs"], strict=True)]
    ours, times = statistics.median(measured["ours"]) * 1000, statistics.median(ratios)
    print(f"  a page of 50 rows: {ours:.1f} ms of CPU; Django's admin takes {times:.1f} times that")
    print("\n".join(f"    {line}" for line in measured["profile"]))
    rates = child("issue", environment)
    print(f"  issuing: {rates['with']:,.0f} a second; without the search index {rates['without']:,.0f}")


def child(task: str, environment: dict[str, str], *arguments: int) -> dict[str, Any]:
    printed = _run(["-m", "tests.benchmarks.reach_child", task, *map(str, arguments)], environment)
    answer: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    return answer


def _environment(folder: str, keys: int, url: str) -> dict[str, str]:
    dropped = ("KEYRACK_", "DATABASE_URL", "REDIS_URL", "PORT", "DJANGO_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    environment |= {
        "KEYRACK_DATA": folder,
        "KEYRACK_OWNER_PASSWORD": "not-a-secret-here",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    if url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "reach_{keys}"')
        environment["DATABASE_URL"] = urlunsplit(urlsplit(url)._replace(path=f"/reach_{keys}"))
    return environment


def _run(arguments: list[str], environment: dict[str, str]) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def _connected(port: int) -> HTTPConnection:
    for _ in range(300):
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/api/v1/openapi.json")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return connection
    raise AssertionError("The server doesn't answer.")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.reach", allow_abbrev=False)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--keys", type=int, nargs="+", default=[1000, 100_000, 1_000_000])
    parser.add_argument("--others", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--requests", type=int, default=10)
    options = parser.parse_args()
    for kind in [options.only] if options.only else ["sqlite", "postgresql"]:
        print(f"\n== {kind}", flush=True)
        with servers(kind, options) as running:
            for large in running[1:]:
                measure(running[0], large, options)


if __name__ == "__main__":
    main()
