"""Delete a project: its name typed, the password again; then it is gone for everybody."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from keys import lifecycle
from keys.models import KeyActivity, ProviderKey
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import AuditEvent, Project, User
from tests.factories import IssuedFactory
from tests.web.conftest import MakeKey
from tests.web.pages import Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"
SURE = {"name": "Acme", "current_password": PASSWORD}


@pytest.fixture
def mara(owner: User) -> Client:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    return signed_in(owner)


def ask(client: Client, headers: dict[str, str] | None = None) -> Page:
    return Page(client.get(url_of("project_delete"), headers=headers or {}))


def delete(client: Client, headers: dict[str, str], **typed: str) -> Any:
    return client.post(url_of("project_delete"), typed, headers=headers)


def is_there() -> bool:
    return Project.objects.get(slug="acme").deleted_at is None


# Before


def test_it_says_what_happens(mara: Client, way: dict[str, str]) -> None:
    page = ask(mara, way)
    assert page.is_whole is not bool(way)
    assert page.heading == "Delete Acme?"
    assert (
        "Requests with its keys fail from the moment you delete it, and its pages are gone for everybody."
        " This can't be undone."
    ) in page.texts("p")
    form = page.form_of("Delete project")
    assert form.action == form.node.attrs["hx-post"] == url_of("project_delete")
    assert form.fields().keys() - {"csrfmiddlewaretoken"} == {"name", "current_password"}
    assert page.one("label", for_="id_name").text == "Type the project's name to confirm"
    keep = page.one("a", "Keep project")
    assert keep.attrs["href"] == url_of("project_general")
    assert "data-autofocus" in keep.attrs
    if not way:
        assert page.title == "Delete Acme · Acme · Keyrack"


def test_it_says_how_many_keys_stop(mara: Client, project: Project, make: MakeKey, at: datetime) -> None:
    stops = ask(mara).one("ul", class_="stops")
    assert stops.texts("li") == ["Its one key, the Automator Key, stops working."]
    keys = [make(f"Key {number}").key for number in range(4)]
    lifecycle.revoke(project, keys[0].key_id, actor=Actor.system(), at=at)
    make("Old", at=at - timedelta(days=9), expires_at=at - timedelta(days=1))
    IssuedFactory()
    assert ask(mara).one("ul", class_="stops").texts("li") == ["3 keys and the Automator Key stop working."]
    KeyActivity.objects.filter(key=keys[1]).update(last_used_at=at - timedelta(days=6))
    KeyActivity.objects.filter(key=keys[2]).update(last_used_at=at - timedelta(days=8))
    ProviderKey.objects.create(
        project=project, public_id="A" * 12, name="Main", name_folded="main", provider="openai",
        base_url="https://api.example.test", header="Authorization", sealed=b"x", created_by_label="x",
    )  # fmt: skip
    assert ask(mara).one("ul", class_="stops").texts("li") == [
        "3 keys and the Automator Key stop working.",
        "1 of them was used in the last 7 days.",
        "1 provider key is lost with it.",
    ]


# It


def test_it_ends_at_once_and_leads_to_the_projects(
    mara: Client, project: Project, make: MakeKey, viewer: User, at: datetime, way: dict[str, str]
) -> None:
    issued = make()
    assert check(issued.token, at=at).is_valid
    response = delete(mara, way, **SURE)
    if way:
        assert (response.status_code, response["HX-Redirect"]) == (200, "/projects/")
    else:
        assert (response.status_code, response["Location"]) == (303, "/projects/")
    assert check(issued.token, at=at).outcome is Outcome.UNKNOWN
    page = Page(mara.get("/projects/"))
    assert page.messages() == ["Acme was deleted. Its keys stopped working."]
    assert not page.content.find("a", "Acme")
    for client in (mara, signed_in(viewer)):
        assert client.get(url_of("key_list")).status_code == 404
        assert client.get(url_of("audit_log")).status_code == 404
    event = AuditEvent.objects.filter(project_id=project.pk).latest("number")
    assert (event.verb, event.actor_label, event.address) == (
        "project.deleted", "Mara Lindqvist", "127.0.0.1",
    )  # fmt: skip


@pytest.mark.parametrize("typed", [" Acme ", "acme", "ACME", "Ａｃｍｅ"])
def test_the_name_is_compared_as_names_are(mara: Client, project: Project, typed: str) -> None:
    assert delete(mara, {}, **SURE | {"name": typed}).status_code == 303
    assert not is_there()


def test_twice_it_is_not_there(mara: Client, way: dict[str, str]) -> None:
    delete(mara, way, **SURE)
    assert delete(mara, way, **SURE).status_code == 404


# Not it


@pytest.mark.parametrize("typed", ["", "Acm", "Acme 2", "acme-", TOKEN])
def test_another_name_is_refused(mara: Client, project: Project, way: dict[str, str], typed: str) -> None:
    response = delete(mara, way, **SURE | {"name": typed})
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == page.error_of("name") == ["Type Acme, the project's name."]
    assert "data-autofocus" in page.one(id="errors").attrs
    assert TOKEN[20:39] not in page.source
    assert is_there()
    # The password was right: it isn't asked for a second time.
    assert not page.find(id="id_current_password")
    assert delete(mara, way, name="Acme").status_code in (200, 303)
    assert not is_there()


@pytest.mark.parametrize(
    ("password", "problem"), [("", "Enter your password."), ("not this one", "That password isn't right.")]
)
def test_it_asks_for_the_password_again(
    mara: Client, project: Project, way: dict[str, str], password: str, problem: str
) -> None:
    response = delete(mara, way, name="Acme", current_password=password)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == page.error_of("current_password") == [problem]
    fields = page.form_of("Delete project").fields()
    assert (fields["name"], fields["current_password"]) == (["Acme"], [""])
    assert is_there()


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_it_is_for_owners(request: pytest.FixtureRequest, role: str, way: dict[str, str]) -> None:
    client = signed_in(request.getfixturevalue(role))
    assert client.get(url_of("project_delete"), headers=way).status_code == 403
    assert delete(client, way, **SURE).status_code == 403
    assert is_there()


def test_it_is_not_taken_from_another_site(mara: Client, owner: User, way: dict[str, str]) -> None:
    assert delete(signed_in(owner, enforce_csrf_checks=True), way, **SURE).status_code == 403
    assert is_there()


def test_without_javascript_it_is_deleted(mara: Client, owner: User, project: Project) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("project_general"))
    visitor.follow("Delete project")
    visitor.press("Delete project", name="Acme")
    assert visitor.page.problems() == ["Enter your password."]
    page = visitor.press("Delete project", current_password=PASSWORD)
    assert page.messages() == ["Acme was deleted. Its keys stopped working."]
