"""`python -m tests`: every test, on SQLite and on PostgreSQL with Redis, and in the browser on one of them.

One pass after the other, each with several processes (`-n` says how many), so that all cores are busy to the
end. What failed is said again when all have run.

Arguments that it doesn't know go to pytest: `python -m tests -k revoke`,
`python -m tests --only sqlite -n 0 -- tests/db`.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from tests import collected, failures, services
from tests.failures import Failure

NOTHING_COLLECTED: Final = 5


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of pytest: some of the tests, over one kind of database."""

    name: str
    environment: dict[str, str]
    choice: tuple[str, ...]
    processes: int


@dataclass(slots=True)
class Outcome:
    """What became of a pass."""

    code: int
    seconds: float
    failures: list[Failure]
    last_lines: list[str] = field(default_factory=list)


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
            return _summary({each.name: _run(each, rest) for each in passes})
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
    parser.add_argument(
        "-n", type=int, metavar="PROCESSES", help="how many processes run the tests; 0: this one alone"
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
    """Start the servers, and yield the passes."""
    processes = len(os.sched_getaffinity(0)) if options.n is None else options.n
    with ExitStack() as stack:
        shared = stack.enter_context(tempfile.TemporaryDirectory(prefix="keyrack-collected-"))
        kinds: list[tuple[str, dict[str, str], bool]] = []
        if options.only != "postgresql":
            kinds.append(("SQLite", {collected.FOLDER: shared}, options.browser != "none"))
        if options.only != "sqlite":
            environment = {
                collected.FOLDER: shared,
                "DATABASE_URL": stack.enter_context(services.postgresql(parent=services.memory())),
                "REDIS_URL": stack.enter_context(services.redis_server()),
            }
            kinds.append(("PostgreSQL", environment, options.browser == "both"))
        browsers = [
            Pass(f"{name}, browser", given, ("--only-browser",), processes)
            for name, given, wanted in kinds
            if wanted
        ]
        others = [
            Pass(name, given, ("--no-browser", *again), processes)
            # What says nothing about a database says it once.
            for (name, given, _), again in zip(kinds, [(), ("--not-again",)], strict=False)
        ]
        yield [*browsers, *others]


def _run(each: Pass, arguments: list[str]) -> Outcome:
    """Run a pass, and print what pytest prints. Ctrl+C and SIGTERM end it."""
    # Written once, the compiled tests are read by all processes of all passes: compiling takes them a while.
    dropped = {"DATABASE_URL", "REDIS_URL", "PYTHONDONTWRITEBYTECODE"}
    inherited = {k: v for k, v in os.environ.items() if k not in dropped}
    print(f"\n{each.name}", flush=True)
    with tempfile.TemporaryDirectory(prefix="keyrack-outcome-") as folder:
        file = Path(folder) / "failures.json"
        command = [sys.executable, "-m", "pytest", *each.choice, *_spread(each.processes)]
        command += ["-p", "tests.failures", f"--failures={file}", *arguments]
        environment = inherited | each.environment
        started = time.monotonic()
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                last = _print(process)
            except BaseException:
                # pytest ends by itself, and the servers after it.
                process.send_signal(signal.SIGINT)
                _print(process)
                raise
        return Outcome(process.wait(), time.monotonic() - started, failures.read(file), last)


def _spread(processes: int) -> list[str]:
    if not processes:
        return []
    # A test at which its process dies would kill each new one as well.
    return ["-n", str(processes), "--max-worker-restart=0"]


def _print(process: subprocess.Popen[str]) -> list[str]:
    """Print what a process says until it ends, and return its last lines."""
    last: deque[str] = deque(maxlen=failures.LINES)
    for line in process.stdout or ():
        print(line, end="", flush=True)
        last.append(line.rstrip())
    return [*last]


def _summary(outcomes: dict[str, Outcome]) -> int:
    """Say how the passes went, and before that, once more, what failed; return 0 where nothing did."""
    codes = {outcome.code for outcome in outcomes.values()}
    # A choice of browser tests alone leaves nothing for a pass without them.
    good = {0, NOTHING_COLLECTED} if 0 in codes else {0}
    bad = {name: outcome for name, outcome in outcomes.items() if outcome.code not in good}
    for name, outcome in bad.items():
        if not outcome.failures:
            print(
                "\n".join(["", f"{name} ended without a failed test. Its last lines:", *outcome.last_lines])
            )
    for line in failures.told({name: outcome.failures for name, outcome in bad.items()}):
        print(line)
    print()
    for name, outcome in outcomes.items():
        how = f"FAILED ({outcome.code})" if name in bad else "passed"
        print(f"{name}: {how} in {outcome.seconds:.0f} s")
    return 1 if bad else 0


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
