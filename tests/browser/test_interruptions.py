"""Signed out in the middle of a form, and a server that doesn't answer: nothing typed is lost."""

import re
from collections.abc import Callable

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import Locator, Page, Route, expect

from keys.activity import activity
from keys.models import Key
from keys.sources import Source
from keys.verification import check
from projects.models import Project, User
from tests.browser import steps
from tests.browser.conftest import Complaints
from tests.factories import IssuedFactory

SIGNED_OUT = "You've been signed out. What you typed is still here."
AWAY = "Keyrack can't be reached. Nothing was lost: what you typed is still here."

ABORTED = (r"Failed to load resource: net::ERR_FAILED", r"htmx:.*")
BAD_GATEWAY = (502,)
FIRST_CALL = "**/first-call/**"


def sign_out_at_the_server(page: Page) -> None:
    Session.objects.all().delete()


def sign_out_in_another_tab(page: Page) -> None:
    other = page.context.new_page()
    other.goto("/projects/")
    steps.open_account_menu(other)
    other.get_by_role("button", name="Sign out").click()
    expect(other).to_have_title("Sign in · Keyrack")
    other.close()


@pytest.fixture
def owner_with_password(owner: User) -> User:
    owner.set_password(steps.PASSWORD)
    owner.save(update_fields=["password"])
    return owner


def sign_in_again(page: Page, notice: Locator, email: str) -> None:
    with page.expect_popup() as opened:
        notice.get_by_role("link", name="Sign in in a new tab").click()
    steps.sign_in(opened.value, email)
    expect(opened.value.get_by_role("heading", level=1, name="API keys")).to_be_visible()
    opened.value.close()


@pytest.mark.parametrize("sign_out", [sign_out_at_the_server, sign_out_in_another_tab])
def test_signed_out_the_dialog_stays_and_goes_on_after_signing_in(
    owner_with_password: User, page: Page, complaints: Complaints, sign_out: Callable[[Page], None]
) -> None:
    complaints.allow(401)
    form = steps.open_create(page)
    steps.fill(form, "Docs crawler", "Sources: read", "Chat: send")
    form.get_by_label("Note").fill("For the crawler")
    sign_out(page)
    form.get_by_role("button", name="Generate").click()
    notice = form.get_by_role("alert").filter(has_text=SIGNED_OUT)
    expect(notice).to_be_visible()
    expect(form.get_by_label("Key name")).to_have_value("Docs crawler")
    expect(form.get_by_label("Note")).to_have_value("For the crawler")
    expect(form.get_by_role("checkbox", name="Chat: send", exact=True)).to_be_checked()
    sign_in_again(page, notice, owner_with_password.email)
    notice.get_by_role("button", name="Try again").click()
    steps.shown_token(page)
    key = Key.objects.get(name="Docs crawler")
    assert (key.scopes, key.note) == ("chat:send sources:read", "For the crawler")


def test_signed_out_on_the_page_a_link_says_so_and_goes_on(
    owner_with_password: User, page: Page, complaints: Complaints
) -> None:
    complaints.allow(401)
    sign_out_at_the_server(page)
    page.get_by_role("link", name="Create API key").click()
    notice = page.get_by_role("alert").filter(has_text=SIGNED_OUT)
    expect(page.get_by_role("dialog")).to_be_hidden()
    sign_in_again(page, notice, owner_with_password.email)
    notice.get_by_role("button", name="Try again").click()
    expect(steps.panel(page, "Create API key")).to_be_visible()


def test_signed_out_while_the_secret_is_shown_it_can_still_be_confirmed(
    owner_with_password: User, page: Page, complaints: Complaints
) -> None:
    complaints.allow(401)
    token = steps.generate(page)
    sign_out_at_the_server(page)
    once = steps.panel(page, "Copy your key now")
    once.get_by_role("button", name="I've stored it").click()
    notice = once.get_by_role("alert").filter(has_text=SIGNED_OUT)
    expect(notice).to_be_visible()
    assert steps.shown_token(page) == token
    sign_in_again(page, notice, owner_with_password.email)
    notice.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Docs crawler is ready to use.")).to_be_visible()


def test_signed_out_while_searching_what_was_typed_stays(
    owner_with_password: User, page: Page, project: Project, complaints: Complaints
) -> None:
    complaints.allow(401)
    IssuedFactory(project=project, name="Billing webhooks")
    sign_out_at_the_server(page)
    search = page.get_by_role("searchbox", name="Search by name or key")
    search.press_sequentially("bill")
    notice = page.get_by_role("alert").filter(has_text=SIGNED_OUT)
    expect(notice).to_be_visible()
    expect(search).to_have_value("bill")
    expect(search).to_be_focused()
    sign_in_again(page, notice, owner_with_password.email)
    notice.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("1 key matches.")).to_be_visible()


def abort(route: Route) -> None:
    route.abort()


def bad_gateway(route: Route) -> None:
    route.fulfill(status=502, content_type="text/html", body="<html><h1>502 Bad Gateway</h1></html>")


@pytest.mark.parametrize(("answer", "heard"), [(abort, ABORTED), (bad_gateway, BAD_GATEWAY)])
def test_without_an_answer_the_dialog_stays_and_try_again_works(
    page: Page, complaints: Complaints, answer: Callable[[Route], None], heard: tuple[str | int, ...]
) -> None:
    complaints.allow(*heard)
    form = steps.open_create(page)
    steps.fill(form, "Docs crawler", "Sources: read")
    page.route("**/new/", answer)
    form.get_by_role("button", name="Generate").click()
    notice = form.get_by_role("alert").filter(has_text=AWAY)
    expect(notice).to_be_visible()
    expect(form.get_by_role("button", name="Generate")).to_be_visible()
    expect(form.get_by_label("Key name")).to_have_value("Docs crawler")
    notice.get_by_role("button", name="Try again").click()
    expect(notice).to_be_visible()
    page.unroute("**/new/")
    notice.get_by_role("button", name="Try again").click()
    steps.shown_token(page)


def test_an_answer_that_was_lost_is_told_from_one_that_never_was(page: Page, complaints: Complaints) -> None:
    """The key was made, but its answer never came: trying again says so, and makes no second one."""
    complaints.allow(*ABORTED, 409)
    form = steps.open_create(page)
    steps.fill(form, "Docs crawler", "Sources: read")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/new/", lose)
    form.get_by_role("button", name="Generate").click()
    notice = form.get_by_role("alert").filter(has_text=AWAY)
    expect(notice).to_be_visible()
    page.unroute("**/new/", lose)
    notice.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_contain_text("This key was already created.")
    page.get_by_role("link", name="Get a new secret").click()
    expect(steps.panel(page, "Get a new secret?")).to_be_visible()
    assert Key.objects.filter(name="Docs crawler").count() == 1


def test_an_error_of_the_server_gives_its_reference(
    page: Page, complaints: Complaints, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints.allow(500)
    form = steps.open_create(page)
    steps.fill(form, "Docs crawler", "Sources: read")
    monkeypatch.setattr("keys.views.keys.lifecycle.issue", None)
    form.get_by_role("button", name="Generate").click()
    notice = form.get_by_role("alert")
    expect(notice).to_contain_text("Something broke on our side. Nothing was changed. Reference ")
    monkeypatch.undo()
    notice.get_by_role("button", name="Try again").click()
    steps.shown_token(page)


def test_whoever_waits_for_the_first_call_is_told_of_it_and_of_nothing_that_fails(
    page: Page, complaints: Complaints
) -> None:
    """Nobody has asked for what the dialog asks every two seconds: it says nothing until it has news."""
    complaints.allow(401, *ABORTED)
    page.clock.install()
    page.reload()
    token = steps.generate(page)
    once = steps.panel(page, "Copy your key now")
    sessions, cookies = [*Session.objects.all()], page.context.cookies()
    sign_out_at_the_server(page)
    with page.expect_response(FIRST_CALL) as refused:
        page.clock.run_for(2000)
    assert refused.value.status == 401
    says_nothing(once)
    Session.objects.bulk_create(sessions)
    page.context.add_cookies(cookies)  # type: ignore[arg-type]  # what was read is what can be set
    page.route(FIRST_CALL, abort)
    with page.expect_event("requestfailed"):
        page.clock.run_for(2000)
    says_nothing(once)
    page.unroute(FIRST_CALL)
    with page.expect_response(FIRST_CALL) as nothing:
        page.clock.run_for(2000)
    assert nothing.value.status == 204
    says_nothing(once)
    assert check(token, at=timezone.now(), source=Source("192.0.2.41", "curl")).is_valid
    activity.flush()
    page.clock.run_for(2000)
    expect(once.get_by_text("First call seen from 192.0.2.41")).to_be_visible()
    assert steps.shown_token(page) == token


def says_nothing(once: Locator) -> None:
    # Once the answer has been dealt with.
    still = re.compile("^Waiting for the first call…")
    expect(once.locator("#first-call:not(.htmx-request)")).to_have_text(still)
    expect(once.get_by_role("alert")).to_have_count(0)
