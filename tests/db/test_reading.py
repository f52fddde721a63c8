"""keys/reading.py: the SELECT of a check, past Django's cursor."""

from datetime import datetime, timedelta

import psycopg
import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from keys import reading
from keys.models import Key
from projects.models import Project
from tests.factories import IssuedFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(project: Project, at: datetime) -> Key:
    key: Key = IssuedFactory(project=project, at=at - timedelta(days=1)).key
    Key.objects.filter(pk=key.pk).update(paused_at=at, networks="10.0.0.0/8")
    return key


def test_it_reads_what_the_model_s_own_columns_say(key: Key) -> None:
    row = reading.read(key.key_id)
    assert row is not None
    (expected,) = Key.objects.filter(pk=key.pk).values_list(*reading.COLUMNS)
    assert tuple(row) == expected
    assert reading.read("000000000000") is None


def test_who_watches_django_s_queries_sees_it_and_it_reads_the_same(key: Key) -> None:
    with CaptureQueriesContext(connection) as seen:
        watched = reading.read(key.key_id)
    assert len(seen) == 1
    assert watched == reading.read(key.key_id)


def test_it_knows_nothing_of_a_project_that_is_deleted(key: Key, project: Project, at: datetime) -> None:
    Project.objects.filter(pk=project.pk).update(deleted_at=at)
    assert reading.read(key.key_id) is None


def test_it_reads_one_row_by_an_index(key: Key) -> None:
    sql = reading.statement(connection.vendor, "%s")
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", ["0" * 12])
        else:
            # It would rather read so small a table whole.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {sql}", ["0" * 12])
        plan = " ".join(str(row) for row in cursor.fetchall())
    assert "SCAN" not in plan.replace("Index Scan", "").upper(), plan


def test_its_errors_are_django_s(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "statement", lambda _vendor, _mark: "SELECT nothing FROM nowhere")
    with pytest.raises(DatabaseError), transaction.atomic():
        reading.read(key.key_id)


# SQLite's connections don't break, and it prepares anew what a migration has changed: there both only read.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("between_requests", [True, False])
def test_a_broken_connection_is_replaced_before_a_request_and_an_error_within_one(
    key: Key, between_requests: bool
) -> None:
    reading.read(key.key_id)
    if connection.vendor == "postgresql":
        connection.close_if_unusable_or_obsolete()
        connection.health_check_done = not between_requests  # type: ignore[attr-defined]
        connection.connection.close()
        if not between_requests:
            # The gate answers it by one more try on a new connection.
            with pytest.raises((OperationalError, InterfaceError)):
                reading.read(key.key_id)
            connection.close()
    assert reading.read(key.key_id) is not None


@pytest.mark.django_db(transaction=True)
def test_a_column_of_another_type_is_as_a_broken_connection(key: Key) -> None:
    reading.read(key.key_id)
    if connection.vendor == "postgresql":
        alter("name TYPE text")
        try:
            with pytest.raises(OperationalError):
                reading.read(key.key_id)
            connection.close()
            assert reading.read(key.key_id) is not None
        finally:
            alter("name TYPE varchar(100)")
            connection.close()
    assert reading.read(key.key_id) is not None


def alter(column: str) -> None:
    """As a migration on another machine does: not on this connection."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as other:
        other.execute(f"ALTER TABLE keys_key ALTER COLUMN {column}")
