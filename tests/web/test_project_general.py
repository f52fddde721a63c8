"""General settings: what they show, and to whom they offer what."""

import pytest
from django.test import Client

from projects.models import Project, User
from projects.moments import Moment
from tests.factories import ProjectFactory
from tests.web.pages import Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

VIEWING = "You can view these settings. Ask an admin to change the scopes, and an owner to change the rest."
SCOPING = "You can change the scopes. Ask an owner to change the rest."
OWNERS = {"Rename", "Delete project"}
ADMINS = {"Add resource", "Edit Sources", "Remove Sources"}


def general(user: User) -> Page:
    response = signed_in(user).get(url_of("project_general"))
    assert response.status_code == 200
    return Page(response)


def test_it_shows_the_name_the_address_and_the_scopes(owner: User, project: Project) -> None:
    page = general(owner)
    assert (page.title, page.heading) == ("General · Acme · Keyrack", "General")
    assert page.one("nav", aria_label="Settings").one("a", aria_current="page").text == "General"
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts == {
        "Name": "Acme",
        "Address": "acme Stands in URLs, and can't be changed.",
        "Created": Moment.of(project.created_at).text,
    }
    assert page.texts("h2")[1:] == [
        "Name", "Recoverable keys", "Second factor", "Scopes", "Delete project",
    ]  # fmt: skip
    scopes = {row["Resource"].text: row["Scopes"].text for row in page.rows("Scope catalogue")}
    assert list(scopes) == [resource.label for resource in project.catalogue()]
    assert scopes["Sources"] == "sources:read, sources:write, sources:delete"


@pytest.mark.parametrize(
    ("role", "note", "offered"),
    [
        ("viewer", [VIEWING], set()),
        ("operator", [VIEWING], set()),
        ("admin", [SCOPING], ADMINS),
        ("owner", [], ADMINS | OWNERS),
    ],
)
def test_what_somebody_may_not_do_is_not_offered_and_a_note_says_whom_to_ask(
    request: pytest.FixtureRequest, role: str, note: list[str], offered: set[str]
) -> None:
    page = general(request.getfixturevalue(role))
    assert page.texts("p", class_="note") == note
    assert {name for name in page.content.names("a") if name in ADMINS | OWNERS} == offered
    assert ("Delete project" in page.texts("h2")) is (role == "owner")


def test_a_link_opens_a_dialog_with_htmx_and_a_page_without(owner: User) -> None:
    for name in sorted(ADMINS | OWNERS):
        link = general(owner).content.one("a", name)
        assert link.attrs["href"] == link.attrs["hx-get"]
        assert link.attrs["hx-target"] == "#dialog"


def test_a_project_without_scopes_says_so(owner: User, project: Project) -> None:
    project.resources.all().delete()
    page = general(owner)
    assert (
        page.one(class_="empty").text
        == "There are no scopes. Keys can only be given full access, or a viewer's."
    )
    assert not page.find("table")
    assert page.link("Add resource") == url_of("resource_create")


def test_markup_in_a_name_stays_text(owner: User, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(name="<b>Acme</b>")
    page = general(owner)
    assert "<b>Acme" not in page.source
    assert page.title == "General · <b>Acme</b> · Keyrack"


def test_no_other_project_s_scopes_are_shown(owner: User, project: Project) -> None:
    other = ProjectFactory()
    other.resources.create(name="secret", label="Secret", actions=["read"])
    assert "Secret" not in general(owner).source


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_is_only_read(owner: User, method: str) -> None:
    assert getattr(signed_in(owner), method)(url_of("project_general")).status_code == 405


def test_the_rail_leads_there(viewer: User, client: Client) -> None:
    visitor = Visitor(viewer)
    visitor.visit(url_of("key_list"))
    assert visitor.page.one("nav", aria_label="Settings").texts("a")[0] == "General"
    visitor.follow("General")
    assert visitor.page.heading == "General"
