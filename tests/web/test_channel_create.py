"""Create channel: the form, what it refuses, and where it leads."""

import json

import pytest
from django.test import Client

from keys import tokens
from projects.models import AuditEvent, Channel, ChannelKind, User
from tests.web.pages import HTMX, Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

LIST = {"HX-Current-URL": "http://testserver/projects/acme/settings/channels/"}


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


def test_it_asks_for_name_and_kind(mara: Client, way: dict[str, str]) -> None:
    response = mara.get(url_of("channel_create"), headers=way)
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Create channel"
    form = page.form_of("Create channel")
    assert form.action == url_of("channel_create")
    assert form.node.attrs.get("hx-post", "") == (form.action if way else "")
    assert form.fields().keys() - {"csrfmiddlewaretoken"} == {"name", "kind"}
    assert page.one("select", id="id_kind").texts("option") == [
        "Teams", "Slack", "Web widget", "WhatsApp", "E-mail", "Custom",
    ]  # fmt: skip
    assert page.link("Cancel") == url_of("channel_list")


@pytest.mark.parametrize("kind", ChannelKind.values)
def test_it_makes_a_channel_of_every_kind(mara: Client, kind: str, way: dict[str, str]) -> None:
    mara.post(url_of("channel_create"), {"name": f"A {kind}", "kind": kind}, headers=way)
    assert Channel.objects.get(kind=kind).name == f"A {kind}"


def test_without_htmx_the_list_says_so(mara: Client) -> None:
    response = mara.post(url_of("channel_create"), {"name": "Support bot", "kind": "slack"})
    assert (response.status_code, response["Location"]) == (303, url_of("channel_list"))
    page = Page(mara.get(response["Location"]))
    assert page.messages() == ["Support bot was created."]
    assert page.find("a", "API keys for Support bot")
    assert AuditEvent.objects.get(verb="channel.created").address == "127.0.0.1"


def test_with_htmx_the_list_comes_and_its_row_has_the_focus(mara: Client) -> None:
    response = mara.post(
        url_of("channel_create"), {"name": "Support bot", "kind": "slack"}, headers=HTMX | LIST
    )
    assert response.status_code == 200
    assert (response["HX-Retarget"], response["HX-Reswap"]) == ("#listing", "outerHTML")
    focus = {"target": "#keys-of-support-bot"}
    assert json.loads(response["HX-Trigger-After-Settle"]) == {"keyrack:close": {}, "keyrack:focus": focus}
    page = Page(response)
    assert page.one(id="keys-of-support-bot").name == "API keys for Support bot"
    assert page.messages() == ["Support bot was created."]


def test_with_htmx_from_elsewhere_the_list_is_gone_to(mara: Client) -> None:
    elsewhere = {"HX-Current-URL": "http://testserver/projects/acme/settings/channels/new/"}
    response = mara.post(
        url_of("channel_create"), {"name": "Support bot", "kind": "slack"}, headers=HTMX | elsewhere
    )
    assert response["HX-Redirect"] == url_of("channel_list")


UNSEEN = "Use letters, digits, blanks and punctuation that can be seen."


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("name", "", "Enter a name."),
        ("name", "   ", "Enter a name."),
        ("name", "x" * 101, "Use 100 characters or fewer."),
        ("name", "x " * 5_000, "Use 100 characters or fewer."),
        ("name", "a\u202eb", UNSEEN),
        ("name", "\u2800", UNSEEN),
        ("name", "a\0b", "Null characters are not allowed."),
        ("name", "sUPPORT  bot", "Another channel is called “Support bot”."),
        ("kind", "", "Choose a kind of channel."),
        ("kind", "fax", "Choose a kind of channel."),
        ("kind", "te\0ams", "Choose a kind of channel."),
        ("kind", "x" * 10_000, "Choose a kind of channel."),
    ],
)
def test_what_breaks_a_rule_is_said_beside_its_field(
    mara: Client, support: Channel, way: dict[str, str], field: str, typed: str, said: str
) -> None:
    fields = {"name": "Website", "kind": "teams", field: typed}
    response = mara.post(url_of("channel_create"), fields, headers=way)
    assert response.status_code == 422
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.problems() == [said]
    assert page.error_of(field) == [said]
    assert page.one(id="errors").one("a").attrs["href"] == f"#id_{field}"
    assert "data-autofocus" in page.one(id="errors").attrs
    if not way:
        assert page.title == "Error: Create channel · Acme · Keyrack"
    assert Channel.objects.count() == 1


def test_a_form_without_any_field_says_what_is_missing(mara: Client, way: dict[str, str]) -> None:
    page = Page(mara.post(url_of("channel_create"), {}, headers=way))
    assert page.problems() == ["Choose a kind of channel."]
    assert not Channel.objects.exists()


def test_a_token_is_refused_and_not_repeated(mara: Client, way: dict[str, str]) -> None:
    token = tokens.generate("live").text
    for field in ("name", "kind"):
        for text in (token, f"see {token}", token[20:58]):
            fields = {"name": "Website", "kind": "teams", field: text}
            response = mara.post(url_of("channel_create"), fields, headers=way)
            assert response.status_code == 422
            assert token[20:39] not in response.content.decode()
    assert not Channel.objects.exists()


@pytest.mark.parametrize("who", ["operator", "viewer"])
def test_it_is_for_admins(request: pytest.FixtureRequest, way: dict[str, str], who: str) -> None:
    client = signed_in(request.getfixturevalue(who))
    for response in (
        client.get(url_of("channel_create"), headers=way),
        client.post(url_of("channel_create"), {"name": "Website", "kind": "teams"}, headers=way),
    ):
        assert response.status_code == 403
    assert not Channel.objects.exists()


def test_it_is_not_taken_from_another_site(owner: User, way: dict[str, str]) -> None:
    client = signed_in(owner, enforce_csrf_checks=True)
    fields = {"name": "Website", "kind": "teams"}
    assert client.post(url_of("channel_create"), fields, headers=way).status_code == 403
    assert not Channel.objects.exists()


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_is_read_and_posted_only(mara: Client, method: str) -> None:
    assert getattr(mara, method)(url_of("channel_create")).status_code == 405


def test_without_javascript_it_goes_from_the_list_and_back(owner: User) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("channel_list"))
    visitor.follow("Create channel")
    visitor.press("Create channel", name="")
    page = visitor.press("Create channel", name="Support bot", kind="whatsapp")
    assert page.messages() == ["Support bot was created."]
    assert page.rows("Channels, by name")[0]["Kind"].text == "WhatsApp"
