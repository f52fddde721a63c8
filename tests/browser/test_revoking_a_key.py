"""Revoke, with JavaScript and without."""

from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from keys import lifecycle
from keys.lifecycle import Issued
from keys.models import Key, KeyActivity
from projects.models import Project, User
from tests.browser import steps
from tests.browser.conftest import Complaints
from tests.factories import IssuedFactory, acting


@pytest.fixture
def issued(project: Project, at: datetime) -> list[Issued]:
    """Three keys, the newest first, as they stand in the table above the Automator Key."""
    return [
        IssuedFactory(project=project, name=name, at=at - timedelta(minutes=age), confirmed=True)
        for age, name in enumerate(["Teams bot", "Docs crawler", "Zendesk sync"], 1)
    ]


@pytest.fixture
def keys_page(issued: list[Issued], either: Page) -> Page:
    return either


@pytest.fixture
def keys_dialogs(issued: list[Issued], page: Page) -> Page:
    return page


def ask(page: Page, name: str = "Docs crawler") -> None:
    page.get_by_role("link", name=f"Revoke {name}").click()
    expect(steps.panel(page, f"Revoke {name}?")).to_be_visible()


def test_it_ends_the_key_at_once_and_moves_its_row(
    keys_page: Page, issued: list[Issued], live_server: LiveServer, javascript: bool
) -> None:
    token = issued[1].token
    assert steps.whoami(live_server.url, token)[0] == 200
    ask(keys_page)
    asked = steps.panel(keys_page, "Revoke Docs crawler?")
    expect(asked.get_by_role("link", name="Keep key")).to_be_focused()
    expect(asked).to_contain_text("Requests with this key fail from the moment you revoke it.")
    asked.get_by_label("Reason (optional)").fill("Left the team")
    asked.get_by_role("button", name="Revoke key").click()
    expect(keys_page.get_by_text("Docs crawler was revoked.")).to_be_visible()
    assert steps.whoami(live_server.url, token)[0] == 401
    expect(steps.row(steps.keys_table(keys_page), "Docs crawler")).to_have_count(0)
    row = steps.row(steps.revoked_table(keys_page), "Docs crawler")
    for text in (issued[1].key.preview, "Restricted", "Never used", "Mara Lindqvist", "Left the team"):
        expect(row).to_contain_text(text)
    if javascript:
        expect(keys_page.get_by_role("link", name="Zendesk sync", exact=True)).to_be_focused()


def test_after_the_last_row_the_focus_goes_to_the_heading(page: Page, project: Project, at: datetime) -> None:
    IssuedFactory(project=project, name="Docs crawler", at=at - timedelta(days=400))
    page.goto(f"{steps.KEYS}?type=restricted")
    ask(page)
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("Docs crawler was revoked.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_keeping_it_changes_nothing(keys_page: Page, issued: list[Issued]) -> None:
    ask(keys_page)
    keys_page.get_by_text("Keep key").click()
    expect(keys_page.get_by_role("dialog")).to_be_hidden()
    expect(steps.row(steps.keys_table(keys_page), "Docs crawler")).to_be_visible()
    assert Key.objects.get(key_id=issued[1].key.key_id).revoked_at is None


def test_escape_closes_it_and_gives_the_focus_back(keys_dialogs: Page) -> None:
    ask(keys_dialogs)
    keys_dialogs.keyboard.press("Escape")
    expect(keys_dialogs.get_by_role("dialog")).to_be_hidden()
    expect(keys_dialogs.get_by_role("link", name="Revoke Docs crawler")).to_be_focused()


def test_a_key_in_use_asks_for_its_last_four_characters(
    keys_page: Page, issued: list[Issued], at: datetime, complaints: Complaints
) -> None:
    complaints.allow(422)
    key = issued[1].key
    KeyActivity.objects.filter(key=key).update(
        last_used_at=at - timedelta(minutes=2), last_used_client="curl", last_used_address="192.0.2.41"
    )
    ask(keys_page)
    asked = steps.panel(keys_page, "Revoke Docs crawler?")
    expect(asked).to_contain_text("In use: last")
    expect(asked).to_contain_text("192.0.2.41")
    asked.get_by_role("button", name="Revoke key").click()
    expect(asked.get_by_role("alert")).to_be_focused()
    asked.get_by_label(f"Type the last 4 characters ({key.last4}) to confirm").fill(key.last4)
    asked.get_by_role("button", name="Revoke key").click()
    expect(keys_page.get_by_text("Docs crawler was revoked.")).to_be_visible()


def test_a_second_time_says_who_did_it_first(
    keys_page: Page, issued: list[Issued], owner: User, at: datetime, complaints: Complaints
) -> None:
    complaints.allow(409)
    ask(keys_page)
    key = issued[1].key
    lifecycle.revoke(key.project, key.key_id, actor=acting(owner, key.project), at=at)
    keys_page.get_by_role("button", name="Revoke key").click()
    alert = keys_page.get_by_role("alert")
    expect(alert).to_contain_text("Mara Lindqvist already revoked this key")
    expect(alert.get_by_role("time")).to_be_visible()
    keys_page.get_by_text("Back to API keys").click()
    expect(keys_page.get_by_role("dialog")).to_be_hidden()
    expect(steps.row(steps.revoked_table(keys_page), "Docs crawler")).to_be_visible()


def test_the_automator_key_is_protected_and_says_why(either: Page) -> None:
    row = steps.row(steps.keys_table(either), "Automator Key")
    expect(row).to_contain_text("Protected")
    expect(row).to_contain_text("Created with the project. It can't be revoked.")
    expect(row.get_by_role("link", name="Revoke Automator Key")).to_have_count(0)


def test_the_message_stays_until_it_is_dismissed(keys_dialogs: Page) -> None:
    ask(keys_dialogs)
    keys_dialogs.get_by_role("button", name="Revoke key").click()
    message = keys_dialogs.get_by_role("status").filter(has_text="Docs crawler was revoked.")
    message.get_by_role("button", name="Dismiss").click()
    expect(message).to_have_count(0)
    assert keys_dialogs.evaluate("document.activeElement !== document.body")
