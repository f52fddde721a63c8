"""How the tables are emptied between tests that commit: the triggers refuse it otherwise.

A plugin of pytest: `tests/conftest.py` names it in `pytest_plugins`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase

from projects import triggers


@pytest.fixture(scope="session", autouse=True)
def _emptying() -> Iterator[None]:
    """Let Django empty the tables in less time than it takes itself."""

    def empty(_case: TransactionTestCase) -> None:
        connection = connections["default"]
        if _may_pass_triggers_by(connection):
            _delete_rows(connection)
        else:
            with triggers.lifted(connection):
                # Without the signal that has Django make permissions for every model, which nobody asks for
                # here, and which takes two thirds of the time.
                call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
        ContentType.objects.clear_cache()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty)
        yield


def _may_pass_triggers_by(connection: BaseDatabaseWrapper) -> bool:
    """Say whether this is PostgreSQL, and its superuser's as in the cluster that the tests start."""
    if connection.vendor != "postgresql":
        return False
    connection.ensure_connection()
    postgresql: Any = connection.connection
    return bool(postgresql.info.parameter_status("is_superuser") == "on")


def _delete_rows(connection: BaseDatabaseWrapper) -> None:
    """Delete the rows of the few tables that have any. TRUNCATE makes each of a hundred files anew."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        names = {table: connection.ops.quote_name(table) for table in tables}
        cursor.execute(
            " UNION ALL ".join(f"(SELECT '{table}' FROM {name} LIMIT 1)" for table, name in names.items())
        )
        # For this transaction: neither the product's triggers nor those of foreign keys.
        filled = [table for (table,) in cursor.fetchall()]
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table in filled:
            cursor.execute(f"DELETE FROM {names[table]}")
