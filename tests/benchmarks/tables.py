"""What was measured, as the table that README shows."""

import os
import platform
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.measuring import Options, Pairs

# Of each benchmark, what it is called and what was measured of each peer, on each database.
Results = Mapping[str, Mapping[str, Mapping[str, Pairs]]]


def table(results: Results) -> str:
    """Return the ratios as Markdown: a row for each peer of each benchmark, a column for each database."""
    grounds = list(dict.fromkeys(ground for rows in results.values() for ground in rows))
    lines = [f"| | {' | '.join(grounds)} |", "|---|" + "---|" * len(grounds)]
    for title, by_ground in results.items():
        lines.append(f"| **{title}** |" + " |" * len(grounds))
        peers = dict.fromkeys(peer for rows in by_ground.values() for peer in rows)
        for peer in peers:
            cells = [_cell(by_ground.get(ground, {}).get(peer)) for ground in grounds]
            lines.append(f"| {peer} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(pairs: Pairs | None) -> str:
    return str(pairs) if pairs else "–"


def circumstances(options: Options, at: datetime | None = None) -> str:
    """Return when, on what machine and how it was measured, in a sentence."""
    day = f"{at or datetime.now(UTC):%-d %B %Y}"
    machine = f"{os.cpu_count()} cores of {_processor()}"
    software = (
        f"Python {platform.python_version()}, granian {version('granian')}, SQLite {sqlite3.sqlite_version}"
    )
    return (
        f"Measured on {day}: {machine}; {software}; {options.keys:,} keys; medians of {options.pairs} pairs."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
