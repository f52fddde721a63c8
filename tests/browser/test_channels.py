"""Channels: from the first one to its end, with JavaScript and without, in one dialog."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from keys.channels import close_channel
from keys.models import Key
from keys.verification import Outcome, check
from projects.models import Channel, Project, User
from tests.browser import steps
from tests.browser.conftest import Complaints, OpenContext
from tests.factories import ChannelFactory, IssuedFactory, acting

TITLE = "API keys for Support bot"


@pytest.fixture
def support(project: Project) -> Channel:
    return ChannelFactory(project=project, slug="support-bot", name="Support bot")


@pytest.fixture
def channels(open_context: OpenContext, owner: User, javascript: bool) -> Page:
    """The owner at the channels of the project: once with JavaScript, and once without."""
    page = open_context(owner, java_script_enabled=javascript).new_page()
    page.goto(steps.CHANNELS)
    return page


def hold(channel: Channel, name: str = "Bot for Nora", holder: str = "Nora Ek", **fields: object) -> Key:
    held = {"type": "channel", "channel": channel.slug, "holder": holder, "confirmed": True}
    key: Key = IssuedFactory(project=channel.project, name=name, **held | fields).key
    return key


def open_keys(page: Page) -> Locator:
    page.get_by_role("link", name=TITLE).click()
    table = steps.panel(page, TITLE)
    expect(table).to_be_visible()
    return table


def generate(page: Page, name: str, holder: str) -> str:
    """Generate a key from the table of a channel's keys; return its token, which is shown."""
    steps.panel(page, TITLE).get_by_role("link", name="Generate API key").click()
    form = steps.panel(page, "Generate API key for Support bot")
    form.get_by_label("Key name").fill(name)
    form.get_by_label("Who holds it").fill(holder)
    form.get_by_role("button", name="Generate").click()
    return steps.shown_token(page)


def store(page: Page) -> Locator:
    steps.panel(page, "Copy your key now").get_by_role("button", name="I've stored it").click()
    table = steps.panel(page, TITLE)
    expect(table).to_be_visible()
    return table


def row_of(page: Page, name: str) -> Locator:
    """The row of a channel in the list; its actions are named with it."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=f"API keys for {name}"))


def dialogs(page: Page) -> int:
    return page.locator("dialog[open]").count()


def outcome(token: str, channel: str = "support-bot") -> Outcome:
    return check(token, at=timezone.now(), channel=channel).outcome


def test_from_the_first_channel_to_its_end(
    channels: Page, live_server: LiveServer, javascript: bool, project: Project
) -> None:
    page, open_ones = channels, 1 if javascript else 0
    expect(page.get_by_role("heading", name="No channels yet")).to_be_visible()
    page.get_by_role("link", name="Create channel").click()
    form = steps.panel(page, "Create channel")
    form.get_by_label("Channel name").fill("Support bot")
    form.get_by_label("Kind").select_option(label="WhatsApp")
    form.get_by_role("button", name="Create channel").click()
    expect(page.get_by_text("Support bot was created.")).to_be_visible()
    row = row_of(page, "Support bot")
    expect(row).to_contain_text("support-bot")
    expect(row).to_contain_text("WhatsApp")
    if javascript:
        expect(page.get_by_role("link", name=TITLE)).to_be_focused()

    table = open_keys(page)
    expect(table.get_by_role("heading", name="No keys yet")).to_be_visible()
    first = generate(page, "Bot for Nora", "Nora Ek")
    assert re.fullmatch(r"kr_live_[0-9A-Za-z]{56}", first)
    assert dialogs(page) == open_ones
    table = store(page)
    expect(table.get_by_text("Bot for Nora is ready to use.")).to_be_visible()
    second = generate(page, "Bot for the shop", "The shop")
    table = store(page)
    rows = table.get_by_role("table").get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("Bot for the shop")
    expect(rows.nth(2)).to_contain_text(f"{first[:12]}…{first[-4:]}")
    assert (outcome(first), outcome(second)) == (Outcome.VALID, Outcome.VALID)
    assert outcome(first, "website") is outcome(first, "") is Outcome.WRONG_CHANNEL
    assert dialogs(page) == open_ones

    table.get_by_role("link", name="Revoke Bot for Nora").click()
    asked = steps.panel(page, "Revoke Bot for Nora?")
    expect(asked.get_by_role("link", name="Keep key")).to_be_focused()
    asked.get_by_role("link", name="Keep key").click()
    expect(table).to_be_visible()
    table.get_by_role("link", name="Revoke Bot for Nora").click()
    asked.get_by_role("button", name="Revoke key").click()
    expect(table.get_by_text("Bot for Nora was revoked.")).to_be_visible()
    expect(rows).to_have_count(2)
    assert outcome(first) is Outcome.REVOKED
    assert dialogs(page) == open_ones
    table.get_by_role("link", name="Done").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(row.get_by_role("cell").nth(1)).to_have_text("1")

    page.get_by_role("link", name="Close Support bot").click()
    asked = steps.panel(page, "Close Support bot?")
    expect(asked).to_contain_text("1 key stops with it.")
    expect(asked.get_by_text("Keep channel")).to_be_focused()
    asked.get_by_role("button", name="Close channel").click()
    expect(page.get_by_text("Support bot was closed, and 1 key with it.")).to_be_visible()
    expect(page.get_by_role("heading", name="No channels yet")).to_be_visible()
    assert outcome(second) is Outcome.REVOKED


def test_it_is_renamed_and_its_keys_stay(channels: Page, support: Channel) -> None:
    token = IssuedFactory(
        project=support.project, type="channel", channel="support-bot", holder="Nora", confirmed=True
    ).token
    channels.reload()
    channels.get_by_role("link", name="Rename Support bot").click()
    form = steps.panel(channels, "Rename Support bot")
    form.get_by_label("Channel name").fill("Help bot")
    form.get_by_role("button", name="Save").click()
    expect(channels.get_by_text("Help bot was saved.")).to_be_visible()
    expect(row_of(channels, "Help bot")).to_contain_text("support-bot")
    assert outcome(token) is Outcome.VALID


def test_what_is_wrong_is_summed_up_focused_and_linked(
    channels: Page, support: Channel, complaints: Complaints
) -> None:
    complaints.allow(422)
    hold(support)
    channels.reload()
    open_keys(channels).get_by_role("link", name="Generate API key").click()
    form = steps.panel(channels, "Generate API key for Support bot")
    form.get_by_label("Who holds it").fill("NORA  ek")
    form.get_by_role("button", name="Generate").click()
    summary = form.get_by_role("alert").filter(has_text="There is a problem")
    expect(summary).to_be_focused()
    said = "Nora Ek holds a key of Support bot already: “Bot for Nora”."
    expect(summary.get_by_role("link")).to_have_text(["Enter a name.", said], use_inner_text=True)
    summary.get_by_role("link", name=said).click()
    expect(form.get_by_label("Who holds it")).to_be_focused()
    expect(form.get_by_label("Who holds it")).to_have_value("NORA  ek")
    form.get_by_role("link", name="Cancel").click()
    expect(steps.panel(channels, TITLE)).to_be_visible()


def test_a_date_is_asked_for_only_where_it_is_chosen(channels: Page, support: Channel) -> None:
    channels.reload()
    open_keys(channels).get_by_role("link", name="Generate API key").click()
    form = steps.panel(channels, "Generate API key for Support bot")
    expect(form.get_by_label("Last day")).to_be_hidden()
    form.get_by_label("Expires").select_option(label="On a date")
    expect(form.get_by_label("Last day")).to_be_visible()


def test_what_was_left_is_not_confirmed_and_gets_a_new_secret(
    channels: Page, support: Channel, javascript: bool
) -> None:
    channels.on("dialog", lambda dialog: dialog.accept())
    channels.reload()
    open_keys(channels)
    first = generate(channels, "Bot for Nora", "Nora Ek")
    channels.goto(steps.CHANNELS)
    expect(row_of(channels, "Support bot").get_by_role("cell").nth(1)).to_have_text("1")
    table = open_keys(channels)
    expect(table.get_by_role("table")).to_contain_text("Not confirmed")
    table.get_by_role("link", name="Get a new secret for Bot for Nora").click()
    asked = steps.panel(channels, "Get a new secret?")
    asked.get_by_role("link", name="Cancel").click()
    table.get_by_role("link", name="Get a new secret for Bot for Nora").click()
    asked.get_by_role("button", name="Get a new secret").click()
    second = steps.shown_token(channels)
    table = store(channels)
    expect(table.get_by_role("table")).not_to_contain_text("Not confirmed")
    assert (outcome(first), outcome(second)) == (Outcome.UNKNOWN, Outcome.VALID)
    if javascript:
        expect(table.get_by_role("link", name="Bot for Nora", exact=True)).to_be_focused()


def test_escape_closes_the_table_and_not_the_secret(page: Page, support: Channel) -> None:
    page.goto(steps.CHANNELS)
    table = open_keys(page)
    page.keyboard.press("Escape")
    expect(table).to_be_hidden()
    expect(page.get_by_role("link", name=TITLE)).to_be_focused()
    open_keys(page)
    generate(page, "Bot for Nora", "Nora Ek")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(steps.panel(page, "Copy your key now")).to_be_visible()
    store(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("link", name=TITLE)).to_be_focused()


def test_the_count_behind_the_dialog_is_right_at_every_step(page: Page, support: Channel) -> None:
    hold(support)
    page.goto(steps.CHANNELS)
    count = page.locator("#count-support-bot")
    expect(count).to_have_text("1")
    table = open_keys(page)
    generate(page, "Bot for Ben", "Ben")
    store(page)
    expect(count).to_have_text("2")
    table.get_by_role("link", name="Revoke Bot for Ben").click()
    page.get_by_role("button", name="Revoke key").click()
    expect(table.get_by_text("Bot for Ben was revoked.")).to_be_visible()
    expect(count).to_have_text("1")


def test_after_a_revocation_the_next_row_has_the_focus(page: Page, support: Channel) -> None:
    for name in ("Oldest", "Middle", "Newest"):
        hold(support, name, name)
    page.goto(steps.CHANNELS)
    table = open_keys(page)
    table.get_by_role("link", name="Revoke Middle").click()
    page.get_by_role("button", name="Revoke key").click()
    expect(table.get_by_role("link", name="Oldest", exact=True)).to_be_focused()
    table.get_by_role("link", name="Revoke Oldest").click()
    page.get_by_role("button", name="Revoke key").click()
    expect(table.get_by_role("link", name="Generate API key")).to_be_focused()


def test_the_table_turns_its_pages_in_the_dialog(channels: Page, support: Channel, javascript: bool) -> None:
    for number in range(60):
        hold(support, f"Bot {number:02}", f"Shop {number}")
    channels.reload()
    table = open_keys(channels)
    expect(table.get_by_role("link", name="Bot 59", exact=True)).to_be_visible()
    table.get_by_role("link", name="Next").click()
    expect(table.get_by_role("link", name="Bot 00", exact=True)).to_be_visible()
    assert dialogs(channels) == (1 if javascript else 0)
    table.get_by_role("link", name="Previous").click()
    expect(table.get_by_role("link", name="Bot 59", exact=True)).to_be_visible()


def test_a_double_click_makes_one_key(page: Page, support: Channel) -> None:
    page.goto(steps.CHANNELS)
    open_keys(page).get_by_role("link", name="Generate API key").click()
    form = steps.panel(page, "Generate API key for Support bot")
    form.get_by_label("Key name").fill("Bot for Nora")
    form.get_by_label("Who holds it").fill("Nora Ek")
    form.get_by_role("button", name="Generate").dblclick()
    steps.shown_token(page)
    assert Key.objects.filter(channel=support).count() == 1


def test_reloading_the_secret_s_page_makes_no_second_key_and_leads_back_to_the_table(
    open_context: OpenContext, owner: User, support: Channel, complaints: Complaints
) -> None:
    complaints.allow(409)
    plain = open_context(owner, java_script_enabled=False).new_page()
    plain.goto(steps.CHANNELS)
    open_keys(plain)
    token = generate(plain, "Bot for Nora", "Nora Ek")
    plain.reload()
    expect(plain.get_by_role("alert")).to_contain_text("Its secret can't be shown again.")
    assert token not in plain.content()
    plain.get_by_role("link", name="Back to the channel's keys").click()
    expect(steps.panel(plain, TITLE).get_by_role("table")).to_contain_text("Not confirmed")


def test_on_a_page_of_its_own_it_works_the_same_with_javascript(page: Page, support: Channel) -> None:
    """Opened in a new tab: there is no dialog, and none comes."""
    page.goto(f"{steps.CHANNELS}support-bot/keys/")
    generate(page, "Bot for Nora", "Nora Ek")
    assert dialogs(page) == 0
    store(page)
    assert dialogs(page) == 0
    expect(page.get_by_text("Bot for Nora is ready to use.")).to_be_visible()
    page.get_by_role("link", name="Revoke Bot for Nora").click()
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("Bot for Nora was revoked.")).to_be_visible()
    assert dialogs(page) == 0


def test_from_the_project_keys_a_channel_key_is_revoked_as_any_other(either: Page, support: Channel) -> None:
    hold(support)
    either.reload()
    row = steps.row(steps.keys_table(either), "Bot for Nora")
    expect(row).to_contain_text("Read, chat in Support bot")
    expect(row).to_contain_text("Held by Nora Ek")
    either.get_by_role("link", name="Revoke Bot for Nora").click()
    steps.panel(either, "Revoke Bot for Nora?").get_by_role("button", name="Revoke key").click()
    expect(either.get_by_text("Bot for Nora was revoked.")).to_be_visible()
    expect(steps.row(steps.revoked_table(either), "Bot for Nora")).to_be_visible()


def test_a_channel_that_was_closed_meanwhile_says_by_whom(
    channels: Page, support: Channel, owner: User, complaints: Complaints
) -> None:
    complaints.allow(409)
    channels.reload()
    open_keys(channels).get_by_role("link", name="Generate API key").click()
    form = steps.panel(channels, "Generate API key for Support bot")
    form.get_by_label("Key name").fill("Bot for Nora")
    form.get_by_label("Who holds it").fill("Nora Ek")
    close_channel(support.project, "support-bot", actor=acting(owner, support.project), at=timezone.now())
    form.get_by_role("button", name="Generate").click()
    expect(channels.get_by_role("alert")).to_have_text("Mara Lindqvist already closed Support bot.")
    channels.get_by_role("link", name="Back to channels").click()
    expect(channels.get_by_role("heading", name="No channels yet")).to_be_visible()


def test_a_viewer_looks_and_presses_nothing(
    open_context: OpenContext, viewer: User, support: Channel
) -> None:
    hold(support)
    page = open_context(viewer).new_page()
    page.goto(steps.CHANNELS)
    expect(page.get_by_text("Ask an admin to create, rename or close them.")).to_be_visible()
    expect(page.get_by_role("link", name="Create channel")).to_have_count(0)
    table = open_keys(page)
    expect(table.get_by_role("link", name="Done")).to_be_focused()
    expect(table.get_by_role("link", name=re.compile("Revoke|Generate|new secret"))).to_have_count(0)
