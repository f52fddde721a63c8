"""A key as the one who acts: only within its own scopes, environment and expiry."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from keys import lifecycle
from keys.drafts import Draft, Edit
from keys.kinds import NEVER_EXPIRES, KeyType
from keys.models import Key
from keys.permissions import KeyActor
from projects.models import Project
from tests.db.watching import events, everything
from tests.factories import IssuedFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
OWN = ["keys:read", "keys:write", "sources:read", "chat:send"]


@pytest.fixture
def caller(project: Project, at: datetime) -> KeyActor:
    """A restricted live key that ends in 30 days, and may manage keys."""
    key = IssuedFactory(project=project, at=at, name="Caller", scopes=OWN, expires_at=at + 30 * DAY).key
    return KeyActor.acting(key, "192.0.2.41")


def refused(verb: Callable[[], object]) -> bool:
    before = everything()
    try:
        verb()
    except PermissionDenied:
        refused = True
    else:
        return False
    assert everything() == before
    return refused


REACHES: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"scopes": OWN}, True),
    ({"scopes": ["sources:read", "sources:write"]}, False),
    ({"scopes": ["settings:read"]}, False),
    ({"environment": "test"}, False),
    ({"days": 30}, True),
    ({"days": 31}, False),
    ({"days": None}, False),
    ({"type": KeyType.VIEWER, "scopes": []}, False),
    ({"type": KeyType.PRIVILEGED, "scopes": []}, False),
]


def _fields(given: dict[str, Any], at: datetime) -> dict[str, Any]:
    fields = {"scopes": ["sources:read"], "days": 1, **given}
    days = fields.pop("days")
    return fields | {"expires_at": NEVER_EXPIRES if days is None else at + days * DAY}


@pytest.mark.parametrize(("given", "within"), REACHES)
def test_it_issues_keys_within_its_own_bounds_alone(
    project: Project, caller: KeyActor, at: datetime, given: dict[str, Any], within: bool
) -> None:
    draft = Draft("Made", **_fields(given, at))
    no = refused(lambda: lifecycle.issue(project, draft, actor=caller, at=at))
    assert no is not within


@pytest.mark.parametrize(("given", "within"), REACHES)
@pytest.mark.parametrize("verb", ["renew", "edit", "confirm", "revoke", "pause", "resume", "rotate"])
def test_it_touches_keys_within_its_own_bounds_alone(
    project: Project, caller: KeyActor, at: datetime, verb: str, given: dict[str, Any], within: bool
) -> None:
    key = IssuedFactory(project=project, at=at, **_fields(given, at)).key
    act: dict[str, Any] = {"actor": caller, "at": at}
    verbs: dict[str, Callable[[], object]] = {
        "renew": lambda: lifecycle.renew(project, key.key_id, **act, version=1),
        "edit": lambda: lifecycle.edit(project, key.key_id, Edit(note="x"), **act, version=1),
        "confirm": lambda: lifecycle.confirm(project, key.key_id, **act),
        "revoke": lambda: lifecycle.revoke(project, key.key_id, **act),
        "pause": lambda: lifecycle.pause(project, key.key_id, **act),
        "resume": lambda: lifecycle.resume(project, key.key_id, **act),
        "rotate": lambda: lifecycle.rotate(project, key.key_id, grace=DAY, **act),
    }
    assert refused(verbs[verb]) is not within


def test_it_widens_no_key_beyond_itself(project: Project, caller: KeyActor, at: datetime) -> None:
    key = IssuedFactory(project=project, at=at, **_fields({}, at)).key
    for changes in (
        Edit(scopes=["sources:read", "sources:delete"]), Edit(expires_at=at + 31 * DAY),
    ):  # fmt: skip
        edit = partial(lifecycle.edit, project, key.key_id, changes, actor=caller, at=at, version=1)
        assert refused(edit)


def test_on_itself_it_may_only_revoke(project: Project, caller: KeyActor, at: datetime) -> None:
    act: dict[str, Any] = {"actor": caller, "at": at}
    assert refused(lambda: lifecycle.renew(project, caller.id, **act, version=1))
    assert refused(lambda: lifecycle.edit(project, caller.id, Edit(note="x"), **act, version=1))
    assert refused(lambda: lifecycle.confirm(project, caller.id, **act))
    assert refused(lambda: lifecycle.pause(project, caller.id, **act))
    assert refused(lambda: lifecycle.resume(project, caller.id, **act))
    assert refused(lambda: lifecycle.rotate(project, caller.id, grace=DAY, **act))
    assert not refused(lambda: lifecycle.revoke(project, caller.id, **act))


@pytest.mark.parametrize("key_type", [KeyType.PRIVILEGED, KeyType.SYSTEM])
def test_no_key_renews_the_automator_key_not_even_itself(
    project: Project, at: datetime, key_type: str
) -> None:
    automator = Key.objects.get(project=project, type=KeyType.SYSTEM)
    key = automator if key_type == KeyType.SYSTEM else IssuedFactory(project=project, type=key_type).key
    caller = KeyActor.acting(key)
    assert refused(lambda: lifecycle.renew(project, automator.key_id, actor=caller, at=at, version=1))


def test_gateway_use_must_be_picked_even_by_the_widest_key(project: Project, at: datetime) -> None:
    widest = KeyActor.acting(IssuedFactory(project=project, type=KeyType.PRIVILEGED).key)
    draft = Draft("Gateway", scopes=["gateway:use"])
    assert refused(lambda: lifecycle.issue(project, draft, actor=widest, at=at))
    wide = Draft("Wide", KeyType.PRIVILEGED)
    assert not refused(lambda: lifecycle.issue(project, wide, actor=widest, at=at))


def test_what_it_makes_names_it_as_the_maker(project: Project, caller: KeyActor, at: datetime) -> None:
    key = lifecycle.issue(
        project, Draft("Made", **_fields({}, at)), actor=caller, at=at, nonce="n", confirmed=True
    ).key
    stored = Key.objects.get(pk=key.pk)
    assert stored.created_by_key is not None
    assert stored.created_by_key.key_id == caller.id
    assert (stored.created_by, stored.created_by_label) == (None, "Caller")
    event = events(project)[-1]
    assert (event.actor_kind, event.actor_id, event.actor_label, event.address) == (
        "key", caller.id, "Caller", "192.0.2.41",
    )  # fmt: skip
