"""`python -m tests`: every test, once on SQLite and once on PostgreSQL with Redis.

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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final, NoReturn

from tests import services

NOTHING_COLLECTED: Final = 5


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of pytest over one kind of database."""

    name: str
    environment: dict[str, str]
    browser: bool


def main(arguments: list[str]) -> int:
    """Run the passes; return 0 where all of them passed."""
    options, rest = _parse(arguments)
    signal.signal(signal.SIGTERM, _end)
    try:
        services.require(_packages(options))
        with _passes(options) as passes:
            results = {each.name: _run(each, rest) for each in passes}
    except services.ServiceError as error:
        print(f"The tests can't run. {error}", file=sys.stderr)
        return 1
    return _summary(results)


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
    servers = ["curl", "nginx", "caddy", "redis-server"]
    servers += [] if options.only == "sqlite" else ["postgresql"]
    return servers + ([] if options.browser == "none" else ["chromium", "libatomic1"])


@contextmanager
def _passes(options: argparse.Namespace) -> Iterator[list[Pass]]:
    with ExitStack() as stack:
        passes = []
        if options.only != "postgresql":
            passes.append(Pass("SQLite", {}, options.browser != "none"))
        if options.only != "sqlite":
            environment = {
                "DATABASE_URL": stack.enter_context(services.postgresql()),
                "REDIS_URL": stack.enter_context(services.redis_server()),
            }
            passes.append(Pass("PostgreSQL", environment, options.browser == "both"))
        yield passes


def _run(each: Pass, arguments: list[str]) -> tuple[int, float]:
    print(f"\n== {each.name}{'' if each.browser else ', without the browser tests'}", flush=True)
    inherited = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}}
    command = [sys.executable, "-m", "pytest", *([] if each.browser else ["--no-browser"])]
    started = time.monotonic()
    with subprocess.Popen(command + arguments, env=inherited | each.environment) as process:
        try:
            code = process.wait()
        except BaseException:
            # Ctrl+C has reached pytest as well; it ends by itself, and the servers after it.
            process.send_signal(signal.SIGINT)
            process.wait(60)
            raise
    return code, time.monotonic() - started


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
