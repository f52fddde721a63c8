"""General settings in a browser, with JavaScript and without."""

from datetime import datetime

import pytest
from playwright.sync_api import Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from projects import catalogue
from projects.audit import Actor
from projects.models import Project, User
from tests.browser import steps
from tests.browser.conftest import Complaints, OpenContext
from tests.factories import IssuedFactory


@pytest.fixture
def settings_page(owner: User, open_context: OpenContext, javascript: bool) -> Page:
    """The owner at the general settings, with a password to be asked for: with JavaScript, and without."""
    owner.set_password(steps.PASSWORD)
    owner.save(update_fields=["password"])
    page = open_context(owner, java_script_enabled=javascript).new_page()
    page.goto(steps.GENERAL)
    return page


def open_dialog(page: Page, link: str, title: str) -> Locator:
    page.get_by_role("main").get_by_role("link", name=link, exact=True).click()
    panel = steps.panel(page, title)
    expect(panel).to_be_visible()
    return panel


def scopes(page: Page, resource: str) -> Locator:
    table = page.get_by_role("table", name="Scope catalogue")
    return table.get_by_role("row").filter(has=page.get_by_role("rowheader", name=resource, exact=True))


def test_the_project_is_renamed_everywhere(settings_page: Page, complaints: Complaints) -> None:
    complaints.allow(422)
    page = settings_page
    panel = open_dialog(page, "Rename", "Rename project")
    panel.get_by_label("Project name").fill("")
    panel.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("alert").filter(has_text="Enter a name.")).to_be_focused()
    panel.get_by_label("Project name").fill("Bravo")
    panel.get_by_role("button", name="Rename").click()
    expect(page.get_by_text("The project is called Bravo now.")).to_be_visible()
    expect(page).to_have_title("General · Bravo · Keyrack")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_resource_is_added_edited_and_removed(settings_page: Page, javascript: bool) -> None:
    page = settings_page
    panel = open_dialog(page, "Add resource", "Add resource")
    panel.get_by_role("textbox", name="Resource").fill("reports")
    panel.get_by_label("Label").fill("Billing reports")
    panel.get_by_label("Actions").fill("read, export")
    panel.get_by_role("button", name="Add resource").click()
    expect(page.get_by_text("Billing reports was added.")).to_be_visible()
    expect(scopes(page, "Billing reports")).to_contain_text("reports:read, reports:export")
    if javascript:
        expect(page.get_by_role("link", name="Edit Billing reports")).to_be_focused()
    panel = open_dialog(page, "Edit Billing reports", "Edit Billing reports")
    panel.get_by_label("Actions").fill("read")
    panel.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Billing reports was saved.")).to_be_visible()
    expect(page.get_by_text("reports:export")).to_have_count(0)
    panel = open_dialog(page, "Remove Billing reports", "Remove Billing reports?")
    expect(panel.get_by_role("link", name="Keep scopes")).to_be_focused()
    panel.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Billing reports was removed.")).to_be_visible()
    expect(scopes(page, "Billing reports")).to_have_count(0)
    if javascript:
        expect(page.get_by_role("heading", name="Scopes")).to_be_focused()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_scope_that_a_key_holds_stays(
    project: Project, settings_page: Page, complaints: Complaints
) -> None:
    complaints.allow(422)
    IssuedFactory(project=project, scopes=["sources:write"])
    panel = open_dialog(settings_page, "Remove Sources", "Remove Sources?")
    panel.get_by_role("button", name="Remove").click()
    alert = settings_page.get_by_role("alert").filter(has_text="There is a problem")
    expect(alert).to_be_focused()
    expect(alert).to_contain_text("1 living key holds “sources:write”: revoke it first.")
    panel.get_by_role("link", name="Keep scopes").click()
    expect(settings_page.get_by_role("dialog")).to_be_hidden()
    expect(scopes(settings_page, "Sources")).to_be_visible()


def test_who_comes_second_sees_both_and_loses_nothing(
    project: Project, settings_page: Page, complaints: Complaints, at: datetime
) -> None:
    complaints.allow(409)
    panel = open_dialog(settings_page, "Edit Sources", "Edit Sources")
    theirs = ["read", "write", "delete", "archive"]
    catalogue.edit_resource(project, "sources", theirs, label="Sources", actor=Actor.system(), at=at)
    panel.get_by_label("Actions").fill("read write delete index")
    panel.get_by_role("button", name="Save").click()
    alert = settings_page.get_by_role("alert").filter(has_text="Somebody else changed Sources meanwhile.")
    expect(alert).to_be_focused()
    expect(panel.get_by_label("Actions")).to_have_value("read write delete index")
    panel.get_by_role("button", name="Save").click()
    expect(settings_page.get_by_text("Sources was saved.")).to_be_visible()
    expect(scopes(settings_page, "Sources")).to_contain_text("sources:index")


def test_deleting_a_project_ends_its_keys(
    project: Project, settings_page: Page, complaints: Complaints, live_server: LiveServer
) -> None:
    complaints.allow(422)
    issued = IssuedFactory(project=project)
    page = settings_page
    panel = open_dialog(page, "Delete project", "Delete Acme?")
    expect(panel.get_by_role("link", name="Keep project")).to_be_focused()
    expect(panel).to_contain_text("1 key and the Automator Key stop working.")
    panel.get_by_role("button", name="Delete project").click()
    alert = page.get_by_role("alert").filter(has_text="There is a problem")
    expect(alert).to_contain_text("Type Acme, the project's name.")
    expect(alert).to_contain_text("Enter your password.")
    assert steps.whoami(live_server.url, issued.token)[0] == 200
    panel.get_by_label("Type the project's name to confirm").fill("Acme")
    panel.get_by_label("Your password").fill(steps.PASSWORD)
    panel.get_by_role("button", name="Delete project").click()
    expect(page.get_by_role("heading", level=1, name="Projects")).to_be_visible()
    expect(page.get_by_text("Acme was deleted. Its keys stopped working.")).to_be_visible()
    assert steps.whoami(live_server.url, issued.token)[0] == 401


def test_the_dialog_can_be_left_by_the_keyboard(page: Page) -> None:
    page.goto(steps.GENERAL)
    link = page.get_by_role("link", name="Delete project")
    link.focus()
    page.keyboard.press("Enter")
    expect(steps.panel(page, "Delete Acme?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(link).to_be_focused()
