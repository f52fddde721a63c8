"""The projects of whoever is signed in: the list, its search, and the switcher on every page."""

from datetime import datetime

import pytest
from django.test import Client

from projects.models import Project, User
from tests.factories import MembershipFactory, ProjectFactory, UserFactory
from tests.web.pages import Page, Visitor, signed_in

pytestmark = pytest.mark.django_db

HERE = "/projects/"
TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


def projects_of(user: User, *names: str) -> None:
    for name in names:
        MembershipFactory(user=user, project=ProjectFactory(name=name))


def names(page: Page) -> list[str]:
    lists = page.content.find("ul", class_="project-list")
    return [name for found in lists for name in found.names("a")]


def test_it_lists_ones_own_projects_by_name(mara: Client, owner: User) -> None:
    projects_of(owner, "Zebra", "Beta & <Co>")
    ProjectFactory(name="Somebody else's")
    response = mara.get(HERE)
    page = Page(response)
    assert page.title == "Projects · Keyrack"
    assert page.heading == "Projects"
    assert names(page) == ["Acme", "Beta & <Co>", "Zebra"]
    assert page.content.one("a", "Acme").attrs["href"] == "/projects/acme/settings/keys/"
    assert page.content.one("a", "Create project").attrs["href"] == "/projects/new/"
    assert not page.find(role="search")


def test_a_deleted_project_is_gone(mara: Client, project: Project, at: datetime) -> None:
    Project.objects.filter(pk=project.pk).update(deleted_at=at)
    page = Page(mara.get(HERE))
    assert names(page) == []
    assert not page.find("a", "Acme")


def test_somebody_without_a_project_is_told_what_to_do(way: dict[str, str]) -> None:
    page = Page(signed_in(UserFactory()).get(HERE, headers=way))
    assert page.is_whole
    assert page.one("div", class_="empty").one("h2").text == "No projects yet"
    assert "Create one, or ask an owner to invite you to theirs." in page.texts("p")


def test_over_twelve_can_be_searched(owner: User) -> None:
    projects_of(owner, *(f"Team {n:02}" for n in range(11)), "Ünïcorn")
    visitor = Visitor(owner)
    page = visitor.visit(HERE)
    assert len(names(page)) == 13
    form = page.one("form", role="search")
    assert form.one("label").text == "Search projects by name"
    assert names(visitor.press("Search", q=" ÜNÏ ")) == ["Ünïcorn"]
    assert visitor.page.one("input", id="id_q").attrs["value"] == "ÜNÏ"
    page = visitor.press("Search", q="no <such>")
    assert page.content.one("p", role="status").text == "No projects match “no <such>”. Clear search"
    assert len(names(visitor.follow("Clear search"))) == 13


def test_a_pasted_key_leaves_the_address_and_is_not_repeated(mara: Client, way: dict[str, str]) -> None:
    response = mara.get(HERE, {"q": f"x{TOKEN}"}, headers=way)
    assert (response.status_code, response["Location"]) == (302, HERE)
    assert not response.content


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_is_only_read(mara: Client, method: str) -> None:
    assert getattr(mara, method)(HERE).status_code == 405


# The switcher, in the banner of every page


def switcher(page: Page) -> list[str]:
    return page.one("nav", aria_label="Main").find("details")[0].names("a")


def test_the_switcher_names_the_project_and_the_others(mara: Client, owner: User) -> None:
    projects_of(owner, "Beta")
    page = Page(mara.get("/projects/acme/settings/keys/"))
    menu = page.one("nav", aria_label="Main").find("details")[0]
    assert menu.one("summary").text == "Project: Acme"
    assert switcher(page) == ["Acme", "Beta", "Create project"]
    assert menu.one("a", aria_current="true").text == "Acme"
    assert menu.one("a", "Beta").attrs["href"].endswith("/settings/keys/")


def test_the_switcher_leads_to_the_list_where_there_are_more(mara: Client, owner: User) -> None:
    projects_of(owner, *(f"Team {n:02}" for n in range(11)))
    assert len(switcher(Page(mara.get(HERE)))) == 12 + 1
    projects_of(owner, "One too many")
    assert switcher(Page(mara.get(HERE)))[12:] == ["All projects", "Create project"]


def test_the_account_menu_is_on_the_page(mara: Client) -> None:
    page = Page(mara.get(HERE))
    assert page.form_of("Sign out").action == "/account/logout/"
    assert page.link("Change password") == "/account/password/change/"
