"""`manage.py tend`: projects that were deleted long ago lose their rows; nonces and old counts go."""

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
from keys.activity import Activity
from keys.conflicts import AlreadyIssued
from keys.drafts import Draft
from keys.kinds import KeyType, Provider
from keys.management.commands import tend
from keys.models import (
    DayCount,
    HourCount,
    IssueNonce,
    Key,
    KeyActivity,
    ProviderKey,
    ScopeUse,
    SourceUse,
    StrayCount,
    Upstream,
)
from keys.permissions import KeyActor
from keys.purging import purge, rows_of, tables
from keys.sources import Source
from projects import audit
from projects.audit import Actor
from projects.lifecycle import create_project, delete_project
from projects.models import (
    AuditChain,
    AuditEvent,
    Channel,
    Invitation,
    Membership,
    Project,
    Resource,
    Role,
    User,
)
from tests.db.racing import race
from tests.db.watching import DiskFull, failing_at, verbs
from tests.factories import ChannelFactory, IssuedFactory, MembershipFactory, ProjectFactory, invited

pytestmark = pytest.mark.django_db

SYSTEM: Final = Actor.system()
LONG_AGO: Final = timedelta(days=31)
NOTHING_OLD: Final = ["0 spent nonces forgotten.", "0 old counts deleted."]
ALL: Final[tuple[type[Model], ...]] = (
    Key, KeyActivity, IssueNonce, Channel, ProviderKey, Upstream, Membership, Resource, Invitation,
    HourCount, DayCount, ScopeUse, SourceUse,
)  # fmt: skip


def fill(project: Project, at: datetime) -> None:
    """Give a project rows in every table: keys that others have made, ended ones, a channel with its key."""
    invited(project, MembershipFactory(project=project, role=Role.OWNER).user)
    boss = IssuedFactory(project=project, at=at, type=KeyType.PRIVILEGED, nonce="once").key
    count(boss, at)
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


def count(key: Key, at: datetime, times: int = 7) -> None:
    """Give a key a count of each kind at a time."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    HourCount.objects.create(key=key, hour=hour, outcome="valid", count=times)
    DayCount.objects.create(key=key, day=at.date(), outcome="valid", count=times)
    ScopeUse.objects.create(key=key, scope=f"sources:s{at:%y%m%d}", last_used_on=at.date())
    client = f"{at:%y%m%d}"
    SourceUse.objects.create(key=key, client=client, count=times, first_used_at=at, last_used_at=at)


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
    assert run() == [f"gone: purged, {rows} rows.", *NOTHING_OLD]
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
    assert run(keep_days=timedelta(days=32))[0] == "2 spent nonces forgotten."
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
    assert run() == NOTHING_OLD
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
    assert said[-4:] == [f"gone: {rows} of {rows} rows", f"gone: purged, {rows} rows.", *NOTHING_OLD]
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
    assert run() == ["1 spent nonce forgotten.", "0 old counts deleted."]
    with pytest.raises(AlreadyIssued):
        IssuedFactory(project=project, nonce="young")
    assert IssuedFactory(project=project, nonce="old").key


def test_many_are_forgotten_in_batches(project: Project, at: datetime) -> None:
    for number in range(5):
        IssuedFactory(project=project, at=at - timedelta(days=8), nonce=f"{number}")
    assert list(purging.forget_nonces(at, size=2)) == [2, 2, 1]
    assert not IssueNonce.objects.exists()


# Counts


def test_counts_go_by_their_age_hours_first(project: Project, at: datetime) -> None:
    key = IssuedFactory(project=project, at=at).key
    for days in (1, 3, 89, 91, 399, 402):
        count(key, at - timedelta(days=days), times=days)
        StrayCount.objects.create(day=(at - timedelta(days=days)).date(), outcome="unknown", count=days)
    by_day = [row.count for row in DayCount.objects.order_by("-day")]
    assert run()[-1] == "11 old counts deleted."
    assert [row.count for row in HourCount.objects.all()] == [1]
    # What the hours have counted stays in their days.
    assert [row.count for row in DayCount.objects.order_by("-day")] == by_day[:-1]
    assert [row.count for row in StrayCount.objects.order_by("-day")] == by_day[:-1]
    assert ScopeUse.objects.count() == 5
    assert [row.count for row in SourceUse.objects.order_by("-last_used_at")] == [1, 3, 89]
    assert run() == NOTHING_OLD


def test_counts_of_keys_that_are_gone_go_too(at: datetime) -> None:
    HourCount.objects.create(key_id=10**9, hour=at - timedelta(days=3), outcome="valid", count=1)
    assert run()[-1] == "1 old count deleted."


@pytest.mark.django_db(transaction=True)
def test_two_that_forget_at_once_share_the_work_while_checks_are_counted(
    project: Project, at: datetime
) -> None:
    issued = [IssuedFactory(project=project, at=at) for _ in range(3)]
    old = at - timedelta(days=91)
    for each in issued:
        for number in range(20):
            hour = at - timedelta(days=3, hours=number)
            HourCount.objects.create(key=each.key, hour=hour, outcome="valid", count=1)
        SourceUse.objects.create(key=each.key, client="curl", count=1, first_used_at=old, last_used_at=old)

    def tend() -> int:
        return sum(purging.forget_counts(at, size=4))

    def serve() -> int:
        counters = Activity()
        for _ in range(10):
            for each in issued:
                counters.note(each.key.pk, "valid", at, Source(None, "curl"), used=True)
            counters.flush()
        return 0

    first, second, served = race(tend, tend, serve)
    assert isinstance(first, int), first
    assert isinstance(second, int), second
    assert served == 0
    assert [row.count for row in HourCount.objects.all()] == [10] * 3
    # Whether it came before its old row went, or after: the use that was counted meanwhile is there.
    left = {use.key_id: use for use in SourceUse.objects.all()}
    assert len(left) == 3
    kept = sum(use.first_used_at == old for use in left.values())
    assert {use.count for use in left.values()} <= {10, 11}
    assert first + second == 60 + 3 - kept
