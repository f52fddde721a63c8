"""The one SELECT of a check, on Django's own connection past its cursor, which costs more than the query.

Its text is compiled once from the queryset, so that it can't drift from the models. It runs in autocommit
and its rows are all fetched: nothing stays open that would show an older state to the next check.
"""

import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, cast
from weakref import WeakKeyDictionary
from zlib import crc32

import psycopg
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, DateTimeField, TextField
from django.db.models.functions import Cast
from psycopg import Connection
from psycopg.abc import Buffer
from psycopg.adapt import Transformer
from psycopg.errors import FeatureNotSupported, InvalidSqlStatementName, error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

from keys.models import Key
from projects.statements import moment_of

Row = Sequence[Any]

COLUMNS: Final = (
    "secret_hash", "revoked_at", "revoked_by_label", "paused_at",
    "id", "key_id", "name", "type", "environment", "scopes",
    "project_id", "project__slug", "project__name", "created_at", "expires_at", "channel__slug",
    "networks", "rate",
)  # fmt: skip
_NUMBERS: Final = ("id", "project_id")
_TIMES: Final = [
    place
    for place, name in enumerate(COLUMNS)
    if "__" not in name and isinstance(Key._meta.get_field(name), DateTimeField)
]


def read(key_id: str) -> Row | None:
    """Return the COLUMNS of the key with this id in a project that isn't deleted, or None. One query.

    Raises Django's database errors. Whoever watches Django's queries (tests that count them, wrappers)
    gets to see this one too: it then goes through Django's cursor. DEBUG alone doesn't: asking for that
    setting at each check takes as long as a tenth of the query.
    """
    connection = own_connection()
    if connection.force_debug_cursor or connection.execute_wrappers:
        rows = _by_django(connection, key_id)
    else:
        # As Django's cursor does first: one that has broken between two requests is replaced.
        connection.close_if_health_check_failed()
        if connection.connection is None:
            connection.ensure_connection()
        rows = _DIRECTLY[connection.vendor](connection, key_id)
    if not rows:
        return None
    return _with_times(rows[0]) if connection.vendor == "sqlite" else rows[0]


def own_connection() -> Any:
    """Return this thread's connection to the database, as Django has it: finding it there takes ten times as
    long.
    """
    try:
        return _of_thread.connection
    except AttributeError:
        _of_thread.connection = connections["default"]
        return _of_thread.connection


class _OfThread(threading.local):
    connection: Any


_of_thread: Final = _OfThread()


def _by_django(connection: BaseDatabaseWrapper, key_id: str) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(statement(connection.vendor, "%s"), [key_id])
        found: list[Row] = cursor.fetchall()
    return found


def _from_sqlite(connection: Any, key_id: str) -> list[Row]:
    try:
        found: list[Row] = connection.connection.execute(statement("sqlite", "?"), (key_id,)).fetchall()
    except connection.Database.Error:
        # As Django's own errors.
        with connection.wrap_database_errors:
            raise
    return found


def _from_postgresql(connection: Any, key_id: str) -> list[Row]:
    """Ask libpq itself, with binary results: psycopg's cursor takes as long again as the query."""
    driver: Connection = connection.connection
    with connection.wrap_database_errors:
        result = _executed(driver, statement("postgresql", "$1"), [key_id.encode()])
        if result.status == ExecStatus.TUPLES_OK:
            transformer = Transformer(driver)
            transformer.set_pgresult(result)
            return cast("list[Row]", transformer.load_rows(0, result.ntuples, tuple))
        error = error_from_result(result)
        if driver.closed or isinstance(error, _OUTDATED):
            # A new connection has nothing prepared: as after any other that broke.
            raise psycopg.OperationalError(str(error)) from error
        raise error


def _executed(driver: Connection, sql: str, parameters: list[Buffer]) -> PGresult:
    """Return the result: prepared on this connection, unless KEYRACK_PREPARED_STATEMENTS is off."""
    if driver.prepare_threshold is None:
        return driver.pgconn.exec_params(sql.encode(), [*parameters], result_format=Format.BINARY)
    name = _name(sql)
    known = _prepared.setdefault(driver, set())
    if name not in known:
        result = driver.pgconn.prepare(name, sql.encode())
        if result.status != ExecStatus.COMMAND_OK:
            return result
        known.add(name)
    return driver.pgconn.exec_prepared(name, parameters, result_format=Format.BINARY)


@cache
def _name(sql: str) -> bytes:
    return b"keyrack_%08x" % crc32(sql.encode())


# What is prepared on each connection.
_prepared: Final[WeakKeyDictionary[Connection, set[bytes]]] = WeakKeyDictionary()
# A migration gave a column another type while this process ran, and PostgreSQL refuses what was prepared
# before it; or somebody discarded all that was prepared.
_OUTDATED: Final = (FeatureNotSupported, InvalidSqlStatementName)


_DIRECTLY: Final[dict[str, Callable[[Any, str], list[Row]]]] = {
    "sqlite": _from_sqlite,
    "postgresql": _from_postgresql,
}


@cache
def statement(vendor: str, mark: str) -> str:
    """Return the SELECT, with `mark` where the key id goes.

    SQLite stores times as texts, and takes them as such from here: they are read in `_with_times`. Of a
    column as such its driver looks up the type for each row, of an expression it doesn't.
    """
    columns: list[Any] = list(COLUMNS)
    if vendor == "sqlite":
        columns = [Cast(name, BigIntegerField() if name in _NUMBERS else TextField()) for name in COLUMNS]
    query = Key.objects.filter(key_id="placeholder", project__deleted_at=None)
    compiled, parameters = query.values_list(*columns).query.sql_with_params()
    if parameters != ("placeholder",):
        raise RuntimeError(f"The check's SELECT has other parameters than the key id: {parameters}")
    return compiled % mark


def _with_times(row: Row) -> Row:
    values = list(row)
    for place in _TIMES:
        if values[place] is not None:
            values[place] = moment_of(values[place])
    return values
