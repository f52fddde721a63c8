"""Edit: rename, lead elsewhere, replace the value; and what somebody is told who comes too late."""

import json
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from keys.models import ProviderKey
from keys.provider_drafts import ProviderEdit
from keys.providers import authorization_for, edit_provider_key
from projects.models import AuditEvent, Project, User
from projects.moments import Moment
from tests.factories import ProviderKeyFactory, UpstreamFactory, acting
from tests.web.pages import HTMX, Page, Visitor, freshen, signed_in, url_of

pytestmark = pytest.mark.django_db

LIST = "http://testserver/projects/acme/settings/providers/"
VALUE = "sk-proj-Zq3vT8mB1xW6nR4cK9yL2pD7"
OTHER = "sk-proj-aB3dE5gH7jK9mN1pQ3rS5tU7"


@pytest.fixture
def ada(admin: User) -> Client:
    return freshen(signed_in(admin))


@pytest.fixture
def key(project: Project, at: datetime) -> ProviderKey:
    key = ProviderKeyFactory(project=project, name="Main OpenAI", secret=VALUE, at=at)
    UpstreamFactory(project=project, slug="gpt-5", provider_key=key.public_id)
    return key


def fields(key: ProviderKey, **typed: str) -> dict[str, str]:
    shown = ("name", "base_url", "header", "prefix")
    return {"version": "1", "secret": "", **{name: getattr(key, name) for name in shown}, **typed}


def save(client: Client, key: ProviderKey, headers: dict[str, str] | None = None, **typed: str) -> Any:
    return client.post(
        url_of("provider_key_edit", key.public_id), fields(key, **typed), headers=headers or {}
    )


def test_it_shows_what_is_stored_but_the_value(ada: Client, key: ProviderKey, way: dict[str, str]) -> None:
    response = ada.get(url_of("provider_key_edit", key.public_id), headers=way)
    assert response.status_code == 200
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Edit Main OpenAI"
    form = page.form_of("Save")
    assert form.action == form.node.attrs["hx-post"] == url_of("provider_key_edit", key.public_id)
    assert {name: value for name, value in form.fields().items() if name != "csrfmiddlewaretoken"} == {
        "version": ["1"],
        "name": ["Main OpenAI"],
        "secret": [""],
        "base_url": ["https://api.openai.com/v1"],
        "header": ["Authorization"],
        "prefix": ["Bearer"],
    }
    assert "OpenAI · sk-…pD7" in page.texts("p")
    assert page.one("label", for_="id_secret").text == "New value"
    assert page.link("Cancel") == url_of("provider_key_list")
    assert "open" not in page.one("details", id="provider-address").attrs
    assert VALUE not in page.source


def test_it_renames_without_the_value(
    ada: Client, key: ProviderKey, project: Project, way: dict[str, str]
) -> None:
    response = save(ada, key, way | ({"HX-Current-URL": LIST} if way else {}), name="Spare")
    if way:
        done = json.loads(response["HX-Trigger-After-Settle"])
        assert done == {"keyrack:close": {}, "keyrack:focus": {"target": f"#provider-{key.public_id}"}}
        page = Page(response)
    else:
        assert response.status_code == 303
        page = Page(ada.get(response["Location"]))
    assert page.messages() == ["Spare was saved."]
    assert page.rows("Provider keys, by name")[0]["Name"].text == "Spare"
    assert authorization_for(project, "gpt-5").value == f"Bearer {VALUE}"


def test_it_replaces_the_value(ada: Client, key: ProviderKey, project: Project, way: dict[str, str]) -> None:
    assert save(ada, key, way, secret=OTHER).status_code in (200, 303)
    assert authorization_for(project, "gpt-5").value == f"Bearer {OTHER}"
    assert ProviderKey.objects.get().mask == "sk-…tU7"


@pytest.mark.parametrize(
    "moved", [{"base_url": "https://eu.api.openai.com/v1"}, {"header": "x-api-key"}, {"prefix": ""}]
)
def test_another_address_needs_the_value_again(
    ada: Client, key: ProviderKey, project: Project, way: dict[str, str], moved: dict[str, str]
) -> None:
    response = save(ada, key, way, **moved)
    assert response.status_code == 422
    page = Page(response)
    said = "Give the value again: it is sealed for the base URL, the header and the prefix."
    assert page.problems() == page.error_of("secret") == [said]
    # What was typed is still there, and in sight.
    assert "open" in page.one("details", id="provider-address").attrs
    assert {name: page.form_of("Save").fields()[name] for name in moved} == {
        name: [value] for name, value in moved.items()
    }
    assert save(ada, key, way, secret=VALUE, **moved).status_code in (200, 303)
    stored = ProviderKey.objects.get()
    assert {name: getattr(stored, name) for name in moved} == moved
    assert VALUE in authorization_for(project, "gpt-5").value


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"name": ""}, "name", "Enter a name."),
        ({"name": "taken"}, "name", "Another provider key is called “Taken”."),
        ({"base_url": ""}, "base_url", "Enter the base URL."),
        ({"header": ""}, "header", "Enter the header."),
        ({"base_url": "https://api.anthropic.com", "secret": VALUE}, "base_url",
         "That is the base URL of Anthropic, not of OpenAI."),
        ({"secret": f"{OTHER} "}, "secret",
         "The value has spaces or line breaks around it: paste the key alone."),
        ({"name": OTHER, "secret": OTHER}, "name",
         "That looks like an API key. Keys don't belong here: nobody should be able to read it."),
    ],
)  # fmt: skip
def test_what_is_wrong_stands_beside_its_field(
    ada: Client, key: ProviderKey, project: Project, way: dict[str, str], typed: dict[str, str],
    field: str, said: str,
) -> None:  # fmt: skip
    ProviderKeyFactory(project=project, name="Taken")
    response = save(ada, key, way, **typed)
    assert response.status_code == 422
    page = Page(response)
    assert said in page.problems()
    assert page.error_of(field) == [said]
    assert OTHER not in page.source
    assert ProviderKey.objects.get(pk=key.pk).version == 1


@pytest.mark.parametrize("version", ["", "x", "1.5", "9" * 40])
def test_without_its_number_the_form_is_refused(
    ada: Client, key: ProviderKey, way: dict[str, str], version: str
) -> None:
    response = save(ada, key, way, name="Spare", version=version)
    assert response.status_code in (409, 422)
    assert ProviderKey.objects.get().name == "Main OpenAI"


def test_who_comes_too_late_is_told_who_was_first_and_sees_both_sides(
    ada: Client, key: ProviderKey, project: Project, owner: User, at: datetime, way: dict[str, str]
) -> None:
    theirs = ProviderEdit(name="Theirs", prefix="Token", secret=VALUE)
    edit_provider_key(project, key.public_id, theirs, actor=acting(owner, project), at=at, version=1)
    response = save(ada, key, way, name="Mine", secret=OTHER)
    assert response.status_code == 409
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Nothing was changed"
    alert = page.content.one(role="alert")
    assert alert.text == f"Mara Lindqvist changed Theirs {Moment.of(at).text}."
    assert alert.one("time").attrs["data-when"] == "relative"
    sides = page.one("dl", class_="sides")
    assert [(row.text, *row.parent.texts("dd")) for row in sides.find("dt") if row.parent] == [
        ("Name", "Yours: Mine", "Now: Theirs"),
        ("Prefix", "Yours: Bearer", "Now: Token"),
        ("Value", "Yours: a new one, which wasn't stored", "Now: the one that is stored"),
    ]
    assert page.link("Edit again") == url_of("provider_key_edit", key.public_id)
    assert page.link("Back to provider keys") == url_of("provider_key_list")
    assert OTHER not in page.source
    assert VALUE not in page.source
    assert ProviderKey.objects.get().name == "Theirs"


def test_a_key_of_another_project_or_one_that_is_gone_is_not_there(
    ada: Client, key: ProviderKey, way: dict[str, str]
) -> None:
    theirs = ProviderKeyFactory(name="Theirs")
    for public_id in (theirs.public_id, "A" * 12):
        url = url_of("provider_key_edit", public_id)
        assert ada.get(url, headers=way).status_code == 404
        assert ada.post(url, fields(key, name="Mine"), headers=way).status_code == 404
    assert ProviderKey.objects.get(pk=theirs.pk).name == "Theirs"


@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_who_is_no_admin_may_not(
    request: pytest.FixtureRequest, key: ProviderKey, who: str, way: dict[str, str]
) -> None:
    client = signed_in(request.getfixturevalue(who))
    url = url_of("provider_key_edit", key.public_id)
    for response in (client.get(url, headers=way), save(client, key, way, name="Mine")):
        assert response.status_code == 403
        assert VALUE[:3] + "…" not in response.content.decode()
    assert ProviderKey.objects.get().name == "Main OpenAI"


def test_the_event_has_no_value(ada: Client, key: ProviderKey) -> None:
    save(ada, key, name="Spare", secret=OTHER)
    event = AuditEvent.objects.get(verb="provider_key.edited")
    assert event.changes == {"name": ["Main OpenAI", "Spare"], "value": "replaced"}
    assert (event.actor_label, event.address) == ("Ada Okafor", "127.0.0.1")


def test_without_javascript_it_goes_from_the_list_and_back(admin: User, key: ProviderKey) -> None:
    visitor = Visitor(admin)
    freshen(visitor.client)
    visitor.visit(url_of("provider_key_list"))
    visitor.follow("Edit Main OpenAI")
    page = visitor.press("Save", name="Spare OpenAI")
    assert page.messages() == ["Spare OpenAI was saved."]
    visitor.follow("Edit Spare OpenAI")
    visitor.follow("Cancel")
    assert visitor.url == url_of("provider_key_list")


def test_from_another_page_it_leads_to_the_list(ada: Client, key: ProviderKey) -> None:
    url = f"http://testserver{url_of('provider_key_edit', key.public_id)}"
    response = save(ada, key, HTMX | {"HX-Current-URL": url}, name="Spare")
    assert response["HX-Redirect"] == url_of("provider_key_list")
