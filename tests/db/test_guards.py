"""What the database refuses, whoever writes: by the ORM's bulk calls, and by SQL typed at a prompt."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F, ProtectedError

from keys import lifecycle
from keys.kinds import KeyType
from keys.models import Key, KeyActivity, ProviderKey, Upstream
from projects.audit import Actor
from projects.models import AuditChain, AuditEvent, Channel, Invitation, Membership, Project
from projects.triggers import GUARDS
from tests.db.tampering import execute
from tests.db.watching import everything
from tests.factories import ChannelFactory, IssuedFactory, ProjectFactory

pytestmark = pytest.mark.django_db

SQLITE, POSTGRESQL = "sqlite", "postgresql"


@dataclass(frozen=True)
class Rows:
    """What the statements are aimed at: `{project}`, `{gone}`, `{living}`, … in their text."""

    project: int
    gone: int
    living: int
    revoked: int
    scheduled: int
    system: int
    event: int
    agent: int
    held: int
    channel: int
    closed: int
    elsewhere: int
    provider: int
    other_provider: int
    upstream: int
    invited: int
    joined: int
    taken_back: int


@pytest.fixture
def rows(project: Project, at: datetime) -> Rows:
    gone = ProjectFactory(slug="gone")
    gone.deleted_at = at
    gone.save(update_fields=["deleted_at"])
    revoked = IssuedFactory(project=project, at=at - timedelta(days=1)).key
    lifecycle.revoke(project, revoked.key_id, actor=Actor.system(), at=at)
    scheduled = IssuedFactory(project=project, at=at).key
    Key.objects.filter(pk=scheduled.pk).update(revoked_at=at + timedelta(days=1))
    rows = Rows(
        project.pk,
        gone.pk,
        IssuedFactory(project=project, at=at).key.pk,
        revoked.pk,
        scheduled.pk,
        project.keys.get(type=KeyType.SYSTEM).pk,
        AuditEvent.objects.filter(project_id=project.pk).latest("number").pk,
        IssuedFactory(project=project, at=at, type=KeyType.AGENT).key.pk,
        _held(project, at).pk,
        project.channels.get(slug="support").pk,
        ChannelFactory(project=project, slug="closed", closed_at=at).pk,
        ChannelFactory(slug="elsewhere").pk,
        _provider_key(project, "0" * 12).pk,
        _provider_key(gone, "1" * 12).pk,
        Upstream.objects.create(project=project, slug="openai").pk,
        _invitation(project, "ines@example.test", at).pk,
        _invitation(project, "otto@example.test", at, accepted_at=at).pk,
        _invitation(project, "anna@example.test", at, revoked_at=at).pk,
    )
    # Else PostgreSQL answers to TRUNCATE that deferred constraints are still to be checked.
    connection.check_constraints()
    return rows


def _invitation(project: Project, email: str, at: datetime, **fields: Any) -> Invitation:
    given = {"role": 10, "token_hash": email, "invited_by_label": "Mara", "expires_at": at} | fields
    invitation: Invitation = Invitation.objects.create(project=project, email=email, **given)
    return invitation


def _held(project: Project, at: datetime) -> Key:
    """A key of a channel, with its holder."""
    ChannelFactory(project=project, slug="support")
    held = {"type": KeyType.CHANNEL, "channel": "support", "holder": "Support desk"}
    key: Key = IssuedFactory(project=project, at=at, **held).key
    return key


def _provider_key(project: Project, public_id: str) -> ProviderKey:
    given = {"provider": "openai", "base_url": "https://api.example.test", "header": "Authorization"}
    return ProviderKey.objects.create(project=project, public_id=public_id, sealed=b"x", **given)


# Each statement, and the guard that stops it. `OR REPLACE` is SQLite's, TRUNCATE and MERGE are
# PostgreSQL's; what names no database is tried on both.
STATEMENTS: Final = [
    ("keyrack_audit_no_update", "", "UPDATE projects_auditevent SET verb = 'x'"),
    ("keyrack_audit_no_update", "", "UPDATE projects_auditevent SET mac = mac WHERE id = {event}"),
    ("keyrack_audit_no_update", "", "UPDATE projects_auditevent SET number = 99 WHERE id = {event}"),
    (
        "keyrack_audit_no_update", "",
        "INSERT INTO projects_auditevent SELECT * FROM projects_auditevent WHERE id = {event} "
        "ON CONFLICT (project_id, number) DO UPDATE SET verb = 'x'",
    ),
    ("keyrack_audit_no_update", SQLITE, "UPDATE OR REPLACE projects_auditevent SET number = 1"),
    ("keyrack_audit_no_delete", "", "DELETE FROM projects_auditevent"),
    ("keyrack_audit_no_delete", "", "DELETE FROM projects_auditevent WHERE id = {event}"),
    (
        "keyrack_audit_no_delete", SQLITE,
        "REPLACE INTO projects_auditevent SELECT * FROM projects_auditevent WHERE id = {event}",
    ),
    ("truncate", POSTGRESQL, "TRUNCATE projects_auditevent"),
    ("keyrack_chain_no_delete", "", "DELETE FROM projects_auditchain WHERE project_id = {project}"),
    (
        "keyrack_chain_no_delete", SQLITE,
        "INSERT OR REPLACE INTO projects_auditchain (project_id, number, mac) VALUES ({project}, 1, '')",
    ),
    ("truncate", POSTGRESQL, "TRUNCATE projects_auditchain"),
    ("keyrack_chain_forward", "", "UPDATE projects_auditchain SET number = number - 1"),
    ("keyrack_chain_forward", "", "UPDATE projects_auditchain SET number = number + 2"),
    ("keyrack_chain_forward", "", "UPDATE projects_auditchain SET mac = 'x'"),
    (
        "keyrack_chain_forward", "",
        "UPDATE projects_auditchain SET project_id = 99, number = number + 1 "
        "WHERE project_id = {project}",
    ),
    (
        "keyrack_chain_forward", "",
        "INSERT INTO projects_auditchain (project_id, number, mac) VALUES ({project}, 1, '') "
        "ON CONFLICT (project_id) DO UPDATE SET number = 1",
    ),
    ("keyrack_project_no_delete", "", "DELETE FROM projects_project WHERE id = {project}"),
    ("keyrack_project_no_delete", "", "DELETE FROM projects_project WHERE id = {gone}"),
    (
        "keyrack_project_no_delete", SQLITE,
        "REPLACE INTO projects_project SELECT * FROM projects_project WHERE id = {project}",
    ),
    ("truncate", POSTGRESQL, "TRUNCATE projects_project CASCADE"),
    ("keyrack_project_slug", "", "UPDATE projects_project SET slug = 'other' WHERE id = {project}"),
    ("keyrack_project_slug", "", "UPDATE projects_project SET slug = 'other' WHERE id = {gone}"),
    (
        "keyrack_project_stays_deleted", "",
        "UPDATE projects_project SET deleted_at = NULL WHERE id = {gone}",
    ),
    (
        "keyrack_project_stays_deleted", "",
        "UPDATE projects_project SET deleted_at = '2999-01-01 00:00:00' WHERE id = {gone}",
    ),
    ("keyrack_key_stays_revoked", "", "UPDATE keys_key SET revoked_at = NULL"),
    ("keyrack_key_stays_revoked", "", "UPDATE keys_key SET revoked_at = NULL WHERE id = {revoked}"),
    ("keyrack_key_stays_revoked", "", "UPDATE keys_key SET revoked_at = NULL WHERE id = {scheduled}"),
    (
        "keyrack_key_stays_revoked", "",
        "UPDATE keys_key SET revoked_at = '2999-01-01 00:00:00' WHERE id = {revoked}",
    ),
    (
        "keyrack_key_stays_revoked", "",
        "UPDATE keys_key SET revoked_at = '2999-01-01 00:00:00' WHERE id = {scheduled}",
    ),
    ("keyrack_key_stays_revoked", "", "UPDATE keys_key SET secret_hash = 'x' WHERE id = {revoked}"),
    (
        "keyrack_key_stays_revoked", "",
        "INSERT INTO keys_key SELECT * FROM keys_key WHERE id = {revoked} "
        "ON CONFLICT (id) DO UPDATE SET revoked_at = NULL",
    ),
    (
        "keyrack_key_stays_revoked", POSTGRESQL,
        "MERGE INTO keys_key k USING (SELECT {revoked} AS id) r ON k.id = r.id "
        "WHEN MATCHED THEN UPDATE SET revoked_at = NULL",
    ),
    (
        "keyrack_key_stays_revoked", POSTGRESQL,
        "WITH back AS (UPDATE keys_key SET revoked_at = NULL WHERE id = {revoked} RETURNING id) "
        "SELECT * FROM back",
    ),
    ("keyrack_key_identity", "", "UPDATE keys_key SET key_id = '000000000000' WHERE id = {living}"),
    ("keyrack_key_identity", "", "UPDATE keys_key SET project_id = {gone} WHERE id = {living}"),
    (
        "keyrack_key_identity", "",
        "UPDATE keys_key SET type = 'privileged', scopes = '' WHERE id = {living}",
    ),
    ("keyrack_key_identity", "", "UPDATE keys_key SET type = 'privileged' WHERE id = {system}"),
    ("keyrack_key_identity", "", "UPDATE keys_key SET environment = 'test' WHERE id = {living}"),
    (
        "keyrack_key_identity", "",
        "UPDATE keys_key SET created_at = '2001-01-01 00:00:00' WHERE id = {living}",
    ),
    ("keyrack_key_no_delete", "", "DELETE FROM keys_key"),
    ("keyrack_key_no_delete", "", "DELETE FROM keys_key WHERE id = {living}"),
    ("keyrack_key_no_delete", "", "DELETE FROM keys_key WHERE id = {revoked}"),
    ("keyrack_key_no_delete", "", "DELETE FROM keys_key WHERE id = {system}"),
    (
        "keyrack_key_no_delete", SQLITE,
        "REPLACE INTO keys_key SELECT * FROM keys_key WHERE id = {revoked}",
    ),
    (
        "keyrack_key_no_delete", SQLITE,
        "UPDATE OR REPLACE keys_key SET id = {revoked} WHERE id = {living}",
    ),
    (
        "keyrack_key_no_delete", POSTGRESQL,
        "MERGE INTO keys_key k USING (SELECT {revoked} AS id) r ON k.id = r.id "
        "WHEN MATCHED THEN DELETE",
    ),
    ("truncate", POSTGRESQL, "TRUNCATE keys_key CASCADE"),
    ("keyrack_activity_no_delete", "", "DELETE FROM keys_keyactivity"),
    (
        "keyrack_activity_no_delete", SQLITE,
        "REPLACE INTO keys_keyactivity SELECT * FROM keys_keyactivity WHERE key_id = {revoked}",
    ),
    ("truncate", POSTGRESQL, "TRUNCATE keys_keyactivity"),
    ("keyrack_key_identity", "", "UPDATE keys_key SET channel_id = {elsewhere} WHERE id = {held}"),
    ("keyrack_key_identity", "", "UPDATE keys_key SET holder_folded = 'x' WHERE id = {held}"),
    (
        "keyrack_key_agent_end", "",
        "UPDATE keys_key SET expires_at = '2999-01-01 00:00:00' WHERE id = {agent}",
    ),
    (
        "keyrack_key_agent_end", "",
        "UPDATE keys_key SET expires_at = '9999-12-31 00:00:00' WHERE type = 'agent'",
    ),
    (
        "keyrack_key_channel_is_open", "",
        "INSERT INTO keys_key (project_id, channel_id) VALUES ({project}, {closed})",
    ),
    (
        "keyrack_key_channel_is_open", "",
        "INSERT INTO keys_key (project_id, channel_id) VALUES ({project}, {elsewhere})",
    ),
    (
        "keyrack_channel_identity", "",
        "UPDATE projects_channel SET slug = 'other' WHERE id = {channel}",
    ),
    ("keyrack_channel_identity", "", "UPDATE projects_channel SET project_id = {gone} WHERE id = {channel}"),
    ("keyrack_channel_identity", "", "UPDATE projects_channel SET closed_at = NULL WHERE id = {closed}"),
    ("keyrack_channel_no_delete", "", "DELETE FROM projects_channel WHERE id = {channel}"),
    ("keyrack_channel_no_delete", "", "DELETE FROM projects_channel WHERE id = {closed}"),
    ("truncate", POSTGRESQL, "TRUNCATE projects_channel CASCADE"),
    (
        "keyrack_provider_key_identity", "",
        "UPDATE keys_providerkey SET public_id = '222222222222' WHERE id = {provider}",
    ),
    (
        "keyrack_provider_key_identity", "",
        "UPDATE keys_providerkey SET project_id = {gone} WHERE id = {provider}",
    ),
    ("truncate", POSTGRESQL, "TRUNCATE keys_providerkey CASCADE"),
    (
        "keyrack_upstream_made", "",
        "INSERT INTO keys_upstream (project_id, slug, provider_key_id, created_at, version) "
        "VALUES ({project}, 'mine', {other_provider}, '2026-01-01 00:00:00', 1)",
    ),
    (
        "keyrack_upstream_linked", "",
        "UPDATE keys_upstream SET provider_key_id = {other_provider} WHERE id = {upstream}",
    ),
    ("keyrack_upstream_linked", "", "UPDATE keys_upstream SET slug = 'other' WHERE id = {upstream}"),
    ("keyrack_upstream_linked", "", "UPDATE keys_upstream SET project_id = {gone} WHERE id = {upstream}"),
    ("truncate", POSTGRESQL, "TRUNCATE keys_upstream"),
    (
        "keyrack_invitation_stays_ended", "",
        "UPDATE projects_invitation SET accepted_at = NULL WHERE id = {joined}",
    ),
    (
        "keyrack_invitation_stays_ended", "",
        "UPDATE projects_invitation SET revoked_at = NULL WHERE id = {taken_back}",
    ),
    (
        "keyrack_invitation_stays_ended", "",
        "UPDATE projects_invitation SET token_hash = 'x' WHERE id = {joined}",
    ),
    (
        "keyrack_invitation_stays_ended", "",
        "UPDATE projects_invitation SET token_hash = 'x' WHERE id = {taken_back}",
    ),
    (
        "keyrack_invitation_stays_ended", "",
        "UPDATE projects_invitation SET email = 'x@example.test' WHERE id = {invited}",
    ),
    (
        "keyrack_invitation_stays_ended", "",
        "UPDATE projects_invitation SET project_id = {gone} WHERE id = {invited}",
    ),
    (
        "keyrack_invitation_stays_ended", "",
        "UPDATE projects_invitation SET public_id = '222222222222' WHERE id = {invited}",
    ),
    ("truncate", POSTGRESQL, "TRUNCATE projects_invitation"),
    # Not triggers, but constraints.
    ("invitation_role_known", "", "UPDATE projects_invitation SET role = 50 WHERE id = {invited}"),
    (
        "invitation_ends_one_way", "",
        "UPDATE projects_invitation SET revoked_at = accepted_at WHERE id = {joined}",
    ),
    ("key_system_is_protected", "", "UPDATE keys_key SET revoked_at = created_at WHERE id = {system}"),
    ("key_system_is_protected", "", "UPDATE keys_key SET paused_at = created_at WHERE id = {system}"),
    (
        "key_system_is_protected", "",
        "UPDATE keys_key SET expires_at = '2999-01-01 00:00:00' WHERE id = {system}",
    ),
    ("key_type_known", "", "UPDATE keys_key SET type = 'root' WHERE id = {living}"),
    ("key_environment_known", "", "UPDATE keys_key SET environment = 'prod' WHERE id = {living}"),
    ("key_expires_after_creation", "", "UPDATE keys_key SET expires_at = created_at WHERE id = {living}"),
    ("key_picks_scopes_where_it_must", "", "UPDATE keys_key SET scopes = '' WHERE id = {living}"),
    ("key_picks_scopes_where_it_must", "", "UPDATE keys_key SET scopes = 'a:b' WHERE id = {system}"),
    (
        "key_name_unique_while_living", "",
        "UPDATE keys_key SET name_folded = 'automator key' WHERE id = {living}",
    ),
    ("key_of_a_channel_has_a_holder", "", "UPDATE keys_key SET holder = 'x' WHERE id = {living}"),
    ("key_of_a_channel_has_a_holder", "", "UPDATE keys_key SET holder = '' WHERE id = {held}"),
    ("channel_kind_known", "", "UPDATE projects_channel SET kind = 'fax' WHERE id = {channel}"),
    (
        "provider_key_provider_known", "",
        "UPDATE keys_providerkey SET provider = 'nobody' WHERE id = {provider}",
    ),
    ("membership_role_known", "", "UPDATE projects_membership SET role = 50"),
]  # fmt: skip

# What an identity guard may answer first; either way nothing comes through.
_EITHER: Final = {"key_type_known": "keyrack_key_identity", "key_environment_known": "keyrack_key_identity"}
_MESSAGES: Final = {guard.name: guard.message for guard in GUARDS}


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize(("guard", "vendor", "sql"), STATEMENTS)
def test_sql_is_refused(rows: Rows, guard: str, vendor: str, sql: str) -> None:
    if vendor not in ("", connection.vendor):
        # The statement doesn't exist in this database: it must not even be understood.
        with pytest.raises(Exception, match="syntax error"), transaction.atomic():
            execute(sql.format(**vars(rows)))
        return
    before = everything()
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        execute(sql.format(**vars(rows)))
    assert everything() == before
    assert _said(guard) in str(refused.value) or _said(_EITHER.get(guard, "-")) in str(refused.value)


def _said(guard: str) -> str:
    if guard == "truncate":
        return "can't be emptied"
    if guard == "key_name_unique_while_living" and connection.vendor == SQLITE:
        return "UNIQUE constraint failed: keys_key.project_id, keys_key.name_folded"
    return _MESSAGES.get(guard, guard)


def test_every_guard_is_tried() -> None:
    assert {guard for guard, _, _ in STATEMENTS} >= {guard.name for guard in GUARDS}


def test_every_guarded_table_is_tried_to_be_truncated() -> None:
    emptied = {sql.split()[1] for guard, _, sql in STATEMENTS if guard == "truncate"}
    assert emptied == {guard.table for guard in GUARDS}


BULK_CALLS: dict[str, Callable[[Rows], object]] = {
    "bring a revoked key back": lambda rows: Key.objects.filter(pk=rows.revoked).update(revoked_at=None),
    "bring all back": lambda rows: Key.objects.update(revoked_at=None),
    "move a revocation later": lambda rows: Key.objects.filter(pk=rows.scheduled).update(
        revoked_at=F("revoked_at") + timedelta(seconds=1)
    ),
    "bring one back with bulk_update": lambda rows: Key.objects.bulk_update(
        [Key(pk=rows.revoked, revoked_at=None)], ["revoked_at"]
    ),
    "bring one back with save": lambda rows: _saved(Key.objects.get(pk=rows.revoked), revoked_at=None),
    "bring one back with an upsert": lambda rows: Key.objects.bulk_create(
        [_changed(Key.objects.get(pk=rows.revoked), revoked_at=None)],
        update_conflicts=True,
        unique_fields=["key_id"],
        update_fields=["revoked_at"],
    ),
    "give a revoked key a secret": lambda rows: Key.objects.filter(pk=rows.revoked).update(secret_hash="x"),
    "move a key to another project": lambda rows: Key.objects.filter(pk=rows.living).update(
        project=rows.gone
    ),
    "delete a key": lambda rows: Key.objects.get(pk=rows.living).delete(),
    "delete all keys": lambda rows: Key.objects.all().delete(),
    "revoke the Automator Key": lambda rows: Key.objects.filter(type=KeyType.SYSTEM).update(
        revoked_at=F("created_at")
    ),
    "revoke all keys": lambda rows: Key.objects.update(revoked_at=F("created_at")),
    "pause the Automator Key": lambda rows: Key.objects.filter(pk=rows.system).update(
        paused_at=F("created_at")
    ),
    "expire the Automator Key": lambda rows: Key.objects.filter(pk=rows.system).update(
        expires_at=F("created_at") + timedelta(days=1)
    ),
    "make the Automator Key another type": lambda rows: Key.objects.filter(pk=rows.system).update(
        type=KeyType.PRIVILEGED
    ),
    "delete the Automator Key": lambda rows: Key.objects.get(pk=rows.system).delete(),
    "make a second Automator Key": lambda rows: _saved(
        Key.objects.get(pk=rows.system), pk=None, key_id="0" * 12, name_folded="x"
    ),
    "delete a project": lambda rows: Project.objects.get(pk=rows.project).delete(),
    "delete projects": lambda rows: Project.objects.all().delete(),
    "give a project another slug": lambda rows: Project.objects.filter(pk=rows.project).update(slug="other"),
    "bring a deleted project back": lambda rows: Project.objects.filter(pk=rows.gone).update(deleted_at=None),
    "change an event": lambda rows: _saved(AuditEvent.objects.get(pk=rows.event), verb="x"),
    "change events": lambda rows: AuditEvent.objects.update(verb="x"),
    "delete an event": lambda rows: AuditEvent.objects.get(pk=rows.event).delete(),
    "delete events": lambda rows: AuditEvent.objects.all().delete(),
    "add an event twice": lambda rows: _saved(AuditEvent.objects.get(pk=rows.event), pk=None),
    "set a head back": lambda rows: AuditChain.objects.update(number=1),
    "delete a head": lambda rows: AuditChain.objects.filter(pk=rows.project).delete(),
    "issue into a closed channel": lambda rows: _copied(rows, channel_id=rows.closed),
    "issue into another project's channel": lambda rows: _copied(rows, channel_id=rows.elsewhere),
    "issue to a holder twice": lambda rows: _copied(rows),
    "extend an agent key": lambda rows: Key.objects.filter(type=KeyType.AGENT).update(
        expires_at=F("expires_at") + timedelta(days=1)
    ),
    "open a closed channel": lambda rows: Channel.objects.filter(pk=rows.closed).update(closed_at=None),
    "delete channels": lambda rows: Channel.objects.filter(pk=rows.closed).delete(),
    "invite somebody twice": lambda rows: _saved(
        Invitation.objects.get(pk=rows.invited), pk=None, public_id="0" * 12, token_hash="x"
    ),
    "open an invitation that was accepted": lambda rows: Invitation.objects.filter(pk=rows.joined).update(
        accepted_at=None
    ),
    "be a member twice": lambda rows: _saved(Membership.objects.filter(project=rows.project).get(), pk=None),
}


def _copied(rows: Rows, **fields: Any) -> None:
    held = Key.objects.get(pk=rows.held)
    _saved(held, pk=None, key_id="0" * 12, name_folded="x", **fields)


def _changed(row: Any, **fields: Any) -> Any:
    for name, value in fields.items():
        setattr(row, name, value)
    return row


def _saved(row: Any, **fields: Any) -> None:
    _changed(row, **fields).save()


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("call", BULK_CALLS)
def test_the_orm_is_refused(rows: Rows, call: str) -> None:
    before = everything()
    with pytest.raises(IntegrityError), transaction.atomic():
        BULK_CALLS[call](rows)
    assert everything() == before


def test_a_project_with_keys_is_protected_before_the_database_is_asked(project: Project) -> None:
    with pytest.raises(ProtectedError):
        project.delete()


# What must stay possible.


def test_a_scheduled_end_can_be_moved_earlier(rows: Rows, at: datetime) -> None:
    for earlier in (at + timedelta(hours=1), at):
        Key.objects.filter(pk=rows.scheduled).update(revoked_at=earlier)
    assert Key.objects.get(pk=rows.scheduled).revoked_at == at


def test_a_revoked_key_s_other_columns_can_still_be_written(rows: Rows) -> None:
    Key.objects.filter(pk=rows.revoked).update(revoked_reason="x", sealed=None, note="y")
    KeyActivity.objects.filter(key=rows.revoked).update(last_used_address="192.0.2.1")
    assert Key.objects.get(pk=rows.revoked).revoked_reason == "x"


def test_the_keys_of_a_deleted_project_can_be_purged_its_log_and_slug_stay(rows: Rows) -> None:
    keys = Key.objects.filter(project=rows.gone)
    assert keys.get().type == KeyType.SYSTEM
    keys.delete()
    assert not keys.exists()
    assert AuditEvent.objects.filter(project_id=rows.gone).count() == 2
    assert Project.objects.get(pk=rows.gone).slug == "gone"


def test_a_revoked_key_keeps_no_name_and_a_scheduled_one_neither(rows: Rows, project: Project) -> None:
    for pk in (rows.revoked, rows.scheduled):
        name = Key.objects.get(pk=pk).name
        assert IssuedFactory(project=project, name=name).key.name == name


def test_a_user_who_made_keys_can_be_deleted(project: Project, rows: Rows, owner: Any) -> None:
    Key.objects.filter(pk=rows.living).update(created_by=owner)
    owner.delete()
    assert Key.objects.get(pk=rows.living).created_by is None
