import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keys.models import Key
from projects import triggers


@pytest.mark.django_db
def test_all_triggers_stand_in_the_database() -> None:
    assert triggers.installed(connection) == triggers.expected(connection)
    assert len(triggers.expected(connection)) == {"sqlite": 22, "postgresql": 28}[connection.vendor]


@pytest.mark.django_db
def test_they_are_the_only_ones_and_none_is_switched_off() -> None:
    listing = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'",
    }
    with connection.cursor() as cursor:
        cursor.execute(listing[connection.vendor])
        assert {name for (name,) in cursor.fetchall()} == triggers.expected(connection)


@pytest.mark.django_db
def test_installing_them_twice_changes_nothing() -> None:
    triggers.install(connection)
    assert triggers.installed(connection) == triggers.expected(connection)


@pytest.mark.django_db(transaction=True)
def test_installing_them_leaves_no_gap_for_a_server_that_runs() -> None:
    with CaptureQueriesContext(connection) as queries:
        triggers.install(connection)
    said = [query["sql"] for query in queries]
    if connection.vendor == "sqlite":
        begins, ends = said.index("BEGIN IMMEDIATE"), said.index("COMMIT")
        assert all(begins < place < ends for place, sql in enumerate(said) if "TRIGGER" in sql)
    else:
        assert not any(sql.startswith("DROP") for sql in said)


def test_each_is_of_a_table_that_exists() -> None:
    tables = {model._meta.db_table for model in apps.get_models()}
    assert {guard.table for guard in triggers.GUARDS} <= tables
    assert len({guard.name for guard in triggers.GUARDS}) == len(triggers.GUARDS)


@pytest.mark.django_db(transaction=True)
def test_migrate_puts_back_what_a_rebuilt_table_lost() -> None:
    if connection.vendor == "sqlite":
        with connection.schema_editor() as editor:
            editor._remake_table(Key)  # type: ignore[attr-defined]
    else:
        triggers.remove(connection)
    assert triggers.installed(connection) < triggers.expected(connection)
    call_command("migrate", verbosity=0)
    assert triggers.installed(connection) == triggers.expected(connection)


@pytest.mark.django_db
def test_sqlite_asks_them_when_a_row_is_replaced() -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA recursive_triggers")
            assert cursor.fetchone() == (1,)
