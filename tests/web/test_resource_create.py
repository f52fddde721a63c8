"""Add a resource to the scope catalogue."""

import json
from typing import Any

import pytest
from django.test import Client

from projects.models import AuditEvent, Project, User
from tests.web.pages import HTMX, Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"
GRAMMAR = "Use small letters, digits and hyphens, beginning with a letter, and 40 characters or fewer."


@pytest.fixture
def ada(admin: User) -> Client:
    return signed_in(admin)


def add(client: Client, headers: dict[str, str], **typed: str) -> Any:
    given = {"name": "reports", "label": "Billing reports", "actions": "read, export"} | typed
    return client.post(url_of("resource_create"), given, headers=headers)


def behind(name: str) -> dict[str, str]:
    return {**HTMX, "HX-Current-URL": f"http://testserver{url_of(name)}"}


def test_the_form_is_a_dialog_or_a_page(ada: Client, way: dict[str, str]) -> None:
    page = Page(ada.get(url_of("resource_create"), headers=way))
    assert page.is_whole is not bool(way)
    assert page.heading == "Add resource"
    assert page.texts("label") == ["Resource", "Label", "Actions"]
    assert page.link("Cancel") == url_of("project_general")


def test_it_is_in_the_catalogue_and_the_log(ada: Client, project: Project) -> None:
    response = add(ada, {})
    assert (response.status_code, response["Location"]) == (303, url_of("project_general"))
    page = Page(ada.get(response["Location"]))
    assert page.messages() == ["Billing reports was added."]
    assert page.rows("Scope catalogue")[-1]["Scopes"].text == "reports:read, reports:export"
    event = AuditEvent.objects.filter(project_id=project.pk).latest("number")
    assert (event.verb, event.object_id, event.actor_label) == ("resource.added", "reports", "Ada Okafor")


def test_with_htmx_the_table_is_there_at_once_and_the_dialog_closes(ada: Client, project: Project) -> None:
    response = add(ada, behind("project_general"))
    assert response.status_code == 200
    assert (response["HX-Retarget"], response["HX-Reswap"]) == ("#scopes", "outerHTML")
    assert json.loads(response["HX-Trigger-After-Settle"]) == {
        "keyrack:close": {}, "keyrack:focus": {"target": "#edit-reports"},
    }  # fmt: skip
    page = Page(response)
    assert not page.is_whole
    assert page.find(id="edit-reports")
    assert page.messages() == ["Billing reports was added."]


def test_from_another_page_htmx_is_led_to_the_settings(ada: Client, project: Project) -> None:
    response = add(ada, behind("key_list"))
    assert response["HX-Redirect"] == url_of("project_general")
    assert project.resources.filter(name="reports").exists()


def test_a_label_is_made_from_the_name(ada: Client, project: Project) -> None:
    add(ada, {}, label="")
    assert project.resources.get(name="reports").label == "Reports"


REFUSED = {
    "name": ({"name": "Reports"}, "name", GRAMMAR),
    "no name": ({"name": ""}, "name", GRAMMAR),
    "long name": ({"name": "a" * 41}, "name", GRAMMAR),
    "taken": ({"name": "sources"}, "name", "There is a resource called “sources” already."),
    "no actions": ({"actions": " "}, "actions", "Enter at least one action."),
    "action": ({"actions": "read all:of:it"}, "actions", GRAMMAR),
    "long label": ({"label": "x" * 61}, "label", "Use 60 characters or fewer."),
    "unseen": (
        {"label": "a\u200bb"}, "label", "Use letters, digits, blanks and punctuation that can be seen.",
    ),
    "key": (
        {"label": TOKEN}, "label",
        "That looks like an API key. Keys don't belong here: nobody should be able to read it.",
    ),
    "key as name": ({"name": TOKEN}, "name", GRAMMAR),
    "key as action": ({"actions": f"read {TOKEN}"}, "actions", GRAMMAR),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_beside_its_field(
    ada: Client, project: Project, way: dict[str, str], case: str
) -> None:
    typed, field, message = REFUSED[case]
    before = project.resources.count()
    response = add(ada, way, **typed)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == page.error_of(field) == [message]
    assert page.one(id="errors").one("a").attrs["href"] == f"#id_{field}"
    assert TOKEN[20:39] not in page.source
    assert project.resources.count() == before
    if not way:
        assert page.title == "Error: Add resource · Acme · Keyrack"


def test_an_empty_post_is_refused(ada: Client, project: Project, way: dict[str, str]) -> None:
    assert ada.post(url_of("resource_create"), {}, headers=way).status_code == 422


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_it_is_for_admins_and_owners(
    request: pytest.FixtureRequest, role: str, owner: User, way: dict[str, str]
) -> None:
    client = signed_in(request.getfixturevalue(role))
    assert client.get(url_of("resource_create"), headers=way).status_code == 403
    assert add(client, way).status_code == 403
    assert add(signed_in(owner), {}).status_code == 303


def test_it_is_not_taken_from_another_site(admin: User, way: dict[str, str]) -> None:
    assert add(signed_in(admin, enforce_csrf_checks=True), way).status_code == 403


def test_without_javascript_a_key_can_be_given_it(admin: User, project: Project) -> None:
    visitor = Visitor(admin)
    visitor.visit(url_of("project_general"))
    visitor.follow("Add resource")
    visitor.press("Add resource", name="Reports", actions="read")
    visitor.press("Add resource", name="reports")
    visitor.visit(url_of("key_create"))
    assert visitor.press("Generate", name="Export", scopes=["reports:read"]).heading == "Copy your key now"
