"""`manage.py tend`: projects that were deleted long ago lose their rows, and nonces are forgotten."""

import io
import os
import signal
import time
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.models import Model

from keys import lifecycle, purging
from keys.drafts import Draft
from keys.kinds import KeyType, Provider
from keys.lifecycle import AlreadyIssued
from keys.management.commands import tend
from keys.models import IssueNonce, Key, KeyActivity, ProviderKey, Upstream
from keys.permissions import KeyActor
from keys.purging import purge, rows_of, tables
from projects import audit
from projects.audit import Actor
from projects.lifecycle import create_project, delete_project
from projects.models import AuditChain, AuditEvent, Channel, Membership, Project, Resource, User
from tests.db.racing import race
from tests.db.watching import DiskFull, failing_at, verbs
from tests.factories import ChannelFactory, IssuedFactory, MembershipFactory, ProjectFactory

pytestmark = pytest.mark.django_db

SYSTEM: Final = Actor.system()
LONG_AGO: Final = timedelta(days=31)
ALL: Final[tuple[type[Model], ...]] = (
    Key, KeyActivity, IssueNonce, Channel, ProviderKey, Upstream, Membership, Resource,
)  # fmt: skip


def fill(project: Project, at: datetime) -> None:
    """Give a project rows in every table: keys that others have made, ended ones, a channel with its key."""
    MembershipFactory(project=project)
    boss = IssuedFactory(project=project, at=at, type=KeyType.PRIVILEGED, nonce="once").key
    draft = Draft("Deploy", scopes=["sources:read"])
    lifecycle.issue(project, draft, actor=KeyActor.acting(boss), at=at, nonce="twice")
    revoked = IssuedFactory(project=project, at=at).key
    lifecycle.revoke(project, revoked.key_id, actor=SYSTEM, at=at)
    channel = ChannelFactory(project=project)
    IssuedFactory(project=project, at=at, type=KeyType.CHANNEL, channel=channel.slug, holder="Otis")
    provider_key = ProviderKey.objects.create(
        project=project, public_id=f"{project.pk:012}", name="Main", name_folded="main",
        provider=Provider.OPENAI, base_url="https://api.openai.com", header="Authorization", sealed=b"x",
        created_by_label="x",
    )  # fmt: skip
    Upstream.objects.create(project=project, slug="openai", provider_key=provider_key)


@pytest.fixture
def gone(at: datetime) -> Project:
    """A project with all that one can have, deleted 31 days ago."""
    project = ProjectFactory(name="Gone", slug="gone")
    fill(project, at - 2 * LONG_AGO)
    return delete_project(project, actor=SYSTEM, at=at - LONG_AGO)


def run(**options: Any) -> list[str]:
    output = io.StringIO()
    call_command("tend", stdout=output, **options)
    return output.getvalue().splitlines()


def left(project: Project) -> dict[str, int]:
    return {table.model.__name__: count for table in tables() if (count := table.rows(project).count())}


# What is purged


def test_every_table_that_belongs_to_projects_is_known(gone: Project) -> None:
    assert {table.model for table in tables()} >= set(ALL)
    assert left(gone).keys() >= {model.__name__ for model in ALL}


def test_what_holds_a_reference_goes_first() -> None:
    order = [table.model for table in tables()]
    for place, model in enumerate(order):
        for field in model._meta.fields:
            named: Any = field.related_model
            assert named not in order[:place], f"{model.__name__} names {named}, which is gone by then"


def test_it_purges_all_but_the_project_itself_and_its_events(gone: Project, at: datetime) -> None:
    before, rows = verbs(gone), rows_of(gone)
    assert run() == [f"gone: purged, {rows} rows.", "0 spent nonces forgotten."]
    assert left(gone) == {}
    assert Project.objects.get(pk=gone.pk).deleted_at == gone.deleted_at
    assert verbs(gone) == [*before, "project.purged"]
    assert (
        AuditEvent.objects.filter(project_id=gone.pk).latest("number").actor_label.startswith("command line")
    )
    assert AuditChain.objects.filter(pk=gone.pk).exists()
    assert audit.verify(gone.pk) == []


def test_its_address_is_never_used_again(gone: Project, owner: User, at: datetime) -> None:
    run()
    with pytest.raises(ValidationError, match="addresses are never reused"):
        create_project("Gone", slug="gone", owner=owner, at=at)


def test_people_and_other_projects_stay_as_they_are(gone: Project, project: Project, at: datetime) -> None:
    fill(project, at)
    recent = ProjectFactory(slug="recent")
    fill(recent, at)
    recent = delete_project(recent, actor=SYSTEM, at=at - timedelta(days=29))
    people = User.objects.count()
    before = [left(each) for each in (project, recent)]
    run()
    assert [left(each) for each in (project, recent)] == before
    assert User.objects.count() == people
    assert "project.purged" not in verbs(recent)


def test_the_days_can_be_chosen(gone: Project) -> None:
    assert run(keep_days=timedelta(days=32)) == ["2 spent nonces forgotten."]
    assert left(gone)
    call_command("tend", "--keep-days", "31", stdout=io.StringIO())
    assert left(gone) == {}


def test_none_is_purged_before_it_is_deleted(project: Project, at: datetime) -> None:
    run(keep_days=timedelta())
    assert left(project)
    with pytest.raises(ValueError, match="wasn't deleted"):
        list(purge(project, actor=SYSTEM, at=at))
    project = delete_project(project, actor=SYSTEM, at=at)
    run(keep_days=timedelta())
    assert left(project) == {}


def test_a_dry_run_says_it_and_does_nothing(gone: Project) -> None:
    before = left(gone)
    IssueNonce.objects.update(created_at=datetime(2020, 1, 1).astimezone())
    assert run(dry_run=True) == [f"gone: {rows_of(gone)} rows would be purged."]
    assert left(gone) == before


def test_a_second_run_finds_nothing_to_do(gone: Project) -> None:
    run()
    events = verbs(gone)
    assert run() == ["0 spent nonces forgotten."]
    assert verbs(gone) == events


# Committed, so that the database asks after each batch whether something refers to what is gone.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_batches_of_any_size_leave_nothing(gone: Project, at: datetime, size: int) -> None:
    rows = rows_of(gone)
    taken = list(purge(gone, actor=SYSTEM, at=at, size=size))
    assert sum(taken) == rows
    assert max(taken) <= size
    assert left(gone) == {}


def test_it_says_how_far_it_is(gone: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tend, "_SAID_EVERY_SECONDS", 0.0)
    rows = rows_of(gone)
    said = run()
    assert said[-3:] == [
        f"gone: {rows} of {rows} rows",
        f"gone: purged, {rows} rows.",
        "0 spent nonces forgotten.",
    ]
    assert len(said) > 5


@pytest.mark.parametrize("days", ["-1", "1.5", "", "x", "100000", "٣"])
def test_days_that_are_none_are_refused(gone: Project, days: str) -> None:
    with pytest.raises(CommandError, match="isn't a number of days"):
        call_command("tend", f"--keep-days={days}")
    assert left(gone)


def test_a_database_that_is_gone_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("no such server\nand more")

    monkeypatch.setattr(purging, "due", fail)
    with pytest.raises(CommandError, match=r"^The database can't be used: no such server$") as caught:
        run()
    assert caught.value.returncode == 2


# Stopped, and two at once


def test_wherever_it_is_stopped_the_next_run_goes_on(gone: Project, at: datetime) -> None:
    stops = 0
    while left(gone):
        before, taken = rows_of(gone), 0
        try:
            with failing_at(stops % 4):
                for batch in purge(gone, actor=SYSTEM, at=at, size=2):
                    taken += batch
        except DiskFull:
            stops += 1
        # What it said that it took is gone, and of the batch that failed nothing.
        assert rows_of(gone) == before - taken
        connection.check_constraints()
        assert stops < 200
    assert stops > 5
    assert verbs(gone).count("project.purged") == 1
    assert audit.verify(gone.pk) == []


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_killed_leaves_whole_batches(gone: Project, at: datetime) -> None:
    rows = rows_of(gone)
    # A process of its own has a connection of its own.
    connection.close()
    child = os.fork()
    if child == 0:
        _purge_slowly(gone, at)
    while rows_of(gone) > rows - 4:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert 0 < rows_of(gone) < rows
    assert "project.purged" not in verbs(gone)
    assert audit.verify(gone.pk) == []
    connection.check_constraints()
    run()
    assert left(gone) == {}
    assert verbs(gone).count("project.purged") == 1


def _purge_slowly(project: Project, at: datetime) -> None:
    """Purge one row after the other, each transaction open for a while; never returns."""
    take = purging._take

    def slow(*given: Any) -> int:
        taken = take(*given)
        time.sleep(0.05 if taken else 0)
        return taken

    setattr(purging, "_take", slow)  # noqa: B010 -- its type is narrower
    try:
        list(purge(project, actor=SYSTEM, at=at, size=1))
    finally:
        os._exit(1)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_share_the_work(at: datetime) -> None:
    project = ProjectFactory(slug="gone")
    fill(project, at - 2 * LONG_AGO)
    for _ in range(10):
        IssuedFactory(project=project)
    gone = delete_project(project, actor=SYSTEM, at=at - LONG_AGO)
    rows = rows_of(gone)

    def work() -> int:
        return sum(purge(gone, actor=SYSTEM, at=at, size=3))

    taken = race(work, work, work)
    assert [each for each in taken if isinstance(each, Exception)] == []
    assert sum(each for each in taken if isinstance(each, int)) == rows
    assert left(gone) == {}
    assert verbs(gone).count("project.purged") == 1
    assert audit.verify(gone.pk) == []
    connection.check_constraints()


# Nonces


def test_a_nonce_is_forgotten_a_week_after_it_was_spent(project: Project, at: datetime) -> None:
    for age, nonce in ((8, "old"), (6, "young")):
        IssuedFactory(project=project, at=at - timedelta(days=age), nonce=nonce)
    assert run() == ["1 spent nonce forgotten."]
    with pytest.raises(AlreadyIssued):
        IssuedFactory(project=project, nonce="young")
    assert IssuedFactory(project=project, nonce="old").key


def test_many_are_forgotten_in_batches(project: Project, at: datetime) -> None:
    for number in range(5):
        IssuedFactory(project=project, at=at - timedelta(days=8), nonce=f"{number}")
    assert list(purging.forget_nonces(at, size=2)) == [2, 2, 1]
    assert not IssueNonce.objects.exists()
