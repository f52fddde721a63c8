"""The second factor as people meet it: set up, used, lost and required; with JavaScript and without."""

import re

import pytest
from playwright.sync_api import Dialog, Page, expect

from projects import lifecycle
from projects.audit import Actor
from projects.models import Project, User
from tests.authenticator import App, enrol
from tests.browser import steps
from tests.browser.conftest import Complaints, OpenContext
from tests.browser.test_leaving_no_trace import go_back

WRONG = "That code isn't right, or was used before."


@pytest.fixture
def mara(owner: User) -> User:
    owner.set_password(steps.PASSWORD)
    owner.save(update_fields=["password"])
    return owner


@pytest.fixture
def door(open_context: OpenContext, mara: User, javascript: bool) -> Page:
    """The keys page asked for by somebody who isn't signed in yet."""
    page = open_context(java_script_enabled=javascript).new_page()
    page.goto(steps.KEYS)
    return page


def enter(page: Page, code: str, button: str) -> None:
    page.get_by_label("Code", exact=True).fill(code)
    page.get_by_role("main").get_by_role("button", name=button, exact=True).click()


def shown_app(page: Page) -> App:
    expect(page.get_by_role("img", name="QR code for your authenticator app")).to_be_visible()
    page.locator("summary").filter(has_text="Can't scan it?").click()
    return App(page.locator("#setup-key").inner_text())


def shown_codes(page: Page) -> list[str]:
    expect(page.get_by_role("heading", level=1, name="Save your recovery codes")).to_be_visible()
    codes = page.locator("#codes").inner_text().split()
    assert len(codes) == 10
    return codes


def sign_out(page: Page) -> None:
    steps.open_account_menu(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign in · Keyrack")


def set_up(page: Page) -> App:
    """Go from the account menu to the page after the recovery codes."""
    steps.open_account_menu(page)
    page.get_by_role("link", name="Second factor").click()
    page.get_by_role("button", name="Set up an app").click()
    app = shown_app(page)
    enter(page, app.code(), "Turn on")
    app.recovery_codes = shown_codes(page)
    page.get_by_role("button", name="I've saved them").click()
    expect(page.get_by_text("Your second factor is on, and its recovery codes are saved.")).to_be_visible()
    return app


def test_from_the_menu_to_the_next_sign_in(door: Page, mara: User, complaints: Complaints) -> None:
    complaints.allow(422)
    steps.sign_in(door, mara.email)
    app = set_up(door)
    sign_out(door)
    door.goto(steps.KEYS)
    steps.sign_in(door, mara.email)
    expect(door.get_by_role("heading", level=1, name="Enter a code")).to_be_visible()
    enter(door, app.wrong_code(), "Sign in")
    expect(door).to_have_title("Error: Sign in · Keyrack")
    summary = door.get_by_role("alert").filter(has_text="There is a problem")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text(WRONG)
    expect(door.get_by_label("Code", exact=True)).to_have_value("")
    # The app's clock goes a little ahead: the code that turned it on isn't taken again.
    enter(door, app.code(steps=1), "Sign in")
    expect(door).to_have_title("API keys · Acme · Keyrack")
    expect(door).to_have_url(re.compile(f"{steps.KEYS}$"))


def test_a_recovery_code_opens_once(
    door: Page, mara: User, open_context: OpenContext, complaints: Complaints
) -> None:
    complaints.allow(422)
    app = enrol(mara)
    steps.sign_in(door, mara.email)
    enter(door, app.recovery_codes[0], "Sign in")
    expect(door).to_have_title("API keys · Acme · Keyrack")
    sign_out(door)
    steps.sign_in(door, mara.email)
    enter(door, app.recovery_codes[0], "Sign in")
    expect(door.get_by_role("alert")).to_contain_text(WRONG)
    enter(door, app.recovery_codes[1], "Sign in")
    door.goto("/account/second-factor/")
    expect(door.get_by_text("8 of 10 left")).to_be_visible()


def test_whoever_began_may_let_somebody_else_sign_in(door: Page, mara: User) -> None:
    enrol(mara)
    steps.sign_in(door, mara.email)
    door.get_by_role("button", name="Use another account").click()
    expect(door.get_by_label("Email address")).to_be_visible()


def test_a_project_that_requires_one_opens_after_it_is_set_up(
    door: Page, mara: User, project: Project, complaints: Complaints
) -> None:
    lifecycle.require_second_factor(project, True, actor=Actor.system(), at=mara.date_joined)
    steps.sign_in(door, mara.email)
    expect(door.get_by_role("heading", level=1, name="Second factor")).to_be_visible()
    expect(door.get_by_text("opens only to members with a second factor.")).to_be_visible()
    door.get_by_role("button", name="Set up an app").click()
    enter(door, shown_app(door).code(), "Turn on")
    shown_codes(door)
    door.get_by_role("button", name="I've saved them").click()
    expect(door).to_have_title("API keys · Acme · Keyrack")


def test_a_dialog_leaves_for_it_when_it_becomes_required(page: Page, owner: User, project: Project) -> None:
    lifecycle.require_second_factor(project, True, actor=Actor.system(), at=owner.date_joined)
    page.get_by_role("link", name="Create API key").click()
    expect(page.get_by_role("heading", level=1, name="Second factor")).to_be_visible()
    assert page.locator("input[name=next]").input_value() == steps.KEYS


def test_an_owner_requires_it_by_a_code(either: Page, mara: User, project: Project) -> None:
    app = enrol(mara)
    either.goto("/account/login/")
    # The password was changed above, so that the session of before has ended.
    steps.sign_in(either, mara.email)
    enter(either, app.code(), "Sign in")
    either.goto(f"{steps.KEYS.removesuffix('keys/')}second-factor/")
    either.get_by_role("button", name="Require it").click()
    expect(either.get_by_text("Members need a second factor from now on.")).to_be_visible()
    project.refresh_from_db()
    assert project.require_second_factor


@pytest.fixture
def stale(open_context: OpenContext, owner: User, mara: User, javascript: bool) -> Page:
    """Somebody who gave the password too long ago, at the keys."""
    page = open_context(mara, java_script_enabled=javascript).new_page()
    page.goto(steps.KEYS)
    return page


def test_a_privileged_key_asks_for_the_password_where_it_is_chosen(
    stale: Page, javascript: bool, complaints: Complaints
) -> None:
    complaints.allow(422)
    form = steps.open_create(stale)
    password = form.get_by_label("Your password")
    expect(password).to_be_hidden()
    form.get_by_role("radio", name="Privileged key").check()
    expect(password).to_be_visible()
    steps.fill(form, "Zendesk sync")
    form.get_by_role("button", name="Generate").click()
    expect(stale.get_by_role("alert").filter(has_text="There is a problem")).to_contain_text(
        "Enter your password."
    )
    expect(form.get_by_label("Key name")).to_have_value("Zendesk sync")
    expect(form.get_by_role("radio", name="Privileged key")).to_be_checked()
    form.get_by_label("Your password").fill(steps.PASSWORD)
    form.get_by_role("button", name="Generate").click()
    assert steps.shown_token(stale).startswith("kr_live_")


def test_a_code_does_as_well(stale: Page, mara: User) -> None:
    app = enrol(mara)
    form = steps.open_create(stale)
    form.get_by_role("radio", name="Privileged key").check()
    steps.fill(form, "Zendesk sync")
    form.get_by_label("Or a code").fill(app.code())
    form.get_by_role("button", name="Generate").click()
    assert steps.shown_token(stale).startswith("kr_live_")


# What stays behind


@pytest.fixture
def codes_page(page: Page, mara: User, open_context: OpenContext) -> Page:
    """The recovery codes, just shown."""
    page = open_context(mara).new_page()
    page.goto("/account/second-factor/")
    page.get_by_label("Your password").fill(steps.PASSWORD)
    page.get_by_role("button", name="Set up an app").click()
    enter(page, shown_app(page).code(), "Turn on")
    shown_codes(page)
    return page


def test_the_codes_are_copied_one_a_line(codes_page: Page) -> None:
    codes_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    codes = shown_codes(codes_page)
    codes_page.get_by_role("button", name="Copy codes").click()
    expect(codes_page.locator("#announcer")).to_have_text("Copied")
    assert codes_page.evaluate("navigator.clipboard.readText()") == "\n".join(codes)


def test_the_file_holds_them(codes_page: Page) -> None:
    codes = shown_codes(codes_page)
    with codes_page.expect_download() as download:
        codes_page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "keyrack-recovery-codes.txt"
    assert download.value.path().read_text().splitlines()[2:] == codes


def test_leaving_without_them_is_warned_of_and_back_shows_none(codes_page: Page) -> None:
    codes = shown_codes(codes_page)
    asked: list[str] = []

    def go_all_the_same(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    codes_page.on("dialog", go_all_the_same)
    codes_page.goto("/projects/")
    assert asked == ["beforeunload"]
    for _ in range(2):
        go_back(codes_page)
        assert not any(code in codes_page.content() for code in codes)
    expect(codes_page.get_by_text("10 of 10 left")).to_be_visible()


def test_a_clipboard_that_refuses_is_said(codes_page: Page) -> None:
    codes_page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    codes_page.get_by_role("button", name="Copy codes").click()
    expect(codes_page.get_by_text("Couldn't copy. The list is selected: press Ctrl+C.")).to_be_visible()
    assert codes_page.evaluate("getSelection().toString().trim().split(/\\s+/).length") == 10


def test_the_setup_key_is_copied_without_blanks(page: Page, mara: User, open_context: OpenContext) -> None:
    page = open_context(mara).new_page()
    page.goto("/account/second-factor/")
    page.get_by_label("Your password").fill(steps.PASSWORD)
    page.get_by_role("button", name="Set up an app").click()
    app = shown_app(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy key").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == app.secret
