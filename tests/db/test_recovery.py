from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest
from django.core.exceptions import PermissionDenied
from django.test import override_settings

from keys import lifecycle, recovery
from keys.conflicts import AlreadyRevoked
from keys.kinds import KeyType
from keys.models import Key
from keys.recovery import NotKept
from keys.sealing import SealingError
from projects.audit import Actor
from projects.models import Project, User
from tests.db.racing import race
from tests.db.watching import events, everything
from tests.factories import IssuedFactory, acting

pytestmark = pytest.mark.django_db

Make = Callable[..., lifecycle.Issued]


@pytest.fixture
def mara(project: Project, owner: User) -> Actor:
    return acting(owner, project, "192.0.2.41")


@pytest.fixture
def kept(project: Project, mara: Actor, at: datetime) -> Make:
    """Keys that are made while the project keeps them recoverable."""
    recovery.set_recoverable(project, True, actor=mara, at=at)
    return partial(IssuedFactory, project=project, actor=mara, at=at)


def sealed(issued: lifecycle.Issued) -> bytes | None:
    copy = Key.objects.get(pk=issued.key.pk).sealed
    return None if copy is None else bytes(copy)


def test_by_default_nothing_is_kept(project: Project, mara: Actor, at: datetime) -> None:
    issued = IssuedFactory(project=project, actor=mara, at=at)
    assert sealed(issued) is None
    with pytest.raises(NotKept, match="weren't recoverable"):
        recovery.reveal(project, issued.key.key_id, actor=mara, at=at)


def test_a_kept_token_is_shown_again_each_time_with_an_event(
    project: Project, mara: Actor, kept: Make, at: datetime
) -> None:
    issued = kept(name="Docs crawler")
    assert issued.token.encode() not in (sealed(issued) or b"")
    for _ in range(2):
        assert recovery.reveal(project, issued.key.key_id, actor=mara, at=at) == issued.token
    said = [(event.verb, event.object_id, event.changes) for event in events(project)[-2:]]
    assert said == [("key.revealed", issued.key.key_id, {})] * 2


def test_a_new_secret_is_kept_as_well(project: Project, mara: Actor, kept: Make, at: datetime) -> None:
    key = kept().key
    renewed = lifecycle.renew(project, key.key_id, actor=mara, at=at, version=1)
    assert recovery.reveal(project, key.key_id, actor=mara, at=at) == renewed.token
    rotated = lifecycle.rotate(project, key.key_id, grace=timedelta(days=1), actor=mara, at=at)
    assert recovery.reveal(project, rotated.key.key_id, actor=mara, at=at) == rotated.token
    with pytest.raises(NotKept):
        recovery.reveal(project, key.key_id, actor=mara, at=at)


def test_an_operator_sees_their_own_and_an_admin_any(
    project: Project, operator: User, admin: User, viewer: User, kept: Make, at: datetime
) -> None:
    theirs, maras = kept(actor=acting(operator, project)), kept()
    reveal = partial(recovery.reveal, project, at=at)
    assert reveal(theirs.key.key_id, actor=acting(operator, project)) == theirs.token
    assert reveal(theirs.key.key_id, actor=acting(admin, project)) == theirs.token
    for issued, person in ((maras, operator), (maras, viewer), (theirs, viewer)):
        with pytest.raises(PermissionDenied):
            reveal(issued.key.key_id, actor=acting(person, project))


def test_revocation_destroys_the_copy(project: Project, mara: Actor, kept: Make, at: datetime) -> None:
    issued = kept()
    lifecycle.revoke(project, issued.key.key_id, actor=mara, at=at)
    assert sealed(issued) is None
    with pytest.raises(AlreadyRevoked):
        recovery.reveal(project, issued.key.key_id, actor=mara, at=at)


def test_turning_it_off_destroys_all_copies_but_the_automator_keys_and_says_how_many(
    project: Project, mara: Actor, kept: Make, at: datetime
) -> None:
    issued = [kept(), kept(), IssuedFactory(project=project)]
    elsewhere = IssuedFactory()
    recovery.set_recoverable(elsewhere.key.project, True, actor=Actor.system(), at=at)
    other = IssuedFactory(project=elsewhere.key.project)
    assert recovery.sealed_copies(project) == 3
    assert recovery.set_recoverable(project, False, actor=mara, at=at) == 3
    assert [sealed(each) for each in issued] == [None, None, None]
    assert sealed(other) is not None
    assert Key.objects.get(project=project, type=KeyType.SYSTEM).sealed is not None
    assert events(project)[-1].changes == {"recoverable_keys": [True, False], "destroyed": 3}
    assert sealed(IssuedFactory(project=project)) is None


def test_setting_it_as_it_is_changes_nothing(project: Project, mara: Actor, kept: Make, at: datetime) -> None:
    before = everything()
    assert recovery.set_recoverable(project, True, actor=mara, at=at) == 0
    assert everything() == before


def test_only_an_owner_sets_it(project: Project, admin: User, at: datetime) -> None:
    with pytest.raises(PermissionDenied, match="Ask an owner"):
        recovery.set_recoverable(project, True, actor=acting(admin, project), at=at)


def test_the_automator_key_is_never_revealed(project: Project, mara: Actor, kept: Make, at: datetime) -> None:
    automator = Key.objects.get(project=project, type=KeyType.SYSTEM)
    with pytest.raises(NotKept, match="Renew it"):
        recovery.reveal(project, automator.key_id, actor=mara, at=at)


def test_a_lost_sealing_key_is_an_error_and_no_empty_token(
    project: Project, mara: Actor, kept: Make, at: datetime
) -> None:
    issued = kept()
    before = everything()
    lost = override_settings(KEYRACK_SEALING_KEYS=(b"x" * 32,))
    with lost, pytest.raises(SealingError, match="is missing"):
        recovery.reveal(project, issued.key.key_id, actor=mara, at=at)
    assert everything() == before


def test_a_copy_that_was_moved_to_another_key_does_not_open(
    project: Project, mara: Actor, kept: Make, at: datetime
) -> None:
    one, other = kept(), kept()
    Key.objects.filter(pk=other.key.pk).update(sealed=sealed(one))
    with pytest.raises(SealingError, match="another place"):
        recovery.reveal(project, other.key.key_id, actor=mara, at=at)


@pytest.mark.django_db(transaction=True)
def test_no_copy_outlives_the_setting_whatever_is_issued_meanwhile(
    project: Project, mara: Actor, kept: Make, at: datetime
) -> None:
    calls = [partial(kept, name=f"Key {number}") for number in range(3)]
    off = partial(recovery.set_recoverable, project, False, actor=mara, at=at)
    results = race(*calls, off)
    assert not [each for each in results if isinstance(each, Exception)]
    assert recovery.sealed_copies(project) == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", ["revoke", "off"])
def test_no_token_is_revealed_once_its_copy_is_gone(
    project: Project, mara: Actor, kept: Make, at: datetime, end: str
) -> None:
    issued = kept()
    reveal = partial(recovery.reveal, project, issued.key.key_id, actor=mara, at=at)
    ends: dict[str, Callable[[], object]] = {
        "revoke": partial(lifecycle.revoke, project, issued.key.key_id, actor=mara, at=at),
        "off": partial(recovery.set_recoverable, project, False, actor=mara, at=at),
    }
    *shown, ended = race(*[reveal] * 3, ends[end])
    assert not isinstance(ended, Exception), ended
    told = AlreadyRevoked if end == "revoke" else NotKept
    assert all(each == issued.token or isinstance(each, told) for each in shown), shown
    # Whoever saw it stands in the log, and before its end.
    seen = [event.verb for event in events(project)]
    count = sum(each == issued.token for each in shown)
    assert seen[len(seen) - 1 - count :] == ["key.revealed"] * count + [seen[-1]]
    assert seen[-1] in ("key.revoked", "project.recoverable_keys")
    assert sealed(issued) is None
