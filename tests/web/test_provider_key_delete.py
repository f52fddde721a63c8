"""Delete: what it says before, and that nothing is left."""

import json
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from keys.models import ProviderKey, Upstream
from projects.models import Project, User
from tests.factories import ProviderKeyFactory, UpstreamFactory
from tests.web.pages import HTMX, Page, Visitor, freshen, signed_in, url_of

pytestmark = pytest.mark.django_db

LIST = "http://testserver/projects/acme/settings/providers/"
KEYS = "Provider keys, by name"


@pytest.fixture
def ada(admin: User) -> Client:
    return freshen(signed_in(admin))


@pytest.fixture
def key(project: Project, at: datetime) -> ProviderKey:
    return ProviderKeyFactory(project=project, name="Main OpenAI", at=at)


def url(key: ProviderKey) -> str:
    return url_of("provider_key_delete", key.public_id)


def delete(client: Client, key: ProviderKey, headers: dict[str, str] | None = None) -> Any:
    return client.post(url(key), headers=headers or {})


def test_it_says_what_uses_it_and_that_it_is_final(
    ada: Client, key: ProviderKey, project: Project, way: dict[str, str]
) -> None:
    page = Page(ada.get(url(key), headers=way))
    assert page.heading == "Delete Main OpenAI?"
    told = "Deleted keys can't be recovered. At OpenAI the key stays good: end it there as well."
    assert told in page.texts("p")
    assert "No upstream uses it." in page.texts("p")
    for number in range(12):
        UpstreamFactory(project=project, slug=f"model-{number:02}", provider_key=key.public_id)
    page = Page(ada.get(url(key), headers=way))
    assert page.is_whole is not bool(way)
    named = page.one("ul", class_="issued").texts("li")
    assert named == [*(f"model-{number:02}" for number in range(10)), "and 2 more"]
    keep = page.one("a", "Keep key")
    assert keep.attrs["href"] == url_of("provider_key_list")
    assert {"data-autofocus", "data-close"} <= keep.attrs.keys()
    assert page.form_of("Delete key").action == url(key)
    assert ProviderKey.objects.exists()


def test_it_is_gone_and_its_upstreams_say_so(
    ada: Client, key: ProviderKey, project: Project, way: dict[str, str]
) -> None:
    UpstreamFactory(project=project, slug="gpt-5", provider_key=key.public_id)
    response = delete(ada, key, way | ({"HX-Current-URL": LIST} if way else {}))
    if way:
        assert (response.status_code, response["HX-Retarget"]) == (200, "#listing")
        page = Page(response)
    else:
        assert response.status_code == 303
        page = Page(ada.get(response["Location"]))
    assert page.messages() == ["Main OpenAI was deleted."]
    assert page.form_of("Save gpt-5").fields()["provider_key"] == [""]
    assert not ProviderKey.objects.exists()
    assert Upstream.objects.get().provider_key is None


def test_the_focus_goes_to_the_next_row_or_to_the_heading(
    ada: Client, key: ProviderKey, project: Project
) -> None:
    follower = ProviderKeyFactory(project=project, name="Spare")
    response = delete(ada, key, HTMX | {"HX-Current-URL": LIST})
    target = json.loads(response["HX-Trigger-After-Settle"])["keyrack:focus"]["target"]
    assert target == f"#provider-{follower.public_id}"
    response = delete(ada, follower, HTMX | {"HX-Current-URL": LIST})
    assert json.loads(response["HX-Trigger-After-Settle"])["keyrack:focus"]["target"] == "h1"


def test_a_second_time_it_is_not_there(ada: Client, key: ProviderKey, way: dict[str, str]) -> None:
    assert delete(ada, key, way).status_code in (200, 303)
    assert delete(ada, key, way).status_code == 404
    assert ada.get(url(key), headers=way).status_code == 404


def test_a_get_deletes_nothing(ada: Client, key: ProviderKey, way: dict[str, str]) -> None:
    ada.get(url(key), headers=way)
    assert ProviderKey.objects.exists()


def test_a_key_of_another_project_is_not_there(ada: Client, way: dict[str, str]) -> None:
    theirs = ProviderKeyFactory()
    assert ada.get(url(theirs), headers=way).status_code == 404
    assert delete(ada, theirs, way).status_code == 404
    assert ProviderKey.objects.exists()


@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_who_is_no_admin_may_not(
    request: pytest.FixtureRequest, key: ProviderKey, who: str, way: dict[str, str]
) -> None:
    client = signed_in(request.getfixturevalue(who))
    assert client.get(url(key), headers=way).status_code == 403
    assert delete(client, key, way).status_code == 403
    assert ProviderKey.objects.exists()


def test_it_is_not_taken_from_another_site(admin: User, key: ProviderKey, way: dict[str, str]) -> None:
    assert delete(signed_in(admin, enforce_csrf_checks=True), key, way).status_code == 403
    assert ProviderKey.objects.exists()


def test_without_javascript_it_goes_from_the_list_and_back(admin: User, key: ProviderKey) -> None:
    visitor = Visitor(admin)
    freshen(visitor.client)
    visitor.visit(url_of("provider_key_list"))
    visitor.follow("Delete Main OpenAI")
    visitor.follow("Keep key")
    assert visitor.url == url_of("provider_key_list")
    visitor.follow("Delete Main OpenAI")
    page = visitor.press("Delete key")
    assert page.messages() == ["Main OpenAI was deleted."]
    assert page.find(class_="empty")
