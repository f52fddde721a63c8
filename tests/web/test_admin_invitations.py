"""Invitations in the administration: found, read and revoked, never made."""

from datetime import datetime

import pytest
from django.test import Client

from projects.invitations import Invited
from projects.models import Invitation, Project, Role, User
from tests.factories import UserFactory, invited
from tests.web.pages import Page, Visitor, signed_in
from tests.web.people import EMAIL, url_of_link

pytestmark = pytest.mark.django_db

HERE = "/admin/projects/invitation/"


@pytest.fixture
def ines(db: None) -> User:
    return UserFactory(name="Ines Varga", email="varga@example.test", is_staff=True)


@pytest.fixture
def staff(ines: User) -> Client:
    return signed_in(ines)


@pytest.fixture
def link(project: Project, owner: User, at: datetime) -> Invited:
    return invited(project, owner, role=Role.ADMIN, at=at)


def found(page: Page) -> list[str]:
    return [row["Email address"].text for row in page.rows("Invitations")] if page.find("tbody") else []


def test_the_list_shows_who_is_invited_to_what(staff: Client, link: Invited) -> None:
    (row,) = Page(staff.get(HERE)).rows("Invitations")
    assert [row[name].text for name in ("Email address", "Project", "Role", "Invited by", "State")] == [
        EMAIL, "Acme", "Admin", "Mara Lindqvist", "Open",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("project=acme", [EMAIL]),
        ("project=elsewhere", []),
        ("state=waiting", [EMAIL]),
        ("state=revoked", []),
        ("state=accepted", []),
        ("state=other", []),
        ("q=INES", [EMAIL]),
        ("q=otto", []),
    ],
)
def test_they_are_searched_and_filtered(
    staff: Client, link: Invited, outsider: User, query: str, seen: list[str]
) -> None:
    assert found(Page(staff.get(f"{HERE}?{query}"))) == seen


def test_the_members_page_leads_there(ines: User, link: Invited) -> None:
    visitor = Visitor(ines)
    visitor.visit("/admin/projects/membership/")
    page = visitor.visit(visitor.page.content.one("a", "Invitations").attrs["href"])
    assert found(page) == [EMAIL]


def test_staff_revoke_one_under_their_own_name(ines: User, link: Invited) -> None:
    visitor = Visitor(ines)
    visitor.visit(f"{HERE}{link.invitation.public_id}/change/")
    visitor.follow("Revoke")
    page = visitor.press("Revoke")
    assert page.messages() == [f"The invitation of {EMAIL} was revoked."]
    assert not page.content.find("a", "Revoke")
    assert Client().get(url_of_link(link)).status_code == 410
    latest = page.rows("Latest events")[0]
    assert (latest["What"].text, latest["Who"].text) == ("invitation.revoked", "Ines Varga")


def test_a_second_time_is_too_late(staff: Client, link: Invited) -> None:
    url = f"{HERE}{link.invitation.public_id}/revoke/"
    assert staff.post(url).status_code == 303
    response = staff.post(url)
    assert response.status_code == 409
    assert f"The invitation of {EMAIL} was revoked already." in response.content.decode()


def test_no_page_shows_the_link_or_its_hash(staff: Client, link: Invited) -> None:
    stored = Invitation.objects.get().token_hash
    for url in (HERE, f"{HERE}{link.invitation.public_id}/change/"):
        page = Page(staff.get(url))
        assert link.token not in page.source
        assert stored not in page.source


def test_none_is_made_or_changed_here(staff: Client, link: Invited) -> None:
    for path in ("add/", f"{link.invitation.public_id}/delete/", f"{link.invitation.public_id}/edit/"):
        assert staff.get(f"{HERE}{path}").status_code == 404
        assert staff.post(f"{HERE}{path}").status_code == 404


def test_a_member_who_is_not_staff_is_turned_away(owner: User, link: Invited) -> None:
    response = signed_in(owner).post(f"{HERE}{link.invitation.public_id}/revoke/", follow=True)
    assert response.status_code == 403
    assert Invitation.objects.get().revoked_at is None
