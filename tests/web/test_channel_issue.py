"""Generate API key: a key of a channel, from the form to the table, in one dialog."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from keys import channels, tokens
from keys.channels import close_channel
from keys.kinds import NEVER_EXPIRES, KeyType
from keys.models import Key
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import AuditEvent, Channel, Project, User
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

TABLE = "API keys for Support bot, newest first"
DIALOG = HTMX | {"HX-Current-URL": "http://testserver/projects/acme/settings/channels/"}
OTHERS = {"csrfmiddlewaretoken"}


@pytest.fixture
def otis(operator: User, support: Channel) -> Client:
    return signed_in(operator)


def url() -> str:
    return url_of("channel_issue", "support-bot")


def generate(client: Client, headers: dict[str, str] | None = None, **typed: str) -> Any:
    untouched = {"lifetime": "90", "until": "", "environment": "live", "nonce": uuid.uuid4().hex}
    fields = untouched | {"name": "Bot for Nora", "holder": "Nora Ek"} | typed
    return client.post(url(), fields, headers=headers or {})


def no_key() -> bool:
    return not Key.objects.filter(type=KeyType.CHANNEL).exists()


# The form


def test_it_asks_for_name_holder_end_and_environment(otis: Client, way: dict[str, str]) -> None:
    response = otis.get(url(), headers=way)
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Generate API key for Support bot"
    form = page.form_of("Generate")
    assert form.action == url()
    assert form.node.attrs.get("hx-post", "") == (url() if way else "")
    assert form.fields().keys() - OTHERS == {"nonce", "name", "holder", "lifetime", "until", "environment"}
    assert page.one("label", for_="id_holder").text == "Who holds it"
    cancel = page.one("a", "Cancel")
    assert cancel.attrs["href"] == url_of("channel_keys", "support-bot")
    assert cancel.attrs.get("hx-get", "") == (url_of("channel_keys", "support-bot") if way else "")


# What it makes


def test_it_makes_a_key_of_the_channel_and_shows_it_once(
    otis: Client, operator: User, way: dict[str, str], at: datetime
) -> None:
    response = generate(otis, way)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Copy your key now"
    assert page.one("span", class_="tag-channel").text == "Channel"
    token = page.one("output", id="secret").text
    assert re.fullmatch(r"kr_live_[0-9A-Za-z]{56}", token)
    assert check(token, at=at + timedelta(minutes=1), channel="support-bot").is_valid
    assert check(token, at=at + timedelta(minutes=1)).outcome is Outcome.WRONG_CHANNEL
    key = Key.objects.get(type=KeyType.CHANNEL)
    assert (key.name, key.holder, key.scopes, key.created_by) == ("Bot for Nora", "Nora Ek", "", operator)
    assert key.channel is not None
    assert key.channel.slug == "support-bot"
    assert timedelta(days=89) < key.expires_at - at < timedelta(days=91)
    assert key.confirmed_at is None
    event = AuditEvent.objects.get(verb="key.issued", object_id=key.key_id)
    assert (event.changes["channel"], event.changes["holder"]) == ("support-bot", "Nora Ek")
    assert event.address == "127.0.0.1"


@pytest.mark.parametrize(
    ("typed", "end"),
    [
        ({"lifetime": "never"}, NEVER_EXPIRES),
        (
            {"lifetime": "date", "until": "2099-02-18"},
            datetime(2099, 2, 18, 23, 59, 59, 999999, tzinfo=UTC),
        ),
    ],
)
def test_it_ends_when_it_should(
    otis: Client, typed: dict[str, str], end: datetime, way: dict[str, str]
) -> None:
    generate(otis, way, **typed)
    assert Key.objects.get(type=KeyType.CHANNEL).expires_at == end


def test_a_test_key_says_so(otis: Client, way: dict[str, str], at: datetime) -> None:
    token = Page(generate(otis, way, environment="test")).one("output", id="secret").text
    assert token.startswith("kr_test_")


def test_stored_it_leads_back_to_the_table(otis: Client, way: dict[str, str]) -> None:
    headers = DIALOG if way else {}
    once = Page(generate(otis, headers)).form_of("I've stored it")
    key = Key.objects.get(type=KeyType.CHANNEL)
    confirm = url_of("key_confirm", key.key_id) + "?from=channel"
    assert once.action == once.node.attrs["hx-post"] == confirm
    response = otis.post(once.action, {"version": once.fields()["version"][0]}, headers=headers)
    if way:
        assert response["HX-Retarget"] == "#dialog"
    page = Page(response if way else otis.get(response["Location"]))
    assert page.messages() == ["Bot for Nora is ready to use."]
    (row,) = page.rows(TABLE)
    assert row["Name"].text == "Bot for Nora"
    if way:
        assert "data-autofocus" in page.one(id=f"key-{key.key_id}").attrs
        assert page.one(id="count-support-bot").text == "1"


def test_left_without_it_the_row_says_so_and_offers_a_new_secret(otis: Client, way: dict[str, str]) -> None:
    generate(otis, way)
    page = Page(otis.get(url_of("channel_keys", "support-bot"), headers=way))
    (row,) = page.rows(TABLE)
    assert row["Name"].text == "Bot for Nora Not confirmed"
    assert row["Actions"].find("a", "Get a new secret for Bot for Nora")


def test_any_number_of_keys_is_made_of_a_channel(otis: Client, way: dict[str, str]) -> None:
    for number in range(5):
        assert generate(otis, way, name=f"Bot {number}", holder=f"Shop {number}").status_code == 200
    assert Key.objects.filter(channel__slug="support-bot").count() == 5


# What it refuses


UNSEEN = "Use letters, digits, blanks and punctuation that can be seen."


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("name", "", "Enter a name."),
        ("name", "x" * 10_000, "Use 100 characters or fewer."),
        ("name", "a\u200bb", UNSEEN),
        ("name", "a\0b", "Null characters are not allowed."),
        ("name", "docs CRAWLER", "Another key is called “Docs crawler”."),
        ("holder", "", "Enter who holds the key."),
        ("holder", " \t ", "Enter who holds the key."),
        ("holder", "x" * 101, "Use 100 characters or fewer."),
        ("holder", "x" * 10_000, "Use 100 characters or fewer."),
        ("holder", "Nora\u202eEk", UNSEEN),
        ("holder", "\u2800", UNSEEN),
        ("holder", "a\0b", "Null characters are not allowed."),
        ("holder", " the  SHOP", "The shop holds a key of Support bot already: “Bot for the shop”."),
        ("lifetime", "7", "Choose when the key expires."),
        ("lifetime", "date", "Choose a date after today."),
        ("until", "tomorrow", "Enter a date, such as 2027-02-18."),
        ("environment", "prod", "Choose Live or Test."),
    ],
)
def test_what_breaks_a_rule_is_said_beside_its_field(
    otis: Client, make: MakeKey, hold: MakeKey, way: dict[str, str], field: str, typed: str, said: str
) -> None:
    make("Docs crawler")
    hold("Bot for the shop", "The shop")
    response = generate(otis, way, **{field: typed})
    assert response.status_code == 422
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.problems() == [said]
    beside = "until" if said.startswith("Choose a date") else field
    assert page.error_of(beside) == [said]
    assert page.one(id="errors").one("a").attrs["href"] == f"#id_{beside}"
    assert "data-autofocus" in page.one(id="errors").attrs
    if not way:
        assert page.title == "Error: Generate API key for Support bot · Acme · Keyrack"
    assert Key.objects.filter(type=KeyType.CHANNEL).count() == 1


@pytest.mark.parametrize("nonce", ["", "x", "0" * 31, "0" * 33, "Z" * 32])
def test_a_form_without_its_number_is_refused(otis: Client, way: dict[str, str], nonce: str) -> None:
    response = generate(otis, way, nonce=nonce)
    assert response.status_code == 422
    assert Page(response).problems()[0].startswith("Open this form anew:")
    assert no_key()


def test_all_that_is_wrong_is_said_in_the_order_of_the_fields(otis: Client, way: dict[str, str]) -> None:
    page = Page(generate(otis, way, name="", holder=""))
    assert page.problems() == ["Enter a name.", "Enter who holds the key."]


def test_a_token_is_refused_and_not_repeated(otis: Client, way: dict[str, str]) -> None:
    token = tokens.generate("live").text
    for field in ("name", "holder", "lifetime", "until", "environment", "nonce"):
        for text in (token, f"see {token}", token[20:58]):
            response = generate(otis, way, **{field: text})
            assert response.status_code == 422
            assert token[20:39] not in response.content.decode()
    assert no_key()


def test_a_second_submit_makes_no_second_key(otis: Client, way: dict[str, str]) -> None:
    headers = DIALOG if way else {}
    nonce = uuid.uuid4().hex
    token = Page(generate(otis, headers, nonce=nonce)).one("output", id="secret").text
    response = generate(otis, headers, nonce=nonce, holder="Somebody else", name="Another")
    assert response.status_code == 409
    page = Page(response)
    assert "This key was already created. Its secret can't be shown again." in page.texts("p")
    assert token not in page.source
    key = Key.objects.get(type=KeyType.CHANNEL)
    renew = page.one("a", "Get a new secret").attrs
    assert renew["href"] == renew["hx-get"] == url_of("key_renew", key.key_id) + "?from=channel"
    back = page.one("a", "Back to the channel's keys").attrs
    assert back["href"] == url_of("channel_keys", "support-bot")


def test_scopes_and_channels_of_a_forged_form_count_for_nothing(
    otis: Client, project: Project, way: dict[str, str]
) -> None:
    forged = {"type": "privileged", "scopes": "keys:write", "channel": "website", "note": "x"}
    assert generate(otis, way, **forged).status_code == 200
    key = Key.objects.get(type=KeyType.CHANNEL)
    assert (key.scopes, key.note) == ("", "")
    assert key.channel is not None
    assert key.channel.slug == "support-bot"


def test_a_closed_channel_takes_no_key(
    otis: Client, project: Project, way: dict[str, str], at: datetime
) -> None:
    close_channel(project, "support-bot", actor=Actor.system("Ada"), at=at)
    assert otis.get(url(), headers=way).status_code == 404
    for typed in ({}, {"name": ""}):
        response = generate(otis, way, **typed)
        assert response.status_code == 409
        assert Page(response).content.one(role="alert").text == "Ada already closed Support bot."
    assert no_key()


def test_one_that_is_closed_while_the_form_is_on_its_way_takes_none_either(
    otis: Client, project: Project, way: dict[str, str], at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The view looked, and found it open; the verb looks again, behind its lock."""
    looked = channels.refuse_closed

    def look(channel: Channel) -> None:
        monkeypatch.setattr(channels, "refuse_closed", looked)
        close_channel(project, "support-bot", actor=Actor.system("Ada"), at=at)

    monkeypatch.setattr(channels, "refuse_closed", look)
    response = generate(otis, way)
    assert response.status_code == 422
    assert Page(response).problems() == ["There is no such channel here."]
    assert no_key()


def test_a_viewer_generates_none(viewer: User, support: Channel, way: dict[str, str]) -> None:
    client = signed_in(viewer)
    assert client.get(url(), headers=way).status_code == 403
    assert generate(client, way).status_code == 403
    assert no_key()


def test_it_is_not_taken_from_another_site(operator: User, support: Channel, way: dict[str, str]) -> None:
    assert generate(signed_in(operator, enforce_csrf_checks=True), way).status_code == 403
    assert no_key()


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_is_read_and_posted_only(otis: Client, method: str) -> None:
    assert getattr(otis, method)(url()).status_code == 405


def test_without_javascript_it_goes_from_the_list_to_the_table(operator: User, support: Channel) -> None:
    visitor = Visitor(operator)
    visitor.visit(url_of("channel_list"))
    visitor.follow("API keys for Support bot")
    visitor.follow("Generate API key")
    visitor.press("Generate", name="Bot for Nora")
    once = visitor.press("Generate", holder="Nora Ek")
    assert once.heading == "Copy your key now"
    page = visitor.press("I've stored it")
    assert page.heading == "API keys for Support bot"
    assert page.messages() == ["Bot for Nora is ready to use."]
    visitor.follow("Generate API key")
    visitor.follow("Cancel")
    visitor.follow("Revoke Bot for Nora")
    visitor.follow("Keep key")
    visitor.follow("Revoke Bot for Nora")
    page = visitor.press("Revoke key")
    assert page.messages() == ["Bot for Nora was revoked."]
    assert "No keys yet" in page.texts("h2")
    visitor.follow("Done")
    assert visitor.page.rows("Channels, by name")[0]["Keys"].text == "0"
