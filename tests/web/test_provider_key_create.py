"""New provider key: what the dialog asks for, what the preset fills in, and what is never shown again."""

import json
from typing import Any

import pytest
from django.test import Client

from keys.kinds import Provider
from keys.models import ProviderKey
from keys.providers import authorization_for
from keys.upstream_addresses import PRESETS
from projects.models import Project, User
from tests.factories import ProviderKeyFactory, UpstreamFactory
from tests.web.pages import HTMX, Page, Visitor, freshen, signed_in, url_of

pytestmark = pytest.mark.django_db

LIST = "http://testserver/projects/acme/settings/providers/"
VALUE = "sk-proj-Zq3vT8mB1xW6nR4cK9yL2pD7"
FIELDS = {
    "name": "Main OpenAI",
    "provider": "openai",
    "secret": VALUE,
    "base_url": "",
    "header": "",
    "prefix": "",
}


@pytest.fixture
def ada(admin: User) -> Client:
    return freshen(signed_in(admin))


def create(client: Client, headers: dict[str, str] | None = None, **typed: str) -> Any:
    return client.post(url_of("provider_key_create"), FIELDS | typed, headers=headers or {})


def test_it_asks_for_what_is_needed(ada: Client, project: Project, way: dict[str, str]) -> None:
    response = ada.get(url_of("provider_key_create"), headers=way)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "New provider key"
    if not way:
        assert page.title == "New provider key · Acme · Keyrack"
    form = page.form_of("Save")
    assert form.action == form.node.attrs["hx-post"] == url_of("provider_key_create")
    sent = {name: value for name, value in form.fields().items() if name != "csrfmiddlewaretoken"}
    assert sent == {name: [""] for name in FIELDS}
    assert page.texts("label") == ["Name", "Provider", "Value", "Base URL", "Header", "Prefix"]
    assert page.one("select", id="id_provider").texts("option") == [
        "Choose a provider", "OpenAI", "Anthropic", "Google", "Azure OpenAI", "Mistral", "Custom",
    ]  # fmt: skip
    value = page.one("input", id="id_secret")
    assert (value.attrs["type"], value.attrs["autocomplete"]) == ("password", "new-password")
    # Emptied when the page is left, and nothing to warn of.
    assert {"data-secret", "data-stored"} <= value.attrs.keys()
    hint = page.one("p", id=value.attrs["aria-describedby"])
    assert hint.text == "Stored encrypted. You can replace it, not read it back."
    assert "open" not in page.one("details", id="provider-address").attrs
    assert "data-close" in page.one("a", "Cancel").attrs


@pytest.mark.parametrize("provider", Provider)
def test_a_chosen_provider_fills_in_its_address_and_header(
    ada: Client, project: Project, way: dict[str, str], provider: str
) -> None:
    page = Page(ada.get(url_of("provider_key_create"), {"provider": provider}, headers=way))
    preset = PRESETS[provider]
    block = page.one("details", id="provider-address")
    filled = [
        block.one("input", id=f"id_{name}").attrs.get("value", "")
        for name in ("base_url", "header", "prefix")
    ]
    assert filled == [preset.base_url, preset.header, preset.prefix]
    # Where it must be typed, it is in sight.
    assert ("open" in block.attrs) is (not preset.base_url)
    assert page.one("option", selected="").attrs["value"] == provider


@pytest.mark.parametrize("provider", ["", "nobody", "<b>", "\0"])
def test_an_unknown_provider_fills_in_nothing(ada: Client, project: Project, provider: str) -> None:
    response = ada.get(url_of("provider_key_create"), {"provider": provider})
    assert response.status_code == 200
    assert Page(response).form_of("Save").fields()["header"] == [""]


def test_the_provider_s_select_sends_itself_alone(ada: Client, project: Project) -> None:
    """htmx sends the fields of a form with what it asks, if not told otherwise: the value among them."""
    page = Page(ada.get(url_of("provider_key_create"), headers=HTMX))
    asking = page.one(hx_trigger="change")
    assert asking.attrs["hx-get"] == url_of("provider_key_create")
    assert (asking.attrs["hx-params"], asking.attrs["hx-include"]) == ("provider", "#id_provider")
    assert asking.attrs["hx-target"] == asking.attrs["hx-select"] == "#provider-address"
    assert asking.find("select", id="id_provider")


def test_it_stores_the_key_and_shows_it_masked(ada: Client, project: Project, way: dict[str, str]) -> None:
    response = create(ada, way | ({"HX-Current-URL": LIST} if way else {}))
    key = ProviderKey.objects.get()
    if way:
        assert response.status_code == 200
        assert (response["HX-Retarget"], response["HX-Reswap"]) == ("#listing", "outerHTML")
        done = json.loads(response["HX-Trigger-After-Settle"])
        assert done == {"keyrack:close": {}, "keyrack:focus": {"target": f"#provider-{key.public_id}"}}
        assert f'id="provider-{key.public_id}"' in response.content.decode()
        page = Page(response)
    else:
        assert (response.status_code, response["Location"]) == (303, url_of("provider_key_list"))
        page = Page(ada.get(response["Location"]))
    assert page.messages() == ["Main OpenAI was stored."]
    assert page.rows("Provider keys, by name")[0]["Value"].text == "sk-…pD7"
    assert VALUE not in page.source
    UpstreamFactory(project=project, slug="gpt-5", provider_key=key.public_id)
    assert authorization_for(project, "gpt-5").value == f"Bearer {VALUE}"


def test_where_the_list_does_not_show_it_the_heading_gets_the_focus(ada: Client, project: Project) -> None:
    ProviderKeyFactory(project=project, name="Claude")
    response = create(ada, HTMX | {"HX-Current-URL": f"{LIST}?q=claude"})
    assert json.loads(response["HX-Trigger-After-Settle"])["keyrack:focus"] == {"target": "h1"}
    assert [row["Name"].text for row in Page(response).rows("Provider keys, by name")] == ["Claude"]


def test_from_another_page_it_leads_to_the_list(ada: Client, project: Project) -> None:
    response = create(ada, HTMX | {"HX-Current-URL": "http://testserver/projects/acme/settings/keys/"})
    assert response["HX-Redirect"] == url_of("provider_key_list")


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"name": ""}, "name", "Enter a name."),
        ({"name": "main openai"}, "name", "Another provider key is called “Main OpenAI”."),
        ({"provider": ""}, "provider", "Choose a provider."),
        ({"provider": "nobody"}, "provider", "Choose a provider."),
        ({"secret": ""}, "secret", "Enter the value."),
        ({"secret": f" {VALUE}"}, "secret",
         "The value has spaces or line breaks around it: paste the key alone."),
        ({"secret": f"{VALUE}\r\n"}, "secret",
         "The value has spaces or line breaks around it: paste the key alone."),
        ({"secret": f"{VALUE}\n{VALUE}"}, "secret",
         "The value has spaces or line breaks in it: paste one key alone."),
        ({"secret": "a1B" * 34_000}, "secret",
         "The value is longer than 4,096 characters: paste one key alone."),
        ({"secret": "schlüssel"}, "secret",
         "The value has characters that can't stand in a header: paste the key anew."),
        ({"base_url": "http://api.openai.com/v1"}, "base_url",
         "Begin the base URL with https://. Over http anybody on the way reads the key."),
        ({"base_url": "https://192.168.0.1/v1"}, "base_url",
         "The base URL leads to a private address. Staff can allow that for a project."),
        ({"base_url": "https://2130706433/"}, "base_url",
         "The base URL's host is not an IP address: write it in its usual form."),
        ({"provider": "azure-openai"}, "base_url", "Enter the base URL."),
        ({"provider": "custom"}, "base_url", "Enter the base URL."),
        ({"header": "X Api Key"}, "header",
         "That is not the name of a header: use letters, digits and hyphens."),
        ({"header": "Transfer-Encoding"}, "header",
         "No key goes in “Transfer-Encoding”: it means something else on the way."),
        ({"header": "Authorization", "prefix": "Bearer:"}, "prefix",
         "Use one word such as Bearer, or leave it empty."),
    ],
)  # fmt: skip
def test_what_is_wrong_stands_beside_its_field_and_the_value_is_not_sent_back(
    ada: Client, project: Project, way: dict[str, str], typed: dict[str, str], field: str, said: str
) -> None:
    if "main" in typed.get("name", ""):
        ProviderKeyFactory(project=project, name="Main OpenAI")
    count = ProviderKey.objects.count()
    response = create(ada, way, **typed)
    assert response.status_code == 422
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.problems() == page.error_of(field) == [said]
    assert "data-autofocus" in page.one(id="errors").attrs
    assert (FIELDS | typed)["secret"].strip()[:20] not in page.source or not (FIELDS | typed)["secret"]
    assert "value" not in page.one("input", id="id_secret").attrs
    asked_again = "Paste the value again: a page never shows one."
    assert (asked_again in page.texts("p")) is (field != "secret")
    # What the summary leads to is in sight.
    assert ("open" in page.one("details", id="provider-address").attrs) is (
        field in ("base_url", "header", "prefix") or typed.get("provider") in ("custom", "azure-openai")
    )
    if not way:
        assert page.title == "Error: New provider key · Acme · Keyrack"
    assert ProviderKey.objects.count() == count


@pytest.mark.parametrize("name", ["name", "provider", "base_url", "header", "prefix"])
@pytest.mark.parametrize(
    "secret", [VALUE, "0123456789abcdef0123456789abcdef", "AIzaSyA-1234567890abcdefghijklmnopqrstu"]
)
def test_a_value_in_the_wrong_field_is_refused_and_not_sent_back(
    ada: Client, project: Project, way: dict[str, str], name: str, secret: str
) -> None:
    """Beside its own field too, where it has no shape of a provider's."""
    response = create(ada, way, **{"secret": secret, name: secret})
    assert response.status_code == 422
    assert secret not in response.content.decode()
    assert not ProviderKey.objects.exists()


def test_a_double_click_stores_one(ada: Client, project: Project, way: dict[str, str]) -> None:
    assert create(ada, way).status_code in (200, 303)
    assert create(ada, way).status_code == 422
    assert ProviderKey.objects.count() == 1


@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_who_is_no_admin_may_not(
    request: pytest.FixtureRequest, project: Project, who: str, way: dict[str, str]
) -> None:
    client = signed_in(request.getfixturevalue(who))
    for response in (client.get(url_of("provider_key_create"), headers=way), create(client, way)):
        assert response.status_code == 403
        assert "You can't do that in Acme." in Page(response).texts("p")
    assert not ProviderKey.objects.exists()


def test_it_is_not_taken_from_another_site(admin: User, way: dict[str, str]) -> None:
    assert create(signed_in(admin, enforce_csrf_checks=True), way).status_code == 403
    assert not ProviderKey.objects.exists()


def test_without_javascript_the_preset_counts_where_nothing_is_typed(admin: User, project: Project) -> None:
    visitor = Visitor(admin)
    freshen(visitor.client)
    visitor.visit(url_of("provider_key_list"))
    visitor.follow("New provider key")
    page = visitor.press("Save", name="Claude", provider="anthropic", secret=VALUE, base_url="ftp://x")
    assert page.problems() == ["Begin the base URL with https://."]
    # All but the value is still there.
    assert visitor.page.form_of("Save").fields()["name"] == ["Claude"]
    assert visitor.page.form_of("Save").fields()["provider"] == ["anthropic"]
    page = visitor.press("Save", secret=VALUE, base_url="")
    assert page.messages() == ["Claude was stored."]
    key = ProviderKey.objects.get()
    assert (key.base_url, key.header, key.prefix) == ("https://api.anthropic.com", "x-api-key", "")
