from datetime import datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied

from keys import lifecycle
from keys.conflicts import AlreadyRevoked, Protected
from keys.kinds import KeyType, Status
from keys.lifecycle import Issued
from keys.models import Key
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import Project, User
from tests.db.watching import events, everything
from tests.factories import IssuedFactory, acting

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor(project: Project, operator: User) -> Actor:
    return acting(operator, project, "192.0.2.41")


@pytest.fixture
def issued(project: Project, actor: Actor, at: datetime) -> Issued:
    return IssuedFactory(project=project, actor=actor, at=at, name="Docs crawler", confirmed=True)


def test_a_paused_key_is_refused_from_the_answer_on_and_a_resumed_one_passes(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    key = lifecycle.pause(project, issued.key.key_id, actor=actor, at=at)
    assert (key.paused_at, key.version, key.status(at)) == (at, 2, Status.PAUSED)
    assert check(issued.token, at=at).outcome is Outcome.PAUSED
    key = lifecycle.resume(project, issued.key.key_id, actor=actor, at=at)
    assert (key.paused_at, key.version, key.status(at)) == (None, 3, Status.ACTIVE)
    assert check(issued.token, at=at).is_valid
    assert [event.verb for event in events(project)[-2:]] == ["key.paused", "key.resumed"]
    assert events(project)[-1].address == "192.0.2.41"


def test_a_second_time_changes_nothing(project: Project, actor: Actor, issued: Issued, at: datetime) -> None:
    lifecycle.pause(project, issued.key.key_id, actor=actor, at=at)
    before = everything()
    again = lifecycle.pause(project, issued.key.key_id, actor=actor, at=at + timedelta(hours=1))
    assert again.paused_at == at
    assert everything() == before
    lifecycle.resume(project, issued.key.key_id, actor=actor, at=at)
    before = everything()
    lifecycle.resume(project, issued.key.key_id, actor=actor, at=at)
    assert everything() == before


def test_an_operator_pauses_anybodys_key_and_resumes_their_own_alone(
    project: Project, actor: Actor, owner: User, admin: User, at: datetime
) -> None:
    key = IssuedFactory(project=project, actor=acting(owner, project)).key
    lifecycle.pause(project, key.key_id, actor=actor, at=at)
    with pytest.raises(PermissionDenied):
        lifecycle.resume(project, key.key_id, actor=actor, at=at)
    assert lifecycle.resume(project, key.key_id, actor=acting(admin, project), at=at).paused_at is None


def test_a_viewer_does_neither(project: Project, viewer: User, issued: Issued, at: datetime) -> None:
    for verb in (lifecycle.pause, lifecycle.resume):
        with pytest.raises(PermissionDenied):
            verb(project, issued.key.key_id, actor=acting(viewer, project), at=at)


def test_the_automator_key_is_not_paused(project: Project, actor: Actor, at: datetime) -> None:
    automator = Key.objects.get(project=project, type=KeyType.SYSTEM)
    with pytest.raises(Protected, match="Renew it"):
        lifecycle.pause(project, automator.key_id, actor=actor, at=at)


def test_what_is_revoked_is_neither_paused_nor_resumed(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    lifecycle.pause(project, issued.key.key_id, actor=actor, at=at)
    lifecycle.revoke(project, issued.key.key_id, actor=actor, at=at)
    for verb in (lifecycle.pause, lifecycle.resume):
        with pytest.raises(AlreadyRevoked):
            verb(project, issued.key.key_id, actor=actor, at=at)


def test_a_key_of_another_project_is_not_found(
    project: Project, actor: Actor, outsider: User, at: datetime
) -> None:
    foreign = IssuedFactory(at=at).key
    for verb in (lifecycle.pause, lifecycle.resume):
        with pytest.raises(Key.DoesNotExist):
            verb(project, foreign.key_id, actor=actor, at=at)
