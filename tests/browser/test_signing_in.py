"""The door: the account pages as people meet them, with JavaScript and without."""

import re

import pytest
from playwright.sync_api import Page, expect

from projects.models import User
from tests.browser import steps
from tests.browser.conftest import Complaints, OpenContext


@pytest.fixture
def door(open_context: OpenContext, owner: User, javascript: bool) -> Page:
    """The keys page asked for by somebody who isn't signed in yet."""
    owner.set_password(steps.PASSWORD)
    owner.save(update_fields=["password"])
    page = open_context(java_script_enabled=javascript).new_page()
    page.goto(steps.KEYS)
    return page


def test_it_leads_to_the_page_that_was_asked_for(door: Page, owner: User) -> None:
    expect(door).to_have_title("Sign in · Keyrack")
    steps.sign_in(door, owner.email)
    expect(door).to_have_title("API keys · Acme · Keyrack")
    expect(door).to_have_url(re.compile(f"{steps.KEYS}$"))


def test_it_says_what_is_wrong_and_leads_to_the_field(
    door: Page, owner: User, complaints: Complaints
) -> None:
    complaints.allow(422)
    steps.sign_in(door, owner.email, "not this one")
    expect(door).to_have_title("Error: Sign in · Keyrack")
    summary = door.get_by_role("alert").filter(has_text="There is a problem")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("That email or password isn't right.")
    expect(door.get_by_label("Email address")).to_have_value(owner.email)
    expect(door.get_by_label("Password")).to_have_value("")


def test_it_names_each_field_that_was_left_empty(door: Page, complaints: Complaints) -> None:
    complaints.allow(422)
    door.get_by_role("button", name="Sign in").click()
    links = door.get_by_role("alert").filter(has_text="There is a problem").get_by_role("link")
    expect(links).to_have_count(2)
    links.nth(1).click()
    expect(door.get_by_label("Password")).to_be_focused()


def test_signing_out_ends_at_the_door(either: Page) -> None:
    steps.open_account_menu(either)
    either.get_by_role("button", name="Sign out").click()
    expect(either).to_have_title("Sign in · Keyrack")
    either.goto(steps.KEYS)
    expect(either).to_have_title("Sign in · Keyrack")
