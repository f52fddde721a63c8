"""A page of keys however many there are: read from indexes, never sorted or counted as a whole.

What few keys match (up to a thousand) is fetched by its numbers, counted and sorted here. What more match is
read in the order of an index until the page is full.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
from typing import Any, Final

from django.db import connection

from keys.models import Key
from keys.querysets import NEWEST_FIRST, SORTS, KeyQuerySet, Shelf
from keys.search import ByKey, ByName, Nothing, Sought, is_key_id
from keys.search_index import found, is_prefix, planned, walked
from projects.models import Project, User
from projects.names import fold
from projects.querysets import PAGE_SIZE, Built, Order, Page, page, turned

COUNTED_AT_MOST: Final = 1000
LIVING: Final = (Shelf.KEYS, Shelf.AGENTS)
# What few keys have is found by their state; of many, only in the order that the state's own index has.
_ORDERS_OF_STATES: Final = {"expired": SORTS["-expires"], "expires_soon": SORTS["expires"]}
_INDEXES_OF_STATES: Final = {
    "paused": "key_paused", "unconfirmed": "key_unconfirmed", "expired": "", "expires_soon": "",
}  # fmt: skip
# So many at a time are looked at where a filter may leave some of them out.
_AT_ONCE: Final = 200
_BY_TIME: Final = ("created_at", "last_used_at")

Narrow = Callable[[KeyQuerySet], KeyQuerySet]


@dataclass(frozen=True)
class Set:
    """Keys of one shelf that a list shows. Their queryset is built only where it is asked for.

    `named` are the numbers of the newest that have the name that is searched for, once they were looked up.
    """

    shelf: Shelf
    build: Callable[[], KeyQuerySet]
    named: list[int] = field(default_factory=list)

    @cached_property
    def keys(self) -> KeyQuerySet:
        return self.build()

    def but(self, narrow: Narrow) -> "Set":
        """Return the same set with a filter put on."""
        return Set(self.shelf, lambda: narrow(self.keys))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which keys of one project a list shows.

    `visible` are those that somebody may see, where these aren't all. `revoked` is the second table. `narrow`
    puts the filters on; `by` leaves keys whose secret a person has seen.
    """

    project: Project
    at: datetime
    visible: KeyQuerySet | None = None
    shelves: Sequence[Shelf] = LIVING
    revoked: bool = False
    sought: Sought | None = None
    status: str = ""
    narrow: Narrow | None = None
    by: User | None = None

    @property
    def base(self) -> KeyQuerySet:
        return Key.objects.of(self.project) if self.visible is None else self.visible

    @property
    def is_filtered(self) -> bool:
        return bool(self.status or self.narrow or self.by)

    @property
    def is_whole(self) -> bool:
        """Whether nothing but a search leaves out keys of a shelf."""
        return self.visible is None and not (self.revoked or self.is_filtered)

    @property
    def is_narrowed(self) -> bool:
        return self.sought is not None or self.is_filtered

    def sets(self) -> list[Set]:
        """Return the sets of keys that make up the list, which have none in common."""
        sets = [each for shelf in self.shelves for each in self._of(shelf)]
        if self.narrow:
            sets = [each.but(self.narrow) for each in sets]
        by = self.by
        if by is None:
            return sets
        shown = self._shown(by)
        made = [each.but(lambda keys: keys.made_by(by)) for each in sets]
        others = [each.but(lambda keys: keys.made_by_others(by).numbered(shown)) for each in sets if shown]
        return made + others

    def built(self, order: Order) -> list[Built[Key]]:
        """Return the same sets where nothing narrows them, with queries that are built once."""
        pk, at, sets = self.project.pk, self.at, list[Built[Key]]()
        for shelf in self.shelves:
            if self.revoked:
                sets.append(Built(_over(shelf.ended, order.column), (pk, at)))
            else:
                sets.append(Built(_listed(shelf, order.column), (pk,)))
                sets.append(Built(_being_replaced(shelf.ended), (pk, at)))
        return sets

    def _shown(self, by: User) -> list[int]:
        """Return the numbers of the keys whose secret somebody was shown. Two queries."""
        ids = [each["object_id"] for each in KeyQuerySet.shown_to(by, self.project).distinct()]
        known = Key.objects.filter(key_id__in=ids) if ids else Key.objects.none()
        return list(known.values_list("pk", flat=True))

    def _of(self, shelf: Shelf) -> list[Set]:
        ended = shelf.ended
        if self.revoked:
            return [Set(ended, lambda: self.base.on(ended).over(self.at))]
        if self.status:
            # A key that is being replaced has a state that no filter asks for.
            return [Set(shelf, lambda: self.base.on(shelf).with_status(self.status, self.at))]
        return [
            Set(shelf, lambda: self.base.on(shelf)),
            Set(ended, lambda: self.base.on(ended).rotating(self.at)),
        ]


@dataclass(frozen=True, slots=True)
class Found:
    """A page of keys, in which order it came, and how many there are in all: None where nobody asked.

    `capped` says that there are more than that.
    """

    page: Page[Key]
    order: Order
    count: int | None = None
    capped: bool = False


def find(
    wanted: Wanted,
    order: Order,
    *,
    after: Key | None = None,
    before: Key | None = None,
    size: int = PAGE_SIZE,
) -> Found:
    """Return the page of the wanted keys that follows `after`, or precedes `before`, or else the first.

    More than a thousand that a search finds, or that are paused or not confirmed, come newest first; so many
    that have expired or will soon by their expiry, unless the names are in order. No index has another.
    """
    edges = _Edges(after, before, size)
    if not wanted.is_narrowed and not order.through:
        read: Sequence[Any] = (
            wanted.built(order)
            if wanted.visible is None
            else [_read(wanted, each.shelf, each.keys, order) for each in wanted.sets()]
        )
        return Found(page(read, order, after=after, before=before, size=size), order)
    sets = wanted.sets()
    few = _Few.of(wanted, sets)
    if few.pks is not None:
        return Found(few.page(wanted.base, order, edges), order, len(few.pks))
    order = _indexed(wanted, order)
    shown = _many(wanted, sets, order, edges)
    if not (isinstance(wanted.sought, ByName) and wanted.is_filtered):
        return Found(shown, order, COUNTED_AT_MOST, capped=True)
    # Many have the name, and many are left by the filters; nobody knows how many are both.
    return Found(shown, order, len(shown.rows), capped=shown.has_next or shown.has_previous)


@dataclass(frozen=True, slots=True)
class _Edges:
    after: Key | None
    before: Key | None
    size: int

    @property
    def edge(self) -> Key | None:
        return self.before if self.before is not None else self.after


@dataclass(frozen=True, slots=True)
class _Few:
    """The keys of a list, by their numbers, if there are not more than a thousand; else None."""

    pks: list[int] | None = None

    @classmethod
    def of(cls, wanted: Wanted, sets: Sequence[Set]) -> "_Few":
        pks: list[int] = []
        for each in sets:
            left = COUNTED_AT_MOST + 1 - len(pks)
            meant = _meant(wanted, each, left)
            if meant is None:
                return cls()
            pks += meant if isinstance(meant, list) else _counted(wanted, each.shelf, meant, left)
            if len(pks) > COUNTED_AT_MOST:
                return cls()
        return cls(pks)

    def page(self, base: KeyQuerySet, order: Order, edges: _Edges) -> Page[Key]:
        """Return a page of them. One query."""
        keys = _next(base, Key.objects.all().numbered(self.pks), order, edges) if self.pks else []
        return turned(keys, edges.size, edge=edges.edge is not None, reverse=edges.before is not None)


def _next(base: KeyQuerySet, few: KeyQuerySet, order: Order, edges: _Edges) -> list[Key]:
    """Return those of a few keys that are on a page, nearest to the edge first, and one more. One query.

    Which these are is a query of its own inside it: nothing else is read of the others.
    """
    reverse = edges.before is not None
    if edges.edge is not None:
        few = few.filter(order.past(edges.edge, reverse=reverse))
    chosen = order.applied(few, reverse=reverse).values("pk")[: edges.size + 1]
    found = base.filter(pk__in=chosen).read_from("")
    return sorted(found, key=order.place, reverse=order.descending is not reverse)


def _meant(wanted: Wanted, each: Set, most: int) -> KeyQuerySet | list[int] | None:
    """Return those of a set that a search means, or their numbers; None where they are too many for that."""
    sought, shelf = wanted.sought, each.shelf
    if sought is None:
        return _state(wanted, shelf, each.keys)
    if isinstance(sought, Nothing):
        return Key.objects.none()
    if isinstance(sought, ByKey):
        pks = _known_by(sought)
        return each.keys.numbered(pks) if pks else Key.objects.none()
    term = fold(sought.text)
    if _is_rotating(wanted, shelf):
        return walked(each.keys, term)
    # Beside the revoked keys a few are found that are only being replaced: close to a thousand, “1,000+” may
    # be said of a little less.
    pks = found(wanted.base, wanted.project.pk, shelf, term, most)
    each.named.extend(pks)
    if len(pks) == most:
        # Too many have it in their names; perhaps the filters leave few.
        if not wanted.is_filtered:
            return None
        pks = _counted(wanted, shelf, _state(wanted, shelf, each.keys), most)
        return walked(each.keys.numbered(pks), term) if len(pks) < most else None
    if is_key_id(sought.text):
        pks += Key.objects.filter(key_id=sought.text).values_list("pk", flat=True)
    elif connection.vendor == "postgresql" and wanted.is_whole:
        # Read from the keys themselves, and not from an index beside them.
        return pks
    return each.keys.numbered(pks) if pks else Key.objects.none()


def _counted(wanted: Wanted, shelf: Shelf, keys: KeyQuerySet, most: int) -> list[int]:
    """Return the numbers of at most so many of these keys. One query.

    The newest of a state first: of the oldest that were never confirmed, most have expired meanwhile.
    """
    ordered = ("-created_at", "-pk") if _INDEXES_OF_STATES.get(wanted.status) else ()
    without: list[str] = []
    if wanted.sought is None and not _is_rotating(wanted, shelf):
        # Else PostgreSQL may begin with the table, and step over all that the filter leaves out.
        without = ["bitmapscan", "seqscan"]
        if not wanted.status and connection.vendor == "postgresql":
            # This order leads it to the index that each filter has.
            ordered = ("created_at", "pk")
            without.append("sort")
    numbers = keys.order_by(*ordered).values_list("pk", flat=True)
    with planned(*without):
        return list(numbers[:most])


def _known_by(sought: ByKey) -> list[int]:
    """Return the numbers of the keys that a token, a part of one or a preview may mean. One query.

    By the key id alone, which has an index: beside a project's, the planner might take that one.
    """
    keys = Key.objects.filter(key_id__gte=sought.start, key_id__lt=sought.end)
    if sought.last4:
        keys = keys.filter(last4=sought.last4)
    return list(keys.order_by("key_id").values_list("pk", flat=True)[:COUNTED_AT_MOST])


def _indexed(wanted: Wanted, order: Order) -> Order:
    """Return the order in which more than a thousand come."""
    if isinstance(wanted.sought, ByName):
        return SORTS[NEWEST_FIRST]
    if _INDEXES_OF_STATES.get(wanted.status) and order.column != "created_at":
        return SORTS[NEWEST_FIRST]
    state = _ORDERS_OF_STATES.get(wanted.status)
    return state if state and order.column in _BY_TIME else order


def _many(wanted: Wanted, sets: Sequence[Set], order: Order, edges: _Edges) -> Page[Key]:
    """Return a page of very many: in the order of an index, until it is full."""
    sought, term = wanted.sought, ""
    if isinstance(sought, ByName):
        term = fold(sought.text)
        # A state's own index has fewer keys than the search index has of a common word.
        if (
            connection.vendor == "sqlite"
            and not is_prefix(term)
            and not _INDEXES_OF_STATES.get(wanted.status)
        ):
            shown = _nearest(wanted, sets, order, edges, term)
            if shown is not None:
                return shown
    read: list[KeyQuerySet | list[Key]] = []
    for each in sets:
        shelf, keys = each.shelf, walked(each.keys, term) if term else each.keys
        if _is_rotating(wanted, shelf):
            # Before PostgreSQL is told how to plan the others: these few it should sort.
            read.append(_next(wanted.base, _rotating(shelf, keys), order, edges))
        else:
            read.append(_read(wanted, shelf, keys, order))
    with planned("bitmapscan", "seqscan", "sort"):
        return page(read, order, after=edges.after, before=edges.before, size=edges.size)


def _nearest(wanted: Wanted, sets: Sequence[Set], order: Order, edges: _Edges, term: str) -> Page[Key] | None:
    """Return a page of those that SQLite's search index has next to the edge; None where it isn't full."""
    beyond, up = edges.edge.pk if edges.edge else 0, edges.before is not None
    # One more than the page has, unless a filter leaves some of them out.
    many = _AT_ONCE if wanted.is_filtered else edges.size + 1
    read, short = [], False
    for each in sets:
        shelf = each.shelf
        if _is_rotating(wanted, shelf):
            read.append(_read(wanted, shelf, walked(each.keys, term), order))
            continue
        pks = each.named[:many] if edges.edge is None else []
        if len(pks) < many:
            pks = found(wanted.base, wanted.project.pk, shelf, term, many, beyond=beyond, up=up)
        short |= len(pks) == many
        read.append(each.keys.numbered(pks))
    shown = page(read, order, after=edges.after, before=edges.before, size=edges.size)
    full = shown.has_previous if up else shown.has_next
    return shown if full or not short else None


def _read(wanted: Wanted, shelf: Shelf, keys: KeyQuerySet, order: Order) -> KeyQuerySet:
    """Let SQLite read the keys from the index that has this order; PostgreSQL has `planned`."""
    if _is_rotating(wanted, shelf):
        return _rotating(shelf, keys)
    if order.through:
        return keys.read_from("")
    if order.column == "created_at":
        if index := _INDEXES_OF_STATES.get(wanted.status):
            # Of few keys, whatever else they must be.
            return keys.read_from(index)
        if (wanted.narrow or wanted.by) and wanted.sought is None:
            # Each filter has an index in this order.
            return keys
    return keys.read_from(shelf.index(order.column))


@cache
def _listed(shelf: Shelf, column: str) -> Callable[[Any], KeyQuerySet]:
    return lambda project: Key.objects.of(project).on(shelf).read_from(shelf.index(column))


@cache
def _over(shelf: Shelf, column: str) -> Callable[[Any, Any], KeyQuerySet]:
    return lambda project, at: Key.objects.of(project).on(shelf).over(at).read_from(shelf.index(column))


@cache
def _being_replaced(shelf: Shelf) -> Callable[[Any, Any], KeyQuerySet]:
    return lambda project, at: _rotating(shelf, Key.objects.of(project).on(shelf).rotating(at))


def _rotating(shelf: Shelf, keys: KeyQuerySet) -> KeyQuerySet:
    """Let SQLite begin with when they end: there are few."""
    return keys.read_from(shelf.index("revoked_at"))


def _state(wanted: Wanted, shelf: Shelf, keys: KeyQuerySet) -> KeyQuerySet:
    """Let SQLite find the keys of a state by the index of that state; other filters have theirs."""
    if wanted.by is not None or wanted.status not in _INDEXES_OF_STATES:
        return keys
    index = _INDEXES_OF_STATES[wanted.status]
    return keys.read_from(index or shelf.index("expires_at"))


def _is_rotating(wanted: Wanted, shelf: Shelf) -> bool:
    return not wanted.revoked and shelf in (Shelf.ENDED_KEYS, Shelf.ENDED_AGENTS)
