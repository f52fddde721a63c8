"""The keys page: what stands in each row, sorting, filters, pages, and what a viewer sees."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from keys.kinds import NEVER_EXPIRES, KeyType
from keys.lifecycle import Issued, revoke
from keys.models import DayCount, Key, KeyActivity
from projects.models import Project, User
from projects.moments import Moment
from tests.factories import IssuedFactory, acting
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Node, Page, path_and_query, signed_in, url_of

pytestmark = pytest.mark.django_db

NEWEST = "Project API keys, newest first"
REVOKED = "Revoked API keys, last revoked first"
NOT_HERE = "This link asks for something that isn't here. Show all keys"


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


def listed(client: Client, **query: str) -> Page:
    return Page(client.get(url_of("key_list"), query))


def row(page: Page, name: str) -> dict[str, Node]:
    """Return the cells of the key of this name, in whichever table it stands."""
    tables = [caption for caption in page.texts("caption") if caption]
    rows = [row for caption in tables for row in page.rows(caption)]
    found = [row for row in rows if row["Name"].find("a", name)]
    assert len(found) == 1, f"{len(found)} rows of {name}"
    return found[0]


def names(page: Page, caption: str | None = None) -> list[str]:
    """Return the names of the keys of a table, in its order; the first table's unless told."""
    return [row["Name"].find("a")[0].text for row in page.rows(caption or page.texts("caption")[0])]


def used(issued: Issued, at: datetime, **facts: str) -> None:
    KeyActivity.objects.filter(key=issued.key).update(last_used_at=at, **facts)


def fifty_and(more: int, project: Project, at: datetime, **fields: Any) -> list[str]:
    """Make so many keys, one second apart; return their names, newest first."""
    for number in range(50 + more):
        made = at - timedelta(days=2) + timedelta(seconds=number)
        IssuedFactory(project=project, name=f"Key {number:02}", at=made, confirmed=True, **fields)
    return [f"Key {number:02}" for number in reversed(range(50 + more))]


# The page


def test_the_page_says_what_it_is(mara: Client) -> None:
    page = listed(mara)
    assert page.title == "API keys · Acme · Keyrack"
    assert page.heading == "API keys"
    assert (
        "Let scripts and services act on this project without a person signing in."
        " Give each integration its own key, with the least access it needs."
    ) in page.content.texts("p")
    assert page.link("Create API key") == url_of("key_create")
    assert page.link("Skip to content") == "#content"
    assert {"Main", "Settings"} <= {nav.name for nav in page.find("nav")}
    assert page.one("nav", aria_label="Settings").one("a", aria_current="page").text == "API keys"
    assert len(page.find("header")) == len(page.find("main", id="content")) == 1


def test_a_fragment_is_both_tables_and_nothing_around_them(mara: Client, make: MakeKey) -> None:
    make()
    response = mara.get(url_of("key_list"), headers=HTMX)
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert not page.is_whole
    assert not page.find("h1")
    assert page.find(id="listing")
    assert names(page) == ["Docs crawler", "Automator Key"]
    assert page.one("section", id="revoked").attrs["hx-swap-oob"] == "true"


def test_a_page_varies_by_who_asks(mara: Client) -> None:
    response = mara.get(url_of("key_list"))
    assert {"HX-Request", "Cookie"} <= set(response["Vary"].split(", "))
    assert Page(response).is_whole


def test_htmx_gets_the_whole_page_where_it_restores_history(mara: Client) -> None:
    headers = HTMX | {"HX-History-Restore-Request": "true"}
    assert Page(mara.get(url_of("key_list"), headers=headers)).is_whole


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_is_only_read(mara: Client, method: str) -> None:
    assert getattr(mara, method)(url_of("key_list")).status_code == 405


def test_a_get_writes_nothing(mara: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(8) as queries:
        mara.get(url_of("key_list"))
    assert all(query["sql"].startswith("SELECT") for query in queries.captured_queries)


# A row


def test_the_automator_key_is_protected(mara: Client) -> None:
    cells = row(listed(mara), "Automator Key")
    assert cells["Name"].text == "Automator Key System Everything"
    assert cells["Actions"].text.startswith("Protected")
    assert "Created with the project. It can't be revoked." in cells["Actions"].text
    assert not cells["Actions"].find("a")
    assert cells["Expires"].text == "never"
    assert cells["Created"].text.endswith(" system")


def test_it_shows_a_preview_and_copies_the_key_id(mara: Client, make: MakeKey) -> None:
    issued = make()
    page = listed(mara)
    cell = row(page, "Docs crawler")["Key"]
    preview = cell.one("code", dir="ltr", translate="no").text
    assert preview == f"kr_live_{issued.key.key_id[:4]}…{issued.token[-4:]}"
    assert cell.one("button", "Copy key ID of Docs crawler").attrs["data-copy"] == issued.key.key_id
    assert issued.token[20:58] not in page.source


def test_a_test_key_has_a_preview_of_its_own(mara: Client, make: MakeKey) -> None:
    make(environment="test")
    assert row(listed(mara), "Docs crawler")["Key"].text.startswith("kr_test_")


@pytest.mark.parametrize(
    ("kind", "scopes", "says"),
    [
        (KeyType.PRIVILEGED, (), "Privileged Everything"),
        (KeyType.VIEWER, (), "Locked-down viewer Read, chat"),
        (KeyType.RESTRICTED, ("sources:read",), "Restricted sources:read"),
        (KeyType.RESTRICTED, ("sources:write", "sources:read"), "Restricted sources:read, sources:write"),
        (KeyType.RESTRICTED, ("sources:read", "chat:read", "chat:send"), "Restricted 3 scopes"),
    ],
)
def test_it_names_the_type_and_what_the_key_may_do(
    mara: Client, make: MakeKey, kind: str, scopes: tuple[str, ...], says: str
) -> None:
    make(type=kind, scopes=scopes)
    cell = row(listed(mara), "Docs crawler")["Name"]
    assert cell.text == f"Docs crawler {says}"
    assert cell.one(class_=f"tag-{kind}").text == KeyType(kind).label


@pytest.mark.parametrize(
    ("status", "columns"),
    [
        ("", {}),
        ("Not confirmed", {"confirmed_at": None}),
        ("Expires soon", {"expires_at": timedelta(days=13)}),
        ("Paused", {"paused_at": timedelta(0)}),
        ("Rotating", {"revoked_at": timedelta(hours=1)}),
        ("Expired", {"expires_at": timedelta(seconds=-1)}),
    ],
)
def test_it_says_the_status_where_it_is_not_active(
    mara: Client, make: MakeKey, at: datetime, status: str, columns: dict[str, timedelta | None]
) -> None:
    issued = make(at=at - timedelta(days=2), expires_at=at + timedelta(days=30))
    times = {name: None if span is None else at + span for name, span in columns.items()}
    if times:
        Key.objects.filter(pk=issued.key.pk).update(**times)
    cell = row(listed(mara), "Docs crawler")["Name"]
    assert cell.texts("span", class_="status") == ([status] if status else [])


def test_it_says_never_used(mara: Client, make: MakeKey) -> None:
    make()
    assert row(listed(mara), "Docs crawler")["Last used"].text == "Never used"


def test_a_row_has_bars_with_a_name(mara: Client, make: MakeKey) -> None:
    today = timezone.now().astimezone(UTC).date()
    for name, count in (("Docs crawler", 1204), ("Idle", 0)):
        key = make(name).key
        if count:
            DayCount.objects.create(key=key, day=today, outcome="valid", count=count)
    page = listed(mara)
    labels = [row(page, name)["Last used"].one("svg", role="img").attrs for name in ("Docs crawler", "Idle")]
    assert [attrs["aria-label"] for attrs in labels] == ["1,204 uses in 14 days", "0 uses in 14 days"]
    assert "style=" not in page.source


def test_it_says_when_and_from_where_a_key_was_used(mara: Client, make: MakeKey, at: datetime) -> None:
    used(make(), at - timedelta(minutes=2), last_used_client="curl", last_used_address="192.0.2.41")
    cell = row(listed(mara), "Docs crawler")["Last used"]
    moment = Moment.of(at - timedelta(minutes=2))
    assert cell.text == f"{moment.text} curl · 192.0.2.41"
    assert cell.one("time").attrs == {
        "datetime": moment.iso, "title": moment.text, "data-when": "relative",
    }  # fmt: skip


def test_it_says_when_and_by_whom_a_key_was_made(
    mara: Client, make: MakeKey, operator: User, at: datetime
) -> None:
    make(by=operator)
    cell = row(listed(mara), "Docs crawler")["Created"]
    moment = Moment.of(at)
    assert cell.text == f"{moment.text} Otis Brandt"
    assert cell.one("time").attrs["datetime"] == moment.iso
    assert moment.text.endswith(" UTC")


@pytest.mark.parametrize(
    ("left", "says", "warns"),
    [
        (timedelta(days=82, hours=3), "in 82 days", False),
        (timedelta(days=6, hours=3), "in 6 days", True),
        (timedelta(hours=5, minutes=20), "in 5 hours", True),
        (-timedelta(days=3, hours=3), "3 days ago", False),
        (None, "never", False),
    ],
)
def test_it_says_when_a_key_expires(
    mara: Client, make: MakeKey, at: datetime, left: timedelta | None, says: str, warns: bool
) -> None:
    make(at=at - timedelta(days=9), expires_at=NEVER_EXPIRES if left is None else at + left)
    cell = row(listed(mara), "Docs crawler")["Expires"]
    assert cell.text == says
    assert bool(cell.find("time", class_="warn")) is warns


def test_each_action_is_named_with_its_key_and_is_a_link(mara: Client, make: MakeKey) -> None:
    key_id = make(confirmed=False).key.key_id
    cell = row(listed(mara), "Docs crawler")["Actions"]
    for name, verb in {"Revoke Docs crawler": "revoke", "Get a new secret for Docs crawler": "renew"}.items():
        link = cell.one("a", name)
        assert link.attrs["href"] == link.attrs["hx-get"] == url_of(f"key_{verb}", key_id)
        assert link.attrs["hx-target"] == "#dialog"


def test_a_stored_key_is_not_offered_a_new_secret(mara: Client, make: MakeKey) -> None:
    make()
    offered = row(listed(mara), "Docs crawler")["Actions"].names("a")
    assert offered == ["Edit Docs crawler", "Rotate Docs crawler", "Revoke Docs crawler"]


def test_the_name_leads_to_the_key(mara: Client, make: MakeKey) -> None:
    issued = make()
    assert listed(mara).link("Docs crawler") == url_of("key_detail", issued.key.key_id)


def test_a_name_is_text_and_nothing_else(mara: Client, make: MakeKey) -> None:
    make("<b>קוד</b> & “x”")
    page = listed(mara)
    link = row(page, "<b>קוד</b> & “x”")["Name"].one("a")
    assert link.one("bdi", dir="auto").text == "<b>קוד</b> & “x”"


# What is not offered


def test_a_viewer_sees_the_keys_and_whom_to_ask(viewer: User, make: MakeKey) -> None:
    make(confirmed=False)
    page = listed(signed_in(viewer))
    assert "You can view keys. Ask an admin to create or revoke them." in page.texts("p", class_="note")
    assert row(page, "Docs crawler")["Actions"].text == ""
    for word in ("Create API key", "Revoke Docs crawler", "Get a new secret for Docs crawler"):
        assert not page.find(name=word)
    assert "/new/" not in page.content.one(id="listing").text


def test_nobody_else_is_told_whom_to_ask(operator: User) -> None:
    assert not listed(signed_in(operator)).find("p", class_="note")


def test_an_operator_may_revoke_any_key_and_renew_only_their_own(operator: User, make: MakeKey) -> None:
    make("Theirs", confirmed=False)
    make("Own", confirmed=False, by=operator)
    page = listed(signed_in(operator))
    assert row(page, "Theirs")["Actions"].names("a") == ["Revoke Theirs"]
    assert row(page, "Own")["Actions"].names("a") == ["Edit Own", "Get a new secret for Own", "Revoke Own"]


# Sorting


def test_the_newest_stands_first(mara: Client, make: MakeKey, at: datetime) -> None:
    make("Old", at=at - timedelta(days=1))
    make("New")
    page = listed(mara)
    # The Automator Key came with the project, which was made in this test's first moment.
    assert [name for name in names(page) if name != "Automator Key"] == ["New", "Old"]


@pytest.mark.parametrize(
    ("column", "first", "turned", "captions"),
    [
        ("Name", "name", "-name", ["by name, A to Z", "by name, Z to A"]),
        ("Last used", "-used", "used", ["last used first", "longest unused first"]),
        ("Expires", "expires", "-expires", ["next to expire first", "last to expire first"]),
        ("Created", "created", "-created", ["oldest first", "newest first"]),
    ],
)
def test_a_heading_sorts_and_turns(
    mara: Client, make: MakeKey, at: datetime, column: str, first: str, turned: str, captions: list[str]
) -> None:
    # In each column “b” has less than “A”, but in the alphabet.
    low = make("b", at=at + timedelta(seconds=1), expires_at=at + timedelta(days=30))
    high = make("A", at=at + timedelta(seconds=2), expires_at=at + timedelta(days=60))
    used(low, at - timedelta(days=2))
    used(high, at - timedelta(days=1))
    ascending = {"Name": ["A", "b"]}.get(column, ["b", "A"])
    page = listed(mara)
    seen: list[str] = []
    for sort in (first, turned):
        url = page.one("thead").one("a", column).attrs["href"] if not seen else seen[-1]
        page = Page(mara.get(url))
        assert path_and_query(url)[1].get("sort", "-created") == sort
        people = [name for name in names(page) if name != "Automator Key"]
        assert people == (ascending[::-1] if sort.startswith("-") else ascending)
        heading = page.find("thead")[0].one("th", column)
        assert heading.attrs["aria-sort"] == ("descending" if sort.startswith("-") else "ascending")
        assert page.texts("caption")[0] == f"Project API keys, {captions[len(seen)]}"
        seen.append(heading.one("a").attrs["href"])
        others = [th for th in page.find("thead")[0].find("th") if th is not heading]
        assert {th.attrs.get("aria-sort", "none") for th in others} == {"none"}


def test_a_key_never_used_stands_last_among_the_last_used(mara: Client, make: MakeKey, at: datetime) -> None:
    make("Unused")
    used(make("Used"), at)
    assert names(listed(mara, sort="-used"))[0] == "Used"
    assert names(listed(mara, sort="used"))[-1] == "Used"


def test_a_key_that_never_expires_stands_last_among_the_next_to_expire(
    mara: Client, make: MakeKey, at: datetime
) -> None:
    make("For ever")
    make("Soon", expires_at=at + timedelta(days=1))
    assert names(listed(mara, sort="expires"))[0] == "Soon"


# Filters


@pytest.fixture
def rack(make: MakeKey, operator: User, at: datetime) -> None:
    """Keys that differ in one thing each."""
    make("Privileged", type=KeyType.PRIVILEGED)
    make("Tested", environment="test")
    make("Unstored", confirmed=False)
    make("Of Otis", by=operator)
    make("Soon gone", expires_at=at + timedelta(days=3))
    make("Gone", at=at - timedelta(days=9), expires_at=at - timedelta(days=1))
    Key.objects.filter(pk=make("Paused").key.pk).update(paused_at=at)
    used(make("Long unused", at=at - timedelta(days=200)), at - timedelta(days=91))
    used(make("Old and used", at=at - timedelta(days=200)), at - timedelta(days=89))


@pytest.mark.usefixtures("rack")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"type": "privileged"}, {"Privileged"}),
        ({"type": "system"}, {"Automator Key"}),
        ({"environment": "test"}, {"Tested"}),
        ({"status": "unconfirmed"}, {"Unstored"}),
        ({"status": "expires_soon"}, {"Soon gone"}),
        ({"status": "expired"}, {"Gone"}),
        ({"status": "paused"}, {"Paused"}),
        ({"unused": "1"}, {"Long unused"}),
        ({"type": "restricted", "status": "active", "environment": "live", "q": "of"}, {"Of Otis"}),
        ({"type": "privileged", "environment": "test"}, set()),
    ],
    ids=str,
)
def test_a_filter_leaves_what_it_says(mara: Client, query: dict[str, str], found: set[str]) -> None:
    page = listed(mara, **query)
    assert set(names(page) if page.find("caption") else []) == found
    count = {0: "No keys match.", 1: "1 key matches."}[len(found)]
    assert page.one(id="listing").one(role="status").text.startswith(count)


@pytest.mark.usefixtures("rack")
def test_created_by_me_means_whoever_asks(operator: User, mara: Client) -> None:
    assert names(listed(signed_in(operator), mine="1")) == ["Of Otis"]
    others = names(listed(mara, mine="1"))
    assert "Of Otis" not in others
    assert "Automator Key" not in others
    assert len(others) == 8


@pytest.mark.usefixtures("rack")
def test_every_status_but_active_finds_none_that_another_finds(mara: Client) -> None:
    by_status = {
        status: set(names(listed(mara, status=status)))
        for status in ("active", "unconfirmed", "expires_soon", "paused", "expired")
    }
    everything = names(listed(mara))
    assert sum(len(found) for found in by_status.values()) == len(everything) == 10
    assert set.union(*by_status.values()) == set(everything)


def test_the_filters_are_labelled_and_keep_what_was_chosen(mara: Client) -> None:
    page = listed(mara, type="viewer", mine="1")
    filters = page.one("details", class_="filters")
    assert "open" in filters.attrs
    labels = ["Type", "Status", "Environment", "Created by me", "Not used for 90 days"]
    assert filters.texts("label") == labels
    assert filters.one("select", name_="type").one("option", selected="").attrs["value"] == "viewer"
    assert "checked" in filters.one("input", name_="mine").attrs
    assert "checked" not in filters.one("input", name_="unused").attrs
    for label in filters.find("label"):
        assert filters.find(id=label.attrs["for"])
    assert "open" not in listed(mara).one("details", class_="filters").attrs


def test_the_filters_go_with_one_link(mara: Client) -> None:
    page = listed(mara, type="viewer", sort="name", rq="gone")
    assert path_and_query(page.link("Clear filters"))[1] == {"sort": "name", "rq": "gone"}
    page = listed(mara, type="viewer", q="bill")
    assert path_and_query(page.link("Clear all"))[1] == {}
    page = listed(mara, q="bill")
    assert path_and_query(page.link("Clear search"))[1] == {}


# Links that ask for what isn't there


@pytest.mark.parametrize(
    "query",
    [
        {"type": "golden"},
        {"status": "archived"},
        {"environment": "staging"},
        {"sort": "secret"},
        {"after": "x"},
        {"before": "' OR 1=1 --"},
        {"rafter": "kr_live_7Fq2"},
        {"key": "<script>"},
        {"q": "a word " * 29},
        {"q": "a\0b"},
        {"colour": "golden"},
        {"secret_hash__startswith": "$argon2"},
    ],
    ids=str,
)
def test_it_refuses_a_link_that_it_did_not_make(
    mara: Client, make: MakeKey, way: dict[str, str], query: dict[str, str]
) -> None:
    make()
    response = mara.get(url_of("key_list"), query, headers=way)
    assert response.status_code == 400
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.one("p", role="alert").text == NOT_HERE
    assert page.link("Show all keys") == url_of("key_list")
    assert names(page) == ["Docs crawler", "Automator Key"]
    (value,) = query.values()
    assert value not in page.source or value == "x"


@pytest.mark.parametrize("cursor", ["after", "before", "rafter", "rbefore"])
def test_it_refuses_a_place_that_is_not_in_this_list(
    mara: Client, make: MakeKey, way: dict[str, str], outsider: User, at: datetime, cursor: str
) -> None:
    make()
    elsewhere = outsider.memberships.get().project
    foreign = IssuedFactory(project=elsewhere, at=at).key.key_id
    for place in ("A" * 12, foreign):
        response = mara.get(url_of("key_list"), {cursor: place}, headers=way)
        assert response.status_code == 400
        page = Page(response)
        problem = page.one("p", role="alert").text
        assert problem.startswith("This page of the list isn't there any more. Here is its beginning.")
        assert names(page) == ["Docs crawler", "Automator Key"]
        assert place not in page.source


def test_a_place_is_one_in_every_order_and_under_every_filter(mara: Client, make: MakeKey) -> None:
    first, second, third = (make(name).key.key_id for name in ("Bravo", "Alpha", "Charlie"))
    assert names(listed(mara, after=third)) == ["Alpha", "Bravo", "Automator Key"]
    assert names(listed(mara, after=second, sort="name")) == ["Automator Key", "Bravo", "Charlie"]
    assert names(listed(mara, after=first, sort="-name", type="restricted")) == ["Alpha"]
    assert names(listed(mara, before=first, sort="name", q="a", type="restricted")) == ["Alpha"]
    # A place that the filter leaves out is still one.
    assert names(listed(mara, after=first, type="system")) == ["Automator Key"]


def test_a_living_key_is_no_place_among_the_revoked(mara: Client, make: MakeKey) -> None:
    living = make().key.key_id
    assert mara.get(url_of("key_list"), {"rafter": living}).status_code == 400


# Pages


def test_fifty_rows_make_a_page(mara: Client, project: Project, at: datetime) -> None:
    made = fifty_and(3, project, at)
    first = listed(mara)
    assert names(first) == ["Automator Key", *made[:49]]
    pages = first.one("nav", aria_label="Pagination")
    assert [link.text for link in pages.find("a")] == ["Next"]
    assert pages.one("a").attrs["rel"] == "next"
    second = Page(mara.get(first.link("Next")))
    assert names(second) == made[49:]
    assert second.one("nav", aria_label="Pagination").names("a") == ["Previous"]
    back = Page(mara.get(second.link("Previous")))
    assert names(back) == names(first)
    assert back.one("nav", aria_label="Pagination").names("a") == ["Next"]


def test_one_page_has_no_pagination(mara: Client, make: MakeKey) -> None:
    make()
    assert not listed(mara).find("nav", aria_label="Pagination")


def test_pages_keep_search_filter_and_sort(mara: Client, project: Project, at: datetime) -> None:
    fifty_and(2, project, at)
    IssuedFactory(project=project, name="Key of a test", at=at, environment="test")
    query = {"q": "key", "type": "restricted", "environment": "live", "sort": "name"}
    first = listed(mara, **query)
    assert names(first) == [f"Key {number:02}" for number in range(50)]
    assert first.one(id="listing").one(role="status").text.startswith("52 keys match.")
    second = Page(mara.get(first.link("Next")))
    assert names(second) == ["Key 50", "Key 51"]
    _, kept = path_and_query(second.link("Previous"))
    assert kept.items() >= query.items()


def test_sorting_and_filtering_begin_at_the_first_page(mara: Client, project: Project, at: datetime) -> None:
    fifty_and(2, project, at)
    second = Page(mara.get(listed(mara, sort="name").link("Next")))
    _, turned = path_and_query(second.find("thead")[0].one("a", "Name").attrs["href"])
    assert turned == {"sort": "-name"}
    tied = {box.attrs["name"] for box in second.find("input", form="filter-keys")}
    assert tied == {"sort"}


def test_a_place_survives_the_revoking_of_its_key(mara: Client, project: Project, at: datetime) -> None:
    made = fifty_and(2, project, at)
    url = listed(mara).link("Next")
    last = Key.objects.get(name=made[48])
    revoke(project, last.key_id, actor=acting(project.memberships.get().user, project), at=at)
    assert names(Page(mara.get(url))) == made[49:]


def test_a_page_that_was_emptied_leads_back_to_the_beginning(
    mara: Client, project: Project, owner: User, at: datetime
) -> None:
    made = fifty_and(0, project, at)
    url = listed(mara).link("Next")
    assert names(Page(mara.get(url))) == [made[-1]]
    revoke(project, Key.objects.get(name=made[-1]).key_id, actor=acting(owner, project), at=at)
    page = Page(mara.get(url))
    assert names(page)[:2] == ["Automator Key", made[0]]
    assert "No API keys yet" not in page.source


# Revoked keys


def test_nothing_has_been_revoked_at_first(mara: Client) -> None:
    section = listed(mara).one("section", id="revoked")
    assert section.one("h2").text == "Revoked keys"
    assert "Kept for audit. A revoked key can't be reactivated." in section.texts("p")
    assert "Nothing has been revoked." in section.texts("p")
    assert not section.find(role="search")


def test_a_revoked_key_moves_to_the_second_table(
    mara: Client, make: MakeKey, project: Project, operator: User, at: datetime
) -> None:
    issued = make(type=KeyType.VIEWER, at=at - timedelta(days=3))
    used(issued, at - timedelta(days=2))
    revoke(project, issued.key.key_id, actor=acting(operator, project), at=at, reason="Left the team")
    page = listed(mara)
    assert names(page, NEWEST) == ["Automator Key"]
    cells = {column: cell.text for column, cell in page.rows(REVOKED)[0].items()}
    assert cells == {
        "Name": "Docs crawler",
        "Key": issued.key.preview,
        "Type": "Locked-down viewer",
        "Created": Moment.of(at - timedelta(days=3)).day,
        "Last used": Moment.of(at - timedelta(days=2)).day,
        "Revoked": Moment.of(at).text,
        "By": "Otis Brandt",
        "Reason": "Left the team",
    }


def test_the_second_table_says_what_it_does_not_know(
    mara: Client, make: MakeKey, project: Project, owner: User, at: datetime
) -> None:
    revoke(project, make().key.key_id, actor=acting(owner, project), at=at)
    cells = listed(mara).rows(REVOKED)[0]
    assert (cells["Last used"].text, cells["Reason"].text) == ("Never used", "—")
    assert not cells["Name"].above("tr").find("button")


def test_a_key_that_is_still_to_be_revoked_stands_in_the_first_table(
    mara: Client, make: MakeKey, at: datetime
) -> None:
    Key.objects.filter(pk=make().key.pk).update(revoked_at=at + timedelta(hours=1))
    page = listed(mara)
    assert "Docs crawler" in names(page, NEWEST)
    assert REVOKED not in page.texts("caption")


def test_the_revoked_have_pages_of_their_own(
    mara: Client, project: Project, owner: User, at: datetime
) -> None:
    for number in range(52):
        issued = IssuedFactory(project=project, name=f"Key {number:02}", at=at - timedelta(days=1))
        ended = at - timedelta(minutes=52 - number)
        revoke(project, issued.key.key_id, actor=acting(owner, project), at=ended)
    first = listed(mara, sort="name")
    assert names(first, REVOKED)[:2] == ["Key 51", "Key 50"]
    pages = first.one("nav", aria_label="Pagination of revoked keys")
    second = Page(mara.get(pages.one("a", "Next").attrs["href"]))
    assert names(second, REVOKED) == ["Key 01", "Key 00"]
    assert second.texts("caption")[0] == "Project API keys, by name, A to Z"
    pages = second.one("nav", aria_label="Pagination of revoked keys")
    assert names(Page(mara.get(pages.one("a", "Previous").attrs["href"])), REVOKED) == names(first, REVOKED)


def test_the_focus_lands_on_the_table_whose_page_was_turned(
    mara: Client, project: Project, at: datetime
) -> None:
    fifty_and(2, project, at)
    url = listed(mara).link("Next")
    assert '"#keys"' in mara.get(url, headers=HTMX)["HX-Trigger-After-Settle"]
    assert "HX-Trigger-After-Settle" not in mara.get(url_of("key_list"), headers=HTMX)


def test_a_new_project_is_told_what_to_do(mara: Client, project: Project, make: MakeKey) -> None:
    page = listed(mara)
    assert "No API keys yet" in page.content.text
    assert names(page) == ["Automator Key"]
    make("Docs crawler")
    assert "No API keys yet" not in listed(mara).source
