from datetime import datetime, timedelta

import pytest
from django.core.exceptions import ValidationError

from keys import lifecycle, tokens
from keys.conflicts import AlreadyRevoked, Protected
from keys.kinds import KeyType, Status
from keys.lifecycle import Issued
from keys.models import Key
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import Project, User
from tests.db.watching import events, everything, writes_of
from tests.factories import IssuedFactory, acting

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor(project: Project, operator: User) -> Actor:
    return acting(operator, project, "192.0.2.41")


@pytest.fixture
def issued(project: Project, at: datetime) -> Issued:
    return IssuedFactory(project=project, at=at, name="Docs crawler")


def test_the_key_ends_at_once_and_says_who_why_and_when(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    later = at + timedelta(hours=1)
    assert check(issued.token, at=later).is_valid
    answered = lifecycle.revoke(
        project, issued.key.key_id, actor=actor, at=later, reason=" Laptop\r\nstolen "
    )
    assert check(issued.token, at=later).outcome is Outcome.REVOKED
    stored = Key.objects.of(project).get(pk=issued.key.pk)
    for key in (answered, stored):
        assert (key.revoked_at, key.revoked_by_label, key.revoked_reason) == (
            later, "Otis Brandt", "Laptop\nstolen",
        )  # fmt: skip
        assert (key.version, key.status(later)) == (2, Status.REVOKED)
    event = events(project)[-1]
    assert (event.verb, event.object_id, event.actor_label, event.address, event.changes) == (
        "key.revoked", issued.key.key_id, "Otis Brandt", "192.0.2.41", {"reason": "Laptop\nstolen"},
    )  # fmt: skip


def test_it_moves_to_the_other_table(project: Project, actor: Actor, issued: Issued, at: datetime) -> None:
    lifecycle.revoke(project, issued.key.key_id, actor=actor, at=at)
    assert issued.key not in Key.objects.of(project).listed(at)
    assert list(Key.objects.of(project).revoked(at)) == [issued.key]


def test_a_second_time_says_who_was_first_and_changes_nothing(
    project: Project, actor: Actor, issued: Issued, owner: User, at: datetime
) -> None:
    lifecycle.revoke(project, issued.key.key_id, actor=actor, at=at, reason="first")
    before = everything()
    with pytest.raises(AlreadyRevoked, match="Otis Brandt already revoked this key") as caught:
        lifecycle.revoke(project, issued.key.key_id, actor=acting(owner, project), at=at + timedelta(days=1))
    assert caught.value.key.revoked_at == at
    assert everything() == before


def test_an_expired_key_is_revoked_too(project: Project, actor: Actor, at: datetime) -> None:
    key = IssuedFactory(project=project, at=at - timedelta(days=2), expires_at=at).key
    assert lifecycle.revoke(project, key.key_id, actor=actor, at=at).revoked_at == at


def test_a_key_scheduled_to_end_can_be_ended_now(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    Key.objects.filter(pk=issued.key.pk).update(revoked_at=at + timedelta(days=1))
    lifecycle.revoke(project, issued.key.key_id, actor=actor, at=at)
    assert check(issued.token, at=at).outcome is Outcome.REVOKED


def test_its_sealed_copy_is_destroyed(project: Project, actor: Actor, issued: Issued, at: datetime) -> None:
    Key.objects.filter(pk=issued.key.pk).update(sealed=b"sealed")
    lifecycle.revoke(project, issued.key.key_id, actor=actor, at=at)
    assert Key.objects.get(pk=issued.key.pk).sealed is None


def test_the_automator_key_is_protected(project: Project, owner: User, at: datetime) -> None:
    automator = project.keys.get(type=KeyType.SYSTEM)
    before = everything()
    with pytest.raises(Protected, match="Renew it to stop a leak"):
        lifecycle.revoke(project, automator.key_id, actor=acting(owner, project), at=at)
    assert everything() == before


def test_a_key_of_another_project_is_missing(project: Project, actor: Actor, at: datetime) -> None:
    other = IssuedFactory()
    with pytest.raises(Key.DoesNotExist):
        lifecycle.revoke(project, other.key.key_id, actor=actor, at=at)
    assert check(other.token, at=at).is_valid


@pytest.mark.parametrize("reason", ["x " * 101, "bell\a", "right\u202eleft"])
def test_a_reason_that_does_not_fit_is_refused(
    project: Project, actor: Actor, issued: Issued, at: datetime, reason: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        lifecycle.revoke(project, issued.key.key_id, actor=actor, at=at, reason=reason)
    assert list(caught.value.message_dict) == ["reason"]
    assert check(issued.token, at=at).is_valid


def test_a_token_in_the_reason_is_refused_and_not_repeated(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    with pytest.raises(ValidationError) as caught:
        lifecycle.revoke(project, issued.key.key_id, actor=actor, at=at, reason=f"leaked: {issued.token}")
    token = tokens.parse(issued.token)
    assert token is not None
    assert token.secret not in repr(caught.value)
    assert token.secret not in repr(everything())


def test_it_happens_whole_or_not_whichever_write_fails(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    key_id = issued.key.key_id
    assert writes_of(lambda: lifecycle.revoke(project, key_id, actor=actor, at=at)) == 3


def test_it_ends_for_a_machine_whose_clock_is_behind(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    lifecycle.revoke(project, issued.key.key_id, actor=actor, at=at)
    behind = at - timedelta(minutes=5)
    assert check(issued.token, at=behind).outcome is Outcome.REVOKED
    stored = Key.objects.of(project).get(pk=issued.key.pk)
    assert stored.status(behind) is Status.REVOKED
    assert stored not in Key.objects.of(project).listed(behind)
    assert stored in Key.objects.of(project).revoked(behind)
    anybody = Actor.system()
    for verb in (lifecycle.revoke, lifecycle.confirm):
        with pytest.raises(AlreadyRevoked):
            verb(project, stored.key_id, actor=anybody, at=behind)
    with pytest.raises(AlreadyRevoked):
        lifecycle.renew(project, stored.key_id, actor=anybody, at=behind, version=stored.version)


def test_an_end_that_is_only_scheduled_waits_for_its_time(issued: Issued, at: datetime) -> None:
    end = at + timedelta(hours=1)
    Key.objects.filter(pk=issued.key.pk).update(revoked_at=end)
    assert check(issued.token, at=end - timedelta(microseconds=1)).is_valid
    assert check(issued.token, at=end).outcome is Outcome.REVOKED
