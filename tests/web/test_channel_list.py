"""The channels of a project: what the table shows, to whom, and its pages."""

import json
from datetime import datetime

import pytest
from django.test import Client

from keys import lifecycle
from projects.models import Channel, Project, User
from tests.factories import ChannelFactory, acting
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Page, Visitor, path_and_query, signed_in, url_of

pytestmark = pytest.mark.django_db

TABLE = "Channels, by name"


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


def shown(client: Client, query: str = "", headers: dict[str, str] | None = None) -> Page:
    return Page(client.get(url_of("channel_list") + query, headers=headers or {}))


def names(page: Page) -> list[str]:
    return [row["Name"].one("bdi").text for row in page.rows(TABLE)]


def test_it_shows_name_slug_kind_and_keys(
    mara: Client, support: Channel, hold: MakeKey, owner: User, at: datetime, way: dict[str, str]
) -> None:
    hold("One")
    hold("Two")
    gone = hold("Three").key
    lifecycle.revoke(support.project, gone.key_id, actor=acting(owner, support.project), at=at)
    response = mara.get(url_of("channel_list"), headers=way)
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    (row,) = page.rows(TABLE)
    assert row["Name"].one("bdi").text == "Support bot"
    assert row["Name"].one("code").text == "support-bot"
    assert (row["Kind"].text, row["Keys"].text) == ("Teams", "2")
    if not way:
        assert page.title == "Channels · Acme · Keyrack"
        assert page.heading == "Channels"


def test_each_row_leads_to_what_can_be_done(mara: Client, support: Channel) -> None:
    page = shown(mara)
    for name, view in (
        ("API keys for", "channel_keys"),
        ("Rename", "channel_edit"),
        ("Close", "channel_close"),
    ):
        link = page.one("a", f"{name} Support bot")
        assert link.attrs["href"] == link.attrs["hx-get"] == url_of(view, "support-bot")
        assert link.attrs["hx-target"] == "#dialog"
    assert page.link("Create channel") == url_of("channel_create")


def test_they_are_sorted_by_name_whatever_its_case(mara: Client, project: Project) -> None:
    for number, name in enumerate(["website", "Zulip", "Alpha", "Ärger"]):
        ChannelFactory(project=project, slug=f"c-{number}", name=name)
    assert names(shown(mara)) == ["Alpha", "website", "Zulip", "Ärger"]


def test_closed_channels_and_those_of_others_are_not_there(
    mara: Client, project: Project, at: datetime
) -> None:
    ChannelFactory(project=project, slug="closed", name="Closed", closed_at=at)
    ChannelFactory(name="Elsewhere")
    page = shown(mara)
    assert not page.find("table")
    assert "No channels yet" in page.texts("h2")
    assert "Closed" not in page.content.text
    assert "Elsewhere" not in page.content.text


def test_the_rail_leads_here_from_every_page_of_the_settings(mara: Client, support: Channel) -> None:
    rail = Page(mara.get(url_of("key_list"))).one("nav", aria_label="Settings")
    assert rail.one("a", "Channels").attrs["href"] == url_of("channel_list")
    assert rail.one("a", aria_current="page").text == "API keys"
    for url in (url_of("channel_list"), url_of("channel_create"), url_of("channel_keys", "support-bot")):
        rail = Page(mara.get(url)).one("nav", aria_label="Settings")
        assert rail.one("a", aria_current="page").text == "Channels"


def test_an_operator_generates_keys_and_asks_for_the_rest(operator: User, support: Channel) -> None:
    page = shown(signed_in(operator))
    assert page.link("API keys for Support bot") == url_of("channel_keys", "support-bot")
    assert not page.find("a", "Create channel")
    assert not page.find("a", "Rename Support bot")
    assert not page.find("a", "Close Support bot")
    said = "You can generate and revoke the keys of a channel. Ask an admin to create, rename or close one."
    assert page.one("p", class_="note").text == said


def test_a_viewer_reads_whom_to_ask(viewer: User, support: Channel) -> None:
    page = shown(signed_in(viewer))
    assert page.link("API keys for Support bot") == url_of("channel_keys", "support-bot")
    assert not page.find("a", "Rename Support bot")
    said = "You can view channels. Ask an admin to create, rename or close them."
    assert page.one("p", class_="note").text == said


def test_an_admin_is_told_to_ask_nobody(admin: User, support: Channel) -> None:
    page = shown(signed_in(admin))
    assert not page.find("p", class_="note")
    assert page.find("a", "Close Support bot")


def test_it_turns_its_pages_by_name(owner: User, project: Project) -> None:
    for number in range(120):
        ChannelFactory(project=project, slug=f"bot-{number:03}", name=f"Bot {number:03}")
    visitor = Visitor(owner)
    pages = [names(visitor.visit(url_of("channel_list")))]
    while visitor.page.find("a", "Next"):
        _, query = path_and_query(visitor.page.link("Next"))
        assert list(query) == ["after"]
        pages.append(names(visitor.follow("Next")))
    assert [name for each in pages for name in each] == [f"Bot {number:03}" for number in range(120)]
    assert [len(each) for each in pages] == [50, 50, 20]
    assert names(visitor.follow("Previous")) == pages[1]
    assert names(visitor.follow("Previous")) == pages[0]
    assert not visitor.page.find("a", "Previous")


def test_a_page_that_was_turned_has_the_focus_on_its_table(mara: Client, project: Project) -> None:
    for number in range(60):
        ChannelFactory(project=project, slug=f"bot-{number:02}", name=f"Bot {number:02}")
    response = mara.get(f"{url_of('channel_list')}?after=bot-49", headers=HTMX)
    assert json.loads(response["HX-Trigger-After-Settle"]) == {"keyrack:focus": {"target": "#channels"}}
    assert Page(response).find(id="channels")


def test_a_page_whose_edge_was_closed_meanwhile_is_there_still(
    mara: Client, project: Project, at: datetime
) -> None:
    for name in ("a", "b", "c"):
        ChannelFactory(project=project, slug=name, name=name, closed_at=at if name == "b" else None)
    assert names(shown(mara, "?after=b")) == ["c"]
    assert names(shown(mara, "?before=b")) == ["a"]
    Channel.objects.filter(slug="c").update(closed_at=at)
    assert names(shown(mara, "?after=b")) == ["a"]


@pytest.mark.parametrize(
    "query",
    [
        "?after=nothing", "?after=elsewhere", "?before=a%00b", "?after=%F0%9F%94%91",
        "?after=" + "x" * 10_000, "?after=support-bot&before=support-bot", "?after=kr_live_" + "A1b2" * 14,
    ],
)  # fmt: skip
def test_a_place_that_is_not_there_is_the_beginning(
    mara: Client, support: Channel, way: dict[str, str], query: str
) -> None:
    ChannelFactory(slug="elsewhere")
    response = mara.get(url_of("channel_list") + query, headers=way)
    assert response.status_code == 400
    page = Page(response)
    assert page.one(role="alert").text == (
        "This page of the list isn't there any more. Here is its beginning."
    )
    assert names(page) == ["Support bot"]
    assert "A1b2A1b2" not in page.source


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_is_read_only(mara: Client, support: Channel, method: str) -> None:
    assert getattr(mara, method)(url_of("channel_list")).status_code == 405
