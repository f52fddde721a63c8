"""A project's channels, and the keys of one: page by page, as the console shows them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Count, Model, QuerySet

from keys.models import Key
from keys.querysets import NEWEST_FIRST, SORTS, KeyQuerySet
from keys.rows import Row
from projects.audit import Actor
from projects.models import SLUG_LENGTH, Channel, Project
from projects.querysets import Order, page

BY_NAME: Final = Order("name_folded", descending=False)
# The slug of a channel, or a key id: what an address may name as a place in a list.
_PLACE: Final = re.compile(rf"[0-9A-Za-z-]{{1,{SLUG_LENGTH}}}")
_GONE: Final = "This page of the list isn't there any more. Here is its beginning."

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """One row of the table of channels; `keys` are those that haven't been revoked."""

    slug: str
    name: str
    kind: str
    keys: int


@dataclass(frozen=True, slots=True)
class Listed(Generic[R]):
    """One page of a table, the queries of its links, and what is wrong with the address that asked for it."""

    rows: Sequence[R]
    previous: str
    next: str
    turned: bool
    problem: str = ""


def channels_of(project: Project, params: Mapping[str, str], at: datetime) -> Listed[ChannelRow]:
    """Return a page of the project's open channels, by name. Two queries, and one for a place in the list."""
    known = Channel.objects.filter(project=project)
    shown = _listed(Channel.objects.of(project), known, BY_NAME, "slug", params)
    counts = _counts(shown.rows, at)
    rows = [
        ChannelRow(each.slug, each.name, each.get_kind_display(), counts.get(each.pk, 0))
        for each in shown.rows
    ]
    return Listed(rows, shown.previous, shown.next, shown.turned, shown.problem)


def keys_of(channel: Channel, params: Mapping[str, str], actor: Actor, at: datetime) -> Listed[Row]:
    """Return a page of the channel's keys that haven't been revoked, newest first. One query, or two."""
    known = Key.objects.filter(channel=channel).select_related("activity", "channel")
    shown = _listed(known.listed(at), known, SORTS[NEWEST_FIRST], "key_id", params)
    rows = [Row.of(key, actor, at) for key in shown.rows]
    return Listed(rows, shown.previous, shown.next, shown.turned, shown.problem)


def count_keys(channel: Channel, at: datetime) -> int:
    """Return how many keys of the channel haven't been revoked. One query."""
    return _living([channel], at).count()


def next_key(channel: Channel, key: Key, at: datetime) -> str:
    """Return the id of the key whose row follows, "" after the last. One query."""
    rows = page(_living([channel], at), SORTS[NEWEST_FIRST], after=key, size=1).rows
    return rows[0].key_id if rows else ""


def next_channel(channel: Channel) -> str:
    """Return the slug of the channel whose row follows, "" after the last. One query."""
    rows = page(Channel.objects.of(channel.project), BY_NAME, after=channel, size=1).rows
    return rows[0].slug if rows else ""


def _living(channels: Iterable[Channel], at: datetime) -> KeyQuerySet:
    return Key.objects.filter(channel__in=channels).listed(at)


def _counts(channels: Sequence[Channel], at: datetime) -> dict[int, int]:
    return dict(_living(channels, at).order_by().values_list("channel").annotate(Count("pk")))


def _listed(
    found: QuerySet[Any], known: QuerySet[Any], order: Order, place: str, params: Mapping[str, str]
) -> Listed[Any]:
    """Return the page of `found` that follows or precedes a row of `known`; else the first, and says why.

    `place` is the column by which the address names a row. A row that has ended is a place still.
    """
    given = {name: params[name] for name in ("after", "before") if params.get(name)}
    edges: dict[str, Model | None] = {
        name: known.filter(**{place: text}).first() if _PLACE.fullmatch(text) else None
        for name, text in given.items()
    }
    lost = None in edges.values() or len(edges) > 1
    if lost:
        edges = {}
    shown = page(found, order, after=edges.get("after"), before=edges.get("before"))
    if given and not shown.rows:
        # What stood on this page has ended since: the list isn't empty, its end has moved.
        shown = page(found, order)
    rows = shown.rows
    back = urlencode({"before": getattr(rows[0], place)}) if rows and shown.has_previous else ""
    on = urlencode({"after": getattr(rows[-1], place)}) if rows and shown.has_next else ""
    return Listed(rows, back, on, turned=bool(given), problem=_GONE if lost else "")
