"""New upstream: a name as models have them, and a provider key of this project."""

import json
from typing import Any

import pytest
from django.test import Client

from keys.models import ProviderKey, Upstream
from projects.models import Project, User
from tests.factories import ProviderKeyFactory, UpstreamFactory
from tests.web.pages import Page, Visitor, freshen, signed_in, url_of

pytestmark = pytest.mark.django_db

LIST = "http://testserver/projects/acme/settings/providers/"
VALUE = "sk-proj-Zq3vT8mB1xW6nR4cK9yL2pD7"


@pytest.fixture
def ada(admin: User) -> Client:
    return freshen(signed_in(admin))


@pytest.fixture
def key(project: Project) -> ProviderKey:
    return ProviderKeyFactory(project=project, name="Main OpenAI")


def create(client: Client, headers: dict[str, str] | None = None, **typed: str) -> Any:
    fields = {"slug": "gpt-4.1", "provider_key": ""} | typed
    return client.post(url_of("upstream_create"), fields, headers=headers or {})


def test_it_offers_the_project_s_provider_keys(ada: Client, key: ProviderKey, way: dict[str, str]) -> None:
    ProviderKeyFactory(name="Theirs")
    page = Page(ada.get(url_of("upstream_create"), headers=way))
    assert page.is_whole is not bool(way)
    assert page.heading == "New upstream"
    assert page.one("select").texts("option") == ["None yet", "Main OpenAI"]
    assert page.texts("label") == ["Name", "Provider key"]


def test_it_is_added_with_its_key(ada: Client, key: ProviderKey, way: dict[str, str]) -> None:
    response = create(ada, way | ({"HX-Current-URL": LIST} if way else {}), provider_key=key.public_id)
    if way:
        done = json.loads(response["HX-Trigger-After-Settle"])
        assert done == {"keyrack:close": {}, "keyrack:focus": {"target": "#upstream-gpt-4_1"}}
        assert 'id="upstream-gpt-4_1"' in response.content.decode()
        page = Page(response)
    else:
        assert response.status_code == 303
        page = Page(ada.get(response["Location"]))
    assert page.messages() == ["gpt-4.1 was added."]
    assert page.form_of("Save gpt-4.1").fields()["provider_key"] == [key.public_id]
    assert Upstream.objects.get().provider_key == key


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"slug": ""}, "slug", "Enter the upstream's name."),
        ({"slug": "GPT 5"}, "slug",
         "Use small letters, digits, dots and hyphens, beginning with a letter or a digit."),
        ({"slug": "x" * 61}, "slug", "Use 60 characters or fewer."),
        ({"slug": "taken"}, "slug", "There is an upstream called “taken” already."),
        ({"slug": VALUE}, "slug", "That looks like an API key. It belongs into a provider key."),
        ({"provider_key": "A" * 12}, "provider_key", "There is no such provider key here."),
        ({"provider_key": VALUE}, "provider_key", "There is no such provider key here."),
    ],
)  # fmt: skip
def test_what_is_wrong_stands_beside_its_field(
    ada: Client, project: Project, way: dict[str, str], typed: dict[str, str], field: str, said: str
) -> None:
    UpstreamFactory(project=project, slug="taken")
    response = create(ada, way, **typed)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == page.error_of(field) == [said]
    assert VALUE not in page.source
    assert Upstream.objects.count() == 1


def test_a_provider_key_of_another_project_is_refused(
    ada: Client, project: Project, way: dict[str, str]
) -> None:
    response = create(ada, way, provider_key=ProviderKeyFactory().public_id)
    assert response.status_code == 422
    assert Page(response).error_of("provider_key") == ["There is no such provider key here."]
    assert not Upstream.objects.exists()


@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_who_is_no_admin_may_not(
    request: pytest.FixtureRequest, project: Project, who: str, way: dict[str, str]
) -> None:
    client = signed_in(request.getfixturevalue(who))
    assert client.get(url_of("upstream_create"), headers=way).status_code == 403
    assert create(client, way).status_code == 403
    assert not Upstream.objects.exists()


def test_without_javascript_it_goes_from_the_list_and_back(admin: User, key: ProviderKey) -> None:
    visitor = Visitor(admin)
    freshen(visitor.client)
    visitor.visit(url_of("provider_key_list"))
    visitor.follow("New upstream")
    page = visitor.press("Save", slug="gpt 5")
    assert page.problems()
    page = visitor.press("Save", slug="gpt-5", provider_key=key.public_id)
    assert page.messages() == ["gpt-5 was added."]
