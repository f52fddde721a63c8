"""Which role may do what with which key: PRODUCT.md's table, verb by verb."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import pytest
from django.core.exceptions import PermissionDenied

from keys import lifecycle, recovery
from keys.drafts import Draft
from keys.kinds import KeyType
from keys.models import Key
from keys.permissions import issuable_types
from projects.audit import Actor
from projects.models import Membership, Project, Role
from tests.db.watching import everything
from tests.factories import ChannelFactory, IssuedFactory, MembershipFactory, acting

pytestmark = pytest.mark.django_db

OPERATOR, ADMIN = Role.OPERATOR, Role.ADMIN


def allowed(verb: Callable[[], object]) -> bool:
    """Run the verb; say whether the role let it. A refusal must leave every row as it was."""
    before = everything()
    try:
        verb()
    except PermissionDenied as refusal:
        said = str(refusal)
    else:
        return True
    assert said.startswith("Ask an ")
    assert everything() == before
    return False


@pytest.fixture
def actor(project: Project, role: Role) -> Actor:
    return acting(MembershipFactory(project=project, role=role).user, project)


def _own(project: Project, actor: Actor, **draft: Any) -> Key:
    """A key of the actor's own, whatever they may do by now: roles change."""
    key = IssuedFactory(project=project, **draft).key
    Key.objects.filter(pk=key.pk).update(created_by=actor.user)
    return key


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    ("key_type", "scopes", "least"),
    [
        (KeyType.PRIVILEGED, [], ADMIN),
        (KeyType.VIEWER, [], OPERATOR),
        (KeyType.RESTRICTED, ["sources:delete", "providers:use"], OPERATOR),
        (KeyType.RESTRICTED, ["sources:read", "keys:read"], ADMIN),
        (KeyType.RESTRICTED, ["keys:write"], ADMIN),
        (KeyType.RESTRICTED, ["settings:read"], ADMIN),
        (KeyType.RESTRICTED, ["settings:write"], ADMIN),
        (KeyType.RESTRICTED, ["gateway:use"], ADMIN),
    ],
)
def test_who_may_issue(
    project: Project, actor: Actor, role: Role, key_type: str, scopes: list[str], least: Role,
    at: datetime,
) -> None:  # fmt: skip
    draft = Draft("Docs crawler", key_type, scopes)
    may = allowed(lambda: lifecycle.issue(project, draft, actor=actor, at=at))
    assert may is (role >= least)


@pytest.mark.parametrize("role", Role)
def test_the_types_that_are_offered_are_those_that_may_be_issued(
    project: Project, actor: Actor, role: Role, at: datetime
) -> None:
    given: dict[KeyType, dict[str, Any]] = {
        KeyType.RESTRICTED: {"scopes": ["sources:read"]},
        KeyType.CHANNEL: {"channel": ChannelFactory(project=project).slug, "holder": "Support desk"},
    }
    issued = [
        kind
        for kind in KeyType
        if kind is not KeyType.SYSTEM
        and allowed(
            lambda kind=kind: lifecycle.issue(  # type: ignore[misc]
                project, Draft(f"A {kind}", kind, **given.get(kind, {})), actor=actor, at=at
            )
        )
    ]
    assert issuable_types(role) == issued


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("own", "least"), [(True, OPERATOR), (False, ADMIN)])
def test_who_may_confirm(
    project: Project, actor: Actor, role: Role, own: bool, least: Role, at: datetime
) -> None:
    key = _own(project, actor) if own else IssuedFactory(project=project).key
    may = allowed(lambda: lifecycle.confirm(project, key.key_id, actor=actor, at=at))
    assert may is (role >= least)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    ("own", "draft", "least"),
    [
        (True, {}, OPERATOR),
        (True, {"type": KeyType.VIEWER}, OPERATOR),
        (False, {}, ADMIN),
        # Of an admin who was made an operator.
        (True, {"type": KeyType.PRIVILEGED}, ADMIN),
        (True, {"scopes": ["keys:read"]}, ADMIN),
        (True, {"scopes": ["gateway:use"]}, ADMIN),
    ],
)
def test_who_may_renew(
    project: Project, actor: Actor, role: Role, own: bool, draft: dict[str, Any], least: Role,
    at: datetime,
) -> None:  # fmt: skip
    key = _own(project, actor, **draft) if own else IssuedFactory(project=project, **draft).key
    may = allowed(lambda: lifecycle.renew(project, key.key_id, actor=actor, at=at, version=1))
    assert may is (role >= least)


OWN_AND_ISSUABLE: Final = [
    (True, {}, OPERATOR),
    (False, {}, ADMIN),
    # Of an admin who was made an operator: no verb gives them more than they have.
    (True, {"type": KeyType.PRIVILEGED}, ADMIN),
    (True, {"scopes": ["keys:write"]}, ADMIN),
]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("own", "draft", "least"), OWN_AND_ISSUABLE)
def test_who_may_resume(
    project: Project, actor: Actor, role: Role, own: bool, draft: dict[str, Any], least: Role, at: datetime
) -> None:
    key = _own(project, actor, **draft) if own else IssuedFactory(project=project, **draft).key
    lifecycle.pause(project, key.key_id, actor=Actor.system(), at=at)
    may = allowed(lambda: lifecycle.resume(project, key.key_id, actor=actor, at=at))
    assert may is (role >= least)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("own", "draft", "least"), OWN_AND_ISSUABLE)
def test_who_may_reveal(
    project: Project, actor: Actor, role: Role, own: bool, draft: dict[str, Any], least: Role, at: datetime
) -> None:
    recovery.set_recoverable(project, True, actor=Actor.system(), at=at)
    key = _own(project, actor, **draft) if own else IssuedFactory(project=project, **draft).key
    may = allowed(lambda: recovery.reveal(project, key.key_id, actor=actor, at=at))
    assert may is (role >= least)


@pytest.mark.parametrize("role", Role)
def test_who_may_renew_the_automator_key(project: Project, actor: Actor, role: Role, at: datetime) -> None:
    key = project.keys.get(type=KeyType.SYSTEM)
    may = allowed(lambda: lifecycle.renew(project, key.key_id, actor=actor, at=at, version=1))
    assert may is (role >= ADMIN)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("key_type", [KeyType.PRIVILEGED, KeyType.RESTRICTED])
def test_any_operator_may_revoke_anybody_s_key(
    project: Project, actor: Actor, role: Role, own: bool, key_type: str, at: datetime
) -> None:
    key = _own(project, actor, type=key_type) if own else IssuedFactory(project=project, type=key_type).key
    may = allowed(lambda: lifecycle.revoke(project, key.key_id, actor=actor, at=at))
    assert may is (role >= OPERATOR)


def test_a_key_is_nobody_s_own_once_its_maker_is_gone(project: Project, at: datetime) -> None:
    maker = MembershipFactory(project=project, role=ADMIN).user
    key = IssuedFactory(project=project, actor=acting(maker, project)).key
    label = maker.label
    maker.delete()
    key = Key.objects.get(pk=key.pk)
    assert (key.created_by, key.created_by_label) == (None, label)
    role = Membership(project=project, role=OPERATOR)
    nobody = Actor("system", "", "A script", Role(role.role))
    assert not allowed(lambda: lifecycle.confirm(project, key.key_id, actor=nobody, at=at))
