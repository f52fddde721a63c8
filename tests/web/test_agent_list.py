"""The tab of agent keys: its columns, its own revoked keys, its filters, and what a viewer sees."""

from datetime import datetime, timedelta

import pytest
from django.test import Client

from keys.kinds import KeyType
from keys.lifecycle import Issued, revoke
from keys.models import Key, KeyActivity
from projects.models import Project, User
from projects.moments import Moment
from tests.factories import IssuedFactory, acting
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Node, Page, path_and_query, signed_in, url_of

pytestmark = pytest.mark.django_db

HERE = "/projects/acme/settings/keys/agents/"
NEWEST = "Agent keys, newest first"
REVOKED = "Revoked API keys, last revoked first"
DAY = timedelta(days=1)


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


@pytest.fixture
def agent(make: MakeKey) -> Issued:
    return make("Release agent", type=KeyType.AGENT)


def listed(client: Client, **query: str) -> Page:
    return Page(client.get(HERE, query))


def names(page: Page, caption: str = NEWEST) -> list[str]:
    if caption not in page.texts("caption"):
        return []
    return [row["Name"].find("a")[0].text for row in page.rows(caption)]


def row(page: Page, name: str) -> dict[str, Node]:
    (found,) = [row for row in page.rows(page.texts("caption")[0]) if row["Name"].find("a", name)]
    return found


def test_the_page_says_what_it_is(mara: Client, agent: Issued) -> None:
    page = listed(mara)
    assert page.title == "Agent keys · Acme · Keyrack"
    assert page.heading == "API keys"
    assert "Agent keys expire 90 days after they're created." in page.content.texts("p")
    assert page.link("Create API key") == url_of("agent_create")
    assert page.one("nav", aria_label="Settings").one("a", aria_current="page").text == "API keys"
    assert page.one("form", role="search", aria_label="Agent keys").attrs["action"] == url_of("agent_search")


def test_the_tabs_are_links_and_say_which_is_current(mara: Client) -> None:
    for name, current in (("key_list", "Project keys"), ("agent_list", "Agent keys")):
        tabs = Page(mara.get(url_of(name))).one("nav", aria_label="API keys")
        assert [(tab.text, tab.attrs["href"]) for tab in tabs.find("a")] == [
            ("Project keys", url_of("key_list")),
            ("Agent keys", HERE),
        ]
        assert tabs.one("a", aria_current="page").text == current


def test_each_tab_shows_its_own_keys(mara: Client, agent: Issued, make: MakeKey) -> None:
    make("Docs crawler")
    assert names(listed(mara)) == ["Release agent"]
    keys = Page(mara.get(url_of("key_list")))
    assert names(keys, "Project API keys, newest first") == ["Docs crawler", "Automator Key"]


def test_a_fragment_is_both_tables_and_nothing_around_them(mara: Client, agent: Issued) -> None:
    response = mara.get(HERE, headers=HTMX)
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert not page.is_whole
    assert page.find(id="listing")
    assert names(page) == ["Release agent"]
    assert page.one("section", id="revoked").attrs["hx-swap-oob"] == "true"
    assert not page.find("nav", aria_label="API keys")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_is_only_read(mara: Client, method: str) -> None:
    assert getattr(mara, method)(HERE).status_code == 405


# A row


def test_a_row_has_the_columns_in_their_order(mara: Client, agent: Issued, at: datetime) -> None:
    KeyActivity.objects.filter(key=agent.key).update(
        last_used_at=at, last_used_client="curl", last_used_address="192.0.2.41"
    )
    cells = row(listed(mara), "Release agent")
    key = agent.key
    assert {name: cell.text for name, cell in cells.items()} == {
        "Name": "Release agent 3 scopes",
        "Status": "Active",
        "Key": f"kr_live_{key.key_id[:4]}…{agent.token[-4:]}",
        "Created": Moment.of(at).day,
        "Last used": f"{Moment.of(at).text} curl · 192.0.2.41",
        "Created by": "Mara Lindqvist",
        "Expires": "in 90 days",
        "Actions": "EditRotateRevoke",
    }
    assert list(cells) == [
        "Name", "Status", "Key", "Created", "Last used", "Created by", "Expires", "Actions",
    ]  # fmt: skip
    assert cells["Key"].one("button", "Copy key ID of Release agent").attrs["data-copy"] == key.key_id
    assert cells["Created"].one("time").attrs["title"] == Moment.of(at).text
    assert cells["Expires"].one("time").attrs["title"] == Moment.of(at + 90 * DAY).text
    assert cells["Actions"].one("a", "Edit Release agent").attrs["href"] == url_of("key_edit", key.key_id)
    assert cells["Actions"].one("a", "Revoke Release agent").attrs["href"] == url_of("key_revoke", key.key_id)


def test_the_scopes_are_spelt_out_where_they_are_few(mara: Client, make: MakeKey) -> None:
    make("Reader", type=KeyType.AGENT, scopes=["sources:read", "agents:run"])
    assert row(listed(mara), "Reader")["Name"].text == "Reader agents:run, sources:read"


def test_the_status_is_said_in_a_word(mara: Client, make: MakeKey, at: datetime) -> None:
    agent = {"type": KeyType.AGENT}
    make("Old scout", at=at - 90 * DAY, **agent)
    make("Triage agent", at=at - 76 * DAY, **agent)
    make("Young", at=at - 75 * DAY, **agent)
    make("Night watch", confirmed=False, **agent)
    paused = make("Weekend agent", **agent).key
    Key.objects.filter(pk=paused.pk).update(paused_at=at)
    page = listed(mara)
    assert {cells["Name"].find("a")[0].text: cells["Status"].text for cells in page.rows(NEWEST)} == {
        "Old scout": "Expired",
        "Triage agent": "Expires soon",
        "Young": "Active",
        "Night watch": "Not confirmed",
        "Weekend agent": "Paused",
    }
    assert row(page, "Old scout")["Expires"].text.endswith(" ago")
    assert row(page, "Night watch")["Actions"].names("a") == [
        "Edit Night watch", "Get a new secret for Night watch", "Revoke Night watch",
    ]  # fmt: skip


def test_an_expired_key_stays_listed_and_can_be_renamed_and_revoked(
    mara: Client, make: MakeKey, at: datetime
) -> None:
    make("Old scout", type=KeyType.AGENT, at=at - 120 * DAY)
    assert row(listed(mara), "Old scout")["Actions"].names("a") == [
        "Edit Old scout", "Rotate Old scout", "Revoke Old scout",
    ]  # fmt: skip


# Around the table


def test_an_empty_tab_says_what_to_do(mara: Client, make: MakeKey) -> None:
    make("Docs crawler")
    page = listed(mara)
    assert page.one("h2", "No agent keys yet")
    assert "Create one for each agent, so you can revoke it without stopping the others." in page.texts("p")
    assert "Nothing has been revoked." in page.texts("p")
    assert not page.find("table")


def test_it_has_revoked_keys_of_its_own(
    mara: Client, make: MakeKey, project: Project, owner: User, at: datetime
) -> None:
    for name, kind in (("Beta agent", KeyType.AGENT), ("Old sync", KeyType.VIEWER)):
        key = make(name, type=kind).key
        revoke(project, key.key_id, actor=acting(owner, project), at=at, reason="Replaced")
    page = listed(mara)
    (gone,) = page.rows(REVOKED)
    assert (gone["Name"].text, gone["Type"].text, gone["Reason"].text) == ("Beta agent", "Agent", "Replaced")
    assert names(Page(mara.get(url_of("key_list"))), REVOKED) == ["Old sync"]
    # The key that was revoked is no reason to say that there was never one, but for the table above.
    assert page.one("h2", "No agent keys yet")


def test_a_type_is_no_filter_here_and_an_agent_none_in_the_other_tab(mara: Client, agent: Issued) -> None:
    page = listed(mara, type="viewer")
    assert names(page) == ["Release agent"]
    labels = {label.text for label in page.one("form", id="filter-keys").find("label")}
    assert labels == {"Status", "Environment", "Created by me", "Not used for 90 days"}
    keys = Page(mara.get(url_of("key_list")))
    assert keys.one("select", name_="type").texts("option") == [
        "Any type", "Privileged", "Locked-down viewer", "Restricted", "Channel", "System",
    ]  # fmt: skip
    assert mara.get(url_of("key_list"), {"type": "agent"}).status_code == 400


def test_it_filters_by_status_and_by_who_made_it(
    mara: Client, make: MakeKey, operator: User, at: datetime
) -> None:
    make("Old scout", type=KeyType.AGENT, at=at - 120 * DAY)
    make("Of Otis", type=KeyType.AGENT, by=operator)
    assert names(listed(mara, status="expired")) == ["Old scout"]
    assert names(listed(mara, mine="1")) == ["Old scout"]
    assert names(listed(mara, environment="test")) == []
    page = listed(mara, status="expired")
    assert page.link("Clear filters") == f"{HERE}?"


def test_it_sorts_by_each_of_its_sortable_columns(mara: Client, make: MakeKey, at: datetime) -> None:
    for name, days in (("Zeta", 3), ("Alpha", 2), ("Mid", 1)):
        make(name, type=KeyType.AGENT, at=at - days * DAY)
    page = listed(mara)
    sorts = {
        header.text: header.attrs["aria-sort"] for header in page.find("th") if "aria-sort" in header.attrs
    }
    assert sorts == {"Name": "none", "Created": "descending", "Last used": "none", "Expires": "none"}
    assert names(page) == ["Mid", "Alpha", "Zeta"]
    url = page.one("thead").one("a", "Name").attrs["href"]
    assert path_and_query(url) == (HERE, {"sort": "name"})
    assert names(Page(mara.get(url)), "Agent keys, by name, A to Z") == ["Alpha", "Mid", "Zeta"]
    soon = listed(mara, sort="expires")
    assert names(soon, "Agent keys, next to expire first") == ["Zeta", "Alpha", "Mid"]


def test_its_pages_turn_and_hold_agent_keys_alone(mara: Client, project: Project, at: datetime) -> None:
    made = [f"Agent {number:02}" for number in range(53)]
    for number, name in enumerate(made):
        when = at - 2 * DAY + timedelta(seconds=number)
        IssuedFactory(project=project, name=name, type=KeyType.AGENT, at=when)
        IssuedFactory(project=project, name=f"Other {number}", at=when)
    first = listed(mara)
    second = Page(mara.get(first.link("Next")))
    assert names(first) + names(second) == made[::-1]
    assert path_and_query(first.link("Next"))[0] == HERE
    back = Page(mara.get(second.link("Previous")))
    assert names(back) == names(first)


def test_a_cursor_of_the_other_tab_is_none(mara: Client, agent: Issued, make: MakeKey) -> None:
    other = make("Docs crawler").key
    response = mara.get(HERE, {"after": other.key_id})
    assert response.status_code == 400
    page = Page(response)
    assert "This page of the list isn't there any more. Here is its beginning." in page.content.text
    assert page.link("Show all keys") == HERE


@pytest.mark.parametrize(
    "query", [{"sort": "colour"}, {"status": "gone"}, {"after": "x"}, {"q": "words " * 40}]
)
def test_an_address_that_asks_for_nothing_we_have_says_so(
    mara: Client, agent: Issued, way: dict[str, str], query: dict[str, str]
) -> None:
    response = mara.get(HERE, query, headers=way)
    assert response.status_code == 400
    page = Page(response)
    assert "This link asks for something that isn't here. Show all keys" in page.texts("p")
    assert names(page) == ["Release agent"]


# Who sees what


def test_a_viewer_sees_the_keys_and_whom_to_ask(viewer: User, make: MakeKey, at: datetime) -> None:
    make("Release agent", type=KeyType.AGENT, confirmed=False)
    page = listed(signed_in(viewer))
    assert "You can view keys. Ask an admin to create or revoke them." in page.texts("p")
    assert not page.find("a", "Create API key")
    # Not even a blank: on a phone an empty cell takes no room.
    assert row(page, "Release agent")["Actions"].children == []


def test_an_operator_edits_their_own_and_may_revoke_all(operator: User, make: MakeKey) -> None:
    make("Mine", type=KeyType.AGENT, by=operator)
    make("Theirs", type=KeyType.AGENT)
    make("Mine, but wide", type=KeyType.AGENT, scopes=["keys:read"])
    Key.objects.filter(name="Mine, but wide").update(created_by=operator)
    page = listed(signed_in(operator))
    assert row(page, "Mine")["Actions"].names("a") == ["Edit Mine", "Rotate Mine", "Revoke Mine"]
    assert row(page, "Theirs")["Actions"].names("a") == ["Revoke Theirs"]
    assert row(page, "Mine, but wide")["Actions"].names("a") == ["Revoke Mine, but wide"]


def test_a_name_that_looks_like_markup_is_shown_as_it_is(mara: Client, make: MakeKey) -> None:
    make("<b>x</b>", type=KeyType.AGENT)
    assert names(listed(mara)) == ["<b>x</b>"]
