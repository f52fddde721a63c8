"""Show once: copying, the .env file, confirming, and leaving without."""

from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from projects.models import Project
from tests.browser import steps
from tests.browser.conftest import Complaints
from tests.factories import IssuedFactory

NOTHING_THERE = "Object.defineProperty(navigator, 'clipboard', { value: undefined })"
REFUSED = "navigator.clipboard.writeText = () => Promise.reject(new DOMException('No', 'NotAllowedError'))"
LEAVE = "setTimeout(() => location.assign('/projects/'))"


@pytest.fixture
def once(page: Page) -> Locator:
    """The secret of Docs crawler, in its dialog."""
    steps.generate(page)
    return steps.panel(page, "Copy your key now")


def test_it_says_that_this_is_the_only_time(either: Page) -> None:
    steps.generate(either)
    words = (
        "This is the only time Docs crawler is shown in full."
        " Keyrack keeps a one-way hash of it, so it can't show it again."
    )
    once = steps.panel(either, "Copy your key now")
    expect(once.get_by_text(words)).to_be_visible()
    expect(once.get_by_text('-H "Authorization: Bearer $KEYRACK_KEY"')).to_be_visible()


def test_one_click_selects_the_whole_token(once: Locator, page: Page) -> None:
    steps.secret(once).click()
    assert page.evaluate("getSelection().toString().trim()") == steps.shown_token(page)


def test_copy_puts_the_token_on_the_clipboard_and_says_so(once: Locator, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = once.get_by_role("button", name="Copy key")
    expect(button).to_be_focused()
    width = steps.box(button)["width"]
    steps.stop_clock(page)
    button.click()
    expect(once.get_by_role("button", name="Copied")).to_be_visible()
    assert steps.box(once.get_by_role("button", name="Copied"))["width"] == width
    assert page.evaluate("navigator.clipboard.readText()") == steps.shown_token(page)
    page.clock.run_for(1900)
    expect(page.get_by_role("status").filter(has_text="Copied")).to_have_text("Copied")
    expect(once.get_by_role("button", name="Copied")).to_be_visible()
    page.clock.run_for(200)
    expect(once.get_by_role("button", name="Copy key")).to_be_visible()


@pytest.mark.parametrize("clipboard", [NOTHING_THERE, REFUSED], ids=["no clipboard", "refused"])
def test_where_the_clipboard_is_refused_the_key_is_selected(page: Page, clipboard: str) -> None:
    page.add_init_script(clipboard)
    page.reload()
    token = steps.generate(page)
    once = steps.panel(page, "Copy your key now")
    once.get_by_role("button", name="Copy key").click()
    expect(once.get_by_role("alert")).to_contain_text("Couldn't copy. The key is selected: press Ctrl+C.")
    assert page.evaluate("getSelection().toString().trim()") == token


def test_the_copy_icon_in_the_table_copies_the_key_id(page: Page, project: Project) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    key = IssuedFactory(project=project, name="Docs crawler").key
    page.reload()
    page.get_by_role("button", name="Copy key ID of Docs crawler").click()
    expect(page.get_by_role("status").filter(has_text="Copied")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == key.key_id


def test_where_the_copy_icon_is_refused_the_key_id_is_selected(page: Page, project: Project) -> None:
    page.add_init_script(NOTHING_THERE)
    key = IssuedFactory(project=project, name="Docs crawler").key
    page.reload()
    page.get_by_role("button", name="Copy key ID of Docs crawler").click()
    alert = page.get_by_role("main").get_by_role("alert")
    expect(alert).to_contain_text("Couldn't copy. The key ID is selected: press Ctrl+C.")
    assert page.evaluate("getSelection().toString().trim()") == key.key_id
    alert.get_by_role("button", name="Dismiss").click()
    expect(alert).to_have_count(0)
    page.wait_for_function("document.activeElement !== document.body")


def test_the_env_file_holds_the_token_and_leaves_the_page_as_it_is(either: Page) -> None:
    token = steps.generate(either)
    once = steps.panel(either, "Copy your key now")
    with either.expect_download() as started:
        once.get_by_role("button", name="Download .env").click()
    assert started.value.suggested_filename == "docs-crawler.env"
    assert "kr_" not in started.value.url
    text = Path(started.value.path()).read_text()
    assert text == f"# Docs crawler: Acme, live\nKEYRACK_KEY={token}\n"
    expect(once.get_by_role("button", name="I've stored it")).to_be_visible()
    assert steps.shown_token(either) == token


def test_it_closes_by_its_own_button_alone(once: Locator, page: Page) -> None:
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.mouse.click(5, 5)
    expect(once).to_be_visible()
    steps.store(page)
    expect(page.get_by_role("link", name="Docs crawler", exact=True)).to_be_focused()


def test_leaving_warns_and_can_be_called_off(once: Locator, page: Page) -> None:
    with page.expect_event("dialog") as asked:
        page.evaluate(LEAVE)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    expect(once.get_by_role("button", name="I've stored it")).to_be_visible()
    assert steps.shown_token(page).startswith("kr_live_")


def test_a_download_ends_the_warning_for_a_moment_only(page: Page) -> None:
    page.clock.install()
    page.reload()
    steps.generate(page)
    with page.expect_download():
        page.get_by_role("button", name="Download .env").click()
    page.clock.fast_forward("00:03")
    with page.expect_event("dialog") as asked:
        page.evaluate(LEAVE)
    asked.value.dismiss()


def test_storing_asks_nothing(page: Page) -> None:
    def refuse(dialog: Dialog) -> None:
        raise AssertionError(dialog.type)

    page.on("dialog", refuse)
    steps.generate(page)
    steps.store(page)
    page.goto("/projects/")
    expect(page.get_by_role("heading", level=1, name="Projects")).to_be_visible()


def test_what_was_left_is_not_confirmed_and_gets_a_new_secret(either: Page, live_server: LiveServer) -> None:
    either.on("dialog", lambda dialog: dialog.accept())
    first = steps.generate(either)
    either.goto(steps.KEYS)
    row = steps.row(steps.keys_table(either), "Docs crawler")
    expect(row).to_contain_text("Not confirmed")
    row.get_by_role("link", name="Get a new secret for Docs crawler").click()
    asked = steps.panel(either, "Get a new secret?")
    expect(asked.get_by_text("The one that was shown stops working at once.")).to_be_visible()
    asked.get_by_role("button", name="Get a new secret").click()
    second = steps.shown_token(either)
    assert steps.whoami(live_server.url, second)[0] == 200
    assert steps.whoami(live_server.url, first)[0] == 401
    assert first[8:20] == second[8:20]
    steps.store(either)
    expect(row).not_to_contain_text("Not confirmed")
    expect(row.get_by_role("link", name="Get a new secret for Docs crawler")).to_have_count(0)


def test_reloading_a_new_secret_does_not_replace_it(
    plain: Page, live_server: LiveServer, complaints: Complaints
) -> None:
    complaints.allow(409)
    steps.generate(plain)
    plain.goto(steps.KEYS)
    plain.get_by_role("link", name="Get a new secret for Docs crawler").click()
    plain.get_by_role("button", name="Get a new secret").click()
    token = steps.shown_token(plain)
    plain.reload()
    expect(plain.get_by_role("alert")).to_contain_text("It can't be shown again.")
    assert steps.whoami(live_server.url, token)[0] == 200
