"""Rename a project: owners only; the address stays."""

from typing import Any

import pytest
from django.test import Client

from projects.models import AuditEvent, Project, User
from tests.web.pages import Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


def rename(client: Client, headers: dict[str, str], name: str) -> Any:
    return client.post(url_of("project_rename"), {"name": name}, headers=headers)


def test_it_shows_the_name_as_it_is(mara: Client, way: dict[str, str]) -> None:
    response = mara.get(url_of("project_rename"), headers=way)
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Rename project"
    form = page.form_of("Rename")
    assert form.action == form.node.attrs["hx-post"] == url_of("project_rename")
    assert form.fields()["name"] == ["Acme"]
    assert page.link("Cancel") == url_of("project_general")


def test_it_has_the_new_name_everywhere_and_the_log_has_both(
    mara: Client, owner: User, project: Project, way: dict[str, str]
) -> None:
    response = rename(mara, way, " Acme  Ltd ")
    if way:
        assert (response.status_code, response["HX-Redirect"]) == (200, url_of("project_general"))
    else:
        assert (response.status_code, response["Location"]) == (303, url_of("project_general"))
    page = Page(mara.get(url_of("project_general")))
    assert page.title == "General · Acme Ltd · Keyrack"
    assert page.messages() == ["The project is called Acme Ltd now."]
    event = AuditEvent.objects.filter(project_id=project.pk).latest("number")
    assert (event.verb, event.actor_label, event.address, event.changes) == (
        "project.renamed", "Mara Lindqvist", "127.0.0.1", {"name": ["Acme", "Acme Ltd"]},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "Enter a name."),
        ("  ", "Enter a name."),
        ("ten chars " * 10 + "x", "Use 100 characters or fewer."),
        ("a\u202eb", "Use letters, digits, blanks and punctuation that can be seen."),
        (TOKEN, "That looks like an API key. Keys don't belong here: nobody should be able to read it."),
    ],
)
def test_a_name_that_does_not_fit_is_refused(
    mara: Client, project: Project, way: dict[str, str], name: str, problem: str
) -> None:
    response = rename(mara, way, name)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == page.error_of("name") == [problem]
    assert page.one(id="errors").one("a").attrs["href"] == "#id_name"
    assert "data-autofocus" in page.one(id="errors").attrs
    assert TOKEN[20:39] not in page.source
    assert Project.objects.get(pk=project.pk).name == "Acme"
    if not way:
        assert page.title == "Error: Rename project · Acme · Keyrack"


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_it_is_for_owners(request: pytest.FixtureRequest, role: str, way: dict[str, str]) -> None:
    client = signed_in(request.getfixturevalue(role))
    for response in (client.get(url_of("project_rename"), headers=way), rename(client, way, "Bravo")):
        assert response.status_code == 403
        assert "You can't do that in Acme." in Page(response).content.text
    assert Project.objects.get(slug="acme").name == "Acme"


def test_it_is_not_taken_from_another_site(owner: User, way: dict[str, str]) -> None:
    assert rename(signed_in(owner, enforce_csrf_checks=True), way, "Bravo").status_code == 403


def test_without_javascript_it_is_renamed(owner: User, project: Project) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("project_general"))
    visitor.follow("Rename")
    visitor.press("Rename", name="")
    assert visitor.press("Rename", name="Bravo").messages() == ["The project is called Bravo now."]
