"""What failed in a pass of the tests, kept so that `python -m tests` can say it again at the very end.

A plugin of pytest: `-p tests.failures --failures=FILE` writes the file.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pytest

# Of how many failures the end of the traceback is told, and how much of it.
TOLD: Final = 10
LINES: Final = 15
# Names beyond these would push the first ones out of what is kept of a long output.
NAMED: Final = 25


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed, or that couldn't be set up, torn down or collected."""

    test: str
    reason: str
    lines: list[str]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--failures", metavar="FILE", help="write what failed to this file, as JSON")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    file: str | None = config.getoption("--failures")
    if file is not None:
        reports = [report for kind in ("error", "failed") for report in terminalreporter.getreports(kind)]
        failed = [asdict(_failure(report)) for report in reports]
        Path(file).write_text(json.dumps(failed))


def _failure(report: pytest.TestReport | pytest.CollectReport) -> Failure:
    lines = report.longreprtext.rstrip().splitlines() or ["(nothing said)"]
    crash = getattr(report.longrepr, "reprcrash", None)
    # Where there is none (a file that isn't collected, a process that died), the last line says it.
    message = crash.message if crash else lines[-1]
    when = f" ({report.when})" if report.when in ("setup", "teardown") else ""
    return Failure(f"{report.nodeid}{when}", (message.splitlines() or [""])[0], lines[-LINES:])


def read(file: Path) -> list[Failure]:
    """Return what the plugin wrote; nothing where pytest ended before."""
    return [Failure(**each) for each in json.loads(file.read_text())] if file.exists() else []


def told(passes: Mapping[str, Sequence[Failure]]) -> Iterator[str]:
    """Yield lines for people: how the first failures ended, and then the names and reasons of all."""
    failures = [(name, failure) for name, failed in passes.items() for failure in failed]
    for name, failure in failures[:TOLD]:
        yield from ("", f"--- {name}: {failure.test}", *failure.lines)
    if failures:
        yield ""
    for name, failure in failures[:NAMED]:
        yield f"FAILED {name}: {failure.test} - {failure.reason}"
    if len(failures) > NAMED:
        yield f"… and {len(failures) - NAMED} more"
