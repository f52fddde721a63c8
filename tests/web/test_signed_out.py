"""Whoever is signed out: led to the door and back, and never shown it inside a dialog or a table."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from keys.lifecycle import Issued
from keys.models import Key
from projects.models import Project, User
from tests.factories import UserFactory
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
LOGIN = "/account/login/"


@pytest.fixture
def fresh(make: MakeKey) -> Issued:
    return make(confirmed=False)


@pytest.fixture
def urls(fresh: Issued) -> dict[str, str]:
    """One of each, by name, with the methods that it takes."""
    of_a_key = ("key_detail", "key_confirm", "key_renew", "key_revoke", "key_env")
    return {
        "home": "/",
        "project_list": "/projects/",
        "project_create": "/projects/new/",
        **{name: url_of(name) for name in ("key_list", "key_search", "key_create")},
        **{name: url_of(name, fresh.key.key_id) for name in of_a_key},
    }


BOTH = ("project_create", "key_create", "key_renew", "key_revoke")
READ = ("home", "project_list", "key_list", "key_detail", *BOTH)
POSTED = ("key_search", "key_confirm", "key_env", *BOTH)


def way_back(response: Any) -> str:
    """Return where the sign-in page that the answer leads to will lead."""
    assert response.status_code == 302
    parts = urlsplit(response["Location"])
    assert parts.path == LOGIN
    (address,) = parse_qs(str(parts.query))["next"]
    return address


def unchanged(issued: Issued) -> bool:
    key = Key.objects.get(pk=issued.key.pk)
    return (key.confirmed_at, key.revoked_at, key.version) == (None, None, issued.key.version)


@pytest.mark.parametrize("name", READ)
def test_a_page_leads_to_the_door_and_back(client: Client, urls: dict[str, str], name: str) -> None:
    assert way_back(client.get(urls[name])) == urls[name]
    assert way_back(client.get(f"{urls[name]}?q=bill&sort=name")) == f"{urls[name]}?q=bill&sort=name"


@pytest.mark.parametrize("name", POSTED)
def test_what_was_posted_is_not_asked_for_by_get(
    client: Client, urls: dict[str, str], fresh: Issued, name: str
) -> None:
    assert way_back(client.post(urls[name], {"name": "x", "token": fresh.token})) == "/"
    assert unchanged(fresh)
    assert Project.objects.count() == 1


@pytest.mark.parametrize("name", sorted({*READ, *POSTED}))
def test_htmx_is_told_so_in_a_partial(client: Client, urls: dict[str, str], fresh: Issued, name: str) -> None:
    send = client.post if name in POSTED else client.get
    response = send(urls[name], headers=HTMX)
    assert response.status_code == 401
    assert "HX-Request" in response["Vary"]
    assert "Location" not in response
    page = Page(response)
    assert not page.is_whole
    assert page.texts("p") == ["You've been signed out. What you typed is still here."]
    door = page.one("a", "Sign in in a new tab")
    assert (door.attrs["href"], door.attrs["target"]) == (LOGIN, "_blank")
    assert "data-retry" in page.one("button", "Try again").attrs
    assert not page.find("input")
    assert response["HX-Retarget"] == "#dialog-notice"
    assert unchanged(fresh)


def test_a_pasted_key_is_not_carried_to_the_door(client: Client, fresh: Issued) -> None:
    for url in (
        f"{url_of('key_list')}?q={fresh.token}",
        f"{url_of('key_list')}?q=%20{fresh.token}&sort=name",
        f"{url_of('key_list')}?rq=S3cretS3cretS3cretS3cretS3cretS3cretS3",
        f"/projects/{fresh.token}/settings/keys/",
        f"/projects/?q={fresh.token[:40]}",
    ):
        response = client.get(url)
        assert way_back(response) == "/"
        assert response["Location"] == f"{LOGIN}?next=/"


def test_a_session_that_ended_is_signed_out(owner: User, urls: dict[str, str], way: dict[str, str]) -> None:
    client = signed_in(owner)
    assert client.get(urls["key_list"], headers=way).status_code == 200
    Session.objects.all().delete()
    assert client.get(urls["key_list"], headers=way).status_code == (401 if way else 302)


def test_an_account_that_was_closed_is_signed_out(
    owner: User, urls: dict[str, str], way: dict[str, str]
) -> None:
    client = signed_in(owner)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert client.get(urls["key_list"], headers=way).status_code == (401 if way else 302)


def test_what_was_typed_can_be_sent_after_the_sign_in(owner: User, at: datetime) -> None:
    """As “Try again” does: the same fields, and the CSRF token of the new session from its cookie."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    form = Page(client.get(url_of("key_create"), headers=HTMX)).form_of("Generate").fields()
    typed = form | {"name": ["Docs crawler"], "scopes": ["sources:read"]}
    typed.pop("csrfmiddlewaretoken")
    client.cookies.pop("keyrack_session")
    headers = HTMX | {"X-CSRFToken": client.cookies["csrftoken"].value}
    assert client.post(url_of("key_create"), typed, headers=headers).status_code == 401
    client.force_login(owner)
    headers = HTMX | {"X-CSRFToken": client.cookies["csrftoken"].value}
    response = client.post(url_of("key_create"), typed, headers=headers)
    assert Page(response).heading == "Copy your key now"
    assert Key.objects.filter(name="Docs crawler").count() == 1


def test_without_javascript_the_door_opens_on_the_page_that_was_asked_for(
    project: Project, make: MakeKey
) -> None:
    issued = make()
    person: User = UserFactory(email="pia@example.test", password=PASSWORD)
    person.memberships.create(project=project, role=20)
    visitor = Visitor()
    page = visitor.visit(url_of("key_revoke", issued.key.key_id))
    assert page.heading == "Sign in"
    page = visitor.press("Sign in", login="pia@example.test", password=PASSWORD)
    assert page.heading == "Revoke Docs crawler?"


def test_signing_out_ends_it(owner: User, project: Project) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("key_list"))
    assert visitor.press("Sign out").heading == "Sign in"
    assert visitor.visit(url_of("key_list")).heading == "Sign in"
