"""Pages by cursor: a row value finds its place in the index, however far down the list."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import merge
from typing import Any, Final, Generic, Self, TypeVar

from django.db import connection, connections
from django.db.models import BooleanField, CharField, F, Func, Model, Q, QuerySet, Value
from django.db.models.base import ModelState
from django.db.models.expressions import Combinable
from django.db.models.sql.datastructures import BaseTable

from projects.statements import Select

PAGE_SIZE = 50

M = TypeVar("M", bound=Model)
Rows = TypeVar("Rows", bound="QuerySet[Any]")


class Quick(Model):
    """A model of which a page reads many rows: each becomes an object in a fifth of the time.

    As Django makes it, but without asking each field. So it has no `__init__` of its own, no field that must
    see what is assigned to it, and no receiver of `pre_init` and `post_init`.
    """

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, db: str | None, field_names: Iterable[str], values: Iterable[Any], **_: Any) -> Self:
        made = cls.__new__(cls)
        vars(made).update(zip(field_names, values, strict=False))
        made._state = ModelState()
        made._state.adding, made._state.db = False, db
        return made


class Row(Func):
    """`(a, b)`: Django's own tuple look-up compiles to a slow OR on SQLite."""

    template = "(%(expressions)s)"
    arg_joiner = ", "


class Topic(Func):
    """What a verb of the audit log is about, its part before the dot: `key` of `key.revoked`.

    An index holds it (`AuditEvent`), so its SQL has no parameters: SQLite would not know it again.
    """

    template = "split_part(%(expressions)s, '.', 1)"
    output_field = CharField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "substr(%(expressions)s, 1, instr(%(expressions)s, '.') - 1)"
        return self.as_sql(compiler, connection, template=template, **context)


class Compare(Func):
    """A condition: two rows with an operator between them (`arg_joiner`)."""

    template = "%(expressions)s"
    output_field = BooleanField()


class _ReadFrom(BaseTable):
    """A table that SQLite must read from one index, or (without one) by its numbers alone.

    SQLite knows no statistics, and without being told it chooses badly.
    """

    def __init__(self, table_name: str, alias: str | None, index: str) -> None:
        super().__init__(table_name, alias)
        self.index = index

    def relabeled_clone(self, change_map: Any) -> "_ReadFrom":
        alias = change_map.get(self.table_alias, self.table_alias)
        return _ReadFrom(self.table_name, alias, self.index)

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        sql, parameters = super().as_sql(compiler, connection)
        if connection.vendor != "sqlite":
            return sql, parameters
        way = f"INDEXED BY {connection.ops.quote_name(self.index)}" if self.index else "NOT INDEXED"
        return f"{sql} {way}", parameters


def read_from(queryset: Rows, index: str = "") -> Rows:
    """Let SQLite read the rows of this queryset from one index, or without one by their numbers alone.

    The queryset is changed, and returned. PostgreSQL plans as it likes.
    """
    alias = str(queryset.query.get_initial_alias())
    table = queryset.query.alias_map[alias]
    queryset.query.alias_map[alias] = _ReadFrom(table.table_name, table.table_alias, index)
    return queryset


@dataclass(frozen=True, slots=True)
class Order:
    """A sort: a column that is never NULL, and its direction. `tie`, as unique as a key, breaks ties.

    Both may be of another table: `through` names the relation to it, which has a `project` of its own.
    An index of that table then finds the place and gives the order.
    `shared` says that very many rows have the same value, such as keys that never expire.
    """

    column: str
    descending: bool = True
    through: str = ""
    tie: str = "pk"
    shared: bool = False

    def applied(self, queryset: QuerySet[M], *, reverse: bool = False) -> QuerySet[M]:
        """Return the queryset in this order, or in its reverse."""
        if self.through:
            queryset = queryset.filter(**{f"{self.through}__project": F("project")})
        sign = "-" if self.descending is not reverse else ""
        return queryset.order_by(*(f"{sign}{name}" for name in self._names()))

    def past(self, row: Model, *, reverse: bool = False) -> Compare:
        """The condition for rows that come after `row` (before it, when reversed)."""
        return self.past_place(self._values(row), reverse=reverse)

    def past_place(self, place: tuple[Any, Any], *, reverse: bool = False) -> Compare:
        """The same condition for a place: two expressions, such as values that are given later."""
        joiner = " < " if self.descending is not reverse else " > "
        return Compare(Row(*(F(name) for name in self._names())), Row(*place), arg_joiner=joiner)

    def parts(self, place: tuple[Any, Any], *, reverse: bool = False) -> list[Q]:
        """The same condition in two: for rows that share the place's value, and for those after them all.

        SQLite seeks by the first column of a row value alone, and would step over all that share it.
        """
        first, tie = self._names()
        value, number = place
        way = "lt" if self.descending is not reverse else "gt"
        return [Q(**{first: value, f"{tie}__{way}": number}), Q(**{f"{first}__{way}": value})]

    def place(self, row: Model) -> tuple[Any, Any]:
        """Return where the row stands, as something to sort by in Python: as the database does."""
        holder: Any = getattr(row, self.through) if self.through else row
        return getattr(holder, self.column), getattr(holder, self.tie)

    @property
    def columns(self) -> tuple[str, str]:
        """What a row is sorted by, as the ORM names it."""
        first, second = self._names()
        return first, second

    def _names(self) -> list[str]:
        prefix = f"{self.through}__" if self.through else ""
        return [f"{prefix}{self.column}", f"{prefix}{self.tie}"]

    def _values(self, row: Model) -> tuple[Combinable, Combinable]:
        holder: Any = getattr(row, self.through) if self.through else row
        field = holder._meta.get_field(self.column)
        tie = getattr(holder, self.tie)
        return Value(getattr(holder, self.column), output_field=field), Value(tie)


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """At most one page of rows, and whether there are more on either side."""

    rows: Sequence[M]
    has_previous: bool
    has_next: bool


def page(
    found: QuerySet[M] | Sequence["QuerySet[M] | Built[M] | list[M]"],
    order: Order,
    *,
    after: M | None = None,
    before: M | None = None,
    size: int = PAGE_SIZE,
) -> Page[M]:
    """Return the page that follows `after`, or precedes `before`, or else the first. One query for each set,
    or two (`following`).

    `found` is one set of rows, or several that have none in common: each is read from an index of its own,
    and they are merged here. What is built once (`Built`) takes a fraction of the time. It reads one row more
    than it returns, to know whether there is a next page, and counts nothing.
    """
    reverse = before is not None
    edge = before if before is not None else after
    sets = [found] if isinstance(found, QuerySet) else found
    read: list[list[M]] = []
    until: M | None = None
    for each in sets:
        rows = each if isinstance(each, list) else following(each, order, edge, size + 1, reverse, until)
        read.append(rows)
        if len(rows) > size:
            # Of another set, nothing that comes after this is on the page.
            until = rows[size]
    rows = read[0] if len(read) == 1 else _merged(read, order, reverse)[: size + 1]
    return turned(rows, size, edge=edge is not None, reverse=reverse)


@dataclass(frozen=True, slots=True)
class Built(Generic[M]):
    """A set of rows whose queries are built once, each for an order and a way to go, and then only run.

    `build` is a function that stays the same one: it gets a `Given` for each of the `values`.
    """

    build: Callable[..., QuerySet[M]]
    values: tuple[Any, ...]

    def next(self, order: Order, edge: M | None, size: int, reverse: bool, until: M | None = None) -> list[M]:
        """Return so many rows, next to the edge first. As many queries as `following`."""
        values = [*self.values, *(order.place(until) if until is not None else ())]
        how = len(self.values), order, reverse, size, until is not None
        if edge is None:
            return _select(self.build, *how, None).objects(*values)
        in_parts = order.shared and connection.vendor == "sqlite"
        rows: list[M] = []
        for part in (0, 1) if in_parts else (_WHOLE,):
            if len(rows) < size:
                rows += _select(self.build, *how, part).objects(*values, *order.place(edge))
        return rows[:size]


_WHOLE: Final = 2


@cache
def _select(
    build: Callable[..., QuerySet[M]],
    many: int,
    order: Order,
    reverse: bool,
    size: int,
    bounded: bool,
    part: int | None,
) -> Select[M]:
    """Return the SELECT of what follows a place, or a `part` of that (`Order.parts`); None is for all.

    It gets the `many` values of `build`, then the place that it goes to where it is `bounded`, then that one.
    """
    before = many + 2 * bounded

    def built(*given: Any) -> QuerySet[M]:
        queryset, place = build(*given[:many]), given[before:]
        if bounded:
            queryset = queryset.filter(order.past_place(given[many:before], reverse=not reverse))
        if part == _WHOLE:
            queryset = queryset.filter(order.past_place(place, reverse=reverse))
        elif part is not None:
            queryset = queryset.filter(order.parts(place, reverse=reverse)[part])
        return order.applied(queryset, reverse=reverse)[:size]

    return Select(built, before if part is None else before + 2)


def following(
    queryset: "QuerySet[M] | Built[M]",
    order: Order,
    edge: M | None,
    size: int,
    reverse: bool,
    until: M | None = None,
) -> list[M]:
    """Return so many rows of one set, next to the edge first, none of them beyond `until`.

    One query; on SQLite, where very many share a value, two.
    """
    if isinstance(queryset, Built):
        return queryset.next(order, edge, size, reverse, until)
    if until is not None:
        queryset = queryset.filter(order.past(until, reverse=not reverse))
    if edge is None:
        return list(order.applied(queryset, reverse=reverse)[:size])
    if order.shared and connections[queryset.db].vendor == "sqlite":
        rows: list[M] = []
        for part in order.parts(order.place(edge), reverse=reverse):
            if len(rows) < size:
                rows += order.applied(queryset.filter(part), reverse=reverse)[: size - len(rows)]
        return rows
    return list(order.applied(queryset.filter(order.past(edge, reverse=reverse)), reverse=reverse)[:size])


def turned(rows: Sequence[M], size: int, *, edge: bool, reverse: bool) -> Page[M]:
    """Return the page of these rows, which are one more than `size` where there are others behind them."""
    more, rows = len(rows) > size, rows[:size]
    if reverse:
        return Page(rows[::-1], has_previous=more, has_next=True)
    return Page(rows, has_previous=edge, has_next=more)


def _merged(read: Sequence[Sequence[M]], order: Order, reverse: bool) -> list[M]:
    return list(merge(*read, key=order.place, reverse=order.descending is not reverse))
