"""A project may require a second factor: who turns that on, and whom the door lets in then."""

from datetime import datetime

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.http import Http404
from django.test.utils import CaptureQueriesContext

from projects import lifecycle, second_factor
from projects.access import SecondFactorMissing, TooLow, project_for
from projects.audit import Actor
from projects.models import Project, Role, User
from tests.authenticator import enrol
from tests.db.watching import events
from tests.factories import acting

pytestmark = pytest.mark.django_db


@pytest.fixture
def required(project: Project, owner: User, at: datetime) -> Project:
    enrol(owner)
    return lifecycle.require_second_factor(project, True, actor=acting(owner, project), at=at)


def test_an_owner_turns_it_on_and_off_with_an_event_each(
    required: Project, owner: User, at: datetime
) -> None:
    assert Project.objects.get(pk=required.pk).require_second_factor
    actor = acting(owner, required, "192.0.2.41")
    assert not lifecycle.require_second_factor(required, False, actor=actor, at=at).require_second_factor
    on, off = events(required)[-2:]
    assert {on.verb, off.verb} == {"project.second_factor"}
    assert (on.object_id, on.changes) == ("acme", {"require_second_factor": [False, True]})
    assert (off.actor_label, off.address, off.changes) == (
        "Mara Lindqvist", "192.0.2.41", {"require_second_factor": [True, False]},
    )  # fmt: skip


def test_turning_it_on_twice_writes_one_event(required: Project, owner: User, at: datetime) -> None:
    before = len(events(required))
    lifecycle.require_second_factor(required, True, actor=acting(owner, required), at=at)
    assert len(events(required)) == before


def test_an_owner_without_one_is_not_let_shut_themselves_out(
    project: Project, owner: User, at: datetime
) -> None:
    with pytest.raises(ValidationError, match="Set up a second factor of your own first"):
        lifecycle.require_second_factor(project, True, actor=acting(owner, project), at=at)
    assert not Project.objects.get(pk=project.pk).require_second_factor


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.ADMIN])
def test_nobody_below_an_owner_may(project: Project, owner: User, at: datetime, role: Role) -> None:
    enrol(owner)
    for on in (True, False):
        with pytest.raises(PermissionDenied):
            lifecycle.require_second_factor(project, on, actor=Actor.person(owner, role), at=at)


def test_a_deleted_project_requires_nothing(required: Project, owner: User, at: datetime) -> None:
    actor = acting(owner, required)
    lifecycle.delete_project(required, actor=actor, at=at)
    with pytest.raises(ValidationError, match="This project was deleted"):
        lifecycle.require_second_factor(required, False, actor=actor, at=at)
    with pytest.raises(Http404):
        project_for(owner, "acme")


def test_the_door_opens_only_to_members_who_have_one(
    required: Project, owner: User, viewer: User, outsider: User
) -> None:
    assert project_for(owner, "acme").user == owner
    with pytest.raises(SecondFactorMissing) as missing:
        project_for(viewer, "acme")
    assert missing.value.project == required
    # Before the role: what a viewer may not do here is nobody's to learn before they are in.
    with pytest.raises(SecondFactorMissing):
        project_for(viewer, "acme", at_least=Role.OWNER)
    enrol(viewer)
    assert project_for(viewer, "acme").user == viewer
    with pytest.raises(TooLow):
        project_for(viewer, "acme", at_least=Role.OWNER)


def test_an_outsider_learns_nothing_of_it(required: Project, outsider: User) -> None:
    with pytest.raises(Http404):
        project_for(outsider, "acme")


def test_who_turns_theirs_off_is_out_at_once(required: Project, owner: User, at: datetime) -> None:
    second_factor.turn_off(owner, actor=Actor.system(), at=at)
    with pytest.raises(SecondFactorMissing):
        project_for(owner, "acme")


def test_the_door_asks_for_it_only_where_it_is_required(project: Project, owner: User, at: datetime) -> None:
    enrol(owner)
    with CaptureQueriesContext(connection) as queries:
        project_for(owner, "acme")
    assert len(queries) == 1
    lifecycle.require_second_factor(project, True, actor=acting(owner, project), at=at)
    with CaptureQueriesContext(connection) as queries:
        project_for(owner, "acme")
    assert len(queries) == 2
