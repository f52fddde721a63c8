from datetime import datetime, timedelta

import pytest

from keys import lifecycle
from keys.conflicts import AlreadyRevoked
from keys.kinds import KeyType, Status
from keys.models import Key
from projects.audit import Actor
from projects.models import Project, User
from tests.db.watching import events, everything, verbs, writes_of
from tests.factories import IssuedFactory, acting

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor(project: Project, operator: User) -> Actor:
    return acting(operator, project, "192.0.2.41")


@pytest.fixture
def key(project: Project, actor: Actor, at: datetime) -> Key:
    return IssuedFactory(project=project, actor=actor, at=at, name="Docs crawler").key


def test_the_key_is_confirmed_from_then_on(project: Project, actor: Actor, key: Key, at: datetime) -> None:
    later = at + timedelta(seconds=30)
    answered = lifecycle.confirm(project, key.key_id, actor=actor, at=later)
    stored = Key.objects.of(project).get(pk=key.pk)
    for each in (answered, stored):
        assert (each.confirmed_at, each.version) == (later, 2)
        assert each.status(later) is Status.ACTIVE
    event = events(project)[-1]
    assert (event.verb, event.object_id, event.at) == ("key.confirmed", key.key_id, later)


def test_its_secret_stays(project: Project, actor: Actor, key: Key, at: datetime) -> None:
    lifecycle.confirm(project, key.key_id, actor=actor, at=at)
    assert Key.objects.get(pk=key.pk).secret_hash == key.secret_hash


def test_a_second_time_changes_nothing(project: Project, actor: Actor, key: Key, at: datetime) -> None:
    lifecycle.confirm(project, key.key_id, actor=actor, at=at)
    before = everything()
    again = lifecycle.confirm(project, key.key_id, actor=actor, at=at + timedelta(days=1))
    assert again.confirmed_at == at
    assert everything() == before


def test_a_revoked_key_is_not_confirmed(project: Project, actor: Actor, key: Key, at: datetime) -> None:
    lifecycle.revoke(project, key.key_id, actor=actor, at=at)
    before = everything()
    with pytest.raises(AlreadyRevoked, match="Otis Brandt already revoked this key"):
        lifecycle.confirm(project, key.key_id, actor=actor, at=at)
    assert everything() == before


def test_the_automator_key_needs_none(project: Project, owner: User, at: datetime) -> None:
    automator = project.keys.get(type=KeyType.SYSTEM)
    before = everything()
    lifecycle.confirm(project, automator.key_id, actor=acting(owner, project), at=at)
    assert everything() == before


@pytest.mark.parametrize("key_id", ["", "000000000000", "x" * 64])
def test_a_key_that_is_not_there_is_said_to_be_missing(
    project: Project, actor: Actor, at: datetime, key_id: str
) -> None:
    with pytest.raises(Key.DoesNotExist):
        lifecycle.confirm(project, key_id, actor=actor, at=at)


def test_a_key_of_another_project_is_missing(project: Project, actor: Actor, at: datetime) -> None:
    other = IssuedFactory().key
    with pytest.raises(Key.DoesNotExist):
        lifecycle.confirm(project, other.key_id, actor=actor, at=at)
    assert Key.objects.get(pk=other.pk).confirmed_at is None


def test_it_happens_whole_or_not_whichever_write_fails(
    project: Project, actor: Actor, key: Key, at: datetime
) -> None:
    assert writes_of(lambda: lifecycle.confirm(project, key.key_id, actor=actor, at=at)) == 3
    assert verbs(project)[-1] == "key.confirmed"
