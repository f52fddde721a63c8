from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest

from projects.access import TooLow, project_for
from projects.models import Membership, Project, Role, User
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("at_least", Role)
def test_a_member_comes_in_as_far_as_the_role_reaches(project: Project, role: Role, at_least: Role) -> None:
    user = MembershipFactory(project=project, role=role).user
    if role >= at_least:
        access = project_for(user, "acme", at_least=at_least)
        assert (access.user, access.project, access.role) == (user, project, role)
    else:
        with pytest.raises(TooLow, match="You can't do that in Acme"):
            project_for(user, "acme", at_least=at_least)


@pytest.mark.parametrize("at_least", Role)
def test_for_a_stranger_it_does_not_exist(project: Project, outsider: User, at_least: Role) -> None:
    for user in (outsider, AnonymousUser()):
        with pytest.raises(Http404) as real:
            project_for(user, "acme", at_least=at_least)
        with pytest.raises(Http404) as invented:
            project_for(user, "no-such-project", at_least=at_least)
        assert str(real.value) == str(invented.value)


def test_a_deleted_project_does_not_exist_for_its_owner_either(
    project: Project, owner: User, at: datetime
) -> None:
    project.deleted_at = at
    project.save(update_fields=["deleted_at"])
    with pytest.raises(Http404):
        project_for(owner, "acme")
    assert project not in Project.objects.of(owner)


def test_a_role_in_another_project_opens_nothing_here(
    project: Project, operator: User, outsider: User
) -> None:
    with pytest.raises(TooLow):
        project_for(operator, "acme", at_least=Role.ADMIN)
    assert project_for(outsider, "elsewhere").role is Role.OWNER


def test_whoever_was_removed_is_a_stranger(project: Project, operator: User) -> None:
    Membership.objects.filter(user=operator).delete()
    with pytest.raises(Http404):
        project_for(operator, "acme")


def test_the_door_asks_the_database_once(owner: User, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        access = project_for(owner, "acme", at_least=Role.OWNER)
        assert (access.project.name, access.user.email) == ("Acme", "mara@example.test")


def test_its_actor_is_the_person_with_role_and_address(owner: User) -> None:
    request = HttpRequest()
    request.client_address = "192.0.2.41"  # type: ignore[attr-defined]
    actor = project_for(owner, "acme").actor(request)
    assert (actor.kind, actor.id, actor.label) == ("person", str(owner.pk), "Mara Lindqvist")
    assert (actor.role, actor.address, actor.user) == (Role.OWNER, "192.0.2.41", owner)
