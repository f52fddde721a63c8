"""The scope catalogue: what may be added, and that nothing goes which a living key holds."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from keys import lifecycle as keys
from keys.drafts import Draft
from keys.kinds import KeyType
from keys.models import Key
from projects import catalogue
from projects.audit import Actor
from projects.models import Project, Resource, Role, User
from tests.db.racing import race, split
from tests.db.watching import events, everything
from tests.factories import IssuedFactory, MembershipFactory, ProjectFactory, acting

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor(project: Project, admin: User) -> Actor:
    return acting(admin, project)


def add(project: Project, actor: Actor, at: datetime, **fields: Any) -> Resource:
    given: dict[str, Any] = {"name": "reports", "actions": ["read", "export"], **fields}
    return catalogue.add_resource(project, **given, actor=actor, at=at)


def edit(project: Project, actor: Actor, at: datetime, actions: list[str]) -> Resource:
    return catalogue.edit_resource(project, "sources", actions, label="Sources", actor=actor, at=at)


def refused(verb: Callable[[], object]) -> dict[str, list[str]]:
    before = everything()
    with pytest.raises(ValidationError) as caught:
        verb()
    assert everything() == before
    return dict(caught.value.message_dict)


def test_a_resource_is_added_and_keys_may_be_given_its_scopes(
    project: Project, actor: Actor, at: datetime
) -> None:
    resource = add(project, actor, at, actions=["read", "export", "read"])
    assert (resource.label, resource.actions) == ("Reports", ["read", "export"])
    event = events(project)[-1]
    assert (event.verb, event.object_kind, event.object_id, event.changes) == (
        "resource.added", "resource", "reports", {"actions": [[], ["read", "export"]]},
    )  # fmt: skip
    assert IssuedFactory(project=project, at=at, scopes=["reports:export"]).key.scopes == "reports:export"


def test_a_label_is_changed_and_the_log_has_both(project: Project, actor: Actor, at: datetime) -> None:
    same = project.resources.get(name="sources").actions
    catalogue.edit_resource(project, "sources", same, label="Documents", seen=same, actor=actor, at=at)
    event = events(project)[-1]
    assert (event.verb, event.object_label, event.changes) == (
        "resource.edited", "Documents", {"label": ["Sources", "Documents"]},
    )  # fmt: skip


def test_whoever_saw_other_actions_changes_nothing(project: Project, actor: Actor, at: datetime) -> None:
    edit(project, actor, at, ["read", "write", "delete", "archive"])
    before = everything()
    with pytest.raises(catalogue.Changed) as caught:
        catalogue.edit_resource(
            project,
            "sources",
            ["read"],
            label="Sources",
            seen=["read", "write", "delete"],
            actor=actor,
            at=at,
        )
    assert caught.value.resource.actions == ["read", "write", "delete", "archive"]
    assert everything() == before


@pytest.mark.django_db(transaction=True)
def test_of_two_who_saw_the_same_one_changes_it(project: Project, actor: Actor, at: datetime) -> None:
    seen = ["read", "write", "delete"]

    def change(action: str) -> Resource:
        wanted = [*seen, action]
        return catalogue.edit_resource(
            project, "sources", wanted, label="Sources", seen=seen, actor=actor, at=at
        )

    won, told = split(race(lambda: change("archive"), lambda: change("index")))
    assert len(won) == 1
    assert [type(each) for each in told] == [catalogue.Changed]
    assert project.resources.get(name="sources").actions == won[0].actions


def test_an_action_is_added_and_the_log_has_both_lists(project: Project, actor: Actor, at: datetime) -> None:
    edit(project, actor, at, ["read", "write", "delete", "archive"])
    event = events(project)[-1]
    assert (event.verb, event.changes) == (
        "resource.edited",
        {"actions": [["read", "write", "delete"], ["read", "write", "delete", "archive"]]},
    )


def test_an_edit_that_changes_nothing_writes_nothing(project: Project, actor: Actor, at: datetime) -> None:
    before = everything()
    edit(project, actor, at, ["read", "write", "delete"])
    assert everything() == before


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "sources"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "Reports"}, "name"),
        ({"name": "9reports"}, "name"),
        ({"name": "reports:read"}, "name"),
        ({"name": "re ports"}, "name"),
        ({"name": "reports\n"}, "name"),
        ({"name": "berichte-ü"}, "name"),
        ({"name": "x" * 41}, "name"),
        ({"actions": []}, "actions"),
        ({"actions": ["*"]}, "actions"),
        ({"actions": ["read", "Write"]}, "actions"),
        ({"actions": ["x" * 41]}, "actions"),
        ({"label": "x" * 61}, "label"),
        ({"label": "x\u202ey"}, "label"),
    ],
)
def test_what_does_not_fit_is_refused(
    project: Project, actor: Actor, at: datetime, fields: dict[str, Any], field: str
) -> None:
    assert list(refused(lambda: add(project, actor, at, **fields))) == [field]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_operators_do_not_change_it(project: Project, role: Role, at: datetime) -> None:
    below = acting(MembershipFactory(project=project, role=role).user, project)
    for verb in (
        lambda: add(project, below, at),
        lambda: edit(project, below, at, ["read"]),
        lambda: catalogue.remove_resource(project, "chat", actor=below, at=at),
    ):
        with pytest.raises(PermissionDenied, match="Ask an admin"):
            verb()


# What living keys hold


def test_an_action_that_living_keys_hold_stays_and_the_refusal_says_how_many(
    project: Project, actor: Actor, at: datetime
) -> None:
    for scopes in (["sources:write"], ["chat:read", "sources:write"], ["sources:read", "sources:write"]):
        IssuedFactory(project=project, at=at, scopes=scopes)
    assert refused(lambda: edit(project, actor, at, ["read", "delete"])) == {
        "actions": ["3 living keys hold “sources:write”: revoke them first."]
    }
    assert refused(lambda: edit(project, actor, at, ["write"])) == {
        "actions": ["1 living key holds “sources:read”: revoke it first."]
    }
    edit(project, actor, at, ["read", "write"])


def test_a_resource_with_such_an_action_stays_too(project: Project, actor: Actor, at: datetime) -> None:
    IssuedFactory(project=project, at=at, scopes=["chat:send"])
    said = refused(lambda: catalogue.remove_resource(project, "chat", actor=actor, at=at))
    assert said == {"actions": ["1 living key holds “chat:send”: revoke it first."]}
    catalogue.remove_resource(project, "workflows", actor=actor, at=at)
    assert "workflows:read" not in project.scopes()
    event = events(project)[-1]
    assert (event.verb, event.changes) == (
        "resource.removed", {"actions": [["read", "write", "delete"], []]},
    )  # fmt: skip


def test_what_no_living_key_holds_may_go(project: Project, actor: Actor, at: datetime) -> None:
    early = at - timedelta(days=2)
    revoked = IssuedFactory(project=project, at=early, scopes=["sources:delete"]).key
    keys.revoke(project, revoked.key_id, actor=Actor.system(), at=at)
    IssuedFactory(project=project, at=early, expires_at=at, scopes=["sources:delete"])
    IssuedFactory(at=at, scopes=["sources:delete"])  # In another project.
    IssuedFactory(project=project, at=at, type=KeyType.PRIVILEGED)
    assert edit(project, actor, at, ["read", "write"]).actions == ["read", "write"]


def test_a_paused_key_holds_what_it_has(project: Project, actor: Actor, at: datetime) -> None:
    key = IssuedFactory(project=project, at=at, scopes=["sources:delete"]).key
    Key.objects.filter(pk=key.pk).update(paused_at=at)
    assert "actions" in refused(lambda: edit(project, actor, at, ["read", "write"]))


def test_a_scope_is_not_taken_for_another_that_holds_its_name(
    project: Project, actor: Actor, at: datetime
) -> None:
    add(project, actor, at, name="re-sources", actions=["read"])
    add(project, actor, at, name="sourc", actions=["es"])
    IssuedFactory(project=project, at=at, scopes=["re-sources:read"])
    edit(project, actor, at, ["write", "delete"])


@pytest.mark.django_db(transaction=True)
def test_no_key_is_issued_with_a_scope_that_is_just_going(transactional_db: None, at: datetime) -> None:
    project, actor = ProjectFactory(), Actor.system()
    draft = Draft("Docs crawler", scopes=["sources:delete"])
    won, lost = split(
        race(
            lambda: keys.issue(project, draft, actor=actor, at=at),
            lambda: edit(project, actor, at, ["read", "write"]),
        )
    )
    assert (len(won), len(lost)) == (1, 1)
    assert isinstance(lost[0], ValidationError)
