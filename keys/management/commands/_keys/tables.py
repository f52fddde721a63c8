"""Lines for a terminal: a table that is written while it is read, and how far a long run has come."""

import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Final

_GAP: Final = "  "
_EVERY: Final = 2.0  # seconds


class Table:
    """An aligned table that needs no more memory than a page: its columns only ever grow wider."""

    def __init__(self, header: Sequence[str]) -> None:
        self._pending = [header]
        self._widths = [0] * len(header)

    def lines(self, rows: Sequence[Sequence[str]]) -> Iterator[str]:
        """Return the lines of the next page; the first begins with the header."""
        rows, self._pending = [*self._pending, *rows], []
        for row in rows:
            self._widths = [max(pair) for pair in zip(self._widths, map(width, row), strict=True)]
        for row in rows:
            yield _GAP.join(map(_padded, row, self._widths)).rstrip()


def width(text: str) -> int:
    """Return how many columns of a terminal `text` takes: two for a wide character, none for a mark."""
    # Most texts are, and a list has millions of them.
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


class Progress:
    """Says every two seconds how far a run has come; nothing in a short one."""

    def __init__(self, say: Callable[[str], None], what: str, total: int | None = None) -> None:
        self._say, self._what = say, what
        self._of = "" if total is None else f" of {total:,}"
        self._count, self._said_at = 0, time.monotonic()

    def add(self, count: int = 1) -> None:
        self._count += count
        if time.monotonic() - self._said_at >= _EVERY:
            self._said_at = time.monotonic()
            self._say(f"{self._count:,}{self._of} {self._what}")
