"""A secret that was on screen is nowhere afterwards: not in storage, history, caches or on the disk."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Error, Page, Playwright, expect
from pytest_django.live_server_helper import LiveServer

from keys.lifecycle import Issued
from projects.models import Project, User
from tests.browser import steps
from tests.browser.conftest import Complaints, context_options, launch_options, sign_in
from tests.factories import IssuedFactory

LEAVE = "setTimeout(() => location.assign('/projects/'))"
# Playwright's own would wait for the page to load, which one that was kept doesn't do again.
BACK = "setTimeout(() => history.back())"

# Everything that a script of the page could read, and the values of the fields, which the markup lacks.
KEPT = """async () => JSON.stringify([
    { ...localStorage }, { ...sessionStorage }, document.cookie, history.state, location.href, document.title,
    await indexedDB.databases(), await caches.keys(),
    document.documentElement.outerHTML, [...document.querySelectorAll("input, textarea")].map((f) => f.value),
])"""


def secret_of(token: str) -> str:
    """The private part: the key id beside it may be anywhere."""
    return token[20:58]


def kept(page: Page) -> str:
    """Return what the browser holds for this page, as one text."""
    cookies = page.context.cookies()
    return f"{page.evaluate(KEPT)} {cookies} {page.url}"


def go_back(page: Page) -> None:
    """Go back; a page that was posted isn't kept, and Chromium's own says so instead."""
    try:
        page.go_back()
    except Error as error:
        if "ERR_CACHE_MISS" not in error.message:
            raise
        page.wait_for_url(re.compile("^chrome-error:"))


@pytest.fixture
def leaving(either: Page) -> Page:
    either.on("dialog", lambda dialog: dialog.accept())
    return either


def leave(page: Page) -> None:
    page.goto("/projects/")
    expect(page.get_by_role("heading", level=1, name="Projects")).to_be_visible()


def test_after_storing_it_the_page_holds_nothing(page: Page) -> None:
    secret = secret_of(steps.generate(page))
    assert secret in page.content()
    steps.store(page)
    assert secret not in kept(page)


def test_back_after_storing_it_shows_nothing(either: Page) -> None:
    secret = secret_of(steps.generate(either))
    steps.store(either)
    for _ in range(2):
        go_back(either)
        assert secret not in either.content()


def test_back_after_leaving_shows_nothing(leaving: Page) -> None:
    secret = secret_of(steps.generate(leaving))
    leave(leaving)
    assert secret not in leaving.content()
    for _ in range(2):
        go_back(leaving)
        assert secret not in leaving.content()


def test_back_and_forward_find_the_list_and_no_secret(page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    secret = secret_of(steps.generate(page))
    leave(page)
    assert secret not in kept(page)
    page.go_back()
    expect(steps.row(steps.keys_table(page), "Docs crawler")).to_contain_text("Not confirmed")
    assert secret not in kept(page)


def test_no_request_carries_it_but_the_download(page: Page) -> None:
    """What goes out is what a proxy or a log could keep: the address and the headers of each request."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.url} {request.all_headers()}"))
    secret = secret_of(steps.generate(page))
    with page.expect_download():
        page.get_by_role("button", name="Download .env").click()
    steps.store(page)
    page.reload()
    assert sent
    assert not [text for text in sent if secret in text]


@pytest.fixture
def cached(
    playwright: Playwright,
    live_server: LiveServer,
    owner: User,
    prepare: Callable[[BrowserContext], BrowserContext],
) -> Iterator[Page]:
    """The owner in a Chromium of its own that keeps pages as they stood, which Playwright turns off."""
    options: dict[str, Any] = {"ignore_default_args": ["--disable-back-forward-cache"]}
    browser = playwright.chromium.launch(**launch_options("chromium"), **options)
    context = prepare(browser.new_context(**context_options(live_server)))
    context.add_init_script(
        "addEventListener('pageshow', (event) => { sessionStorage.shown ??= '';"
        " sessionStorage.shown += event.persisted ? 'kept ' : 'fresh '; })"
    )
    sign_in(context, owner, live_server)
    page = context.new_page()
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(steps.KEYS)
    yield page
    browser.close()


def test_the_back_forward_cache_is_at_work_in_these_tests(cached: Page) -> None:
    leave(cached)
    cached.evaluate(BACK)
    expect(cached.get_by_role("heading", level=1, name="API keys")).to_be_visible()
    assert cached.evaluate("sessionStorage.shown") == "fresh fresh kept "


def test_the_back_forward_cache_keeps_no_secret(cached: Page) -> None:
    secret = secret_of(steps.generate(cached))
    cached.evaluate(LEAVE)
    expect(cached.get_by_role("heading", level=1, name="Projects")).to_be_visible()
    cached.evaluate(BACK)
    row = steps.row(steps.keys_table(cached), "Docs crawler")
    expect(row).to_contain_text("Not confirmed")
    assert "kept" in cached.evaluate("sessionStorage.shown")
    assert secret not in kept(cached)
    expect(cached.get_by_role("dialog")).to_be_hidden()


def test_what_the_back_forward_cache_gives_back_is_empty_before_any_script_of_ours_acts(cached: Page) -> None:
    """What is taken out as the page is left can't be there when it comes back."""
    secret = secret_of(steps.generate(cached))
    cached.evaluate(
        "addEventListener('pagehide', () => {"
        " sessionStorage.left = document.documentElement.outerHTML"
        " + [...document.querySelectorAll('input')].map((field) => field.value); })"
    )
    cached.evaluate(LEAVE)
    expect(cached.get_by_role("heading", level=1, name="Projects")).to_be_visible()
    left = cached.evaluate("sessionStorage.left")
    assert "API keys" in left
    assert secret not in left


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_the_browser_writes_no_secret_to_the_disk(
    playwright: Playwright,
    live_server: LiveServer,
    owner: User,
    prepare: Callable[[BrowserContext], BrowserContext],
    tmp_path: Path,
    javascript: bool,
) -> None:
    """Profile, caches and session files, read byte by byte; answers uncompressed, so that it would show."""
    context = prepare(
        playwright.chromium.launch_persistent_context(
            tmp_path,
            **launch_options("chromium"),
            **context_options(live_server),
            java_script_enabled=javascript,
            extra_http_headers={"Accept-Encoding": "identity"},
        )
    )
    sign_in(context, owner, live_server)
    page = context.new_page()
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(steps.KEYS)
    stored = secret_of(steps.generate(page))
    with page.expect_download():
        page.get_by_role("button", name="Download .env").click()
    steps.store(page)
    left = secret_of(steps.generate(page, "Left behind"))
    leave(page)
    go_back(page)
    context.close()
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert found(written, "/static/css/console."), "the profile isn't where the browser writes"
    assert not found(written, stored)
    assert not found(written, left)


def found(contents: list[bytes], text: str) -> bool:
    return any(text.encode(code) in content for content in contents for code in ("utf-8", "utf-16-le"))


def test_a_key_pasted_into_the_search_leaves_no_trace(
    page: Page, project: Project, complaints: Complaints
) -> None:
    issued: Issued = IssuedFactory(project=project, name="Docs crawler")
    search = page.get_by_role("searchbox", name="Search by name or key")
    search.fill(issued.token)
    expect(page.get_by_text("1 key matches.")).to_be_visible()
    assert secret_of(issued.token) not in kept(page)


def test_a_provider_s_value_that_was_typed_goes_with_the_page(cached: Page) -> None:
    secret = "7c1f9e3ab2d84650cc91d7e2f0a3b865"
    cached.goto(steps.PROVIDERS)
    cached.get_by_role("link", name="New provider key").click()
    cached.get_by_label("Value").fill(secret)
    assert secret in kept(cached)
    cached.evaluate(LEAVE)
    expect(cached.get_by_role("heading", level=1, name="Projects")).to_be_visible()
    cached.evaluate(BACK)
    expect(cached.get_by_role("heading", level=1, name="Provider keys")).to_be_visible()
    assert "kept" in cached.evaluate("sessionStorage.shown")
    assert secret not in kept(cached)
    expect(cached.get_by_role("dialog")).to_be_hidden()
