"""Writing past the guards: what somebody could do who owns the database, but not the audit key."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from projects import triggers


@contextmanager
def guards_lifted() -> Iterator[None]:
    """Take the triggers off inside the test's transaction."""
    # PostgreSQL drops no trigger of a table whose deferred constraints are still to be checked.
    connection.check_constraints()
    with triggers.lifted(connection):
        yield
        connection.check_constraints()


def execute(sql: str, *parameters: str | int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
