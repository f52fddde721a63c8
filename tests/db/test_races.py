"""Verbs that run at the same time, in real threads with connections of their own."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from keys import lifecycle, writing
from keys.conflicts import AlreadyIssued, AlreadyRevoked, AlreadyRotated, Conflict, NotRenewable, Stale
from keys.drafts import Draft, Edit
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import IssueNonce, Key
from keys.verification import Outcome, check
from projects import audit
from projects.audit import Actor
from projects.lifecycle import create_project
from projects.models import SITE_LOG, Project, User
from tests.db.racing import race, split
from tests.db.watching import verbs
from tests.factories import IssuedFactory, acting

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 4
RACERS = 4


@pytest.fixture(autouse=True)
def slow_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Widen the time between what a verb reads and what it writes: without a lock, all would pass."""

    def slowed(write: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*args: Any, **kwargs: Any) -> Any:
            time.sleep(0.01)
            return write(*args, **kwargs)

        return slow

    for name in ("insert", "save"):
        monkeypatch.setattr(writing, name, slowed(getattr(writing, name)))
    monkeypatch.setattr(audit.Log, "record", slowed(audit.Log.record))


@pytest.fixture
def actor(project: Project, operator: User) -> Actor:
    return acting(operator, project)


@pytest.fixture(autouse=True)
def gapless(project: Project) -> Iterator[None]:
    """Whoever wins: at the end of each race the chain holds, and no number is missing."""
    yield
    assert audit.verify(project.pk) == []
    assert audit.head(project.pk)[0] == len(verbs(project))


def drafts(name: str) -> Draft:
    return Draft(name, scopes=["sources:read"])


def test_of_those_with_one_nonce_one_issues_a_key(project: Project, actor: Actor, at: datetime) -> None:
    for turn in range(ROUNDS):
        call = partial(lifecycle.issue, project, drafts(f"Key {turn}"), actor=actor, at=at, nonce=f"{turn}")
        won, told = split(race(*[call] * RACERS))
        assert [type(each) for each in told] == [AlreadyIssued] * (RACERS - 1), told
        (issued,) = won
        assert {error.key.pk for error in told if isinstance(error, Conflict)} == {issued.key.pk}
        assert check(issued.token, at=at).is_valid
    assert IssueNonce.objects.count() == ROUNDS
    assert project.keys.count() == ROUNDS + 1


def test_of_those_with_one_nonce_and_other_names_one_issues_a_key(
    project: Project, actor: Actor, at: datetime
) -> None:
    issue = partial(lifecycle.issue, project, actor=actor, at=at, nonce="n")
    won, told = split(race(*[partial(issue, drafts(f"Key {n}")) for n in range(RACERS)]))
    assert len(won) == 1
    assert [type(each) for each in told] == [AlreadyIssued] * (RACERS - 1), told


def test_of_those_with_one_name_one_issues_a_key(project: Project, actor: Actor, at: datetime) -> None:
    for turn in range(ROUNDS):
        names = [f"key {turn}", f"KEY {turn}", f" Key  {turn}", f"Ｋey {turn}"]
        won, told = split(
            race(*[partial(lifecycle.issue, project, drafts(n), actor=actor, at=at) for n in names])
        )
        assert len(won) == 1
        assert [type(each) for each in told] == [ValidationError] * (RACERS - 1), told
        for error in told:
            assert isinstance(error, ValidationError)
            assert error.message_dict == {"name": [f"Another key is called “{won[0].key.name}”."]}


def test_all_that_have_names_of_their_own_issue_keys_numbered_without_gaps(
    project: Project, actor: Actor, at: datetime
) -> None:
    issue = partial(lifecycle.issue, project, actor=actor, at=at)
    won, told = split(race(*[partial(issue, drafts(f"Key {n}")) for n in range(8)]))
    assert told == []
    assert len({issued.key.key_id for issued in won}) == 8
    assert verbs(project).count("key.issued") == 9


def test_of_those_who_revoke_one_key_one_does(project: Project, actor: Actor, at: datetime) -> None:
    for _ in range(ROUNDS):
        issued = IssuedFactory(project=project)
        revoke = partial(lifecycle.revoke, project, issued.key.key_id, actor=actor)
        # Who comes first to the lock need not be first by the clock.
        clocks = [at + timedelta(seconds=n) for n in range(RACERS)]
        won, told = split(race(*[partial(revoke, at=now, reason=f"{now}") for now in clocks]))
        assert len(won) == 1
        assert [type(each) for each in told] == [AlreadyRevoked] * (RACERS - 1), told
        stored = Key.objects.get(pk=issued.key.pk)
        assert (stored.revoked_at, stored.revoked_reason) == (won[0].revoked_at, won[0].revoked_reason)
    assert verbs(project).count("key.revoked") == ROUNDS


def test_of_those_who_renew_one_key_one_does(project: Project, actor: Actor, at: datetime) -> None:
    for _ in range(ROUNDS):
        first = IssuedFactory(project=project, actor=actor)
        renew = partial(lifecycle.renew, project, first.key.key_id, actor=actor, at=at, version=1)
        won, told = split(race(*[renew] * RACERS))
        assert [type(each) for each in told] == [Stale] * (RACERS - 1), told
        assert check(won[0].token, at=at).is_valid
        assert check(first.token, at=at).outcome is Outcome.UNKNOWN


def test_of_those_who_renew_the_automator_key_one_does(project: Project, owner: User, at: datetime) -> None:
    key_id = project.keys.get(type=KeyType.SYSTEM).key_id
    actor = acting(owner, project)
    won, told = split(
        race(*[partial(lifecycle.renew, project, key_id, actor=actor, at=at, version=1)] * RACERS)
    )
    assert len(won) == 1
    assert [type(each) for each in told] == [Stale] * (RACERS - 1), told


def test_of_those_who_edit_one_key_one_does(project: Project, actor: Actor, at: datetime) -> None:
    for _ in range(ROUNDS):
        key = IssuedFactory(project=project, actor=actor).key
        edit = partial(lifecycle.edit, project, key.key_id, actor=actor, at=at, version=1)
        won, told = split(race(*[partial(edit, Edit(note=f"{n}")) for n in range(RACERS)]))
        assert [type(each) for each in told] == [Stale] * (RACERS - 1), told
        assert Key.objects.get(pk=key.pk).note == won[0].note


def test_of_those_who_give_their_keys_one_name_one_does(project: Project, actor: Actor, at: datetime) -> None:
    keys = [IssuedFactory(project=project, actor=actor).key for _ in range(RACERS)]
    edit = partial(lifecycle.edit, project, changes=Edit(name="One"), actor=actor, at=at, version=1)
    won, told = split(race(*[partial(edit, key.key_id) for key in keys]))
    assert len(won) == 1
    assert [type(each) for each in told] == [ValidationError] * (RACERS - 1), told


def test_a_key_that_is_confirmed_and_renewed_at_once_is_whole_either_way(
    project: Project, actor: Actor, at: datetime
) -> None:
    for _ in range(2 * ROUNDS):
        first = IssuedFactory(project=project, actor=actor)
        confirm: Callable[[], Key | Issued] = partial(
            lifecycle.confirm, project, first.key.key_id, actor=actor, at=at
        )
        renew: Callable[[], Key | Issued] = partial(
            lifecycle.renew, project, first.key.key_id, actor=actor, at=at, version=1
        )
        confirmed, renewed = race(confirm, renew)
        assert isinstance(confirmed, Key), confirmed
        if isinstance(renewed, Issued):
            # The renewal came first; the confirmation is then the fresh secret's.
            assert check(renewed.token, at=at).is_valid
            assert not check(first.token, at=at).is_valid
        else:
            assert isinstance(renewed, NotRenewable), renewed
            assert check(first.token, at=at).is_valid
        assert verbs(project)[-1] == "key.confirmed"
        assert Key.objects.get(pk=first.key.pk).confirmed_at == at


def test_a_key_that_is_revoked_while_others_work_on_it_stays_revoked(
    project: Project, actor: Actor, at: datetime
) -> None:
    for _ in range(ROUNDS):
        first = IssuedFactory(project=project, actor=actor)
        act: dict[str, Any] = {"project": project, "key_id": first.key.key_id, "actor": actor}
        calls: list[Callable[[], Any]] = [
            partial(lifecycle.revoke, **act, at=at + timedelta(seconds=1)),
            partial(lifecycle.renew, **act, at=at, version=1),
            partial(lifecycle.confirm, **act, at=at),
        ]
        revoked, *others = race(*calls)
        assert isinstance(revoked, Key)
        for each in others:
            assert isinstance(each, Key | Issued | AlreadyRevoked | NotRenewable | Stale), each
        for issued in [first, *(each for each in others if isinstance(each, Issued))]:
            assert check(issued.token, at=at).outcome in (Outcome.REVOKED, Outcome.UNKNOWN)
        assert Key.objects.get(pk=first.key.pk).is_revoked(at)


def test_of_those_who_rotate_a_key_one_gets_a_token(project: Project, actor: Actor, at: datetime) -> None:
    for turn in range(ROUNDS):
        old = IssuedFactory(project=project, actor=actor, at=at, name=f"Key {turn}")
        call = partial(
            lifecycle.rotate, project, old.key.key_id, grace=timedelta(hours=1), actor=actor, at=at
        )
        won, told = split(race(*[call] * RACERS))
        (new,) = won
        assert [type(each) for each in told] == [AlreadyRotated] * (RACERS - 1), told
        assert {error.key.pk for error in told if isinstance(error, Conflict)} == {new.key.pk}
        assert check(new.token, at=at).is_valid
        assert Key.objects.filter(predecessor=old.key).count() == 1


def test_a_key_that_is_edited_and_rotated_at_once_keeps_what_was_said_last(
    project: Project, actor: Actor, at: datetime
) -> None:
    """The successor has what the old key said when it was rotated."""
    for turn in range(ROUNDS):
        old = IssuedFactory(project=project, actor=actor, at=at, name=f"Key {turn}")
        act: dict[str, Any] = {"project": project, "key_id": old.key.key_id, "actor": actor, "at": at}
        calls: list[Callable[[], Any]] = [
            partial(lifecycle.edit, **act, changes=Edit(note="Later"), version=1),
            partial(lifecycle.rotate, **act, grace=timedelta(hours=1)),
        ]
        edited, rotated = race(*calls)
        assert isinstance(rotated, Issued), rotated
        new, stored = Key.objects.get(pk=rotated.key.pk), Key.objects.get(pk=old.key.pk)
        last = [verb for verb in verbs(project) if verb in ("key.edited", "key.rotated")][-2:]
        if last == ["key.edited", "key.rotated"]:
            assert (stored.note, new.note) == ("Later", "Later")
        else:
            # Whoever edits is led to the key that took its place.
            assert isinstance(edited, AlreadyRotated), edited
            assert (stored.note, new.note) == ("", "")
        assert (stored.revoked_at, new.revoked_at) == (at + timedelta(hours=1), None)


def test_nothing_of_a_key_survives_its_revocation_while_it_is_rotated_edited_and_paused(
    project: Project, actor: Actor, at: datetime
) -> None:
    """The old key is dead in any case; a successor lives only where the rotation came after all."""
    for turn in range(ROUNDS):
        old = IssuedFactory(project=project, actor=actor, at=at, name=f"Key {turn}")
        act: dict[str, Any] = {"project": project, "key_id": old.key.key_id, "actor": actor, "at": at}
        results = race(
            partial(lifecycle.revoke, **act),
            partial(lifecycle.rotate, **act, grace=timedelta(days=7)),
            partial(lifecycle.edit, **act, changes=Edit(name=f"Other {turn}"), version=1),
            partial(lifecycle.pause, **act),
        )
        revoked, rotated, *_ = results
        assert isinstance(revoked, Key), results
        for each in results:
            assert isinstance(each, Key | Issued | AlreadyRevoked | AlreadyRotated | Stale), each
        assert check(old.token, at=at).outcome is Outcome.REVOKED
        # Whoever rotates first and revokes the old key then keeps the new one: that is another key.
        assert isinstance(rotated, Issued | AlreadyRevoked)


def test_the_first_events_of_a_log_begin_one_chain(project: Project, at: datetime) -> None:
    def record() -> int:
        with audit.log(SITE_LOG, Actor.system(), at) as log:
            return log.record("person.signed_in").number

    assert sorted(race(*[record] * 6), key=str) == [1, 2, 3, 4, 5, 6]
    assert audit.verify(SITE_LOG) == []


def test_projects_of_one_name_each_get_an_address(owner: User, at: datetime) -> None:
    won, told = split(race(*[partial(create_project, "Rivals", owner=owner, at=at)] * RACERS))
    assert told == []
    assert sorted(made.slug for made in won) == ["rivals", "rivals-2", "rivals-3", "rivals-4"]
    for made in won:
        assert made.keys.count() == 1
        assert audit.verify(made.pk) == []


def test_of_those_who_ask_for_one_address_one_gets_it(owner: User, at: datetime) -> None:
    call = partial(create_project, "Rivals", owner=owner, at=at, slug="rivals")
    won, told = split(race(*[call] * RACERS))
    assert len(won) == 1
    assert [type(each) for each in told] == [ValidationError] * (RACERS - 1), told
    assert Project.objects.filter(slug__startswith="rivals").count() == 1


def test_of_those_who_make_a_second_automator_key_none_does(project: Project) -> None:
    automator = project.keys.get(type=KeyType.SYSTEM)

    def copy(number: int) -> None:
        Key(
            project=project,
            key_id=f"copy{number:08}",
            type=KeyType.SYSTEM,
            name=f"Copy {number}",
            name_folded=f"copy {number}",
            secret_hash=automator.secret_hash,
            created_by_label="x",
        ).save(force_insert=True)

    won, told = split(race(*[partial(copy, number) for number in range(RACERS)]))
    assert won == []
    assert [type(each) for each in told] == [IntegrityError] * RACERS
