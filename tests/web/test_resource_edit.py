"""Edit a resource of the scope catalogue: nothing goes that a key holds, and nobody's change is lost."""

import json
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from projects import catalogue
from projects.audit import Actor
from projects.models import Project, User
from tests.factories import IssuedFactory
from tests.web.pages import HTMX, Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

ACTIONS = "read write delete"


@pytest.fixture
def ada(admin: User) -> Client:
    return signed_in(admin)


def edit(client: Client, headers: dict[str, str], name: str = "sources", **typed: str) -> Any:
    given = {"label": "Sources", "actions": ACTIONS, "seen": ACTIONS} | typed
    return client.post(url_of("resource_edit", name), given, headers=headers)


def actions(project: Project) -> list[str]:
    kept: list[str] = project.resources.get(name="sources").actions
    return kept


def test_it_shows_the_resource_as_it_is(ada: Client, way: dict[str, str]) -> None:
    page = Page(ada.get(url_of("resource_edit", "sources"), headers=way))
    assert page.is_whole is not bool(way)
    assert page.heading == "Edit Sources"
    fields = page.form_of("Save").fields()
    assert (fields["label"], fields["actions"], fields["seen"]) == (["Sources"], [ACTIONS], [ACTIONS])
    if not way:
        assert page.title == "Edit Sources · Acme · Keyrack"


def test_it_is_saved(ada: Client, project: Project) -> None:
    response = edit(ada, {}, label="Documents", actions="read, write delete archive")
    assert (response.status_code, response["Location"]) == (303, url_of("project_general"))
    page = Page(ada.get(response["Location"]))
    assert page.messages() == ["Documents was saved."]
    assert page.rows("Scope catalogue")[0]["Scopes"].text.endswith("sources:delete, sources:archive")


def test_with_htmx_its_row_takes_the_focus(ada: Client, project: Project) -> None:
    here = {**HTMX, "HX-Current-URL": f"http://testserver{url_of('project_general')}"}
    response = edit(ada, here, actions="read")
    assert json.loads(response["HX-Trigger-After-Settle"])["keyrack:focus"] == {"target": "#edit-sources"}
    assert Page(response).find(id="edit-sources")
    assert actions(project) == ["read"]


@pytest.mark.parametrize("number", [1, 2])
def test_an_action_in_use_stays_and_it_says_how_many_keys_hold_it(
    ada: Client, project: Project, way: dict[str, str], number: int
) -> None:
    for _ in range(number):
        IssuedFactory(project=project, scopes=["sources:write"])
    response = edit(ada, way, actions="read delete")
    assert response.status_code == 422
    page = Page(response)
    hold = "1 living key holds “sources:write”: revoke it first."
    many = "2 living keys hold “sources:write”: revoke them first."
    assert page.problems() == page.error_of("actions") == [hold if number == 1 else many]
    assert actions(project) == ACTIONS.split()


def test_a_change_by_somebody_else_is_not_lost(
    ada: Client, project: Project, at: datetime, way: dict[str, str]
) -> None:
    theirs = [*ACTIONS.split(), "archive"]
    catalogue.edit_resource(project, "sources", theirs, label="Sources", actor=Actor.system(), at=at)
    response = edit(ada, way, actions=f"{ACTIONS} index")
    assert response.status_code == 409
    page = Page(response)
    assert page.problems() == [
        "Somebody else changed Sources meanwhile. Its actions are now: read write delete archive."
        " Save again to put yours in their place."
    ]
    assert actions(project) == theirs
    fields = page.form_of("Save").fields()
    assert (fields["actions"], fields["seen"]) == ([f"{ACTIONS} index"], ["read write delete archive"])
    # Whoever has read it may.
    again = {name: value[0] for name, value in fields.items()}
    assert edit(ada, {}, **again).status_code == 303
    assert actions(project) == [*ACTIONS.split(), "index"]


def test_without_what_was_seen_it_is_a_conflict(ada: Client, project: Project, way: dict[str, str]) -> None:
    response = ada.post(
        url_of("resource_edit", "sources"), {"label": "Sources", "actions": "read"}, headers=way
    )
    assert response.status_code == 409
    assert actions(project) == ACTIONS.split()


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"actions": ""}, "actions"),
        ({"actions": "Read"}, "actions"),
        ({"label": ""}, "label"),
        ({"label": "x" * 61}, "label"),
    ],
)
def test_what_does_not_fit_is_refused(
    ada: Client, project: Project, way: dict[str, str], typed: dict[str, str], field: str
) -> None:
    response = edit(ada, way, **typed)
    assert response.status_code == 422
    page = Page(response)
    assert page.error_of(field) == page.problems()
    assert len(page.problems()) == 1
    assert actions(project) == ACTIONS.split()


def test_what_is_not_there_is_not_found(ada: Client, project: Project, way: dict[str, str]) -> None:
    for name in ("nothing", "new", "a" * 40):
        assert ada.get(url_of("resource_edit", name), headers=way).status_code == 404
        assert edit(ada, way, name).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_it_is_for_admins_and_owners(
    request: pytest.FixtureRequest, role: str, project: Project, owner: User, way: dict[str, str]
) -> None:
    client = signed_in(request.getfixturevalue(role))
    assert client.get(url_of("resource_edit", "sources"), headers=way).status_code == 403
    assert edit(client, way, actions="read").status_code == 403
    assert actions(project) == ACTIONS.split()
    assert edit(signed_in(owner), {}, actions="read").status_code == 303


def test_it_is_not_taken_from_another_site(admin: User, way: dict[str, str]) -> None:
    assert edit(signed_in(admin, enforce_csrf_checks=True), way).status_code == 403


def test_without_javascript_it_is_edited(admin: User, project: Project) -> None:
    visitor = Visitor(admin)
    visitor.visit(url_of("project_general"))
    visitor.follow("Edit Sources")
    assert visitor.press("Save", actions="read").messages() == ["Sources was saved."]
