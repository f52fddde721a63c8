"""The audit log as a file for spreadsheets and scripts (RFC 4180), written as it is read."""

import csv
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from projects.models import AuditEvent
from projects.moments import timestamp
from projects.sentences import changes_of, sentence

COLUMNS: Final = (
    "number", "time", "who", "who_kind", "who_id", "verb", "what",
    "object", "object_kind", "object_id", "changes", "address",
)  # fmt: skip
# What a spreadsheet takes for the beginning of a formula, after NFKC: full-width signs count as well.
_FORMULA: Final = frozenset("=+-@")
_CONTROL: Final = frozenset("\t\r\n")


class _Echo:
    """A file that keeps nothing: `write` gives each line back."""

    def write(self, line: str) -> str:
        return line


def csv_lines(events: Iterable[AuditEvent]) -> Iterator[str]:
    """Yield the lines of the file, the header first. Every cell is quoted."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield str(writer.writerow(COLUMNS))
    for event in events:
        yield str(writer.writerow(map(cell, _cells(event))))


def cell(text: str) -> str:
    """Return the text as no spreadsheet runs it: an apostrophe before whatever could be a formula.

    People choose names, and who opens the file runs what is in it (CWE-1236). Blanks and other characters
    that don't show hide nothing.
    """
    if text[:1] in _CONTROL:
        return f"'{text}"
    seen = next((char for char in unicodedata.normalize("NFKC", text) if _is_seen(char)), "")
    return f"'{text}" if seen in _FORMULA else text


def _is_seen(char: str) -> bool:
    return unicodedata.category(char) not in {"Cc", "Cf", "Mn", "Zl", "Zp", "Zs"}


def _cells(event: AuditEvent) -> list[str]:
    return [
        str(event.number),
        timestamp(event.at),
        event.actor_label,
        event.actor_kind,
        event.actor_id,
        event.verb,
        sentence(event.verb, event.object_label or event.object_id),
        event.object_label,
        event.object_kind,
        event.object_id,
        "; ".join(change.text for change in changes_of(event)),
        event.address,
    ]
