"""`python -m tests`: every test, on SQLite and on PostgreSQL with Redis, and in the browser on one of them.

There is one pass at once more than there are cores, so that none of them idles while a pass waits for its
browser or its database.

Arguments that it doesn't know go to pytest: `python -m tests -k revoke`,
`python -m tests --only sqlite -- tests/db`.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final, NoReturn

from tests import services

NOTHING_COLLECTED: Final = 5


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of pytest: some of the tests, over one kind of database."""

    name: str
    environment: dict[str, str]
    choice: str


def main(arguments: list[str]) -> int:
    """Run the passes; return 0 where all of them passed."""
    options, rest = _parse(arguments)
    signal.signal(signal.SIGTERM, _end)
    # What a shell starts in the background ignores SIGINT, and so would pytest: nothing could end it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        services.require(_packages(options))
        with _passes(options) as passes:
            print(f"Passes: {'; '.join(each.name for each in passes)}", flush=True)
            return _summary(Run(rest, prefixed=len(passes) > 1).all(passes))
    except services.ServiceError as error:
        print(f"The tests can't run. {error}", file=sys.stderr)
        return 1


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="python -m tests", allow_abbrev=False)
    parser.add_argument("--only", choices=["sqlite", "postgresql"], help="one database alone")
    parser.add_argument(
        "--browser",
        choices=["sqlite", "both", "none"],
        default="sqlite",
        help="on which of them the browser tests run",
    )
    options, rest = parser.parse_known_args(arguments)
    return options, [argument for argument in rest if argument != "--"]


def _packages(options: argparse.Namespace) -> list[str]:
    # The docs are tried with curl, their configurations with the gateways that they are for.
    packages = ["curl", "nginx", "caddy", "redis-server"]
    if options.only != "sqlite":
        packages += ["postgresql"]
    if options.browser != "none":
        packages += ["chromium", "chromium-headless-shell", "libatomic1"]
    return packages


@contextmanager
def _passes(options: argparse.Namespace) -> Iterator[list[Pass]]:
    """Start the servers, and yield the passes: the longest first, so that the others fill what is left."""
    with ExitStack() as stack:
        kinds: list[tuple[str, dict[str, str], bool]] = []
        if options.only != "postgresql":
            kinds.append(("SQLite", {}, options.browser != "none"))
        if options.only != "sqlite":
            environment = {
                "DATABASE_URL": stack.enter_context(services.postgresql()),
                "REDIS_URL": stack.enter_context(services.redis_server()),
            }
            kinds.append(("PostgreSQL", environment, options.browser == "both"))
        browsers = [
            Pass(f"{name}, browser", given, "--only-browser") for name, given, wanted in kinds if wanted
        ]
        yield [*browsers, *(Pass(name, given, "--no-browser") for name, given, _ in reversed(kinds))]


class Run:
    """Passes under way: each a process of its own, with a data folder and a database of its own."""

    def __init__(self, arguments: list[str], *, prefixed: bool) -> None:
        self._arguments = arguments
        self._prefixed = prefixed
        self._processes: list[subprocess.Popen[str]] = []
        self._ended = False

    def all(self, passes: list[Pass]) -> dict[str, tuple[int, float]]:
        """Return the code and the seconds of each pass, by its name. Ctrl+C and SIGTERM end them all."""
        with ThreadPoolExecutor(len(os.sched_getaffinity(0)) + 1) as pool:
            results = {each.name: pool.submit(self._run, each) for each in passes}
            try:
                return {name: result.result() for name, result in results.items()}
            except BaseException:
                self._ended = True
                pool.shutdown(wait=False, cancel_futures=True)
                # pytest ends by itself, and the servers after it.
                for process in self._processes:
                    process.send_signal(signal.SIGINT)
                raise

    def _run(self, each: Pass) -> tuple[int, float]:
        inherited = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}}
        command = [sys.executable, "-m", "pytest", each.choice, *self._arguments]
        pipe, same = (subprocess.PIPE, subprocess.STDOUT) if self._prefixed else (None, None)
        environment = inherited | each.environment
        started = time.monotonic()
        with subprocess.Popen(command, env=environment, stdout=pipe, stderr=same, text=True) as process:
            self._processes.append(process)
            if self._ended:
                process.send_signal(signal.SIGINT)
            for line in process.stdout or ():
                print(f"{each.name:<15} | {line}", end="", flush=True)
            return process.wait(), time.monotonic() - started


def _summary(results: dict[str, tuple[int, float]]) -> int:
    print()
    codes = [code for code, _ in results.values()]
    # A choice of browser tests alone leaves nothing for a pass without them.
    good = {0, NOTHING_COLLECTED} if 0 in codes else {0}
    for name, (code, seconds) in results.items():
        print(f"{name}: {'passed' if code in good else f'FAILED ({code})'} in {seconds:.0f} s")
    return 0 if set(codes) <= good else 1


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
