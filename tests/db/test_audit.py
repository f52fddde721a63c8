from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from keys import lifecycle
from projects import audit
from projects.audit import Actor
from projects.models import SITE_LOG, AuditChain, AuditEvent, Project, Role, User
from tests.db.tampering import execute, guards_lifted
from tests.db.watching import events, everything
from tests.factories import IssuedFactory, ProjectFactory, acting

pytestmark = pytest.mark.django_db

ACTOR = Actor("person", "7", "Mara Lindqvist", Role.OWNER, "2001:db8::41")


@pytest.fixture
def log(project: Project, owner: User, at: datetime) -> Project:
    """A project whose log has 6 events: created, Automator Key, issued, confirmed, issued, revoked."""
    actor = acting(owner, project, "192.0.2.41")
    first = IssuedFactory(project=project, actor=actor, name="Größe “1”", note="\N{KEY}").key
    lifecycle.confirm(project, first.key_id, actor=actor, at=at)
    second = IssuedFactory(project=project, expires_at=at + timedelta(days=9)).key
    lifecycle.revoke(project, second.key_id, actor=actor, at=at, reason="naïve\n\ttabs")
    return project


def test_events_are_numbered_from_one_without_gaps_in_each_log(log: Project) -> None:
    other = ProjectFactory()
    assert [event.number for event in events(log)] == [1, 2, 3, 4, 5, 6]
    assert [event.number for event in events(other)] == [1, 2]
    assert audit.head(log.pk) == (6, events(log)[-1].mac)
    assert audit.head(other.pk)[0] == 2


def test_an_event_comes_back_as_it_was_written(project: Project, at: datetime) -> None:
    changes = {"note": [None, "é\n“”\N{KEY}"], "n": [1, 2**60], "on": [True, False], "list": ["b", "a"]}
    with audit.log(project.pk, ACTOR, at) as log:
        log.record("key.edited", "key", "7Fq2aB3cD4eF", "Docs", **changes)
    event = events(project)[-1]
    assert (event.actor_kind, event.actor_id, event.actor_label, event.address) == (
        "person", "7", "Mara Lindqvist", "2001:db8::41",
    )  # fmt: skip
    assert (event.verb, event.object_kind, event.object_id, event.object_label) == (
        "key.edited", "key", "7Fq2aB3cD4eF", "Docs",
    )  # fmt: skip
    assert (event.at, event.changes) == (at, changes)
    assert audit.verify(project.pk) == []


def test_the_site_has_a_log_of_its_own_which_begins_by_itself(db: None, at: datetime) -> None:
    assert audit.head() == (0, "")
    assert audit.verify(SITE_LOG) == []
    for _ in range(2):
        with audit.log(SITE_LOG, ACTOR, at) as log:
            log.record("person.signed_in")
    assert audit.head()[0] == 2
    assert audit.verify(SITE_LOG) == []


def test_two_events_of_one_verb_are_chained(project: Project, at: datetime) -> None:
    with audit.log(project.pk, ACTOR, at) as log:
        first, second = log.record("one"), log.record("two")
    assert second.number == first.number + 1
    assert audit.verify(project.pk) == []


def test_nothing_is_recorded_of_what_fails(project: Project, at: datetime) -> None:
    def fail_half_way() -> None:
        with audit.log(project.pk, ACTOR, at) as log:
            log.record("one")
            Project.objects.filter(pk=project.pk).update(name="Other")
            raise InterruptedError

    before = everything()
    with pytest.raises(InterruptedError):
        fail_half_way()
    assert everything() == before


def test_an_actor_s_person_is_not_shown(owner: User) -> None:
    actor = Actor.person(owner, Role.OWNER, None)
    assert owner.email not in repr(actor)
    assert replace(actor, user=None) == actor


def test_an_untouched_log_is_proved(log: Project) -> None:
    assert audit.verify(log.pk) == []
    assert audit.verify(log.pk, exported=audit.head(log.pk)) == []


def test_it_is_proved_whatever_the_time_zone_of_the_reader(log: Project) -> None:
    event = events(log)[0]
    mac = audit.mac_of(event, "")
    event.at = event.at.astimezone(UTC) + timedelta(0)
    assert audit.mac_of(event, "") == mac == event.mac


@pytest.mark.parametrize(
    "change",
    [
        {"at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"actor_kind": "key"},
        {"actor_id": "999"},
        {"actor_label": "Somebody Else"},
        {"verb": "key.confirmed_"},
        {"object_kind": "person"},
        {"object_id": "000000000000"},
        {"object_label": "Other"},
        {"changes": {"reason": "another"}},
        {"changes": {"reason": ["naïve"]}},
        {"address": "203.0.113.9"},
        {"mac": "0" * 64},
        {"mac": "ümlaut"},
    ],
)
@pytest.mark.parametrize("number", [1, 6])
def test_a_changed_event_is_noticed(log: Project, number: int, change: dict[str, Any]) -> None:
    row = AuditEvent.objects.filter(project_id=log.pk, number=number)
    before = row.values(*change).get()
    with guards_lifted():
        row.update(**change)
    assert row.values(*change).get() != before
    assert any(f"event {number} was changed" in problem for problem in audit.verify(log.pk))


def _drop(log: Project, *numbers: int) -> Project:
    AuditEvent.objects.filter(project_id=log.pk, number__in=numbers).delete()
    return log


def _renumber(log: Project, *pairs: tuple[int, int]) -> Project:
    for old, new in pairs:
        AuditEvent.objects.filter(project_id=log.pk, number=old).update(number=new)
    return log


def _insert(log: Project, number: int, **fields: Any) -> None:
    event = AuditEvent.objects.get(project_id=log.pk, number=3)
    for name, value in {"pk": None, "number": number, **fields}.items():
        setattr(event, name, value)
    event.save(force_insert=True)


def _cut(log: Project, number: int) -> None:
    """Cut the log back to an event, its head as well."""
    AuditEvent.objects.filter(project_id=log.pk, number__gt=number).delete()
    mac = AuditEvent.objects.get(project_id=log.pk, number=number).mac
    AuditChain.objects.filter(pk=log.pk).update(number=number, mac=mac)


TAMPERINGS: dict[str, tuple[Callable[[Project], object], str]] = {
    "the first dropped": (lambda log: _drop(log, 1), "event 1 is missing"),
    "one dropped": (lambda log: _drop(log, 3), "event 3 is missing"),
    "two dropped": (lambda log: _drop(log, 3, 4), "event 3 is missing: 5 follows 2"),
    "one dropped, the others moved up": (
        lambda log: _renumber(_drop(log, 3), (4, 3), (5, 4), (6, 5)), "event 3 was changed",
    ),
    "the last dropped": (lambda log: _drop(log, 6), "ends at event 5, its head says 6"),
    "all dropped": (lambda log: _drop(log, *range(1, 7)), "ends at event 0, its head says 6"),
    "one appended": (lambda log: _insert(log, 7), "event 7 was changed, or does not follow 6"),
    "one before the first": (lambda log: _insert(log, 0), "event 0 was changed"),
    "one inserted, the others moved": (
        lambda log: _insert(_renumber(log, (6, 7), (5, 6), (4, 5)), 4), "event 4 was changed",
    ),
    "two swapped": (lambda log: _renumber(log, (4, 99), (5, 4), (99, 5)), "event 4 was changed"),
    "one taken from another log": (
        lambda log: AuditEvent.objects.filter(project_id=log.pk, number=1).update(
            mac=AuditEvent.objects.filter(number=1).exclude(project_id=log.pk).get().mac
        ),
        "event 1 was changed",
    ),
    "the head's mac changed": (
        lambda log: AuditChain.objects.filter(pk=log.pk).update(mac="0" * 64), "its head says 6",
    ),
    "the head moved on": (
        lambda log: AuditChain.objects.filter(pk=log.pk).update(number=7), "its head says 7",
    ),
    "the head dropped": (
        lambda log: AuditChain.objects.filter(pk=log.pk).delete(), "its head says 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_chain_that_was_broken_is_noticed(log: Project, tampering: str) -> None:
    ProjectFactory()
    tamper, expected = TAMPERINGS[tampering]
    with guards_lifted():
        tamper(log)
    problems = audit.verify(log.pk)
    assert any(expected in problem for problem in problems), problems


def test_a_log_moved_to_another_project_is_noticed(log: Project) -> None:
    with guards_lifted():
        AuditEvent.objects.filter(project_id=log.pk).update(project_id=424242)
        AuditChain.objects.filter(pk=log.pk).delete()
        AuditChain.objects.create(project_id=424242, number=6, mac=audit.head(log.pk)[1])
    assert "event 1 was changed, or does not follow 0" in audit.verify(424242)


def test_a_cut_tail_is_noticed_with_an_exported_head_alone(log: Project) -> None:
    exported = audit.head(log.pk)
    with guards_lifted():
        _cut(log, 4)
    assert audit.verify(log.pk) == []
    assert audit.verify(log.pk, exported) == ["the log ends at event 4, the exported head is 6"]


def test_a_tail_that_was_cut_and_grew_again_is_noticed_with_an_exported_head(
    log: Project, at: datetime
) -> None:
    exported = audit.head(log.pk)
    with guards_lifted():
        _cut(log, 4)
    with audit.log(log.pk, ACTOR, at) as again:
        for _ in range(4):
            again.record("key.issued")
    assert audit.verify(log.pk) == []
    assert audit.verify(log.pk, exported) == ["event 6 is not the one that was exported"]


def test_a_log_that_grew_since_its_head_was_exported_is_proved(log: Project, at: datetime) -> None:
    exported = audit.head(log.pk)
    with audit.log(log.pk, ACTOR, at) as later:
        later.record("key.issued")
    assert audit.verify(log.pk, exported) == []


def test_under_another_audit_key_no_event_holds(log: Project, settings: Any) -> None:
    settings.KEYRACK_AUDIT_KEY = b"another key, of thirty-two bytes"
    assert len(audit.verify(log.pk)) == 6


def test_a_log_that_grows_while_it_is_read_is_proved(
    log: Project, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head before says 6, the reader sees 7 events, and the head after them says 8."""
    read_head = audit.head

    def head_of_a_busy_log(project_id: int = SITE_LOG) -> tuple[int, str]:
        if read_head(project_id)[0] == 7:
            _record(log, at)
        head = read_head(project_id)
        if head[0] == 6:
            _record(log, at)
        return head

    monkeypatch.setattr(audit, "head", head_of_a_busy_log)
    assert audit.verify(log.pk) == []
    assert read_head(log.pk)[0] == 8


def _record(project: Project, at: datetime) -> None:
    with audit.log(project.pk, ACTOR, at) as log:
        log.record("key.issued")


def test_an_event_of_a_tail_that_was_cut_does_not_fit_the_one_that_grew_after(
    log: Project, at: datetime
) -> None:
    """Each event is whole and its number right; only the chain tells that they never met."""
    before = AuditEvent.objects.get(project_id=log.pk, number=6)
    with guards_lifted():
        _cut(log, 4)
        _record(log, at)
        before.pk = None
        before.save(force_insert=True)
        AuditChain.objects.filter(pk=log.pk).update(number=6, mac=before.mac)
    assert audit.verify(log.pk) == ["event 6 was changed, or does not follow 5"]


def test_a_time_written_by_hand_is_read_as_the_same_moment(log: Project) -> None:
    """What is signed is the moment, not how a database writes it."""
    row = AuditEvent.objects.filter(project_id=log.pk, number=1)
    at = row.get().at
    written = at.isoformat(sep=" ") if connection.vendor == "postgresql" else f"{at:%F %T.%f}"
    with guards_lifted():
        execute("UPDATE projects_auditevent SET at = %s WHERE id = %s", written, row.get().pk)
    assert audit.verify(log.pk) == []


def test_its_head_is_the_first_lock_of_a_verb(project: Project, at: datetime) -> None:
    if connection.vendor != "postgresql":
        # SQLite's transactions take the one write lock as they begin.
        assert connection.transaction_mode == "IMMEDIATE"  # type: ignore[attr-defined]
        return
    seen: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note), transaction.atomic():
        lifecycle.revoke(project, IssuedFactory(project=project).key.key_id, actor=Actor.system(), at=at)
    locks = [sql.split()[sql.split().index("FROM") + 1] for sql in seen if "FOR UPDATE" in sql]
    assert locks == ['"projects_auditchain"', '"projects_auditchain"', '"keys_key"']
