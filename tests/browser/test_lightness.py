"""The pages are small, stand still while they load, and move only for those who like it."""

import re
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from django.conf import settings
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from projects.models import Project, User
from tests.browser import scenes, steps
from tests.browser.conftest import OpenContext
from tests.factories import IssuedFactory

KILOBYTE: Final = 1024

# A shift right after a click counts as expected by whoever clicked; here nobody clicks.
WATCH_SHIFTS: Final = """globalThis.shifts = [];
new PerformanceObserver((list) => shifts.push(...list.getEntries().map((entry) => ({
    by: entry.value, what: entry.sources.map(({ node }) => node?.nodeName + "." + node?.className).join(" "),
})))).observe({ type: "layout-shift", buffered: true });"""
SETTLED: Final = """() => new Promise((done) =>
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(shifts)))))"""


@pytest.fixture
def furnished(project: Project, owner: User, operator: User, at: datetime) -> None:
    scenes.furnish(project, owner, operator, at)


def test_the_first_visit_of_a_full_page_is_small(project: Project, context: BrowserContext) -> None:
    for number in range(60):
        IssuedFactory(project=project, name=f"Integration {number:02}")
    page = context.new_page()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    arrived: list[float] = []
    network.on("Network.loadingFinished", lambda event: arrived.append(event["encodedDataLength"]))
    page.goto(steps.KEYS, wait_until="networkidle")
    assert len(arrived) <= 6
    assert sum(arrived) <= 40 * KILOBYTE


@pytest.mark.parametrize(
    ("files", "most"), [(("css/tokens", "css/console"), 15), (("js/console",), 5)], ids=["styles", "scripts"]
)
def test_what_is_our_own_is_small(static_files: None, files: tuple[str, ...], most: int) -> None:
    sizes = [path.stat().st_size for file in files for path in settings.STATIC_ROOT.glob(f"{file}.*.gz")]
    assert len(sizes) == len(files)
    assert sum(sizes) < most * KILOBYTE


def test_files_are_kept_for_ever_and_pages_are_not(page: Page) -> None:
    kept: dict[str, str] = {}
    page.on("response", lambda answer: kept.update({answer.url: answer.headers.get("cache-control", "")}))
    page.goto("/projects/new/")
    page.reload()
    files = {url: value for url, value in kept.items() if "/static/" in url}
    assert files
    assert all("immutable" in value for value in files.values())
    assert all(re.search(r"\.[0-9a-f]{12}\.", url) for url in files)


PAGES: Final = {
    "the keys": steps.KEYS,
    "the keys, filtered": f"{steps.KEYS}?type=restricted",
    "create a key": f"{steps.KEYS}new/",
    "the projects": "/projects/",
    "create a project": "/projects/new/",
}


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES.keys())
def test_nothing_moves_while_it_loads(
    furnished: None, context: BrowserContext, path: str, width: int
) -> None:
    page = watched(context, width)
    page.goto(path)
    assert page.evaluate(SETTLED) == []


def test_nothing_moves_while_the_page_of_a_key_loads(furnished: None, context: BrowserContext) -> None:
    page = watched(context, 1280)
    scenes.at_key(page, "Docs crawler")
    assert page.evaluate(SETTLED) == []


def test_a_shift_would_be_noticed(context: BrowserContext) -> None:
    page = watched(context, 1280)
    page.goto(steps.KEYS)
    page.evaluate("document.body.prepend(Object.assign(document.createElement('p'), { textContent: 'New' }))")
    page.wait_for_function("shifts.length > 0")


def watched(context: BrowserContext, width: int) -> Page:
    page = context.new_page()
    page.set_viewport_size(ViewportSize(width=width, height=800))
    page.add_init_script(WATCH_SHIFTS)
    return page


@pytest.mark.parametrize(("wish", "moves"), [("reduce", False), ("no-preference", True)])
def test_things_move_only_for_those_who_like_it(
    open_context: OpenContext, owner: User, wish: Any, moves: bool
) -> None:
    page = open_context(owner, reduced_motion=wish).new_page()
    page.goto(steps.KEYS)
    steps.open_create(page)
    durations = page.evaluate(
        "[...document.querySelectorAll('dialog, .button, .choice, a')].flatMap((element) =>"
        " getComputedStyle(element).transitionDuration.split(', '))"
    )
    assert any(float(duration.removesuffix("s")) > 0 for duration in durations) is moves


# Paper


def test_paper_shows_the_table_and_never_a_secret(either: Page) -> None:
    token = steps.generate(either)
    either.emulate_media(media="print")
    expect(either.get_by_text(token)).to_be_hidden()
    for hidden in ("banner", "navigation", "dialog", "button"):
        for element in either.get_by_role(hidden, include_hidden=True).all():
            expect(element).to_be_hidden()


def test_paper_shows_the_table_alone(furnished: None, page: Page) -> None:
    page.reload()
    page.emulate_media(media="print", color_scheme="dark")
    expect(steps.row(steps.keys_table(page), "Docs crawler")).to_be_visible()
    expect(page.get_by_role("link", name="Revoke Docs crawler")).to_be_hidden()
    expect(page.get_by_role("searchbox", name="Search by name or key", exact=True)).to_be_hidden()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(29, 26, 20)"


# Times


def test_times_are_told_in_the_time_zone_of_whoever_reads(
    project: Project, either: Page, javascript: bool
) -> None:
    at = datetime.fromisoformat("2026-06-30T20:15:00+00:00")
    IssuedFactory(project=project, name="Docs crawler", at=at)
    either.reload()
    row = steps.row(steps.keys_table(either), "Docs crawler")
    created = row.get_by_role("time").first
    expect(created).to_have_attribute("datetime", "2026-06-30T20:15:00Z")
    expect(created).to_have_text("1 Jul 2026, 02:00" if javascript else "30 Jun 2026, 20:15 UTC")
    if javascript:
        expect(created).to_have_attribute(
            "title", re.compile(r"Wednesday.* 1 July 2026 at 02:00:00 GMT\+5:45")
        )


def test_what_was_minutes_ago_grows_older_by_itself(project: Project, page: Page, at: datetime) -> None:
    key = IssuedFactory(project=project, name="Docs crawler", at=at - timedelta(days=1)).key
    scenes.used(key, at, minutes=2)
    page.clock.install()
    page.reload()
    row = steps.row(steps.keys_table(page), "Docs crawler")
    expect(row).to_contain_text("2 minutes ago")
    page.clock.fast_forward("01:00")
    expect(row).to_contain_text("3 minutes ago")
