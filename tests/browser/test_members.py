"""Members: somebody is invited and joins from a browser of their own; roles; what a removal leaves."""

import re
from datetime import datetime
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Dialog, Page, expect

from projects.models import Invitation, Project, Role, User
from tests.browser import steps
from tests.browser.conftest import Complaints, OpenContext
from tests.browser.test_leaving_no_trace import go_back, kept
from tests.factories import IssuedFactory, MembershipFactory, acting, invited

EMAIL = "ines@example.test"
CHOSEN = "quartz lantern 77"


@pytest.fixture
def members(either: Page, owner: User) -> Page:
    """The owner at the members of the project, once with JavaScript and once without."""
    owner.set_password(steps.PASSWORD)
    owner.save(update_fields=["password"])
    either.context.clear_cookies()
    either.goto(steps.MEMBERS)
    steps.sign_in(either, owner.email)
    expect(either.get_by_role("heading", level=1, name="Members")).to_be_visible()
    return either


def path_of(link: str) -> str:
    return urlsplit(link).path


def join(page: Page, link: str) -> None:
    page.goto(path_of(link))
    expect(page.get_by_role("heading", level=1, name="Join Acme")).to_be_visible()
    page.get_by_label("Your name").fill("Inês Prado")
    page.get_by_label("Password", exact=True).fill(CHOSEN)
    page.get_by_label("Password again").fill(CHOSEN)
    page.get_by_role("button", name="Join Acme").click()


def test_an_owner_invites_and_a_new_person_joins_from_a_browser_of_their_own(
    members: Page, open_context: OpenContext, javascript: bool, complaints: Complaints
) -> None:
    complaints.allow(410)
    link = steps.invite(members, EMAIL, "Operator")
    members.get_by_role("link", name="Done").click()
    expect(members.get_by_role("table", name="Invitations")).to_contain_text(EMAIL)
    assert path_of(link) not in members.content()

    ines = open_context(java_script_enabled=javascript).new_page()
    join(ines, link)
    expect(ines.get_by_role("heading", level=1, name="API keys")).to_be_visible()
    expect(ines.get_by_text("You joined Acme as Operator.")).to_be_visible()
    expect(ines.get_by_role("link", name="Create API key")).to_be_visible()

    ines.goto(path_of(link))
    expect(ines.get_by_role("heading", level=1, name="This invitation was used already")).to_be_visible()
    members.reload()
    expect(members.get_by_role("table", name="Members")).to_contain_text("Inês Prado")
    expect(members.get_by_text("Nobody is invited at the moment.")).to_be_visible()


def test_copy_puts_the_link_on_the_clipboard_and_leaving_asks_nothing(
    page: Page, owner: User, project: Project
) -> None:
    def refuse(dialog: Dialog) -> None:
        raise AssertionError(dialog.type)

    owner.set_password(steps.PASSWORD)
    owner.save(update_fields=["password"])
    page.on("dialog", refuse)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    # A new password has ended the session.
    page.goto(steps.MEMBERS)
    steps.sign_in(page, owner.email)
    link = steps.invite(page, EMAIL, "Viewer")
    button = page.get_by_role("button", name="Copy link")
    expect(button).to_be_focused()
    steps.stop_clock(page)
    button.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == link
    page.clock.resume()
    page.goto("/projects/")
    expect(page.get_by_role("heading", level=1, name="Projects")).to_be_visible()
    token = path_of(link).split("/")[2]
    assert token not in kept(page)
    page.go_back()
    expect(page.get_by_role("heading", level=1, name="Members")).to_be_visible()
    assert token not in kept(page)


def test_back_after_the_link_shows_nothing(members: Page) -> None:
    token = path_of(steps.invite(members, EMAIL, "Viewer")).split("/")[2]
    members.get_by_role("link", name="Done").click()
    expect(members.get_by_role("table", name="Invitations")).to_be_visible()
    for _ in range(2):
        go_back(members)
        assert token not in members.content()


def test_a_link_is_sent_on_to_nobody(
    open_context: OpenContext, project: Project, owner: User, javascript: bool
) -> None:
    """Only the requests for the page itself name it: no Referer does, no other address, no cookie."""
    given = invited(project, owner)
    page = open_context(java_script_enabled=javascript).new_page()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.method} {request.url} {request.all_headers()}"))
    join(page, given.link)
    expect(page.get_by_role("heading", level=1, name="API keys")).to_be_visible()
    named = [text for text in sent if given.token in text]
    path = path_of(given.link)
    assert [text.split()[0] for text in named] == ["GET", "POST"]
    assert all(text.split()[1].endswith(path) and text.count(given.token) == 1 for text in named)
    assert len(sent) > 5
    if javascript:
        assert given.token not in kept(page)


def test_whoever_has_an_account_signs_in_and_comes_back_to_the_button(
    open_context: OpenContext, project: Project, owner: User, javascript: bool
) -> None:
    User.objects.create_user(EMAIL, CHOSEN, name="Inês Prado")
    given = invited(project, owner)
    page = open_context(java_script_enabled=javascript).new_page()
    page.goto(path_of(given.link))
    page.get_by_role("link", name=f"Sign in as {EMAIL} to join").click()
    expect(page).to_have_title("Sign in · Keyrack")
    assert given.token not in page.url
    steps.sign_in(page, EMAIL, CHOSEN)
    page.get_by_role("button", name="Join Acme").click()
    expect(page.get_by_text("You joined Acme as Operator.")).to_be_visible()


def test_a_second_invitation_leads_to_a_new_link(
    members: Page, project: Project, owner: User, complaints: Complaints
) -> None:
    complaints.allow(422)
    invited(project, owner)
    members.get_by_role("link", name="Invite member").click()
    steps.fill_invitation(members, EMAIL, "Operator")
    members.get_by_role("button", name="Invite").click()
    expect(members.get_by_role("alert").filter(has_text="There is a problem")).to_be_focused()
    members.get_by_role("link", name="Make a new link").click()
    expect(steps.panel(members, "Make a new link?")).to_be_visible()
    members.get_by_role("button", name="Make a new link").click()
    assert path_of(steps.shown_link(members)).startswith("/invitations/")


def test_an_invitation_is_taken_back(
    members: Page, project: Project, owner: User, open_context: OpenContext, complaints: Complaints
) -> None:
    complaints.allow(410)
    given = invited(project, owner)
    members.reload()
    members.get_by_role("link", name=f"Revoke the invitation of {EMAIL}").click()
    expect(members.get_by_role("link", name="Keep invitation")).to_be_focused()
    members.get_by_role("button", name="Revoke invitation").click()
    expect(members.get_by_text(f"The invitation of {EMAIL} was revoked.")).to_be_visible()
    expect(members.get_by_role("dialog")).to_be_hidden()
    expect(members.get_by_text("Nobody is invited at the moment.")).to_be_visible()
    stranger = open_context().new_page()
    stranger.goto(path_of(given.link))
    expect(stranger.get_by_role("heading", level=1)).to_have_text("This invitation isn't good any more")
    assert Invitation.objects.get().revoked_at is not None


def test_a_role_is_changed_in_its_place(members: Page, operator: User) -> None:
    members.reload()
    members.get_by_role("link", name="Change role of Otis Brandt").click()
    form = steps.panel(members, "Role of Otis Brandt")
    expect(form.get_by_role("radio", name="Operator")).to_be_checked()
    form.get_by_role("radio", name="Admin").check()
    form.get_by_role("button", name="Change role").click()
    expect(members.get_by_text("Otis Brandt is now Admin in Acme.")).to_be_visible()
    expect(members.get_by_role("dialog")).to_be_hidden()
    expect(members.get_by_role("row").filter(has_text="otis@example.test")).to_contain_text("Admin")


def test_after_a_change_the_focus_is_on_the_heading(page: Page, owner: User, operator: User) -> None:
    owner.set_password(steps.PASSWORD)
    owner.save(update_fields=["password"])
    page.goto(steps.MEMBERS)
    steps.sign_in(page, owner.email)
    steps.remove_member(page, "Otis Brandt")
    expect(page.get_by_role("heading", level=1, name="Members")).to_be_focused()
    expect(page).to_have_url(re.compile(f"{steps.MEMBERS}$"))


def test_the_last_owner_stays_one(members: Page, owner: User, complaints: Complaints) -> None:
    complaints.allow(422)
    members.get_by_role("link", name="Leave Acme").click()
    members.get_by_role("button", name="Leave project").click()
    expect(members.get_by_role("alert").filter(has_text="There is a problem")).to_contain_text(
        "Mara Lindqvist is the last owner of Acme."
    )


def test_an_owner_leaves_where_another_stays(members: Page, project: Project) -> None:
    MembershipFactory(project=project, role=Role.OWNER)
    members.reload()
    members.get_by_role("link", name="Leave Acme").click()
    members.get_by_role("button", name="Leave project").click()
    expect(members.get_by_role("heading", level=1, name="Projects")).to_be_visible()
    expect(members.get_by_text("You left Acme.")).to_be_visible()


def test_a_removal_says_what_stays_and_leads_there(
    members: Page, project: Project, operator: User, at: datetime
) -> None:
    for name in ("Docs crawler", "Teams bot"):
        IssuedFactory(project=project, actor=acting(operator, project), at=at, name=name)
    IssuedFactory(project=project, at=at, name="Mail bridge")
    members.reload()
    members.get_by_role("link", name="Remove Otis Brandt").click()
    asked = steps.panel(members, "Remove Otis Brandt?")
    expect(asked).to_contain_text("Their 2 keys keep working.")
    expect(asked.get_by_role("link", name="Docs crawler")).to_be_visible()
    expect(asked.get_by_role("link", name="Keep member")).to_be_focused()
    asked.get_by_role("button", name="Remove member").click()
    expect(members.get_by_text("Otis Brandt was removed. Their 2 keys keep working.")).to_be_visible()
    expect(members.get_by_role("table", name="Members")).not_to_contain_text("otis@example.test")
    members.get_by_role("link", name="Review keys").click()
    expect(members.get_by_text("2 keys match.")).to_be_visible()
    table = steps.keys_table(members)
    expect(steps.row(table, "Docs crawler").get_by_role("link", name="Revoke Docs crawler")).to_be_visible()
    expect(table.get_by_role("link", name="Mail bridge")).to_have_count(0)


def test_whoever_may_not_change_it_sees_who_is_in(open_context: OpenContext, viewer: User) -> None:
    page = open_context(viewer).new_page()
    page.goto(steps.MEMBERS)
    expect(page.get_by_text("Ask an owner to invite or remove people.")).to_be_visible()
    expect(page.get_by_role("link", name="Invite member")).to_have_count(0)
