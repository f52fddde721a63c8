"""Which keys `keys list` means, read page by page: however many there are, it holds one page of them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from django.core.management.base import CommandError

from keys.management.commands._keys import exits
from keys.management.commands._keys.arguments import REVOKED
from keys.models import Key
from keys.querysets import LAST_REVOKED_FIRST, NEWEST_FIRST, SORTS, KeyQuerySet
from keys.search import read
from projects.models import Channel, Project
from projects.querysets import Page, page

_AT_ONCE: Final = 500


def pages(project: Project, asked: Any, at: datetime) -> Iterator[Page[Key]]:
    """Return the pages asked for; `has_next` of the last one says whether the limit cut the list short.

    Raises CommandError where there is no such channel.
    """
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
    return found.filter(channel=channel_of(project, asked.channel)) if asked.channel else found


def channel_of(project: Project, slug: str) -> Channel:
    """Return the project's channel of this slug, a closed one too. Raises CommandError. One query."""
    channel: Channel | None = project.channels.filter(slug=slug).first()
    if channel is None:
        raise CommandError(f"There is no channel “{slug}” in {project.slug}.", returncode=exits.REFUSED)
    return channel
