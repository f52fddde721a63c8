"""SQL that is built once from the models, and from then on only run.

Building a statement anew takes the ORM ten times as long as SQLite takes to run it. What every verb and every
page runs is built at its first use and remembered: from the models and querysets, so that it can't drift from
them. It runs on Django's own cursor, in whatever transaction is open.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.sql import InsertQuery

# Stand in the place of the parameters while a SELECT is built. No column holds one.
_MARKS: Final = (-7_000_001, -7_000_002)


class Select:
    """A SELECT of columns by one or two whole numbers, such as a project's.

    `build` gets as many numbers and returns the queryset, with `values_list`. Columns come as the database
    has them: only numbers and texts are the same on both.
    """

    def __init__(self, build: Callable[..., QuerySet[Any, Any]], numbers: int = 1) -> None:
        self._build, self._marks = build, _MARKS[:numbers]
        self._sql: dict[str, str] = {}

    def rows(self, *numbers: int) -> list[Sequence[Any]]:
        """Return the rows. One query."""
        vendor = connection.vendor
        if vendor not in self._sql:
            self._sql[vendor] = self._built()
        with connection.cursor() as cursor:
            cursor.execute(self._sql[vendor], numbers)
            found: list[Sequence[Any]] = cursor.fetchall()
        return found

    def _built(self) -> str:
        compiled, parameters = self._build(*self._marks).query.get_compiler(connection=connection).as_sql()
        if tuple(parameters) != self._marks:
            raise RuntimeError(f"This SELECT has other parameters than its own: {parameters}")
        return str(compiled)


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
