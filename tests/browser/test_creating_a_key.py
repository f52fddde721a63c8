"""Create API key, with JavaScript and without."""

import re

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from keys.models import Key
from projects.models import Project, User
from tests.browser import steps
from tests.browser.conftest import Complaints, OpenContext
from tests.factories import IssuedFactory


@pytest.mark.parametrize(
    ("label", "tag", "access"),
    [
        ("Privileged key", "Privileged", "Everything"),
        ("Locked-down viewer key", "Locked-down viewer", "Read, chat"),
        ("Restricted key", "Restricted", "chat:send, sources:read"),
    ],
)
def test_each_type_is_made_shown_once_and_listed(
    either: Page, live_server: LiveServer, label: str, tag: str, access: str
) -> None:
    steps.freshen(either)
    form = steps.open_create(either)
    form.get_by_role("radio", name=label).check()
    scopes = ("Sources: read", "Chat: send") if tag == "Restricted" else ()
    steps.fill(form, "Docs crawler", *scopes)
    form.get_by_role("button", name="Generate").click()
    token = steps.shown_token(either)
    assert re.fullmatch(r"kr_live_[0-9A-Za-z]{56}", token)
    steps.store(either)
    row = steps.row(steps.keys_table(either), "Docs crawler")
    expect(row).to_contain_text(tag)
    expect(row).to_contain_text(access)
    expect(row).to_contain_text(f"{token[:12]}…{token[-4:]}")
    expect(row).not_to_contain_text("Not confirmed")
    expect(either.get_by_text("Docs crawler is ready to use.")).to_be_visible()
    assert steps.whoami(live_server.url, token)[0] == 200


def test_a_test_key_that_ends_on_a_day_is_listed_so(either: Page) -> None:
    form = steps.open_create(either)
    expect(form.get_by_label("Last day")).to_be_hidden()
    steps.fill(form, "Nightly export", "Sources: read")
    form.get_by_label("Environment").select_option(label="Test")
    form.get_by_label("Expires").select_option(label="On a date")
    form.get_by_label("Last day").fill("2099-02-18")
    form.get_by_role("button", name="Generate").click()
    assert steps.shown_token(either).startswith("kr_test_")
    steps.store(either)
    assert Key.objects.get(name="Nightly export").expires_at.strftime("%Y-%m-%d") == "2099-02-18"


def test_the_types_stand_in_order_with_restricted_chosen(either: Page) -> None:
    form = steps.open_create(either)
    group = form.get_by_role("group", name="Key type")
    names = ["Privileged key", "Locked-down viewer key", "Restricted key"]
    for radio, name in zip(group.get_by_role("radio").all(), names, strict=True):
        expect(radio).to_have_accessible_name(re.compile(rf"^{name}"))
    expect(form.get_by_role("radio", name="Restricted key")).to_be_checked()


def test_scopes_are_asked_of_a_restricted_key_only(either: Page) -> None:
    form = steps.open_create(either)
    scopes = form.get_by_role("group", name="Scopes")
    expect(scopes).to_be_visible()
    form.get_by_role("radio", name="Locked-down viewer key").check()
    expect(scopes).to_be_hidden()
    leak = "If a viewer key leaks, someone can read this project but change nothing."
    expect(form.get_by_text(leak)).to_be_visible()
    form.get_by_role("radio", name="Privileged key").check()
    expect(form.get_by_text(leak)).to_be_hidden()


def test_what_is_wrong_is_summed_up_focused_and_linked(either: Page, complaints: Complaints) -> None:
    complaints.allow(422)
    form = steps.open_create(either)
    form.get_by_label("Note").fill("What was typed stays")
    form.get_by_role("button", name="Generate").click()
    summary = form.get_by_role("alert").filter(has_text="There is a problem")
    expect(summary).to_be_focused()
    expect(summary.get_by_role("link")).to_have_text(
        ["Pick at least one scope.", "Enter a name."], use_inner_text=True
    )
    expect(form.get_by_label("Key name")).to_have_accessible_description(re.compile("Enter a name."))
    expect(form.get_by_label("Note")).to_have_value("What was typed stays")
    summary.get_by_role("link", name="Enter a name.").click()
    expect(form.get_by_label("Key name")).to_be_focused()
    summary.get_by_role("link", name="Pick at least one scope.").click()
    assert either.evaluate("document.activeElement.closest('#id_scopes') !== null")


def test_the_page_of_a_refused_form_says_so_in_its_title(plain: Page, complaints: Complaints) -> None:
    complaints.allow(422)
    steps.open_create(plain).get_by_role("button", name="Generate").click()
    expect(plain).to_have_title("Error: Create API key · Acme · Keyrack")


def test_a_taken_name_is_refused_and_what_was_picked_stays(
    either: Page, project: Project, complaints: Complaints
) -> None:
    complaints.allow(422)
    IssuedFactory(project=project, name="Docs crawler")
    form = steps.open_create(either)
    steps.fill(form, "docs CRAWLER", "Sources: read")
    form.get_by_role("button", name="Generate").click()
    expect(form.get_by_role("alert")).to_contain_text("Another key is called “Docs crawler”.")
    expect(form.get_by_role("checkbox", name="Sources: read", exact=True)).to_be_checked()
    form.get_by_label("Key name").fill("Docs crawler 2")
    form.get_by_role("button", name="Generate").click()
    steps.shown_token(either)


def test_a_click_for_a_new_tab_opens_the_form_there(page: Page) -> None:
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Create API key").click(modifiers=["ControlOrMeta"])
    expect(opened.value).to_have_title("Create API key · Acme · Keyrack")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_cancel_leads_back_and_makes_nothing(either: Page) -> None:
    form = steps.open_create(either)
    steps.fill(form, "Docs crawler")
    form.get_by_text("Cancel").click()
    expect(either.get_by_role("dialog")).to_be_hidden()
    expect(either.get_by_role("heading", level=1, name="API keys")).to_be_visible()
    assert not Key.objects.filter(name="Docs crawler").exists()


def test_select_all_read_ticks_the_read_column(page: Page) -> None:
    form = steps.open_create(page)
    form.get_by_role("button", name="Select all read").click()
    scopes = form.get_by_role("group", name="Scopes")
    for box in scopes.get_by_role("checkbox", name=re.compile(": read$")).all():
        expect(box).to_be_checked()
    expect(scopes.get_by_role("checkbox", checked=True)).to_have_count(
        scopes.get_by_role("checkbox", name=re.compile(": read$")).count()
    )


def test_without_javascript_nothing_offers_what_needs_it(plain: Page) -> None:
    expect(plain.get_by_role("button", name=re.compile("^Copy key ID"))).to_have_count(0)
    form = steps.open_create(plain)
    expect(form.get_by_role("button", name="Select all read")).to_have_count(0)


def test_a_double_click_makes_one_key(page: Page) -> None:
    form = steps.open_create(page)
    steps.fill(form, "Docs crawler", "Sources: read")
    form.get_by_role("button", name="Generate").dblclick()
    steps.shown_token(page)
    assert Key.objects.filter(name__startswith="Docs").count() == 1


def test_a_double_click_without_javascript_makes_one_key_and_says_so(
    plain: Page, complaints: Complaints
) -> None:
    """The second request replaces the first one's answer: the words tell it, and renew is the way on."""
    complaints.allow(409)
    form = steps.open_create(plain)
    steps.fill(form, "Docs crawler", "Sources: read")
    form.get_by_role("button", name="Generate").dblclick()
    expect(form).to_be_hidden()
    assert Key.objects.filter(name__startswith="Docs").count() == 1


def test_the_button_says_what_it_does_at_the_same_width(page: Page) -> None:
    form = steps.open_create(page)
    steps.fill(form, "Docs crawler", "Sources: read")
    button = form.locator("button[type=submit]")
    before = button.bounding_box()
    held = []
    page.route("**/new/", lambda route: held.append(route))
    button.click()
    expect(button).to_have_text("Generating…", use_inner_text=True)
    # Within a pixel: where the foot of the dialog sticks hangs on fractions of what is above it.
    assert button.bounding_box() == pytest.approx(before, abs=1)
    held[0].continue_()
    steps.shown_token(page)


def test_reloading_the_secrets_page_makes_no_second_key(plain: Page, complaints: Complaints) -> None:
    complaints.allow(409)
    token = steps.generate(plain)
    plain.reload()
    alert = plain.get_by_role("alert")
    expect(alert).to_have_text("This key was already created. Its secret can't be shown again.")
    assert token not in plain.content()
    assert Key.objects.filter(name="Docs crawler").count() == 1
    expect(plain.get_by_role("link", name="Get a new secret")).to_be_visible()


def test_an_operator_is_not_offered_what_only_admins_issue(open_context: OpenContext, operator: User) -> None:
    page = open_context(operator).new_page()
    page.goto(steps.KEYS)
    form = steps.open_create(page)
    expect(form.get_by_role("radio")).to_have_count(2)
    expect(form.get_by_role("checkbox", name="Keys: read", exact=True)).to_have_count(0)


def test_a_viewer_reads_whom_to_ask(open_context: OpenContext, viewer: User) -> None:
    page = open_context(viewer).new_page()
    page.goto(steps.KEYS)
    expect(page.get_by_text("You can view keys. Ask an admin to create or revoke them.")).to_be_visible()
    expect(page.get_by_role("link", name="Create API key")).to_have_count(0)
