"""Real threads, each with a connection of its own, that start together."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from django.db import connection

T = TypeVar("T")

_PATIENCE_SECONDS = 60


def race(*calls: Callable[[], T]) -> list[T | Exception]:
    """Run the calls at once; return what each gave or raised, in their order."""
    start = Barrier(len(calls), timeout=_PATIENCE_SECONDS)

    def run(call: Callable[[], T]) -> T | Exception:
        try:
            connection.ensure_connection()
            start.wait()
            return call()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def split(results: Sequence[T | Exception]) -> tuple[list[T], list[Exception]]:
    """Return those that won, and what the others were told."""
    won = [each for each in results if not isinstance(each, Exception)]
    return won, [each for each in results if isinstance(each, Exception)]
