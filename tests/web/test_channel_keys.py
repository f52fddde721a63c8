"""API keys for a channel: its table, and the verbs on a key that begin and end in it."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from keys import lifecycle
from keys.kinds import KeyType
from keys.models import Key, KeyActivity
from projects.models import Channel, Project, User
from projects.moments import Moment
from tests.factories import ChannelFactory, acting
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

TABLE = "API keys for Support bot, newest first"
# As htmx asks from the dialog over the list of channels.
DIALOG = HTMX | {"HX-Current-URL": "http://testserver/projects/acme/settings/channels/"}
PROJECT_KEYS = HTMX | {"HX-Current-URL": "http://testserver/projects/acme/settings/keys/"}


@pytest.fixture
def mara(owner: User, support: Channel) -> Client:
    return signed_in(owner)


def keys_url(query: str = "") -> str:
    return url_of("channel_keys", "support-bot") + query


def shown(client: Client, query: str = "", headers: dict[str, str] | None = None) -> Page:
    return Page(client.get(keys_url(query), headers=headers or {}))


def names(page: Page) -> list[str]:
    return [row["Name"].find("a")[0].text for row in page.rows(TABLE)]


def of_key(view: str, key: Key, *, here: bool = True) -> str:
    return url_of(view, key.key_id) + ("?from=channel" if here else "")


def count(page: Page) -> str:
    """Return the count that the answer brings for the list behind the dialog."""
    return page.one("span", id="count-support-bot", hx_swap_oob="true").text


# The table


def test_it_is_empty_at_first(mara: Client, way: dict[str, str]) -> None:
    response = mara.get(keys_url(), headers=way)
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "API keys for Support bot"
    assert "No keys yet" in page.texts("h3" if way else "h2")
    assert page.link("Generate API key") == url_of("channel_issue", "support-bot")
    assert page.link("Done") == url_of("channel_list")
    if not way:
        assert page.title == "API keys for Support bot · Acme · Keyrack"


def test_it_shows_its_keys_newest_first(
    mara: Client, hold: MakeKey, operator: User, at: datetime, way: dict[str, str]
) -> None:
    old = hold("Old", "Nora Ek", at=at - timedelta(days=9), expires_at=at + timedelta(days=6), by=operator)
    KeyActivity.objects.filter(key=old.key).update(
        last_used_at=at - timedelta(minutes=2), last_used_client="curl", last_used_address="192.0.2.41"
    )
    new = hold("New", "The shop")
    page = shown(mara, headers=way)
    first, second = page.rows(TABLE)
    assert list(first) == ["Name", "Held by", "Key", "Last used", "Created", "Expires", "Actions"]
    assert first["Name"].one("a").attrs["href"] == url_of("key_detail", new.key.key_id)
    assert (first["Held by"].text, first["Key"].one("code").text) == ("The shop", new.key.preview)
    assert first["Key"].one("button", "Copy key ID of New").attrs["data-copy"] == new.key.key_id
    assert (first["Last used"].text, first["Expires"].text) == ("Never used", "never")
    assert second["Name"].text == "Old Expires soon"
    assert second["Last used"].text.startswith(Moment.of(at - timedelta(minutes=2)).text)
    assert "curl · 192.0.2.41" in second["Last used"].text
    assert second["Created"].text == f"{Moment.of(at - timedelta(days=9)).day} Otis Brandt"
    assert second["Expires"].text == "in 6 days"


def test_keys_of_other_channels_of_none_and_revoked_ones_are_not_there(
    mara: Client, project: Project, hold: MakeKey, make: MakeKey
) -> None:
    ChannelFactory(project=project, slug="website", name="Website")
    hold("Website's", channel="website")
    make("Docs crawler")
    gone = hold("Gone").key
    mara.post(of_key("key_revoke", gone))
    hold("Here")
    assert names(shown(mara)) == ["Here"]


def test_in_the_dialog_everything_stays_in_the_dialog(mara: Client, hold: MakeKey) -> None:
    key = hold(confirmed=False).key
    page = shown(mara, headers=HTMX)
    links = {
        "Generate API key": url_of("channel_issue", "support-bot"),
        "Get a new secret for Bot for Nora": of_key("key_renew", key),
        "Revoke Bot for Nora": of_key("key_revoke", key),
    }
    for name, url in links.items():
        link = page.one("a", name)
        assert link.attrs["href"] == link.attrs["hx-get"] == url
        assert link.attrs["hx-target"] == "#dialog"
    page = shown(mara)
    for name, url in links.items():
        assert page.one("a", name).attrs["href"] == url
        assert "hx-get" not in page.one("a", name).attrs


def test_the_dialog_brings_the_count_for_the_list_behind_it_and_for_no_other_page(
    mara: Client, hold: MakeKey
) -> None:
    hold()
    assert count(shown(mara, headers=DIALOG)) == "1"
    for headers in ({}, HTMX, PROJECT_KEYS):
        assert not shown(mara, headers=headers).find(id="count-support-bot")


def test_it_turns_its_pages_in_its_place(owner: User, mara: Client, hold: MakeKey, at: datetime) -> None:
    for number in range(120):
        hold(f"Bot {number:03}", at=at - timedelta(seconds=200 - number))
    newest = [f"Bot {number:03}" for number in range(119, -1, -1)]
    visitor = Visitor(owner)
    seen = names(visitor.visit(keys_url()))
    for _ in range(2):
        seen += names(visitor.follow("Next"))
    assert seen == newest
    assert not visitor.page.find("a", "Next")
    assert names(visitor.follow("Previous")) == newest[50:100]
    link = shown(mara, headers=HTMX).one("a", "Next")
    assert link.attrs["hx-get"] == link.attrs["href"]
    assert link.attrs["hx-target"] == "#dialog"
    assert "hx-push-url" not in link.attrs
    page = Page(mara.get(link.attrs["hx-get"], headers=HTMX))
    assert names(page) == newest[50:100]
    assert "data-autofocus" in page.one("div", class_="tablewrap").attrs


@pytest.mark.parametrize(
    "query",
    [
        "?after=000000000000", "?after=elsewhere", "?before=a%00b", "?after=" + "x" * 10_000,
        "?after=kr_live_" + "A1b2" * 14,
    ],
)  # fmt: skip
def test_a_place_that_is_not_there_is_the_beginning(
    mara: Client, hold: MakeKey, way: dict[str, str], query: str
) -> None:
    hold()
    response = mara.get(keys_url(query), headers=way)
    assert response.status_code == 400
    page = Page(response)
    assert "Here is its beginning." in page.one("p", class_="note").text
    assert names(page) == ["Bot for Nora"]
    assert "A1b2A1b2" not in page.source


def test_a_key_of_another_channel_is_no_place_in_it(mara: Client, project: Project, hold: MakeKey) -> None:
    ChannelFactory(project=project, slug="website", name="Website")
    other = hold("Website's", channel="website").key
    assert mara.get(keys_url(f"?after={other.key_id}")).status_code == 400


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_is_read_only(mara: Client, method: str) -> None:
    assert getattr(mara, method)(keys_url()).status_code == 405


def test_a_closed_channel_is_not_there(mara: Client, way: dict[str, str], at: datetime) -> None:
    Channel.objects.update(closed_at=at)
    assert mara.get(keys_url(), headers=way).status_code == 404


def test_a_viewer_sees_the_keys_and_nothing_to_press(
    viewer: User, support: Channel, hold: MakeKey, way: dict[str, str]
) -> None:
    client = signed_in(viewer)
    page = shown(client, headers=way)
    assert "Ask an admin or an operator to generate one." in page.content.text
    hold(confirmed=False)
    page = shown(client, headers=way)
    assert names(page) == ["Bot for Nora"]
    for name in ("Generate API key", "Revoke Bot for Nora", "Get a new secret for Bot for Nora"):
        assert not page.find("a", name)
    assert "data-autofocus" in page.one("a", "Done").attrs


def test_an_operator_revokes_anybodys_and_renews_their_own(
    operator: User, support: Channel, hold: MakeKey
) -> None:
    hold("Mara's", confirmed=False)
    hold("Otis's", confirmed=False, by=operator)
    page = shown(signed_in(operator))
    assert page.find("a", "Revoke Mara's")
    assert page.find("a", "Revoke Otis's")
    assert not page.find("a", "Get a new secret for Mara's")
    assert page.find("a", "Get a new secret for Otis's")


# A verb on a key that was asked for here


def test_revoke_begins_here_and_ends_here(
    mara: Client, hold: MakeKey, way: dict[str, str], at: datetime
) -> None:
    older = hold("Older", at=at - timedelta(days=1)).key
    key = hold().key
    headers = DIALOG if way else {}
    page = Page(mara.get(of_key("key_revoke", key), headers=headers))
    form, keep = page.form_of("Revoke key"), page.one("a", "Keep key")
    assert form.action == form.node.attrs["hx-post"] == of_key("key_revoke", key)
    assert keep.attrs["href"] == keys_url()
    assert "data-close" not in keep.attrs
    assert keep.attrs.get("hx-get", "") == (keys_url() if way else "")
    refused = Page(mara.post(form.action, {"reason": "x" * 201}, headers=headers))
    assert refused.form_of("Revoke key").action == of_key("key_revoke", key)
    response = mara.post(form.action, {"reason": "Left"}, headers=headers)
    if not way:
        assert (response.status_code, response["Location"]) == (303, keys_url())
        response = mara.get(response["Location"])
    else:
        assert response["HX-Retarget"] == "#dialog"
        assert "HX-Trigger-After-Settle" not in response
    page = Page(response)
    assert page.heading == "API keys for Support bot"
    assert page.messages() == ["Bot for Nora was revoked."]
    assert names(page) == ["Older"]
    if way:
        assert count(page) == "1"
        assert "data-autofocus" in page.one(id=f"key-{older.key_id}").attrs


def test_after_the_last_row_the_focus_is_on_generate(mara: Client, hold: MakeKey) -> None:
    page = Page(mara.post(of_key("key_revoke", hold().key), {}, headers=DIALOG))
    assert [node.name for node in page.walk() if "data-autofocus" in node.attrs] == ["Generate API key"]
    assert count(page) == "0"


def test_a_new_secret_begins_here_and_ends_here(mara: Client, hold: MakeKey, way: dict[str, str]) -> None:
    key = hold(confirmed=False).key
    headers = DIALOG if way else {}
    page = Page(mara.get(of_key("key_renew", key), headers=headers))
    form, cancel = page.form_of("Get a new secret"), page.one("a", "Cancel")
    assert form.action == form.node.attrs["hx-post"] == of_key("key_renew", key)
    assert cancel.attrs["href"] == keys_url()
    assert cancel.attrs.get("hx-get", "") == (keys_url() if way else "")
    once = Page(mara.post(form.action, {"version": key.version}, headers=headers))
    assert once.heading == "Copy your key now"
    form = once.form_of("I've stored it")
    assert form.action == form.node.attrs["hx-post"] == of_key("key_confirm", key)
    response = mara.post(form.action, {"version": key.version + 1}, headers=headers)
    page = Page(response if way else mara.get(response["Location"]))
    assert page.heading == "API keys for Support bot"
    assert page.messages() == ["Bot for Nora is ready to use."]
    assert names(page) == ["Bot for Nora"]


def test_what_came_too_late_leads_back_here(
    mara: Client, project: Project, admin: User, hold: MakeKey, way: dict[str, str], at: datetime
) -> None:
    key = hold(confirmed=False).key
    headers = DIALOG if way else {}
    lifecycle.revoke(project, key.key_id, actor=acting(admin, project), at=at)
    for response in (
        mara.post(of_key("key_revoke", key), {}, headers=headers),
        mara.post(of_key("key_renew", key), {"version": 1}, headers=headers),
        mara.post(of_key("key_confirm", key), {"version": 1}, headers=headers),
    ):
        assert response.status_code == 409
        link = Page(response).one("a", "Back to the channel's keys")
        assert link.attrs["href"] == keys_url()
        assert link.attrs.get("hx-get", "") == (keys_url() if way else "")


def test_a_verb_from_a_page_of_its_own_leaves_for_the_page_of_these_keys(mara: Client, hold: MakeKey) -> None:
    key = hold().key
    for view in ("key_revoke", "channel_keys"):
        own = url_of(view, key.key_id if view == "key_revoke" else "support-bot")
        headers = HTMX | {"HX-Current-URL": f"http://testserver{own}?from=channel"}
        response = mara.post(of_key("key_confirm", key), {"version": key.version}, headers=headers)
        assert response["HX-Redirect"] == keys_url()


def test_from_the_project_keys_a_verb_leads_back_to_those(
    mara: Client, hold: MakeKey, way: dict[str, str]
) -> None:
    one, two = hold("One", confirmed=False).key, hold("Two").key
    headers = PROJECT_KEYS if way else {}
    asked: list[tuple[str, Any]] = [
        ("key_confirm", (one, {"version": one.version})),
        ("key_revoke", (two, {"reason": ""})),
    ]
    for view, (key, fields) in asked:
        response = mara.post(of_key(view, key, here=False), fields, headers=headers)
        if way:
            assert response["HX-Retarget"] == "#listing"
            assert "keyrack:close" in json.loads(response["HX-Trigger-After-Settle"])
        else:
            assert response["Location"] == url_of("key_list")
    keep = Page(mara.get(of_key("key_revoke", one, here=False), headers=headers)).one("a", "Keep key")
    assert keep.attrs["href"] == url_of("key_list")
    assert "data-close" in keep.attrs


@pytest.mark.parametrize("text", ["", "x", "support-bot", "//example.org", "channel%00"])
def test_no_other_word_in_the_address_leads_anywhere_else(mara: Client, hold: MakeKey, text: str) -> None:
    key = hold().key
    response = mara.post(f"{url_of('key_revoke', key.key_id)}?from={text}", {})
    assert response["Location"] == url_of("key_list")


def test_of_a_key_without_a_channel_it_means_nothing(
    mara: Client, make: MakeKey, way: dict[str, str]
) -> None:
    key = make().key
    page = Page(mara.get(of_key("key_revoke", key), headers=way))
    assert page.link("Keep key") == url_of("key_list")
    assert page.form_of("Revoke key").action == url_of("key_revoke", key.key_id)
    if not way:
        assert mara.post(of_key("key_revoke", key), {})["Location"] == url_of("key_list")


def test_of_a_channel_that_was_closed_it_leads_to_the_project_keys(
    mara: Client, hold: MakeKey, way: dict[str, str], at: datetime
) -> None:
    key = hold().key
    mara.post(url_of("channel_close", "support-bot"))
    response = mara.post(of_key("key_revoke", key), {}, headers=DIALOG if way else {})
    assert response.status_code == 409
    assert Page(response).link("Back to API keys") == url_of("key_list")


# Where else a key of a channel is shown


def test_the_project_keys_say_where_it_is_good_and_who_holds_it(
    mara: Client, hold: MakeKey, way: dict[str, str]
) -> None:
    hold("Bot for Nora", "Nora Ek")
    page = Page(mara.get(url_of("key_list"), headers=way))
    row = page.rows("Project API keys, newest first")[0]
    assert row["Name"].text == "Bot for Nora Channel Read, chat in Support bot Held by Nora Ek"
    assert row["Name"].one("span", class_="tag-channel").text == "Channel"
    filtered = Page(mara.get(url_of("key_list") + "?type=channel", headers=way))
    assert len(filtered.rows("Project API keys, newest first")) == 1


def test_it_is_found_by_its_name_by_its_key_and_by_who_made_it_in_whatever_channel(
    operator: User, project: Project, support: Channel, hold: MakeKey, make: MakeKey
) -> None:
    ChannelFactory(project=project, slug="website", name="Website")
    mine = [hold("Bot for Nora", by=operator), hold("Web for Nora", channel="website", by=operator)]
    hold("Bot for Ben")
    make("Docs crawler", by=operator)
    client = signed_in(operator)

    def found(query: str) -> set[str]:
        page = Page(client.get(url_of("key_list") + query))
        return {row["Name"].find("a")[0].text for row in page.rows("Project API keys, newest first")}

    assert found("?mine=1") == {"Bot for Nora", "Web for Nora", "Docs crawler"}
    assert found("?mine=1&type=channel") == {"Bot for Nora", "Web for Nora"}
    assert found("?q=bot+for") == {"Bot for Nora", "Bot for Ben"}
    pasted = client.post(url_of("key_search"), {"q": mine[1].token})
    assert found(pasted["Location"].removeprefix(url_of("key_list"))) == {"Web for Nora"}


def test_its_own_page_says_where_it_is_good_and_who_holds_it(
    mara: Client, hold: MakeKey, at: datetime
) -> None:
    key = hold("Bot for Nora", "Nora Ek").key

    def facts() -> dict[str, str]:
        page = Page(mara.get(url_of("key_detail", key.key_id)))
        return {row.one("dt").text: row.one("dd").text for row in page.find("dl")[0].find("div")}

    page = Page(mara.get(url_of("key_detail", key.key_id)))
    assert page.link("Support bot") == keys_url()
    assert "Read, chat in Support bot" in page.texts("span")
    assert (facts()["Channel"], facts()["Held by"]) == ("Support bot", "Nora Ek")
    Channel.objects.update(closed_at=at)
    assert facts()["Channel"] == "Support bot, closed"


def test_a_key_of_no_channel_says_nothing_of_one(mara: Client, make: MakeKey) -> None:
    page = Page(mara.get(url_of("key_detail", make(type=KeyType.VIEWER, scopes=()).key.key_id)))
    assert not {"Channel", "Held by"} & {*page.texts("dt")}


def test_create_api_key_offers_no_channel_key_and_says_where_they_are_made(
    mara: Client, way: dict[str, str]
) -> None:
    page = Page(mara.get(url_of("key_create"), headers=way))
    assert not page.find("input", value="channel")
    assert page.content.one("a", "Channels", href=url_of("channel_list"))
    fields = {
        "type": "channel", "name": "x", "lifetime": "90", "environment": "live", "nonce": "0" * 32,
        "channel": "support-bot", "holder": "Nora",
    }  # fmt: skip
    response = mara.post(url_of("key_create"), fields, headers=way)
    assert response.status_code == 422
    assert Page(response).problems() == ["Choose a type of key."]
