from datetime import datetime, timedelta

import pytest
from django.conf import settings

from keys import lifecycle, tokens
from keys.conflicts import AlreadyRevoked, NotRenewable, Stale
from keys.kinds import KeyType, Status
from keys.lifecycle import Issued
from keys.models import Key, KeyActivity
from keys.sealing import Keyring, SealingError
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import Project, User
from tests.db.watching import events, everything, writes_of
from tests.factories import IssuedFactory, ProjectFactory, acting

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor(project: Project, operator: User) -> Actor:
    return acting(operator, project, "192.0.2.41")


@pytest.fixture
def issued(project: Project, actor: Actor, at: datetime) -> Issued:
    return IssuedFactory(project=project, actor=actor, at=at, name="Docs crawler")


def test_the_same_key_gets_a_fresh_secret_and_the_old_one_stops_at_once(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    renewed = lifecycle.renew(project, issued.key.key_id, actor=actor, at=at, version=1)
    assert renewed.key.pk == issued.key.pk
    assert check(issued.token, at=at).outcome is Outcome.UNKNOWN
    assert check(renewed.token, at=at, scopes=["sources:read"]).is_valid
    stored = Key.objects.get(pk=issued.key.pk)
    assert (stored.key_id, stored.version) == (issued.key.key_id, 2)
    assert stored.preview.endswith(renewed.token[-4:])


def test_it_stays_unconfirmed_unless_the_caller_has_the_token_as_data(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    key = lifecycle.renew(project, issued.key.key_id, actor=actor, at=at, version=1).key
    assert key.status(at) is Status.UNCONFIRMED
    key = lifecycle.renew(project, issued.key.key_id, actor=actor, at=at, version=2, confirmed=True).key
    assert (key.confirmed_at, key.status(at)) == (at, Status.ACTIVE)


def test_its_event_holds_nothing_of_the_secret(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    renewed = lifecycle.renew(project, issued.key.key_id, actor=actor, at=at, version=1)
    event = events(project)[-1]
    assert (event.verb, event.object_id, event.changes) == (
        "key.renewed", issued.key.key_id, {},
    )  # fmt: skip
    rows, token = repr(everything()), tokens.parse(renewed.token)
    assert token is not None
    assert token.secret not in rows
    assert renewed.token not in repr(renewed)


def test_a_second_time_with_the_same_version_is_stale(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    renewed = lifecycle.renew(project, issued.key.key_id, actor=actor, at=at, version=1)
    before = everything()
    with pytest.raises(Stale, match="can't be shown again"):
        lifecycle.renew(project, issued.key.key_id, actor=actor, at=at, version=1)
    assert everything() == before
    assert check(renewed.token, at=at).is_valid


def test_a_confirmed_key_is_not_renewed(project: Project, actor: Actor, issued: Issued, at: datetime) -> None:
    version = lifecycle.confirm(project, issued.key.key_id, actor=actor, at=at).version
    before = everything()
    with pytest.raises(NotRenewable, match="stored or used"):
        lifecycle.renew(project, issued.key.key_id, actor=actor, at=at, version=version)
    assert everything() == before


def test_a_key_that_was_used_is_not_renewed(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    KeyActivity.objects.filter(key=issued.key).update(last_used_at=at)
    with pytest.raises(NotRenewable, match="stored or used"):
        lifecycle.renew(project, issued.key.key_id, actor=actor, at=at, version=1)


def test_an_expired_key_is_not_renewed(project: Project, actor: Actor, at: datetime) -> None:
    key = IssuedFactory(project=project, actor=actor, at=at - timedelta(days=2), expires_at=at).key
    with pytest.raises(NotRenewable, match="expired"):
        lifecycle.renew(project, key.key_id, actor=actor, at=at, version=1)


def test_a_revoked_key_is_not_renewed(project: Project, actor: Actor, issued: Issued, at: datetime) -> None:
    lifecycle.revoke(project, issued.key.key_id, actor=actor, at=at)
    before = everything()
    with pytest.raises(AlreadyRevoked):
        lifecycle.renew(project, issued.key.key_id, actor=actor, at=at, version=2)
    assert everything() == before


def test_a_key_of_another_project_is_missing(project: Project, actor: Actor, at: datetime) -> None:
    other = IssuedFactory()
    with pytest.raises(Key.DoesNotExist):
        lifecycle.renew(project, other.key.key_id, actor=actor, at=at, version=1)
    assert check(other.token, at=at).is_valid


def test_it_happens_whole_or_not_whichever_write_fails(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    key_id = issued.key.key_id
    assert writes_of(lambda: lifecycle.renew(project, key_id, actor=actor, at=at, version=1)) == 3


# The Automator Key, whose one verb this is.


@pytest.fixture
def automator(project: Project) -> Key:
    return Key.objects.of(project).get(type=KeyType.SYSTEM)


def opened(key: Key) -> str:
    assert key.sealed is not None
    return Keyring(settings.KEYRACK_SEALING_KEYS).open(bytes(key.sealed), key.seal_place)


def test_the_automator_key_s_sealed_token_passes(automator: Key, at: datetime) -> None:
    assert check(opened(automator), at=at, project="acme", scopes=["keys:write"]).is_valid
    assert opened(automator).encode() not in bytes(automator.sealed or b"")


def test_the_automator_key_is_renewed_again_and_again(
    project: Project, automator: Key, admin: User, at: datetime
) -> None:
    leaked = opened(automator)
    for version in (1, 2, 3):
        renewed = lifecycle.renew(
            project, automator.key_id, actor=acting(admin, project), at=at, version=version
        )
    stored = Key.objects.of(project).get(pk=automator.pk)
    assert check(leaked, at=at).outcome is Outcome.UNKNOWN
    assert opened(stored) == renewed.token
    assert check(renewed.token, at=at).is_valid
    assert (stored.version, stored.is_protected) == (4, True)


def test_the_automator_key_is_renewed_though_it_was_used(
    project: Project, automator: Key, admin: User, at: datetime
) -> None:
    KeyActivity.objects.filter(key=automator).update(last_used_at=at)
    assert lifecycle.renew(project, automator.key_id, actor=acting(admin, project), at=at, version=1).token


def test_a_sealed_token_moved_to_another_project_does_not_open(automator: Key) -> None:
    other = ProjectFactory().keys.get()
    other.sealed = automator.sealed
    other.save(update_fields=["sealed"])
    with pytest.raises(SealingError, match="another place"):
        opened(Key.objects.get(pk=other.pk))
