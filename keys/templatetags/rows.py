"""Rows of a table, rendered quickly: each shape of a row once, and then only its words put in.

Three quarters of a page's time went into rendering the same few templates a hundred times. Two rows have
the same shape where the same of their words are blank and the same of their flags are set; their HTML then
differs in the words alone. So the template is rendered once for each shape, with marks in the place of the
words, and remembered; a row is the pieces between the marks, and its own words, escaped.

A template of rows reads `row` and `project.slug`, prints words, and asks of them only whether they are blank.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from html import escape
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, Final

from django import template
from django.conf import settings
from django.template.loader import get_template
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

# Twelve letters and digits, as a key id has: the mark may stand in an address. The slug has small letters.
_MARK: Final = "Zq7xV{:03d}Vx7Z"
_SLUG: Final = "zq7xv-slug-vx7z"
_MARKS: Final = re.compile(rf"Zq7xV(\d{{3}})Vx7Z|({_SLUG})")
_REMEMBERED: Final = 1000

_pieces: dict[Any, list[str | int]] = {}


@register.simple_tag(takes_context=True)
def rows(context: template.Context, shown: Sequence[Any], name: str) -> SafeString:
    """Return the rows, each as the template of this name renders it. No query."""
    slug = context["project"].slug
    parts: list[str] = []
    for row in shown:
        words: list[str] = []
        shape = _shape(row, words)
        for piece in _rendered(name, shape, row):
            parts.append(piece if isinstance(piece, str) else escape(words[piece]) if piece >= 0 else slug)
    return mark_safe("".join(parts))  # noqa: S308 -- the template's own text, and words that were escaped


def _rendered(name: str, shape: Any, row: Any) -> list[str | int]:
    """Return the template's pieces for a shape: text, and the places of words (-1: the project's slug)."""
    key = name, shape
    if key not in _pieces or settings.DEBUG:
        if len(_pieces) >= _REMEMBERED:
            _pieces.clear()
        marked = {"row": _marked(row, [0]), "project": SimpleNamespace(slug=_SLUG)}
        _pieces[key] = _split(get_template(name).render(marked))
    return _pieces[key]


def _split(text: str) -> list[str | int]:
    pieces: list[str | int] = []
    end = 0
    for mark in _MARKS.finditer(text):
        pieces += [text[end : mark.start()], -1 if mark[2] else int(mark[1])]
        end = mark.end()
    return [*pieces, text[end:]]


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@cache
def _values(kind: Any) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*_names(kind))


def _shape(row: Any, words: list[str]) -> Any:
    """Return which words are blank and which flags are set; the words are added to `words`, in order."""
    shape: list[Any] = []
    kind: Any = type(row)
    for value in _values(kind)(row):
        # The exact types first: they are most of the five thousand values of a page.
        if type(value) is str or isinstance(value, str):
            words.append(value)
            shape.append(value != "")
        elif value is None or type(value) is bool:
            shape.append(value)
        else:
            shape.append(_shape(value, words) if is_dataclass(value) else value)
    return tuple(shape)


def _marked(row: Any, count: list[int]) -> Any:
    """Return the row with a mark in the place of each word that isn't blank."""
    marked = SimpleNamespace()
    kind: Any = type(row)
    for name in _names(kind):
        value: Any = getattr(row, name)
        if isinstance(value, str):
            value, count[0] = value and _MARK.format(count[0]), count[0] + 1
        elif is_dataclass(value):
            value = _marked(value, count)
        setattr(marked, name, value)
    return marked
