"""Invite member: the form, what it refuses, and the link that is shown once."""

import re
from typing import Any

import pytest
from django.test import Client

from projects import lifecycle
from projects.models import AuditEvent, Invitation, Project, Role, User
from tests.factories import acting, invited
from tests.web.pages import Page, Visitor, signed_in, url_of
from tests.web.people import EMAIL, INVITATIONS, PASSWORD, emails, fresh, path_of

pytestmark = pytest.mark.django_db

TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"


@pytest.fixture
def mara(owner: User) -> Client:
    return fresh(owner)


def invite(client: Client, headers: dict[str, str], **typed: Any) -> Any:
    return client.post(url_of("member_invite"), {"email": EMAIL, "role": "20"} | typed, headers=headers)


def test_the_form_offers_the_roles_and_the_least_of_them_first(mara: Client, way: dict[str, str]) -> None:
    response = mara.get(url_of("member_invite"), headers=way)
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Invite member"
    assert page.one("label", for_="id_email").text == "Email address"
    assert [each.find("b")[0].text for each in page.find("label", class_="choice")] == [
        "Viewer", "Operator", "Admin", "Owner",
    ]  # fmt: skip
    fields = page.form_of("Invite").fields()
    assert (fields["role"], fields["email"]) == (["10"], [""])
    assert "current_password" not in fields
    assert page.one("a", "Cancel").attrs["href"] == url_of("member_list")


def test_the_link_is_shown_in_the_answer_and_nowhere_else(
    mara: Client, project: Project, way: dict[str, str]
) -> None:
    response = invite(mara, way)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Copy the invitation link"
    shown = page.one("output", id="link")
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/invitations/[0-9A-Za-z]{43}/", shown.text)
    # Emptied as the page is left; leaving it is fine, for there is another link where this one came from.
    assert {"data-secret", "data-stored"} <= shown.attrs.keys()
    button = page.one("button", "Copy link")
    assert button.attrs["data-copy-from"] == "#link"
    assert "data-autofocus" in button.attrs
    token = path_of(shown.text).split("/")[2]
    assert response.content.decode().count(token) == 1
    listed = Page(mara.get(url_of("member_list")))
    assert emails(listed, INVITATIONS) == [EMAIL]
    assert token not in listed.source
    assert Invitation.objects.get().role == Role.OPERATOR
    assert AuditEvent.objects.filter(project_id=project.pk).latest("number").address == "127.0.0.1"


def test_the_link_opens_the_invitation(mara: Client, way: dict[str, str]) -> None:
    link = Page(invite(mara, way)).one("output", id="link").text
    assert Page(Client().get(path_of(link))).heading == "Join Acme"


def test_a_second_click_makes_no_second_invitation(mara: Client, way: dict[str, str]) -> None:
    first, second = invite(mara, way), invite(mara, way)
    assert (first.status_code, second.status_code) == (200, 422)
    assert Invitation.objects.count() == 1


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no address": ({"email": ""}, "email", "Enter an e-mail address, such as mara@example.org."),
    "no such shape": ({"email": "ines"}, "email", "Enter an e-mail address, such as mara@example.org."),
    "two addresses": (
        {"email": "a@b.test, c@d.test"}, "email", "Enter an e-mail address, such as mara@example.org.",
    ),
    "a key": ({"email": TOKEN}, "email", "Enter an e-mail address, such as mara@example.org."),
    "nul": ({"email": "a\0@b.test"}, "email", "Null characters are not allowed."),
    "a member": ({"email": "VERA@example.test"}, "email", "This person is a member already."),
    "no role": ({"role": ""}, "role", "Choose a role."),
    "no such role": ({"role": "50"}, "role", "Choose a role."),
    "a word": ({"role": "owner"}, "role", "Choose a role."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses_with_words_of_its_own(mara: Client, viewer: User, way: dict[str, str], case: str) -> None:
    typed, field, words = REFUSED[case]
    response = invite(mara, way, **typed)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == [words]
    assert page.error_of(field) == [words]
    assert page.one(id="errors").one("a").attrs["href"] == f"#id_{field}"
    assert page.find(id=f"id_{field}")
    assert TOKEN[20:39] not in page.source
    assert not Invitation.objects.exists()
    if not way:
        assert page.title == "Error: Invite member · Acme · Keyrack"


def test_an_empty_post_is_refused(mara: Client, way: dict[str, str]) -> None:
    response = mara.post(url_of("member_invite"), {}, headers=way)
    assert response.status_code == 422


def test_whoever_is_invited_already_can_get_a_new_link_or_none(
    mara: Client, project: Project, owner: User, way: dict[str, str]
) -> None:
    waiting = invited(project, owner).invitation
    page = Page(invite(mara, way, email="Ines@Example.test "))
    assert page.problems() == ["This address is invited already."]
    assert page.link("Make a new link") == url_of("invitation_renew", waiting.public_id)
    assert page.link("revoke it") == url_of("invitation_revoke", waiting.public_id)


def test_whoever_is_not_fresh_gives_the_password_in_the_same_form(owner: User, way: dict[str, str]) -> None:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    client = signed_in(owner)
    page = Page(invite(client, way))
    assert page.problems() == ["Enter your password."]
    assert page.form_of("Invite").fields()["email"] == [EMAIL]
    assert not Invitation.objects.exists()
    assert Page(invite(client, way, current_password="not this one")).problems() == [
        "That password isn't right."
    ]
    assert Page(invite(client, way, current_password=PASSWORD)).heading == "Copy the invitation link"


@pytest.mark.parametrize("name", ["admin", "operator", "viewer"])
def test_it_is_for_owners(request: pytest.FixtureRequest, way: dict[str, str], name: str) -> None:
    client = fresh(request.getfixturevalue(name))
    assert client.get(url_of("member_invite"), headers=way).status_code == 403
    assert invite(client, way).status_code == 403
    assert not Invitation.objects.exists()


def test_it_is_not_taken_from_another_site(owner: User, way: dict[str, str]) -> None:
    client = signed_in(owner, enforce_csrf_checks=True)
    assert invite(client, way).status_code == 403
    assert not Invitation.objects.exists()


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_is_read_and_posted_only(mara: Client, method: str) -> None:
    assert getattr(mara, method)(url_of("member_invite")).status_code == 405


def test_an_invitation_that_has_ended_leaves_room(
    mara: Client, project: Project, owner: User, way: dict[str, str]
) -> None:
    given = invited(project, owner)
    invitations_of = Invitation.objects.filter(pk=given.invitation.pk)
    invitations_of.update(expires_at=given.invitation.created_at)
    assert invite(mara, way).status_code == 200
    assert invitations_of.get().revoked_at is not None


def test_without_javascript_it_goes_from_the_list_to_a_member(project: Project, owner: User) -> None:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    visitor = Visitor(owner)
    visitor.visit(url_of("member_list"))
    visitor.follow("Invite member")
    visitor.press("Invite", email="")
    page = visitor.press("Invite", email=EMAIL, role="30", current_password=PASSWORD)
    link = page.one("output", id="link").text
    visitor.follow("Done")
    assert emails(visitor.page, INVITATIONS) == [EMAIL]
    ines = Visitor()
    ines.visit(path_of(link))
    ines.press("Join Acme", name="", password1="x", password2="y")
    page = ines.press("Join Acme", name="Inês Prado", password1=PASSWORD, password2=PASSWORD)
    assert page.heading == "API keys"
    assert page.messages() == ["You joined Acme as Admin."]
    lifecycle.remove_member(
        project, User.objects.get(email=EMAIL), actor=acting(owner, project), at=owner.date_joined
    )
    assert ines.visit(url_of("key_list")).heading == "Page not found"
