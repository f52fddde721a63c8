"""SQL that is built once from the models, and from then on only run.

Building a statement anew takes the ORM ten times as long as SQLite takes to run it. What every verb and every
page runs is built at its first use and remembered: from the models and querysets, so that it can't drift from
them. It runs on Django's own cursor, in whatever transaction is open.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet, Value
from django.db.models.sql import InsertQuery

_BY_NUMBER: Final = re.compile(r"ORDER BY (?:.*, )?\d")

M = TypeVar("M", bound=Model)
Row = Sequence[Any]


class Given(Value):
    """Stands in a queryset for a value that is known only when its statement runs."""

    def __init__(self, place: int) -> None:
        super().__init__(None)
        self.place = place

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


class Select(Generic[M]):
    """A SELECT that is built once for each database.

    `build` gets a `Given` in the place of each value (`values` says how many there are) and returns the
    queryset. The values are numbers, texts, days and times.
    """

    def __init__(self, build: Callable[..., QuerySet[M, Any]], values: int = 1) -> None:
        self._build, self._given = build, [Given(place) for place in range(values)]
        self._plans: dict[str, _Plan] = {}

    def rows(self, *values: Any) -> list[Row]:
        """Return the rows of a queryset with `values_list`. One query."""
        return self._plan().rows(values)

    def objects(self, *values: Any) -> list[M]:
        """Return the objects of a queryset, with those that it selects along. One query."""
        return self._plan().objects(values)

    def first(self, *values: Any) -> M | None:
        """Return the first of the objects, None where there is none. One query."""
        found = self.objects(*values)
        return found[0] if found else None

    def _plan(self) -> "_Plan":
        plan = self._plans.get(connection.vendor)
        if plan is None:
            plan = self._plans[connection.vendor] = _Plan.of(self._build(*self._given))
        return plan


@dataclass(frozen=True, slots=True)
class _Part:
    """The columns of a row that make one object; `link` leads to it from the first."""

    model: type[Model]
    names: Sequence[str]
    start: int
    end: int
    number: int
    link: Any = None

    @classmethod
    def all_of(cls, queryset: QuerySet[Any, Any], columns: Sequence[Any]) -> "list[_Part]":
        """Return what a queryset selects: its own objects, and those along with them."""
        own, along = queryset.model, queryset.query.select_related
        links = map(own._meta.get_field, along) if isinstance(along, dict) else []
        return [cls.of(own, columns), *(cls.of(link.related_model, columns, link) for link in links)]

    @classmethod
    def of(cls, model: Any, columns: Sequence[Any], link: Any = None) -> "_Part":
        places = [place for place, column in enumerate(columns) if column.target.model is model]
        names = [columns[place].target.attname for place in places]
        start = places[0]
        if names != [field.attname for field in model._meta.concrete_fields]:
            raise RuntimeError(
                f"This SELECT has other columns of {model.__name__} than it has fields: {names}"
            )
        return cls(model, names, start, start + len(names), start + names.index(model._meta.pk.attname), link)

    def made(self, row: Row) -> Any:
        """Return the object; None where an outer join found none."""
        if row[self.number] is None:
            return None
        return self.model.from_db(connection.alias, self.names, row[self.start : self.end])

    def joined(self, first: Any, row: Row) -> None:
        """Let the first object of a row know this one."""
        other = self.made(row)
        self.link.set_cached_value(first, other)
        if other is not None and self.link.one_to_one:
            self.link.remote_field.set_cached_value(other, first)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A compiled SELECT, and what becomes of its rows."""

    sql: str
    parameters: Sequence[Any]
    converters: Sequence[tuple[int, Callable[[Any], Any]]]
    parts: Sequence[_Part]

    @classmethod
    def of(cls, queryset: QuerySet[Any, Any]) -> "_Plan":
        compiler = queryset.query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        columns = [column for column, *_ in compiler.select]
        parts = [] if queryset.query.values_select else _Part.all_of(queryset, columns)
        converters = _converters(compiler.get_converters(columns))
        if connection.vendor == "sqlite":
            sql = _untyped(sql, compiler.select)
        return cls(sql, parameters, converters, parts)

    def rows(self, values: Sequence[Any]) -> list[Row]:
        given = [
            _adapted(values[each.place]) if isinstance(each, Given) else each for each in self.parameters
        ]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, given)
            found: list[Row] = cursor.fetchall()
        return self._converted(found) if self.converters else found

    def objects(self, values: Sequence[Any]) -> list[Any]:
        found, (own, *along) = [], self.parts
        for row in self.rows(values):
            first = own.made(row)
            for part in along:
                part.joined(first, row)
            found.append(first)
        return found

    def _converted(self, rows: Iterable[Row]) -> list[Row]:
        found: list[Row] = []
        for row in rows:
            values = list(row)
            for place, convert in self.converters:
                if values[place] is not None:
                    values[place] = convert(values[place])
            found.append(values)
        return found


def _adapted(value: Any) -> Any:
    """Return a value as the database takes it."""
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return connection.ops.adapt_datefield_value(value) if isinstance(value, date) else value


def _untyped(sql: str, select: Sequence[Any]) -> str:
    """Return the SELECT with an expression in the place of each column.

    SQLite's driver looks up the type of a column for each row, and parses times in Python. Only where nothing
    is sorted by the number of a column: an index doesn't have that of the expression.
    """
    quoted = connection.ops.quote_name
    columns = [f"{column} AS {quoted(alias)}" if alias else column for _, (column, _), alias in select]
    if ", ".join(columns) not in sql or _BY_NUMBER.search(sql):
        raise RuntimeError(f"This SELECT can't be read without the types of its columns: {sql}")
    return sql.replace(", ".join(columns), ", ".join(f"+{column}" for column in columns), 1)


def _converters(chains: Any) -> list[tuple[int, Callable[[Any], Any]]]:
    """Return what turns a column's value into Python's, by its place; NULL stays None."""
    converters = []
    for place, (chain, column) in chains.items():
        quick = _QUICK.get(column.output_field.get_internal_type()) if connection.vendor == "sqlite" else None
        converters.append((place, quick or _chained(chain, column)))
    return converters


def _chained(chain: Sequence[Any], column: Any) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        for each in chain:
            value = each(value, column, connection)
        return value

    return convert


@lru_cache(maxsize=4096)
def moment_of(text: str) -> datetime:
    """Return a time of SQLite's, where Django stores it in UTC without saying so."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# SQLite keeps these as texts and numbers; Django's own ways take most of the time of reading a list.
_QUICK: Final[dict[str, Callable[[Any], Any]]] = {
    "DateTimeField": moment_of,
    "DateField": lru_cache(maxsize=4096)(date.fromisoformat),
    "BooleanField": bool,
}


_inserts: dict[tuple[str, type[Model]], tuple[str, list[Any]]] = {}


def insert(row: Model) -> None:
    """Insert a new row as `save(force_insert=True)` does, without signals. One query.

    Every value is given by Python: a default of the database is not asked for.
    """
    model = type(row)
    known = _inserts.get((connection.vendor, model))
    if known is None:
        known = _inserts[connection.vendor, model] = _built(row)
    sql, fields = known
    values = [field.get_db_prep_save(field.pre_save(row, True), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        if row.pk is None:
            row.pk = cursor.fetchone()[0]
    row._state.adding, row._state.db = False, connection.alias


def _built(row: Model) -> tuple[str, list[Any]]:
    """Return the INSERT of a model, and the fields in the order of its values."""
    numbered = row._meta.auto_field
    fields = [field for field in row._meta.local_concrete_fields if field is not numbered]
    query = InsertQuery(type(row))
    query.insert_values(fields, [row])
    compiler = query.get_compiler(connection=connection)
    compiler.returning_fields = [numbered] if numbered else None
    ((sql, parameters),) = compiler.as_sql()
    if len(parameters) != len(fields):
        raise RuntimeError(f"This INSERT has other parameters than its columns: {sql}")
    return sql, fields
