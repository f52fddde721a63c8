"""Agent keys: made from both places, shown once, renamed, found and revoked; with JavaScript and without."""

import re
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from keys import lifecycle
from keys.drafts import Edit
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key
from projects.audit import Actor
from projects.models import Project, User
from projects.moments import Moment
from tests.browser import steps
from tests.browser.conftest import Complaints, OpenContext
from tests.factories import IssuedFactory, acting


@pytest.fixture
def issued(project: Project, owner: User, at: datetime) -> Issued:
    actor = acting(owner, project)
    agent = {"type": KeyType.AGENT, "actor": actor, "confirmed": True}
    IssuedFactory(project=project, name="Night watch", at=at - timedelta(days=120), **agent)
    return IssuedFactory(project=project, name="Release agent", at=at, **agent)


@pytest.fixture
def agents(either: Page, issued: Issued) -> Page:
    """The owner at the tab of agent keys: once with JavaScript, and once without."""
    either.get_by_role("navigation", name="API keys").get_by_role("link", name="Agent keys").click()
    expect(either).to_have_title("Agent keys · Acme · Keyrack")
    return either


def table(page: Page) -> Locator:
    return page.get_by_role("table", name="Agent keys")


def row(page: Page, name: str) -> Locator:
    return steps.row(table(page), name)


def store(page: Page) -> None:
    steps.panel(page, "Copy your key now").get_by_role("button", name="I've stored it").click()
    expect(page).to_have_url(re.compile(rf"{steps.AGENTS}$"))
    expect(page.get_by_role("dialog")).to_be_hidden()


def search(page: Page, text: str, javascript: bool) -> None:
    page.get_by_label("Search by name or key", exact=True).fill(text)
    if not javascript:
        page.get_by_role("search", name=re.compile(r"^(API|Agent) keys$")).get_by_role("button").click()


def test_the_tabs_lead_there_and_back(agents: Page) -> None:
    tabs = agents.get_by_role("navigation", name="API keys")
    expect(tabs.get_by_role("link", name="Agent keys")).to_have_attribute("aria-current", "page")
    expect(row(agents, "Release agent")).to_contain_text("Active")
    expect(row(agents, "Night watch")).to_contain_text("Expired")
    tabs.get_by_role("link", name="Project keys").click()
    expect(agents).to_have_url(re.compile(rf"{steps.KEYS}$"))
    expect(steps.keys_table(agents)).to_be_visible()
    expect(agents.get_by_role("link", name="Release agent")).to_have_count(0)


def test_a_key_is_made_in_the_tab_with_a_name_only(
    agents: Page, live_server: LiveServer, at: datetime
) -> None:
    agents.get_by_role("link", name="Create API key").click()
    form = steps.panel(agents, "Create agent key")
    expect(form).to_contain_text(f"Expires {Moment.of(at + timedelta(days=90)).day}.")
    expect(form.get_by_role("checkbox", name="Agents: run")).to_be_hidden()
    form.get_by_label("Key name").fill("Triage agent")
    form.get_by_role("button", name="Generate").click()
    token = steps.shown_token(agents)
    store(agents)
    expect(agents.get_by_text("Triage agent is ready to use.")).to_be_visible()
    expect(row(agents, "Triage agent")).to_contain_text(f"{token[:12]}…{token[-4:]}")
    expect(row(agents, "Triage agent")).to_contain_text("in 90 days")
    status, body = steps.whoami(live_server.url, token)
    assert (status, body["scopes"]) == (200, ["agents:run", "chat:send", "providers:use"])
    assert token[20:58] not in agents.content()


def test_a_key_is_made_from_the_main_dialog(either: Page, javascript: bool, live_server: LiveServer) -> None:
    form = steps.open_create(either)
    form.get_by_role("link", name="Agent key").click()
    form = steps.panel(either, "Create agent key")
    expect(form).to_be_visible()
    if javascript:
        # In the same dialog, over the page that it was opened on.
        expect(either).to_have_url(re.compile(rf"{steps.KEYS}$"))
        expect(either.get_by_role("dialog")).to_have_count(1)
        expect(form.get_by_label("Key name")).to_be_focused()
    steps.unfold_scopes(either)
    form.get_by_role("checkbox", name="Chat: send").uncheck()
    form.get_by_role("checkbox", name="Providers: use").uncheck()
    form.get_by_label("Key name").fill("Triage agent")
    form.get_by_role("button", name="Generate").click()
    token = steps.shown_token(either)
    store(either)
    expect(either.get_by_text("Triage agent is ready to use.")).to_be_visible()
    expect(row(either, "Triage agent")).to_contain_text("agents:run")
    assert steps.whoami(live_server.url, token)[1]["scopes"] == ["agents:run"]


def test_what_is_wrong_is_shown_and_can_be_mended(agents: Page, complaints: Complaints) -> None:
    complaints.allow(422)
    agents.get_by_role("link", name="Create API key").click()
    form = steps.panel(agents, "Create agent key")
    form.get_by_role("button", name="Generate").click()
    expect(form.get_by_role("alert")).to_contain_text("Enter a name.")
    expect(form.get_by_role("alert")).to_be_focused()
    form.get_by_role("link", name="Enter a name.").click()
    expect(form.get_by_label("Key name")).to_be_focused()
    steps.unfold_scopes(agents)
    for name in ("Agents: run", "Chat: send", "Providers: use"):
        form.get_by_role("checkbox", name=name).uncheck()
    form.get_by_label("Key name").fill("Triage agent")
    form.get_by_role("button", name="Generate").click()
    expect(form.get_by_role("alert")).to_contain_text("Pick at least one scope.")
    # What is wrong stands unfolded.
    expect(form.get_by_role("checkbox", name="Agents: run")).to_be_visible()
    form.get_by_role("checkbox", name="Agents: run").check()
    form.get_by_role("button", name="Generate").click()
    steps.shown_token(agents)
    assert Key.objects.get(name="Triage agent").scopes == "agents:run"


def test_a_key_is_renamed_in_its_row(agents: Page, javascript: bool) -> None:
    agents.set_viewport_size(steps.PHONE)
    agents.get_by_role("link", name="Edit Release agent").click()
    form = steps.panel(agents, "Edit Release agent")
    form.get_by_label("Key name").fill("Shipping agent")
    form.get_by_label("Note").fill("Ships on Fridays")
    form.get_by_role("button", name="Save").click()
    expect(agents.get_by_text("Shipping agent was saved.")).to_be_visible()
    expect(row(agents, "Shipping agent")).to_be_visible()
    expect(agents.get_by_role("dialog")).to_be_hidden()
    if javascript:
        expect(agents.get_by_role("link", name="Shipping agent", exact=True)).to_be_focused()
    agents.get_by_role("link", name="Shipping agent", exact=True).click()
    expect(agents.get_by_role("definition").filter(has_text="Ships on Fridays")).to_be_visible()


def test_cancel_changes_nothing(agents: Page, javascript: bool) -> None:
    agents.set_viewport_size(steps.PHONE)
    agents.get_by_role("link", name="Edit Release agent").click()
    form = steps.panel(agents, "Edit Release agent")
    form.get_by_label("Key name").fill("Shipping agent")
    form.get_by_role("link", name="Cancel").click()
    expect(row(agents, "Release agent")).to_be_visible()
    expect(agents.get_by_role("dialog")).to_be_hidden()
    if javascript:
        expect(agents.get_by_role("link", name="Edit Release agent")).to_be_focused()
    assert not Key.objects.filter(name="Shipping agent").exists()


def test_whoever_comes_late_sees_both_values_and_may_save_again(
    agents: Page, issued: Issued, project: Project, at: datetime, complaints: Complaints
) -> None:
    complaints.allow(409)
    agents.get_by_role("link", name="Release agent", exact=True).click()
    agents.get_by_role("link", name="Edit Release agent").click()
    form = steps.panel(agents, "Edit Release agent")
    # A click doesn't wait for its answer; the other one comes when the form is there.
    expect(form).to_be_visible()
    changes, otis = Edit(name="Otis' agent"), Actor.system("Otis Brandt")
    lifecycle.edit(project, issued.key.key_id, changes, actor=otis, at=at, version=1)
    form.get_by_label("Key name").fill("Mara's agent")
    form.get_by_role("button", name="Save").click()
    late = steps.panel(agents, "Edit Otis' agent")
    expect(late.get_by_role("alert")).to_contain_text("Otis Brandt changed this key")
    expect(late.get_by_role("alert")).to_be_focused()
    expect(late.get_by_role("definition")).to_have_text(["Otis' agent", "Mara's agent"])
    expect(late.get_by_label("Key name")).to_have_value("Mara's agent")
    late.get_by_role("button", name="Save").click()
    expect(agents.get_by_text("Mara's agent was saved.")).to_be_visible()


def test_a_key_is_found_by_a_part_of_its_name_and_by_being_pasted(
    agents: Page, issued: Issued, javascript: bool
) -> None:
    search(agents, "release", javascript)
    expect(agents).to_have_url(re.compile(r"\?q=release$"))
    expect(table(agents).get_by_role("rowheader")).to_have_count(1)
    search(agents, issued.token, javascript)
    expect(agents).to_have_url(re.compile(rf"\?key={issued.key.key_id}$"))
    expect(row(agents, "Release agent")).to_be_visible()
    assert issued.token[20:58] not in agents.content()


def test_a_pasted_key_of_the_other_tab_is_a_link_away(
    either: Page, issued: Issued, project: Project, javascript: bool
) -> None:
    crawler = IssuedFactory(project=project, name="Docs crawler")
    search(either, issued.token, javascript)
    status = either.get_by_role("status")
    said = "That key is an agent key: it is under Agent keys."
    expect(status.filter(has_text=said)).to_be_visible()
    status.get_by_role("link", name="Agent keys").click()
    expect(row(either, "Release agent")).to_be_visible()
    search(either, crawler.token, javascript)
    said = "That key is a project key: it is under Project keys."
    expect(status.filter(has_text=said)).to_be_visible()
    status.get_by_role("link", name="Project keys").click()
    expect(steps.row(steps.keys_table(either), "Docs crawler")).to_be_visible()


def test_a_key_is_revoked_and_listed_below(agents: Page, issued: Issued, live_server: LiveServer) -> None:
    agents.get_by_role("link", name="Revoke Release agent").click()
    form = steps.panel(agents, "Revoke Release agent?")
    form.get_by_label("Reason (optional)").fill("Replaced")
    form.get_by_role("button", name="Revoke key").click()
    expect(agents.get_by_text("Release agent was revoked.")).to_be_visible()
    expect(agents).to_have_url(re.compile(rf"{steps.AGENTS}$"))
    expect(row(agents, "Night watch")).to_be_visible()
    expect(row(agents, "Release agent")).to_have_count(0)
    expect(steps.row(steps.revoked_table(agents), "Release agent")).to_contain_text("Replaced")
    status, problem = steps.whoami(live_server.url, issued.token)
    assert (status, problem["type"]) == (401, "urn:keyrack:problem:revoked")


def test_a_desktop_shows_every_column(agents: Page) -> None:
    headers = table(agents).get_by_role("columnheader")
    expect(headers).to_have_text(
        ["Name", "Status", "Key", "Created", "Last used", "Created by", "Expires", "Actions"]
    )
    frame = steps.box(table(agents))
    assert frame["width"] <= 1280
    for header in headers.all()[:7]:
        expect(header).to_be_in_viewport(ratio=1)
    # As at the other keys: renaming is rare, and has its place on a phone and on the key's page.
    expect(agents.get_by_role("link", name="Edit Release agent")).to_be_hidden()
    rotate = steps.box(agents.get_by_role("link", name="Rotate Release agent"))
    revoke = steps.box(agents.get_by_role("link", name="Revoke Release agent"))
    assert rotate["y"] == revoke["y"]
    assert revoke["x"] + revoke["width"] <= frame["x"] + frame["width"]


def test_a_viewer_is_told_whom_to_ask(
    open_context: OpenContext, viewer: User, issued: Issued, javascript: bool
) -> None:
    page = open_context(viewer, java_script_enabled=javascript).new_page()
    page.goto(steps.AGENTS)
    expect(row(page, "Release agent")).to_be_visible()
    expect(page.get_by_text("You can view keys. Ask an admin to create or revoke them.")).to_be_visible()
    for name in ("Create API key", "Edit Release agent", "Revoke Release agent"):
        expect(page.get_by_role("link", name=name)).to_have_count(0)
