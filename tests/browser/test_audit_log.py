"""The audit log in a browser: found, filtered, turned, taken along; with JavaScript and without."""

import csv
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from keys import lifecycle
from keys.models import Key
from projects.audit import Actor
from projects.lifecycle import rename_project
from projects.models import Project, User
from tests.browser.conftest import Complaints
from tests.factories import IssuedFactory, acting


@pytest.fixture
def key(project: Project, owner: User, operator: User, at: datetime) -> Key:
    """A key that Mara has made and Otis revoked, in a log of two pages."""
    for number in range(60):
        rename_project(project, f"Acme {number}", actor=Actor.system(), at=at)
    at += timedelta(seconds=1)
    rename_project(project, "Acme", actor=Actor.system(), at=at)
    key: Key = IssuedFactory(project=project, actor=acting(owner, project), at=at, name="Docs crawler").key
    lifecycle.revoke(project, key.key_id, actor=acting(operator, project), at=at, reason="Lost")
    return key


@pytest.fixture
def log(key: Key, either: Page) -> Page:
    either.get_by_role("navigation", name="Settings").get_by_role("link", name="Audit log").click()
    expect(either.get_by_role("heading", level=1, name="Audit log")).to_be_visible()
    return either


def events(page: Page) -> Locator:
    return page.get_by_role("table", name="Audit log, newest first").get_by_role("rowheader")


def filters(page: Page) -> Locator:
    # Playwright knows no role for a summary.
    panel = page.locator("details.filters")
    if panel.get_attribute("open") is None:
        page.locator("summary").filter(has_text="Filters").click()
    return panel


def test_it_is_filtered_and_its_address_says_how(log: Page, key: Key) -> None:
    panel = filters(log)
    panel.get_by_label("Who").fill("Otis Brandt")
    panel.get_by_label("What").select_option(label="revoked …")
    panel.get_by_role("button", name="Filter").click()
    expect(log.get_by_text("Only what matches is shown.")).to_be_visible()
    expect(events(log)).to_have_count(1)
    expect(events(log)).to_contain_text("revoked Docs crawler")
    expect(log).to_have_url(re.compile(r"/audit/\?who=Otis\+Brandt&what=key\.revoked$"))
    log.reload()
    expect(events(log)).to_have_count(1)
    log.get_by_role("link", name="Clear filters").click()
    expect(log).to_have_url(re.compile(r"/audit/$"))
    expect(events(log)).to_have_count(50)


def test_the_enter_key_filters_too(log: Page, javascript: bool) -> None:
    panel = filters(log)
    panel.get_by_label("Who").fill("Mara Lindqvist")
    panel.get_by_label("Who").press("Enter")
    expect(events(log)).to_have_count(1)
    expect(log).to_have_url(re.compile(r"/audit/\?who=Mara\+Lindqvist$"))


def test_a_pasted_key_never_becomes_an_address(project: Project, log: Page) -> None:
    issued = IssuedFactory(project=project, name="Export")
    visited: list[str] = []
    log.on("request", lambda request: visited.append(request.url))
    panel = filters(log)
    panel.get_by_label("Key ID").fill(issued.token)
    panel.get_by_role("button", name="Filter").click()
    expect(events(log)).to_have_count(1)
    expect(events(log)).to_contain_text("created Export")
    expect(log).to_have_url(re.compile(rf"/audit/\?key={issued.key.key_id}$"))
    expect(filters(log).get_by_label("Key ID")).to_have_value(issued.key.key_id)
    assert issued.token[20:40] not in log.content()
    assert visited
    assert not any(issued.token[20:40] in url for url in visited)


def test_what_does_not_fit_is_said_and_nothing_is_lost(
    log: Page, complaints: Complaints, javascript: bool
) -> None:
    complaints.allow(422)
    panel = filters(log)
    panel.get_by_label("Key ID").fill("Docs crawler")
    panel.get_by_label("Who").fill("Mara Lindqvist")
    panel.get_by_role("button", name="Filter").click()
    summary = log.get_by_role("alert").filter(has_text="There is a problem")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Enter a key ID: 12 letters and digits.").click()
    expect(filters(log).get_by_label("Key ID")).to_be_focused()
    expect(filters(log).get_by_label("Who")).to_have_value("Mara Lindqvist")
    expect(log.get_by_text("Nothing is filtered: this is the whole log.")).to_be_visible()


def test_its_pages_turn_and_back_turns_them_back(log: Page, javascript: bool) -> None:
    first = events(log).first.inner_text()
    log.get_by_role("link", name="Next").click()
    expect(log).to_have_url(re.compile(r"/audit/\?after=\d+$"))
    expect(log.get_by_text("created the project Acme")).to_be_visible()
    if javascript:
        expect(log.locator("#events")).to_be_focused()
    log.get_by_role("link", name="Previous").click()
    expect(log).to_have_url(re.compile(r"/audit/\?before=\d+$"))
    expect(events(log).first).to_have_text(re.compile("revoked Docs crawler"))
    assert "Docs crawler" in first
    log.go_back()
    expect(log.get_by_text("created the project Acme")).to_be_visible()


def test_the_file_has_what_the_filters_show(log: Page, tmp_path: Path) -> None:
    panel = filters(log)
    panel.get_by_label("What").select_option(label="API keys: everything")
    panel.get_by_role("button", name="Filter").click()
    expect(log.get_by_text("Only what matches is shown.")).to_be_visible()
    with log.expect_download() as started:
        log.get_by_role("link", name="Download CSV").click()
    file = started.value
    assert re.fullmatch(r"acme-audit-log-\d{4}-\d\d-\d\d\.csv", file.suggested_filename)
    file.save_as(tmp_path / "log.csv")
    with (tmp_path / "log.csv").open(encoding="utf-8", newline="") as lines:
        verbs = [row["verb"] for row in csv.DictReader(lines)]
    assert verbs == ["key.revoked", "key.issued", "key.issued"]
    # The page stays, and can be used.
    log.get_by_role("link", name="Clear filters").click()
    expect(events(log)).to_have_count(50)


def test_a_key_leads_to_its_page(log: Page, key: Key) -> None:
    log.get_by_role("link", name=key.key_id).first.click()
    expect(log.get_by_role("heading", level=1, name="Docs crawler")).to_be_visible()
