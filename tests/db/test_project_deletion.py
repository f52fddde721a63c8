"""The end of a project, and its new name."""

from datetime import datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from keys.lifecycle import Issued
from keys.models import Key
from keys.verification import Outcome, check
from projects import catalogue, lifecycle
from projects.audit import Actor, verify
from projects.models import Membership, Project, Resource, Role, User
from tests.db.racing import race, split
from tests.db.watching import events, everything, writes_of
from tests.factories import IssuedFactory, ProjectFactory, UserFactory, acting

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor(project: Project, owner: User) -> Actor:
    return acting(owner, project, "192.0.2.41")


@pytest.fixture
def issued(project: Project, at: datetime) -> Issued:
    return IssuedFactory(project=project, at=at)


def delete(project: Project, actor: Actor, at: datetime) -> Project:
    return lifecycle.delete_project(project, actor=actor, at=at)


def test_every_check_ends_with_it(project: Project, actor: Actor, issued: Issued, at: datetime) -> None:
    assert check(issued.token, at=at).is_valid
    delete(project, actor, at)
    for asked in ({}, {"project": "acme"}, {"environment": None}):
        assert check(issued.token, at=at, **asked).outcome is Outcome.UNKNOWN


def test_its_rows_stay_until_they_are_purged(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    counts = [model.objects.filter(project=project).count() for model in (Key, Membership, Resource)]
    delete(project, actor, at)
    assert [m.objects.filter(project=project).count() for m in (Key, Membership, Resource)] == counts
    assert Project.objects.get(pk=project.pk).deleted_at == at


def test_the_log_says_who_and_goes_on_to_verify(project: Project, actor: Actor, at: datetime) -> None:
    delete(project, actor, at)
    event = events(project)[-1]
    assert (event.verb, event.object_kind, event.object_id, event.object_label, event.address) == (
        "project.deleted", "project", "acme", "Acme", "192.0.2.41",
    )  # fmt: skip
    assert verify(project.pk) == []


def test_no_verb_reaches_it_any_more(project: Project, actor: Actor, viewer: User, at: datetime) -> None:
    delete(project, actor, at)
    before = everything()
    named: dict[str, Any] = {"actor": actor, "at": at}
    for verb in (
        lambda: delete(project, actor, at),
        lambda: lifecycle.rename_project(project, "Bravo", **named),
        lambda: lifecycle.add_member(project, UserFactory(), Role.VIEWER, **named),
        lambda: lifecycle.change_role(project, viewer, Role.ADMIN, **named),
        lambda: lifecycle.remove_member(project, viewer, **named),
        lambda: catalogue.add_resource(project, "reports", ["read"], **named),
        lambda: catalogue.edit_resource(project, "chat", ["read"], label="Chat", **named),
        lambda: catalogue.remove_resource(project, "chat", **named),
    ):
        with pytest.raises(ValidationError, match="This project was deleted"):
            verb()
    assert everything() == before


def test_it_happens_whole_or_not_whichever_write_fails(project: Project, actor: Actor, at: datetime) -> None:
    assert writes_of(lambda: delete(project, actor, at)) == 3


@pytest.mark.django_db(transaction=True)
def test_it_is_deleted_once(transactional_db: None, at: datetime) -> None:
    project = ProjectFactory()
    won, lost = split(race(*[lambda: delete(project, Actor.system(), at)] * 2))
    assert (len(won), len(lost)) == (1, 1)
    assert isinstance(lost[0], ValidationError)
    assert [event.verb for event in events(project)].count("project.deleted") == 1


def test_a_new_name_keeps_the_address(project: Project, actor: Actor, at: datetime) -> None:
    lifecycle.rename_project(project, " Acme  Ltd ", actor=actor, at=at)
    stored = Project.objects.get(pk=project.pk)
    assert (stored.name, stored.slug) == ("Acme Ltd", "acme")
    event = events(project)[-1]
    assert (event.verb, event.changes) == ("project.renamed", {"name": ["Acme", "Acme Ltd"]})


def test_the_same_name_again_writes_nothing(project: Project, actor: Actor, at: datetime) -> None:
    before = everything()
    lifecycle.rename_project(project, "Acme", actor=actor, at=at)
    assert everything() == before


@pytest.mark.parametrize("name", ["", "x\u202ey", "kr_live_" + "0" * 56])
def test_a_name_that_does_not_fit_is_refused(project: Project, actor: Actor, at: datetime, name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        lifecycle.rename_project(project, name, actor=actor, at=at)
    assert list(caught.value.message_dict) == ["name"]


def test_whoever_makes_a_project_for_somebody_is_named(outsider: User, at: datetime) -> None:
    ines = UserFactory(name="Ines Varga", is_staff=True)
    actor = Actor.person(ines, Role.OWNER, "192.0.2.41")
    project = lifecycle.create_project("Bravo", owner=outsider, actor=actor, at=at)
    assert project.memberships.get().user == outsider
    told = [(event.actor_label, event.verb, event.object_label) for event in events(project)]
    assert told == [
        ("Ines Varga", "project.created", "Bravo"),
        ("system", "key.issued", "Automator Key"),
        ("Ines Varga", "member.added", "Oleg Haas"),
    ]
