from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from keys import lifecycle
from keys.conflicts import AlreadyRevoked, AlreadyRotated, NotRenewable, Protected
from keys.drafts import Edit
from keys.kinds import AGENT_LIFETIME, GRACES, NEVER_EXPIRES, KeyType, Status
from keys.lifecycle import Issued
from keys.models import Key
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.catalogue import edit_resource
from projects.models import Project, User
from tests.db.watching import events, everything
from tests.factories import ChannelFactory, IssuedFactory, acting

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def actor(project: Project, operator: User) -> Actor:
    return acting(operator, project, "192.0.2.41")


@pytest.fixture
def old(project: Project, actor: Actor, at: datetime) -> Issued:
    made = at - 10 * DAY
    return IssuedFactory(
        project=project, actor=actor, at=made, name="Docs crawler", confirmed=True,
        scopes=["sources:read", "sources:write"], note="For the docs", expires_at=made + 30 * DAY,
    )  # fmt: skip


def rotate(project: Project, key: Key, actor: Actor, at: datetime, grace: timedelta = DAY) -> Issued:
    return lifecycle.rotate(project, key.key_id, grace=grace, actor=actor, at=at)


def stored(key: Key) -> Key:
    return Key.objects.get(pk=key.pk)


def test_the_new_key_is_as_the_old_one_with_its_lifetime_counted_from_now(
    project: Project, actor: Actor, old: Issued, at: datetime
) -> None:
    new = rotate(project, old.key, actor, at)
    key, before = stored(new.key), stored(old.key)
    same = ("name", "name_folded", "note", "scopes", "type", "environment", "channel_id", "holder")
    assert [getattr(key, name) for name in same] == [getattr(before, name) for name in same]
    assert key.expires_at == at + 30 * DAY
    assert (key.created_at, key.created_by_label, key.confirmed_at) == (at, "Otis Brandt", None)
    assert key.key_id != before.key_id
    assert key.predecessor == before
    assert check(new.token, at=at).is_valid


def test_the_old_one_works_until_the_grace_is_over_and_not_a_moment_longer(
    project: Project, actor: Actor, old: Issued, at: datetime
) -> None:
    rotate(project, old.key, actor, at)
    assert stored(old.key).status(at) is Status.ROTATING
    assert check(old.token, at=at + DAY - timedelta(microseconds=1)).is_valid
    assert check(old.token, at=at + DAY).outcome is Outcome.REVOKED
    assert list(Key.objects.of(project).revoked(at + DAY)) == [old.key]
    assert stored(old.key).status(at + DAY) is Status.REVOKED
    assert stored(old.key).revoked_reason == "Rotated by Otis Brandt"


def test_it_never_works_longer_than_its_own_end(project: Project, actor: Actor, at: datetime) -> None:
    old = IssuedFactory(project=project, actor=actor, at=at - DAY, expires_at=at + HOUR)
    rotate(project, old.key, actor, at, GRACES["7d"])
    assert stored(old.key).revoked_at == at + HOUR
    assert check(old.token, at=at + HOUR).outcome is Outcome.REVOKED


def test_without_a_grace_it_stops_at_once_whatever_another_machines_clock_says(
    project: Project, actor: Actor, old: Issued, at: datetime
) -> None:
    rotate(project, old.key, actor, at, GRACES["now"])
    assert check(old.token, at=at - HOUR).outcome is Outcome.REVOKED
    assert stored(old.key).revoked_by_label == "Otis Brandt"


def test_an_expired_key_is_rotated_too(project: Project, actor: Actor, at: datetime) -> None:
    old = IssuedFactory(project=project, actor=actor, at=at - 2 * DAY, expires_at=at - DAY)
    new = rotate(project, old.key, actor, at)
    assert stored(new.key).expires_at == at + DAY
    assert stored(old.key).status(at) is Status.REVOKED


def test_a_key_for_ever_is_followed_by_one_for_ever(project: Project, actor: Actor, at: datetime) -> None:
    old = IssuedFactory(project=project, actor=actor, at=at - DAY, expires_at=None)
    assert rotate(project, old.key, actor, at).key.expires_at == NEVER_EXPIRES


def test_an_agent_key_gets_ninety_fresh_days_and_keeps_its_scopes(
    project: Project, actor: Actor, at: datetime
) -> None:
    old = IssuedFactory(
        project=project, actor=actor, at=at - 80 * DAY, type=KeyType.AGENT, scopes=["agents:run"]
    )
    new = rotate(project, old.key, actor, at).key
    assert (stored(new).expires_at, stored(new).scopes) == (at + AGENT_LIFETIME, "agents:run")


def test_a_channel_key_stays_in_its_channel_and_with_its_holder(
    project: Project, actor: Actor, at: datetime
) -> None:
    channel = ChannelFactory(project=project, slug="support")
    held = {"type": KeyType.CHANNEL, "channel": "support", "holder": "Help desk"}
    old = IssuedFactory(project=project, actor=actor, at=at, **held)
    new = rotate(project, old.key, actor, at)
    assert (stored(new.key).channel, stored(new.key).holder) == (channel, "Help desk")
    for issued in (old, new):
        assert check(issued.token, at=at, channel="support").is_valid


def test_a_pause_is_not_escaped_from_by_rotation(
    project: Project, actor: Actor, old: Issued, at: datetime
) -> None:
    lifecycle.pause(project, old.key.key_id, actor=actor, at=at)
    new = rotate(project, old.key, actor, at)
    assert check(new.token, at=at).outcome is Outcome.PAUSED


def test_a_second_time_finds_the_successor_and_makes_nothing(
    project: Project, actor: Actor, old: Issued, at: datetime
) -> None:
    new = rotate(project, old.key, actor, at)
    before = everything()
    for grace in GRACES.values():
        with pytest.raises(AlreadyRotated) as caught:
            rotate(project, old.key, actor, at + HOUR, grace)
        assert caught.value.key == new.key
    # Also when the grace is over, and when somebody has revoked it.
    with pytest.raises(AlreadyRotated):
        rotate(project, old.key, actor, at + 2 * DAY)
    assert everything() == before


def test_the_successor_can_be_rotated_in_its_turn(
    project: Project, actor: Actor, old: Issued, at: datetime
) -> None:
    second = rotate(project, old.key, actor, at)
    third = rotate(project, second.key, actor, at + HOUR)
    for issued in (old, second, third):
        assert check(issued.token, at=at + 2 * HOUR).is_valid


def test_what_it_leaves_in_the_log_names_both(
    project: Project, actor: Actor, old: Issued, at: datetime
) -> None:
    new = rotate(project, old.key, actor, at)
    rotated, issued = events(project)[-2:]
    assert (rotated.verb, rotated.object_id, rotated.changes) == (
        "key.rotated", old.key.key_id,
        {"successor": new.key.key_id, "ends_at": (at + DAY).isoformat()},
    )  # fmt: skip
    assert (issued.verb, issued.object_id, issued.changes["predecessor"]) == (
        "key.issued", new.key.key_id, old.key.key_id,
    )  # fmt: skip


def test_revoking_the_new_key_ends_the_old_ones_still_in_their_grace(
    project: Project, actor: Actor, old: Issued, at: datetime
) -> None:
    second = rotate(project, old.key, actor, at, GRACES["7d"])
    # The one between is over already; the first isn't.
    third = rotate(project, second.key, actor, at + HOUR, GRACES["now"])
    assert check(old.token, at=at + HOUR).is_valid
    lifecycle.revoke(project, third.key.key_id, actor=actor, at=at + HOUR)
    for issued in (old, second, third):
        assert check(issued.token, at=at + HOUR).outcome is Outcome.REVOKED
    assert [event.verb for event in events(project)[-2:]] == ["key.revoked", "key.revoked"]
    assert stored(second.key).revoked_reason == "Rotated by Otis Brandt"


def test_stopping_the_old_key_leaves_the_new_one(
    project: Project, actor: Actor, old: Issued, at: datetime
) -> None:
    new = rotate(project, old.key, actor, at)
    lifecycle.revoke(project, old.key.key_id, actor=actor, at=at + HOUR)
    assert stored(old.key).revoked_at == at + HOUR
    assert check(old.token, at=at + HOUR).outcome is Outcome.REVOKED
    assert check(new.token, at=at + HOUR).is_valid


def test_a_key_that_is_being_replaced_is_neither_edited_nor_renewed(
    project: Project, actor: Actor, at: datetime
) -> None:
    old = IssuedFactory(project=project, actor=actor, at=at).key
    rotate(project, old, actor, at)
    version = stored(old).version
    with pytest.raises(AlreadyRotated):
        lifecycle.edit(project, old.key_id, Edit(name="Other"), actor=actor, at=at, version=version)
    with pytest.raises(NotRenewable):
        lifecycle.renew(project, old.key_id, actor=actor, at=at, version=version)


def test_what_is_over_is_not_rotated(project: Project, actor: Actor, old: Issued, at: datetime) -> None:
    lifecycle.revoke(project, old.key.key_id, actor=actor, at=at)
    with pytest.raises(AlreadyRevoked):
        rotate(project, old.key, actor, at)
    automator = Key.objects.get(project=project, type=KeyType.SYSTEM)
    with pytest.raises(Protected, match="Renew it"):
        rotate(project, automator, Actor.system(), at)


@pytest.mark.parametrize(
    ("own", "draft", "role", "may"),
    [
        (True, {}, "operator", True),
        (False, {}, "operator", False),
        (False, {}, "admin", True),
        (True, {}, "viewer", False),
        (True, {"type": KeyType.PRIVILEGED}, "operator", False),
        (False, {"type": KeyType.PRIVILEGED}, "admin", True),
        (True, {"scopes": ["keys:read"]}, "operator", False),
    ],
)
def test_who_may_rotate(
    project: Project, request: pytest.FixtureRequest, own: bool, draft: dict[str, Any], role: str, may: bool,
    at: datetime,
) -> None:  # fmt: skip
    actor = acting(request.getfixturevalue(role), project)
    key = IssuedFactory(project=project, at=at, **draft).key
    if own:
        Key.objects.filter(pk=key.pk).update(created_by=actor.user)
    before = everything()
    call = partial(rotate, project, key, actor, at)
    if may:
        call()
    else:
        with pytest.raises(PermissionDenied):
            call()
        assert everything() == before


def test_a_scope_that_the_catalogue_has_lost_stops_it_and_nothing_is_half_done(
    project: Project, actor: Actor, owner: User, at: datetime
) -> None:
    old = IssuedFactory(
        project=project, actor=actor, at=at - 2 * DAY, expires_at=at - DAY, scopes=["sources:delete"]
    ).key
    edit_resource(project, "sources", ["read"], label="Sources", actor=acting(owner, project), at=at)
    before = everything()
    with pytest.raises(ValidationError, match="no scope called “sources:delete”"):
        rotate(project, old, actor, at)
    assert everything() == before
