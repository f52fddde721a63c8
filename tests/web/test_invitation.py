"""The page of an invitation's link: what it says to whom, what it accepts, and what it keeps to itself."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from projects import invitations, lifecycle, people
from projects.audit import Actor
from projects.invitations import Invited
from projects.models import SITE_LOG, AuditEvent, Invitation, Membership, Project, Role, User
from tests.db.test_invitations import rows
from tests.factories import MembershipFactory, UserFactory, acting, invited
from tests.web.pages import Page, Visitor, signed_in, url_of
from tests.web.people import EMAIL, PASSWORD, url_of_link

pytestmark = pytest.mark.django_db

TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"
MINE = "/invitations/mine/"


@pytest.fixture
def link(project: Project, owner: User, at: datetime) -> Invited:
    return invited(project, owner, at=at)


@pytest.fixture
def ines(db: None) -> User:
    """Somebody with an account who belongs to no project."""
    return User.objects.create_user(EMAIL, PASSWORD, name="Inês Prado")


def join(client: Client, link: Invited, headers: dict[str, str], **typed: str) -> Any:
    given = {"name": "Inês Prado", "password1": PASSWORD, "password2": PASSWORD} | typed
    return client.post(url_of_link(link), given, headers=headers)


def is_in(email: str = EMAIL) -> bool:
    return Membership.objects.filter(user__email=email, project__slug="acme").exists()


# Opening it


def test_it_says_who_invites_whom_to_what_as_what(client: Client, link: Invited, way: dict[str, str]) -> None:
    response = client.get(url_of_link(link), headers=way)
    assert response.status_code == 200
    page = Page(response)
    assert page.is_whole
    assert page.title == "Join Acme · Keyrack"
    assert page.heading == "Join Acme"
    assert f"Mara Lindqvist invites {EMAIL} to Acme as Operator." in page.texts("p")
    assert "Issues keys but privileged ones, edits their own, pauses and revokes any." in page.texts("p")


def test_whoever_has_no_account_is_asked_for_a_name_and_a_password(client: Client, link: Invited) -> None:
    page = Page(client.get(url_of_link(link)))
    labels = {each.attrs["for"]: each.text for each in page.content.find("label")}
    assert labels == {
        "id_name": "Your name", "id_password1": "Password", "id_password2": "Password again",
    }  # fmt: skip
    passwords = [page.one("input", id=f"id_password{n}").attrs for n in (1, 2)]
    assert {each["autocomplete"] for each in passwords} == {"new-password"}
    # For whoever keeps the password: whose it is.
    username = page.one("input", autocomplete="username")
    assert (username.attrs["value"], "hidden" in username.attrs) == (EMAIL, True)


def test_opening_it_changes_nothing_however_often(
    client: Client, link: Invited, ines: User, way: dict[str, str]
) -> None:
    before = rows()
    for visitor in (client, signed_in(ines)):
        seen = rows()
        for _ in range(3):
            assert visitor.get(url_of_link(link), headers=way).status_code == 200
            assert visitor.head(url_of_link(link), headers=way).status_code == 200
        assert rows() == seen
    assert rows()["Invitation"] == before["Invitation"]
    assert not is_in()


def test_no_page_repeats_the_token_or_lets_a_browser_send_it_on(
    client: Client, link: Invited, ines: User, outsider: User, way: dict[str, str]
) -> None:
    User.objects.filter(pk=ines.pk).update(email="x@example.test")
    answers = [
        client.get(url_of_link(link), headers=way),
        join(client, link, way, password2="another"),
        signed_in(outsider).get(url_of_link(link), headers=way),
        Client(enforce_csrf_checks=True).post(url_of_link(link), headers=way),
    ]
    User.objects.filter(pk=ines.pk).update(email=EMAIL)
    answers += [client.get(url_of_link(link), headers=way), signed_in(ines).get(url_of_link(link))]
    assert [answer.status_code for answer in answers] == [200, 422, 200, 403, 200, 200]
    for answer in answers:
        assert link.token not in answer.content.decode() + str(answer.headers) + str(answer.cookies)
        assert answer["Referrer-Policy"] == "strict-origin"
    assert "no-store" in answers[0]["Cache-Control"]


# Joining with a new account


def test_joining_makes_the_account_signs_in_and_leads_to_the_keys(
    client: Client, project: Project, link: Invited, way: dict[str, str]
) -> None:
    response = join(client, link, way)
    assert (response.status_code, response["Location"]) == (302, url_of("key_list"))
    page = Page(client.get(response["Location"]))
    assert page.heading == "API keys"
    assert page.messages() == ["You joined Acme as Operator."]
    person = User.objects.get(email=EMAIL)
    assert (person.name, person.is_staff, person.check_password(PASSWORD)) == ("Inês Prado", False, True)
    assert Membership.objects.get(user=person).role == Role.OPERATOR
    site = AuditEvent.objects.filter(project_id=SITE_LOG).values_list("verb", flat=True)
    assert list(site) == ["person.created", "person.signed_in"]
    assert PASSWORD not in str(rows())


def test_whoever_has_just_joined_is_fresh(client: Client, project: Project, owner: User) -> None:
    link = invited(project, owner, role=Role.OWNER)
    join(client, link, {})
    page = Page(client.get(url_of("member_invite")))
    assert not page.find(id="id_current_password")


def test_the_password_signs_in_afterwards(client: Client, link: Invited) -> None:
    join(client, link, {})
    again = Client().post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    assert (again.status_code, again["Location"]) == (302, "/")


REFUSED: dict[str, tuple[dict[str, str], str, str]] = {
    "no name": ({"name": " "}, "name", "Enter your name."),
    "unseen": (
        {"name": "a\u202eb"}, "name", "Use letters, digits, blanks and punctuation that can be seen.",
    ),
    "long name": ({"name": "x " * 101}, "name", "Use 100 characters or fewer."),
    "key as name": (
        {"name": TOKEN}, "name",
        "That looks like an API key. Keys don't belong here: nobody should be able to read it.",
    ),
    "no password": ({"password1": ""}, "password1", "Enter a password."),
    "once": ({"password2": ""}, "password2", "Enter the password again."),
    "not the same": ({"password2": "correct horse"}, "password2", "Type the same password twice."),
    "short": (
        {"password1": "short", "password2": "short"}, "password1",
        "This password is too short. It must contain at least 10 characters.",
    ),
    "common": (
        {"password1": "password123", "password2": "password123"}, "password1",
        "This password is too common.",
    ),
    "like the address": (
        {"password1": EMAIL, "password2": EMAIL}, "password1",
        "The password is too similar to the email address.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses_with_words_of_its_own(
    client: Client, link: Invited, way: dict[str, str], case: str
) -> None:
    typed, field, words = REFUSED[case]
    response = join(client, link, way, **typed)
    assert response.status_code == 422
    page = Page(response)
    assert page.title == "Error: Join Acme · Keyrack"
    assert page.problems() == [words]
    assert page.error_of(field) == [words]
    assert page.one(id="errors").one("a").attrs["href"] == f"#id_{field}"
    assert TOKEN[20:39] not in page.source
    assert PASSWORD not in page.source
    assert not User.objects.filter(email=EMAIL).exists()


def test_an_empty_post_is_refused(client: Client, link: Invited, way: dict[str, str]) -> None:
    response = client.post(url_of_link(link), {}, headers=way)
    assert response.status_code == 422
    assert len(Page(response).problems()) == 3


def test_the_address_and_the_role_are_the_invitation_s_whatever_is_sent(
    client: Client, link: Invited, way: dict[str, str]
) -> None:
    join(client, link, way, email="evil@example.test", username="evil@example.test", role="40", is_staff="on")
    person = User.objects.get(email=EMAIL)
    assert Membership.objects.get(user=person).role == Role.OPERATOR
    assert not person.is_staff
    assert not User.objects.filter(email="evil@example.test").exists()


def test_a_second_opening_says_that_it_is_used(client: Client, link: Invited, way: dict[str, str]) -> None:
    join(client, link, way)
    for visitor in (client, Client()):
        for response in (visitor.get(url_of_link(link), headers=way), join(visitor, link, way)):
            assert response.status_code == 410
            assert Page(response).heading == "This invitation was used already"
    assert Membership.objects.filter(user__email=EMAIL).count() == 1


# With an account


def test_whoever_has_an_account_signs_in_and_comes_back(link: Invited, ines: User) -> None:
    visitor = Visitor()
    page = visitor.visit(url_of_link(link))
    assert not page.find("input", type="password")
    here = page.link(f"Sign in as {EMAIL} to join")
    assert here == f"{MINE}{link.invitation.public_id}/"
    page = visitor.follow(f"Sign in as {EMAIL} to join")
    assert page.heading == "Sign in"
    assert link.token not in page.source + visitor.url
    page = visitor.press("Sign in", login=EMAIL, password=PASSWORD)
    assert page.heading == "Join Acme"
    assert not is_in()
    page = visitor.press("Join Acme")
    assert page.heading == "API keys"
    assert page.messages() == ["You joined Acme as Operator."]
    assert is_in()


def test_whoever_is_signed_in_to_it_joins_by_the_button(
    link: Invited, ines: User, way: dict[str, str]
) -> None:
    client = signed_in(ines)
    page = Page(client.get(url_of_link(link), headers=way))
    assert page.form_of("Join Acme").fields().keys() == {"csrfmiddlewaretoken"}
    response = client.post(url_of_link(link), headers=way)
    assert (response.status_code, response["Location"]) == (303, url_of("key_list"))
    assert is_in()


def test_a_post_of_somebody_signed_out_takes_no_account_over(
    client: Client, link: Invited, ines: User, way: dict[str, str]
) -> None:
    response = join(client, link, way, password1="quartz lantern 77", password2="quartz lantern 77")
    assert response.status_code == 409
    page = Page(response)
    assert page.one("p", role="alert").text.startswith("There is an account with this address by now.")
    assert page.find("a", f"Sign in as {EMAIL} to join")
    assert User.objects.get(email=EMAIL).check_password(PASSWORD)
    assert not is_in()


def test_an_account_that_comes_to_be_in_between_is_left_alone(
    client: Client, link: Invited, monkeypatch: pytest.MonkeyPatch, way: dict[str, str]
) -> None:
    def late(person: User, _password: str) -> str:
        # The page has seen that there is none; the verb is about to lock.
        people.create_person(person.email, actor=Actor.system(), at=person.date_joined)
        return "!"

    monkeypatch.setattr("projects.invitations._hashed", late)
    response = join(client, link, way)
    assert response.status_code == 409
    assert Page(response).find("a", f"Sign in as {EMAIL} to join")
    assert not is_in()


def test_somebody_else_is_told_so_and_may_sign_out(
    link: Invited, outsider: User, way: dict[str, str]
) -> None:
    client = signed_in(outsider)
    page = Page(client.get(url_of_link(link), headers=way))
    alert = page.content.one("p", role="alert").text
    assert alert == f"You are signed in as {outsider.email}, and this invitation is for {EMAIL}."
    assert "Sign out, then open the link again." in page.texts("p")
    assert not page.content.find("button", "Join Acme")
    before = rows()
    assert client.post(url_of_link(link), headers=way).status_code == 409
    assert rows() == before


def test_whoever_signs_out_of_another_account_comes_to_their_own(
    link: Invited, ines: User, outsider: User
) -> None:
    visitor = Visitor(outsider)
    page = visitor.visit(url_of_link(link))
    assert f"Sign out, then sign in as {EMAIL}." in page.texts("p")
    form = page.content.one("button", "Sign out").above("form")
    fields = {node.attrs["name"]: node.attrs["value"] for node in form.find("input")}
    assert fields["next"] == f"{MINE}{link.invitation.public_id}/"
    response = visitor.client.post(form.attrs["action"], fields)
    page = visitor.visit(response["Location"])
    assert page.heading == "Sign in"
    assert visitor.press("Sign in", login=EMAIL, password=PASSWORD).heading == "Join Acme"


def test_a_member_already_is_led_to_the_project(
    project: Project, owner: User, link: Invited, ines: User, at: datetime, way: dict[str, str]
) -> None:
    lifecycle.add_member(project, ines, Role.VIEWER, actor=acting(owner, project), at=at)
    client = signed_in(ines)
    page = Page(client.get(url_of_link(link), headers=way))
    assert "You are a member of Acme already." in page.texts("p")
    assert page.link("Go to its keys") == url_of("key_list")
    assert client.post(url_of_link(link), headers=way).status_code == 409
    assert Membership.objects.get(user=ines).role == Role.VIEWER


# Where it isn't good

End = Callable[[Project, User, Invited, datetime], object]

CLOSED: dict[str, tuple[End, int, str]] = {
    "accepted": (
        lambda p, u, i, at: invitations.join(i.invitation, name="Inês", password=PASSWORD, at=at),
        410, "This invitation was used already",
    ),
    "revoked": (
        lambda p, u, i, at: invitations.revoke_invitation(
            p, i.invitation.public_id, actor=acting(u, p), at=at
        ),
        410, "This invitation isn't good any more",
    ),
    "replaced": (
        lambda p, u, i, at: invitations.make_new_link(
            p, i.invitation.public_id, version=1, actor=acting(u, p), at=at
        ),
        404, "This invitation doesn't work",
    ),
    "expired": (
        lambda p, u, i, at: Invitation.objects.update(expires_at=at - timedelta(seconds=1)),
        410, "This invitation has expired",
    ),
    "inviter demoted": (
        lambda p, u, i, at: lifecycle.change_role(p, u, Role.ADMIN, actor=Actor.system(), at=at),
        410, "This invitation isn't good any more",
    ),
    "inviter removed": (
        lambda p, u, i, at: lifecycle.remove_member(p, u, actor=Actor.system(), at=at),
        410, "This invitation isn't good any more",
    ),
    "inviter deactivated": (
        lambda p, u, i, at: people.deactivate_person(u, actor=Actor.system(), at=at),
        410, "This invitation isn't good any more",
    ),
    "project deleted": (
        lambda p, u, i, at: lifecycle.delete_project(p, actor=Actor.system(), at=at),
        410, "This invitation isn't good any more",
    ),
    "account deactivated": (
        lambda p, u, i, at: UserFactory(email=EMAIL, is_active=False),
        410, "This invitation isn't good any more",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLOSED)
def test_what_is_not_good_says_why_and_nothing_of_the_project(
    client: Client, project: Project, owner: User, link: Invited, at: datetime, way: dict[str, str], case: str
) -> None:
    MembershipFactory(project=project, role=Role.OWNER)
    end, status, heading = CLOSED[case]
    end(project, owner, link, at)
    before = rows()
    for response in (client.get(url_of_link(link), headers=way), join(client, link, way)):
        assert response.status_code == status
        page = Page(response)
        assert page.heading == heading
        assert page.title == "Invitation · Keyrack"
        assert not any(word in page.source for word in ("Acme", "acme", EMAIL, "Mara", link.token))
        assert page.link("Sign in") == "/account/login/"
        assert "no-store" in response["Cache-Control"]
    assert rows() == before


@pytest.mark.parametrize(
    "token", ["nothing", "A" * 43, "mine", "a%00b", "%ff", "..", "x" * 500, TOKEN, "%F0%9F%94%91"]
)
def test_an_invented_link_doesn_t_work(
    client: Client, link: Invited, way: dict[str, str], token: str
) -> None:
    for method in (client.get, client.post):
        response = method(f"/invitations/{token}/", headers=way)
        assert response.status_code == 404
        assert token not in Page(response).content.text


def test_a_link_that_was_cut_short_says_so(client: Client, link: Invited) -> None:
    page = Page(client.get(url_of_link(link)[:-2] + "/"))
    assert page.heading == "This invitation doesn't work"
    assert any(text.startswith("Check that you have the whole link.") for text in page.texts("p"))


# Limits


def test_it_is_not_tried_at_leisure(client: Client, link: Invited) -> None:
    codes = [client.get(f"/invitations/{number:043}/").status_code for number in range(31)]
    assert codes == [404] * 30 + [429]
    # Whoever guesses right after too many tries is not let in by it either.
    assert client.get(url_of_link(link)).status_code == 429
    assert join(client, link, {}).status_code == 429
    elsewhere = client.get(url_of_link(link), REMOTE_ADDR="198.51.100.7")
    assert elsewhere.status_code == 200


def test_it_is_not_taken_from_another_site(link: Invited, ines: User, way: dict[str, str]) -> None:
    client = signed_in(ines, enforce_csrf_checks=True)
    assert client.post(url_of_link(link), headers=way).status_code == 403
    assert not is_in()


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_is_read_and_posted_only(client: Client, link: Invited, method: str) -> None:
    assert getattr(client, method)(url_of_link(link)).status_code == 405


def test_whoever_must_change_the_password_does_not_carry_the_link_along(link: Invited, ines: User) -> None:
    User.objects.filter(pk=ines.pk).update(must_change_password=True)
    response = signed_in(ines).get(url_of_link(link))
    assert response.status_code == 302
    assert response["Location"] == "/account/password/change/?next=%2F"
