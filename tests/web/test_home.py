"""The first page: where somebody goes who asks for nothing in particular."""

from datetime import datetime

import pytest

from projects.models import Project, User
from tests.factories import MembershipFactory, ProjectFactory, UserFactory
from tests.web.pages import Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db


def test_somebody_with_one_project_sees_its_keys(viewer: User, way: dict[str, str]) -> None:
    response = signed_in(viewer).get("/", headers=way)
    assert (response.status_code, response["Location"]) == (302, url_of("key_list"))


def test_somebody_with_several_sees_which(owner: User, way: dict[str, str]) -> None:
    MembershipFactory(user=owner)
    response = signed_in(owner).get("/", headers=way)
    assert (response.status_code, response["Location"]) == (302, "/projects/")


def test_somebody_with_none_sees_that(way: dict[str, str]) -> None:
    response = signed_in(UserFactory()).get("/", headers=way)
    assert (response.status_code, response["Location"]) == (302, "/projects/")


def test_a_project_of_others_does_not_count(owner: User) -> None:
    ProjectFactory()
    assert signed_in(owner).get("/")["Location"] == url_of("key_list")


def test_a_deleted_project_does_not_count(owner: User, project: Project, at: datetime) -> None:
    Project.objects.filter(pk=project.pk).update(deleted_at=at)
    assert signed_in(owner).get("/")["Location"] == "/projects/"


def test_it_is_only_read(owner: User) -> None:
    client = signed_in(owner)
    assert client.head("/").status_code == 302
    assert client.post("/").status_code == 405


def test_the_brand_leads_there_from_every_page(owner: User) -> None:
    visitor = Visitor(owner)
    visitor.visit("/projects/")
    assert visitor.follow("Keyrack").heading == "API keys"
