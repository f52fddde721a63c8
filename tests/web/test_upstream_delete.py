"""Deleting an upstream: its provider key stays."""

import json
from typing import Any

import pytest
from django.test import Client

from keys.models import ProviderKey, Upstream
from projects.models import Project, User
from tests.factories import ProviderKeyFactory, UpstreamFactory
from tests.web.pages import HTMX, Page, Visitor, freshen, signed_in, url_of

pytestmark = pytest.mark.django_db

LIST = "http://testserver/projects/acme/settings/providers/"
URL = "/projects/acme/settings/providers/upstreams/gpt-4.1/delete/"


@pytest.fixture
def ada(admin: User) -> Client:
    return freshen(signed_in(admin))


@pytest.fixture(autouse=True)
def upstream(project: Project) -> Upstream:
    key = ProviderKeyFactory(project=project, name="Main OpenAI")
    return UpstreamFactory(project=project, slug="gpt-4.1", provider_key=key.public_id)


def delete(client: Client, headers: dict[str, str] | None = None) -> Any:
    return client.post(URL, headers=headers or {})


def test_it_says_what_will_happen(ada: Client, way: dict[str, str]) -> None:
    page = Page(ada.get(URL, headers=way))
    assert page.is_whole is not bool(way)
    assert page.heading == "Delete gpt-4.1?"
    said = (
        "Requests to this upstream fail from the moment you delete it. Its provider key, Main OpenAI, stays."
    )
    assert said in page.texts("p")
    assert "data-autofocus" in page.one("a", "Keep upstream").attrs
    assert page.form_of("Delete upstream").action == url_of("upstream_delete", "gpt-4.1") == URL
    assert Upstream.objects.exists()


def test_it_is_gone_and_its_key_stays(ada: Client, way: dict[str, str]) -> None:
    response = delete(ada, way | ({"HX-Current-URL": LIST} if way else {}))
    page = Page(response) if way else Page(ada.get(response["Location"]))
    assert page.messages() == ["gpt-4.1 was deleted."]
    assert not Upstream.objects.exists()
    assert ProviderKey.objects.exists()


def test_the_focus_goes_to_the_next_row(ada: Client, project: Project) -> None:
    UpstreamFactory(project=project, slug="gpt-4.1-mini")
    response = delete(ada, HTMX | {"HX-Current-URL": LIST})
    target = json.loads(response["HX-Trigger-After-Settle"])["keyrack:focus"]["target"]
    assert target == "#upstream-gpt-4_1-mini"


def test_a_second_time_it_is_not_there(ada: Client, way: dict[str, str]) -> None:
    assert delete(ada, way).status_code in (200, 303)
    assert delete(ada, way).status_code == 404


def test_an_upstream_of_another_project_is_not_there(ada: Client, way: dict[str, str]) -> None:
    theirs = UpstreamFactory(slug="theirs")
    url = url_of("upstream_delete", "theirs")
    assert ada.get(url, headers=way).status_code == ada.post(url, headers=way).status_code == 404
    assert Upstream.objects.filter(pk=theirs.pk).exists()


@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_who_is_no_admin_may_not(request: pytest.FixtureRequest, who: str, way: dict[str, str]) -> None:
    client = signed_in(request.getfixturevalue(who))
    assert client.get(URL, headers=way).status_code == 403
    assert delete(client, way).status_code == 403
    assert Upstream.objects.exists()


def test_without_javascript_it_goes_from_the_list_and_back(admin: User) -> None:
    visitor = Visitor(admin)
    freshen(visitor.client)
    visitor.visit(url_of("provider_key_list"))
    visitor.follow("Delete gpt-4.1")
    visitor.follow("Keep upstream")
    visitor.follow("Delete gpt-4.1")
    assert visitor.press("Delete upstream").messages() == ["gpt-4.1 was deleted."]
