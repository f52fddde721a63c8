"""Rows of a table, rendered quickly: each shape of a row once, and then only its words put in.

Three quarters of a page's time went into rendering the same few templates a hundred times. Two rows have
the same shape where the same of their words are blank and the same of their flags are set; their HTML then
differs in the words alone. So the template is rendered once for each shape, with marks in the place of the
words, and remembered as a pattern; a row is that pattern, and its own words, escaped.

A template of rows reads `row` and `project.slug`, prints words, and asks of them only whether they are blank.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
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

# Stands between words that are escaped together, which takes a tenth of the time.
_BETWEEN: Final = "\0"

_patterns: dict[Any, "_Pattern"] = {}


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A row's HTML with `%s` in the place of each word, and which of the row's words these are."""

    text: str
    places: Sequence[int]

    @classmethod
    def of(cls, rendered: str) -> "_Pattern":
        text, places, end = "", [], 0
        for mark in _MARKS.finditer(rendered):
            text += rendered[end : mark.start()].replace("%", "%%") + "%s"
            # The project's slug comes after all words.
            places.append(-1 if mark[2] else int(mark[1]))
            end = mark.end()
        return cls(text + rendered[end:].replace("%", "%%"), places)

    def filled(self, words: Sequence[str]) -> str:
        return self.text % tuple([words[place] for place in self.places])


@register.simple_tag(takes_context=True)
def rows(context: template.Context, shown: Sequence[Any], name: str) -> SafeString:
    """Return the rows, each as the template of this name renders it. No query."""
    slug = context["project"].slug
    parts: list[str] = []
    for row in shown:
        words: list[str] = []
        pattern = _pattern(name, _shape(row, words), row)
        words.append(slug)
        parts.append(pattern.filled(_escaped(words)))
    return mark_safe("".join(parts))  # noqa: S308 -- the template's own text, and words that were escaped


def _escaped(words: Sequence[str]) -> Sequence[str]:
    escaped = escape(_BETWEEN.join(words)).split(_BETWEEN)
    # A word with that character in it: none that people type has it, but here it must not matter.
    return escaped if len(escaped) == len(words) else [escape(word) for word in words]


def _pattern(name: str, shape: Any, row: Any) -> _Pattern:
    """Return the template's pattern for a shape."""
    key = name, shape
    found = _patterns.get(key)
    if found is None or settings.DEBUG:
        if len(_patterns) >= _REMEMBERED:
            _patterns.clear()
        marked = {"row": _marked(row, [0]), "project": SimpleNamespace(slug=_SLUG)}
        found = _patterns[key] = _Pattern.of(get_template(name).render(marked))
    return found


@dataclass(frozen=True, slots=True)
class _Kind:
    """The fields of a dataclass: those that are words, and the others."""

    words: Sequence[str]
    others: Sequence[str]
    words_of: Callable[[Any], Sequence[Any]]
    others_of: Callable[[Any], Sequence[Any]]


@cache
def _kind(kind: Any) -> _Kind:
    words = [field.name for field in fields(kind) if field.type is str]
    others = [field.name for field in fields(kind) if field.type is not str]
    return _Kind(words, others, _getter(words), _getter(others))


def _getter(names: Sequence[str]) -> Callable[[Any], Sequence[Any]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda row: [getattr(row, name) for name in names]


def _shape(row: Any, words: list[str]) -> Any:
    """Return which words are blank and which flags are set; the words are added to `words`, in order."""
    row_type: Any = type(row)
    kind = _kind(row_type)
    own = kind.words_of(row)
    words += own
    shape: list[Any] = [word != "" for word in own]
    for value in kind.others_of(row):
        if value is None or type(value) is bool:
            shape.append(value)
        elif isinstance(value, str):
            words.append(value)
            shape.append(value != "")
        else:
            shape.append(_shape(value, words) if is_dataclass(value) else value)
    return tuple(shape)


def _marked(row: Any, count: list[int]) -> Any:
    """Return the row with a mark in the place of each word that isn't blank."""
    row_type: Any = type(row)
    marked, kind = SimpleNamespace(), _kind(row_type)
    for name in (*kind.words, *kind.others):
        value: Any = getattr(row, name)
        if isinstance(value, str):
            value, count[0] = value and _MARK.format(count[0]), count[0] + 1
        elif is_dataclass(value):
            value = _marked(value, count)
        setattr(marked, name, value)
    return marked
