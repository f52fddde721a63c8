"""Which keys `keys list` means, read page by page: however many there are, it holds one page of them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from keys.management.commands._keys.arguments import REVOKED
from keys.models import Key
from keys.querysets import LAST_REVOKED_FIRST, NEWEST_FIRST, SORTS, KeyQuerySet
from keys.search import read
from projects.models import Project
from projects.querysets import Page, page

_AT_ONCE: Final = 500


def pages(project: Project, asked: Any, at: datetime) -> Iterator[Page[Key]]:
    """Return the pages asked for; `has_next` of the last one says whether the limit cut the list short."""
    order = LAST_REVOKED_FIRST if asked.status == REVOKED else SORTS[NEWEST_FIRST]
    keys, last, left = _found(project, asked, at), None, asked.limit
    while True:
        shown = page(keys, order, after=last, size=_AT_ONCE if asked.all else min(left, _AT_ONCE))
        yield shown
        left -= len(shown.rows)
        if not shown.has_next or (left <= 0 and not asked.all):
            return
        last = shown.rows[-1]


def _found(project: Project, asked: Any, at: datetime) -> KeyQuerySet:
    found = Key.objects.of(project)
    found = found.revoked(at) if asked.status == REVOKED else found.listed(at)
    if asked.status not in (None, REVOKED):
        found = found.with_status(asked.status, at)
    if sought := read(asked.q):
        found = found.sought(sought)
    for column in ("type", "environment"):
        if value := getattr(asked, column):
            found = found.filter(**{column: value})
    return found
