"""Pages by cursor: a row value finds its place in the index, however far down the list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import BooleanField, CharField, F, Func, Model, QuerySet, Value
from django.db.models.expressions import Combinable

PAGE_SIZE = 50

M = TypeVar("M", bound=Model)


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


class _Compare(Func):
    template = "%(expressions)s"
    output_field = BooleanField()


@dataclass(frozen=True, slots=True)
class Order:
    """A sort: a column that is never NULL, and its direction. `tie`, as unique as a key, breaks ties.

    Both may be of another table: `through` names the relation to it, which has a `project` of its own.
    An index of that table then finds the place and gives the order.
    """

    column: str
    descending: bool = True
    through: str = ""
    tie: str = "pk"

    def applied(self, queryset: QuerySet[M], *, reverse: bool = False) -> QuerySet[M]:
        """Return the queryset in this order, or in its reverse."""
        if self.through:
            queryset = queryset.filter(**{f"{self.through}__project": F("project")})
        sign = "-" if self.descending is not reverse else ""
        return queryset.order_by(*(f"{sign}{name}" for name in self._names()))

    def past(self, row: Model, *, reverse: bool = False) -> _Compare:
        """The condition for rows that come after `row` (before it, when reversed)."""
        joiner = " < " if self.descending is not reverse else " > "
        place = Row(*(F(name) for name in self._names()))
        return _Compare(place, Row(*self._values(row)), arg_joiner=joiner)

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
    rows = list(order.applied(queryset, reverse=reverse)[: size + 1])
    more = len(rows) > size
    rows = rows[:size]
    if reverse:
        return Page(rows[::-1], has_previous=more, has_next=True)
    return Page(rows, has_previous=edge is not None, has_next=more)
