"""Search, filters, sorting and pages: in place, with an address that tells all of it."""

import re
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from keys import lifecycle
from keys.lifecycle import Issued
from projects.models import Project, User
from tests.browser import steps
from tests.factories import IssuedFactory, acting


@pytest.fixture
def issued(project: Project, owner: User, at: datetime) -> dict[str, Issued]:
    made = {}
    for age, name in enumerate(["Teams bot", "Docs crawler", "Billing webhooks", "Old Zendesk sync"], 1):
        made[name] = IssuedFactory(
            project=project, name=name, actor=acting(owner, project), at=at - timedelta(days=age)
        )
    old = made["Old Zendesk sync"].key
    lifecycle.revoke(project, old.key_id, actor=acting(owner, project), at=at, reason="Replaced")
    return made


@pytest.fixture
def keys_page(issued: dict[str, Issued], either: Page) -> Page:
    either.reload()
    return either


@pytest.fixture
def live_page(issued: dict[str, Issued], page: Page) -> Page:
    """With JavaScript, where what is typed is searched without a button."""
    page.reload()
    return page


def search_field(page: Page) -> Locator:
    return page.get_by_role("searchbox", name="Search by name or key", exact=True)


def search(page: Page, text: str, javascript: bool) -> None:
    search_field(page).fill(text)
    if not javascript:
        search_field(page).press("Enter")


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def names(page: Page) -> list[str]:
    """The names in the first table, from top to bottom."""
    return [header.get_by_role("link").inner_text() for header in row_headers(page).all()]


def row_headers(page: Page) -> Locator:
    return steps.keys_table(page).get_by_role("rowheader")


def expect_names(page: Page, *expected: str) -> None:
    expect(row_headers(page).get_by_role("link")).to_have_text(list(expected), use_inner_text=True)


def test_a_part_of_a_name_finds_its_rows(keys_page: Page, javascript: bool) -> None:
    search(keys_page, "awl", javascript)
    expect_names(keys_page, "Docs crawler")
    expect(keys_page.get_by_text("1 key matches.")).to_be_visible()
    search(keys_page, "bill", javascript)
    expect(keys_page).to_have_url(re.compile(r"\?q=bill$"))
    expect_names(keys_page, "Billing webhooks")
    expect(search_field(keys_page)).to_have_value("bill")
    keys_page.get_by_role("link", name="Clear search").click()
    expect(row_headers(keys_page)).to_have_count(4)
    expect(search_field(keys_page)).to_have_value("")


def test_what_matches_nothing_says_so(keys_page: Page, javascript: bool) -> None:
    search(keys_page, "zzz", javascript)
    expect(keys_page.get_by_text("No keys match “zzz”.")).to_be_visible()
    expect(steps.keys_table(keys_page)).to_have_count(0)


def test_a_pasted_key_finds_its_row_and_is_never_echoed(
    keys_page: Page, issued: dict[str, Issued], javascript: bool
) -> None:
    docs = issued["Docs crawler"]
    search(keys_page, docs.token, javascript)
    expect(keys_page).to_have_url(re.compile(rf"\?key={docs.key.key_id}$"))
    expect_names(keys_page, "Docs crawler")
    expect(search_field(keys_page)).to_have_value("")
    assert docs.token[20:58] not in keys_page.content()


def test_a_preview_finds_its_row_too(keys_page: Page, issued: dict[str, Issued], javascript: bool) -> None:
    search(keys_page, issued["Teams bot"].key.preview, javascript)
    expect_names(keys_page, "Teams bot")


def test_a_pasted_key_of_elsewhere_says_so_without_repeating_it(keys_page: Page, javascript: bool) -> None:
    token = IssuedFactory(name="Elsewhere").token
    search(keys_page, token, javascript)
    expect(keys_page.get_by_text("No key in Acme matches what you pasted.")).to_be_visible()
    expect(search_field(keys_page)).to_have_value("")
    assert token[20:58] not in keys_page.content()


def test_typing_searches_once_after_a_pause_and_replaces_the_address(live_page: Page) -> None:
    asked: list[Request] = []
    live_page.on("request", lambda request: asked.append(request) if "/search/" in request.url else None)
    length = live_page.evaluate("history.length")
    search_field(live_page).press_sequentially("doc")
    expect_names(live_page, "Docs crawler")
    expect(live_page).to_have_url(re.compile(r"\?q=doc$"))
    assert live_page.evaluate("history.length") == length
    assert [request.method for request in asked] == ["POST"]


def test_going_on_after_a_pasted_key_is_a_fresh_search(live_page: Page, issued: dict[str, Issued]) -> None:
    search(live_page, issued["Docs crawler"].token, javascript=True)
    expect_names(live_page, "Docs crawler")
    expect(search_field(live_page)).to_be_focused()
    search_field(live_page).press_sequentially("team")
    expect_names(live_page, "Teams bot")
    assert query(live_page) == {"q": ["team"]}


def test_filters_change_the_table_and_the_address(keys_page: Page, javascript: bool) -> None:
    open_filters(keys_page)
    keys_page.get_by_label("Type").select_option(label="System")
    if not javascript:
        keys_page.get_by_role("button", name="Filter", exact=True).click()
    expect_names(keys_page, "Automator Key")
    assert query(keys_page)["type"] == ["system"]


def open_filters(page: Page) -> None:
    page.locator("details.filters > summary").click()


def test_back_undoes_a_filter_in_table_and_form(live_page: Page) -> None:
    open_filters(live_page)
    live_page.get_by_label("Type").select_option(label="System")
    expect_names(live_page, "Automator Key")
    live_page.get_by_label("Created by me").check()
    expect(live_page.get_by_text("No keys match.")).to_be_visible()
    live_page.go_back()
    expect_names(live_page, "Automator Key")
    expect(live_page.get_by_label("Type")).to_have_value("system")
    expect(live_page.get_by_label("Created by me")).not_to_be_checked()
    live_page.go_back()
    expect(row_headers(live_page)).to_have_count(4)


def test_search_and_filter_narrow_together(live_page: Page) -> None:
    open_filters(live_page)
    live_page.get_by_label("Created by me").check()
    expect(row_headers(live_page)).to_have_count(3)
    search(live_page, "bot", javascript=True)
    expect_names(live_page, "Teams bot")
    assert query(live_page) == {"q": ["bot"], "mine": ["1"]}
    live_page.get_by_label("Created by me").uncheck()
    expect(live_page).not_to_have_url(re.compile("mine"))
    assert query(live_page) == {"q": ["bot"]}


def test_a_header_sorts_and_says_how(keys_page: Page) -> None:
    def header(name: str) -> Locator:
        return steps.keys_table(keys_page).get_by_role("columnheader", name=name)

    expect(header("Created")).to_have_attribute("aria-sort", "descending")
    expect_names(keys_page, "Automator Key", "Teams bot", "Docs crawler", "Billing webhooks")
    header("Name").get_by_role("link").click()
    expect(header("Name")).to_have_attribute("aria-sort", "ascending")
    expect(header("Created")).to_have_attribute("aria-sort", "none")
    expect_names(keys_page, "Automator Key", "Billing webhooks", "Docs crawler", "Teams bot")
    expect(keys_page.get_by_role("table", name="Project API keys, by name, A to Z")).to_be_visible()
    header("Name").get_by_role("link").click()
    expect(header("Name")).to_have_attribute("aria-sort", "descending")
    expect_names(keys_page, "Teams bot", "Docs crawler", "Billing webhooks", "Automator Key")
    keys_page.go_back()
    expect(header("Name")).to_have_attribute("aria-sort", "ascending")


@pytest.fixture
def many(project: Project, at: datetime) -> None:
    for number in range(60):
        IssuedFactory(
            project=project, name=f"Integration {number:02}", at=at - timedelta(minutes=60 - number)
        )


def test_pages_turn_forth_and_back(many: None, either: Page) -> None:
    either.reload()
    pages = either.get_by_role("navigation", name="Pagination", exact=True)
    expect(row_headers(either)).to_have_count(50)
    expect(pages.get_by_role("link", name="Previous")).to_have_count(0)
    first = names(either)
    pages.get_by_role("link", name="Next").click()
    expect(row_headers(either)).to_have_count(11)
    assert not set(names(either)) & set(first)
    expect(pages.get_by_role("link", name="Next")).to_have_count(0)
    either.go_back()
    expect(row_headers(either)).to_have_count(50)
    pages.get_by_role("link", name="Next").click()
    expect(row_headers(either)).to_have_count(11)
    pages.get_by_role("link", name="Previous").click()
    expect(row_headers(either)).to_have_count(50)
    assert names(either) == first


def test_a_key_revoked_on_a_later_page_leaves_one_there(many: None, page: Page) -> None:
    page.reload()
    page.get_by_role("navigation", name="Pagination", exact=True).get_by_role("link", name="Next").click()
    expect(row_headers(page)).to_have_count(11)
    page.get_by_role("link", name="Revoke Integration 05").click()
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("Integration 05 was revoked.")).to_be_visible()
    expect(row_headers(page)).to_have_count(10)
    assert "after" in query(page)


def test_revoked_keys_have_a_search_of_their_own(keys_page: Page, javascript: bool) -> None:
    field = keys_page.get_by_role("searchbox", name="Search revoked keys by name or key")
    field.fill("zzz")
    if not javascript:
        field.press("Enter")
    expect(keys_page.get_by_text("No keys match “zzz”.")).to_be_visible()
    expect(row_headers(keys_page)).to_have_count(4)
    field.fill("zend")
    if not javascript:
        field.press("Enter")
    expect(steps.row(steps.revoked_table(keys_page), "Old Zendesk sync")).to_be_visible()
    expect(keys_page).to_have_url(re.compile(r"\?rq=zend$"))
    expect(field).to_have_value("zend")
