"""Remove a resource from the scope catalogue: refused while a living key holds one of its scopes."""

import json
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from keys.lifecycle import revoke
from projects.audit import Actor
from projects.models import Project, User
from tests.factories import IssuedFactory
from tests.web.pages import HTMX, Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(admin: User) -> Client:
    return signed_in(admin)


def remove(client: Client, headers: dict[str, str], name: str = "sources") -> Any:
    return client.post(url_of("resource_remove", name), headers=headers)


def is_there(project: Project) -> bool:
    return project.resources.filter(name="sources").exists()


def test_it_says_which_scopes_go(ada: Client, way: dict[str, str]) -> None:
    page = Page(ada.get(url_of("resource_remove", "sources"), headers=way))
    assert page.is_whole is not bool(way)
    assert page.heading == "Remove Sources?"
    assert "sources:read, sources:write, sources:delete" in page.texts("p")
    keep = page.one("a", "Keep scopes")
    assert keep.attrs["href"] == url_of("project_general")
    assert "data-autofocus" in keep.attrs


def test_it_goes(ada: Client, project: Project) -> None:
    response = remove(ada, {})
    assert (response.status_code, response["Location"]) == (303, url_of("project_general"))
    assert Page(ada.get(response["Location"])).messages() == ["Sources was removed."]
    assert not is_there(project)


def test_with_htmx_the_table_is_there_at_once(ada: Client, project: Project) -> None:
    here = {**HTMX, "HX-Current-URL": f"http://testserver{url_of('project_general')}"}
    response = remove(ada, here)
    assert json.loads(response["HX-Trigger-After-Settle"])["keyrack:focus"] == {"target": "#scopes-title"}
    page = Page(response)
    assert page.find(id="scopes-title")
    assert "Sources" not in [row["Resource"].text for row in page.rows("Scope catalogue")]


def test_a_scope_in_use_stays_and_it_says_how_many_keys_hold_it(
    ada: Client, project: Project, at: datetime, way: dict[str, str]
) -> None:
    keys = [IssuedFactory(project=project, scopes=["sources:read", "sources:write"]).key for _ in range(2)]
    IssuedFactory(project=project, scopes=["sources:read"])
    response = remove(ada, way)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == [
        "3 living keys hold “sources:read”: revoke them first.",
        "2 living keys hold “sources:write”: revoke them first.",
    ]
    assert "data-autofocus" in page.one(id="errors").attrs
    assert is_there(project)
    for key in [*keys, project.keys.get(scopes="sources:read")]:
        revoke(project, key.key_id, actor=Actor.system(), at=at)
    assert remove(ada, {}).status_code == 303


def test_twice_it_is_not_found(ada: Client, project: Project, way: dict[str, str]) -> None:
    remove(ada, way)
    assert remove(ada, way).status_code == 404
    assert ada.get(url_of("resource_remove", "sources"), headers=way).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_it_is_for_admins_and_owners(
    request: pytest.FixtureRequest, role: str, project: Project, owner: User, way: dict[str, str]
) -> None:
    client = signed_in(request.getfixturevalue(role))
    assert client.get(url_of("resource_remove", "sources"), headers=way).status_code == 403
    assert remove(client, way).status_code == 403
    assert is_there(project)
    assert remove(signed_in(owner), {}).status_code == 303


def test_it_is_not_taken_from_another_site(admin: User, project: Project, way: dict[str, str]) -> None:
    assert remove(signed_in(admin, enforce_csrf_checks=True), way).status_code == 403
    assert is_there(project)


def test_without_javascript_it_is_removed(admin: User, project: Project) -> None:
    visitor = Visitor(admin)
    visitor.visit(url_of("project_general"))
    visitor.follow("Remove Sources")
    assert visitor.press("Remove").messages() == ["Sources was removed."]
