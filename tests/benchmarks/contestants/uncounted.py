"""Keyrack with nothing counted, to see what counting costs."""

from collections.abc import Callable
from typing import Any

from tests.benchmarks.contestants import keyrack

seed = keyrack.seed


def application() -> Any:
    _count_nothing()
    return keyrack.application()


def checking() -> Callable[[str], object]:
    _count_nothing()
    return keyrack.checking()


def _count_nothing() -> None:
    from keys.activity import Activity

    Activity.note = lambda *_args, **_kwargs: None  # type: ignore[method-assign]
