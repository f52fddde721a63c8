"""Pages by cursor: a row value finds its place in the index, however far down the list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import BooleanField, F, Func, Model, QuerySet, Value
from django.db.models.expressions import Combinable

PAGE_SIZE = 50

M = TypeVar("M", bound=Model)


class Row(Func):
    """`(a, b)`: Django's own tuple look-up compiles to a slow OR on SQLite."""

    template = "(%(expressions)s)"
    arg_joiner = ", "


class _Compare(Func):
    template = "%(expressions)s"
    output_field = BooleanField()


@dataclass(frozen=True, slots=True)
class Order:
    """A sort: a column that is never NULL, and its direction. The primary key breaks ties."""

    column: str
    descending: bool = True

    def by(self, *, reverse: bool = False) -> list[str]:
        sign = "-" if self.descending is not reverse else ""
        return [f"{sign}{self.column}", f"{sign}pk"]

    def past(self, row: Model, *, reverse: bool = False) -> _Compare:
        """The condition for rows that come after `row` (before it, when reversed)."""
        joiner = " < " if self.descending is not reverse else " > "
        return _Compare(Row(F(self.column), F("pk")), Row(*self._values(row)), arg_joiner=joiner)

    def _values(self, row: Model) -> tuple[Combinable, Combinable]:
        holder: Any = row
        *path, name = self.column.split("__")
        for part in path:
            holder = getattr(holder, part)
        field = holder._meta.get_field(name)
        return Value(getattr(holder, name), output_field=field), Value(row.pk)


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """At most one page of rows, and whether there are more on either side."""

    rows: Sequence[M]
    has_previous: bool
    has_next: bool


def page(
    queryset: QuerySet[M],
    order: Order,
    *,
    after: M | None = None,
    before: M | None = None,
    size: int = PAGE_SIZE,
) -> Page[M]:
    """Return the page that follows `after`, or precedes `before`, or else the first. One query.

    It reads one row more than it returns, to know whether there is a next page, and counts nothing.
    """
    reverse = before is not None
    edge = before if before is not None else after
    if edge is not None:
        queryset = queryset.filter(order.past(edge, reverse=reverse))
    rows = list(queryset.order_by(*order.by(reverse=reverse))[: size + 1])
    more = len(rows) > size
    rows = rows[:size]
    if reverse:
        return Page(rows[::-1], has_previous=more, has_next=True)
    return Page(rows, has_previous=edge is not None, has_next=more)
