"""An upgrade from the first release's tables: its rows, its triggers and its audit log come through whole.

The database is one of its own: made by the first migrations, filled as that release filled it, guarded by
the triggers that it knew, and then migrated to the newest.
"""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, transaction
from django.db.migrations.executor import MigrationExecutor

from keys import lifecycle, reading, tokens
from keys.drafts import Draft, Edit
from keys.kinds import NEVER_EXPIRES, NEVER_USED, KeyType
from keys.models import IssueNonce, Key, KeyActivity
from keys.tokens import Token
from keys.verification import Outcome, check
from projects import audit, triggers
from projects.audit import Actor
from projects.models import AuditEvent, Membership, Project, Role, User
from projects.triggers import Guard

pytestmark = pytest.mark.django_db(transaction=True)

FIRST: Final = [("projects", "0001_people_projects_and_the_audit_log"), ("keys", "0001_keys")]
DAY: Final = timedelta(days=1)
# The triggers of the first release; one of them has learnt of channels since.
FIRST_GUARDS: Final = (
    "keyrack_audit_no_update", "keyrack_audit_no_delete", "keyrack_chain_no_delete", "keyrack_chain_forward",
    "keyrack_project_no_delete", "keyrack_project_slug", "keyrack_project_stays_deleted",
    "keyrack_key_stays_revoked", "keyrack_key_identity", "keyrack_key_no_delete",
    "keyrack_activity_no_delete",
)  # fmt: skip
FIRST_IDENTITY: Final = (
    "NEW.key_id <> OLD.key_id OR NEW.project_id <> OLD.project_id OR NEW.type <> OLD.type"
    " OR NEW.environment <> OLD.environment OR NEW.created_at <> OLD.created_at"
)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Work on another database of the same server, or in another file.

    Over a connection of its own: a migration that fails leaves one in no state to go on with.
    """
    own = connections["default"]
    other = own.copy()
    other.settings_dict["NAME"] = name
    connections["default"] = other
    try:
        # A check remembers which connection is its thread's.
        with patch.object(reading, "own_connection", lambda: other):
            yield
    finally:
        other.close()
        connections["default"] = own


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[None]:
    """A database without tables, in the place of the tests' own; gone afterwards."""
    if connection.vendor == "sqlite":
        with _named(str(tmp_path / "first.sqlite3")):
            yield
        return
    name = f"keyrack_first_{uuid.uuid4().hex[:12]}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        with _named(name):
            yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True)
class First:
    """What stood in the database of the first release."""

    rows: dict[str, list[dict[str, Any]]]
    head: tuple[int, str]
    good: Token
    revoked: Token


TABLES: Final = (
    "projects_user", "projects_project", "projects_membership", "projects_resource", "projects_auditchain",
    "projects_auditevent", "keys_key", "keys_keyactivity", "keys_issuenonce",
)  # fmt: skip


def rows() -> dict[str, list[dict[str, Any]]]:
    found = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT * FROM {table} ORDER BY 1")
            names = [column[0] for column in cursor.description]
            found[table] = [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()]
    return found


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def first_guards() -> Iterator[Guard]:
    for guard in triggers.GUARDS:
        if guard.name in FIRST_GUARDS:
            old = guard.name == "keyrack_key_identity"
            yield replace(guard, when=FIRST_IDENTITY) if old else guard


@pytest.fixture
def first(empty: None, at: datetime, monkeypatch: pytest.MonkeyPatch) -> First:
    """Keyrack's first tables, with a project that was in use."""
    for app, name in FIRST:
        call_command("migrate", app, name, verbosity=0)
    # Migrating has installed today's, which speak of columns that aren't there yet.
    triggers.remove(connection)
    good, revoked = tokens.generate("live"), tokens.generate("live")
    fill(MigrationExecutor(connection).loader.project_state(FIRST).apps, at, good, revoked)
    guards = tuple(first_guards())
    with monkeypatch.context() as patch:
        patch.setattr(triggers, "GUARDS", guards)
        patch.setattr(triggers, "_GUARDED_TABLES", tuple(dict.fromkeys(guard.table for guard in guards)))
        patch.setattr(triggers, "_KEEPERS", {})
        triggers.install(connection)
        assert triggers.installed(connection) == triggers.expected(connection)
    project = AuditEvent.objects.values_list("project_id", flat=True)[0]
    return First(rows(), audit.head(project), good, revoked)


def fill(apps: Any, at: datetime, good: Token, revoked: Token) -> None:
    """Write as the first release did, through the models that it had."""
    made = at - 10 * DAY
    user = apps.get_model("projects", "User").objects.create(
        email="mara@example.test", name="Mara Lindqvist", password="!", date_joined=made
    )
    apps.get_model("projects", "User").objects.create(
        email="jonas@example.test", name="Jonas Weber", password="!", date_joined=made
    )
    project = apps.get_model("projects", "Project").objects.create(name="Acme", slug="acme", created_at=made)
    apps.get_model("projects", "Membership").objects.create(project=project, user=user, role=40)
    apps.get_model("projects", "Resource").objects.create(
        project=project, name="sources", label="Sources", actions=["read", "write"]
    )
    mara = Actor("person", str(user.pk), "Mara Lindqvist", Role.OWNER)
    secrets = {
        "Automator Key": (tokens.generate("live"), {"type": "system", "sealed": b"sealed"}),
        "Docs crawler": (good, {"type": "restricted", "scopes": "sources:read", "created_by_id": user.pk}),
        "Old sync": (
            revoked,
            {"type": "viewer", "revoked_at": at - DAY, "revoked_by_label": "Mara Lindqvist",
             "revoked_reason": "Left the team", "note": "Two\nlines", "created_by_id": user.pk},
        ),
    }  # fmt: skip
    with audit.log(project.pk, mara, made) as log:
        log.record("project.created", "project", "acme", "Acme", name="Acme")
        for name, (token, given) in secrets.items():
            key = apps.get_model("keys", "Key").objects.create(
                project=project, key_id=token.key_id, name=name, name_folded=name.casefold(),
                environment="live", secret_hash=tokens.hash_secret(token.secret), last4=token.last4,
                created_at=made, created_by_label="Mara Lindqvist", confirmed_at=made,
                expires_at=NEVER_EXPIRES, **given,
            )  # fmt: skip
            apps.get_model("keys", "KeyActivity").objects.create(
                key=key, project=project, last_used_at=NEVER_USED
            )
            apps.get_model("keys", "IssueNonce").objects.create(
                project=project, digest=token.key_id, key=key, created_at=made
            )
            log.record("key.issued", "key", token.key_id, name, type=given["type"], expires_at=None)
        log.record("key.revoked", "key", revoked.key_id, "Old sync", reason="Left the team")


@pytest.fixture
def upgraded(first: First) -> First:
    call_command("migrate", verbosity=0)
    return first


def test_the_first_release_s_guards_were_at_work(first: First) -> None:
    """Else the upgrade would have nothing to lift and nothing to keep."""
    with pytest.raises(IntegrityError, match="A revoked key never comes back"), transaction.atomic():
        _execute("UPDATE keys_key SET revoked_at = NULL WHERE revoked_at IS NOT NULL")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        _execute("DELETE FROM projects_auditevent")
    assert rows() == first.rows


def test_every_row_is_as_it_was(upgraded: First) -> None:
    now = rows()
    assert [len(now[table]) for table in TABLES] == [2, 1, 1, 1, 1, 5, 3, 3, 3]
    for table, before in upgraded.rows.items():
        kept = [{name: row[name] for name in old} for row, old in zip(now[table], before, strict=True)]
        assert kept == before, table


def test_what_the_new_columns_say_is_true_of_the_old_rows(upgraded: First) -> None:
    for key in Key.objects.all():
        assert (key.channel, key.holder, key.holder_folded) == (None, "", "")
        key.validate_constraints()
    project = Project.objects.get()
    assert not project.private_upstreams
    assert not project.require_second_factor
    public_ids = set(User.objects.values_list("public_id", flat=True))
    assert len(public_ids) == 2
    assert all(re.fullmatch("[0-9A-Za-z]{12}", each) for each in public_ids)
    assert (Membership.objects.count(), KeyActivity.objects.count(), IssueNonce.objects.count()) == (1, 3, 3)


def test_every_trigger_stands_and_bites(upgraded: First) -> None:
    assert triggers.installed(connection) == triggers.expected(connection)
    for message, sql in (
        ("A revoked key never comes back", "UPDATE keys_key SET revoked_at = NULL"),
        ("A key keeps its id", "UPDATE keys_key SET holder_folded = 'x' WHERE type = 'restricted'"),
        ("append-only", "UPDATE projects_auditevent SET verb = 'x'"),
        ("A key's row stays", "DELETE FROM keys_key"),
        ("A project keeps its slug", "UPDATE projects_project SET slug = 'other'"),
    ):
        with pytest.raises(IntegrityError, match=message), transaction.atomic():
            _execute(sql)


def test_the_audit_log_is_proved_and_grows_on(upgraded: First, at: datetime) -> None:
    project = Project.objects.get()
    assert audit.head(project.pk) == upgraded.head
    assert audit.verify(project.pk, upgraded.head) == []
    key = Key.objects.get(name="Docs crawler")
    lifecycle.edit(project, key.key_id, Edit(note="Upgraded."), actor=Actor.system(), at=at, version=1)
    assert audit.verify(project.pk, upgraded.head) == []
    assert audit.head(project.pk)[0] == upgraded.head[0] + 1


def test_tokens_go_on_as_before_and_new_types_are_issued(upgraded: First, at: datetime) -> None:
    assert check(upgraded.good.text, at=at, project="acme", scopes=["sources:read"]).is_valid
    assert check(upgraded.revoked.text, at=at).outcome is Outcome.REVOKED
    draft = Draft("Release agent", KeyType.AGENT, ["sources:read"])
    issued = lifecycle.issue(Project.objects.get(), draft, actor=Actor.system(), at=at)
    assert check(issued.token, at=at).is_valid
    assert issued.key.expires_at == at + 90 * DAY


def test_a_second_migrate_changes_nothing(upgraded: First) -> None:
    before = rows()
    call_command("migrate", verbosity=0)
    assert rows() == before
    assert triggers.installed(connection) == triggers.expected(connection)


def _execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
