"""An invitation by its public id: for the account that it is for, and for nobody else."""

from datetime import datetime

import pytest
from django.test import Client
from django.urls import reverse

from projects import invitations
from projects.invitations import Invited
from projects.models import Membership, Project, User
from tests.factories import acting, invited
from tests.web.pages import Page, signed_in, url_of
from tests.web.people import EMAIL, PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def link(project: Project, owner: User, at: datetime) -> Invited:
    return invited(project, owner, at=at)


@pytest.fixture
def ines(db: None) -> User:
    return User.objects.create_user(EMAIL, PASSWORD, name="Inês Prado")


def here(link: Invited) -> str:
    return reverse("invitation_mine", args=[link.invitation.public_id])


def test_it_shows_the_invitation_and_joins_by_the_button(
    link: Invited, ines: User, way: dict[str, str]
) -> None:
    client = signed_in(ines)
    response = client.get(here(link), headers=way)
    page = Page(response)
    assert page.heading == "Join Acme"
    assert "no-store" in response["Cache-Control"]
    assert not Membership.objects.filter(user=ines).exists()
    response = client.post(here(link), headers=way)
    assert (response.status_code, response["Location"]) == (303, url_of("key_list"))
    assert Membership.objects.filter(user=ines).exists()


def test_to_anybody_else_it_is_as_if_there_were_none(
    link: Invited, owner: User, outsider: User, way: dict[str, str]
) -> None:
    for user in (owner, outsider):
        client = signed_in(user)
        for method in (client.get, client.post):
            real = method(here(link), headers=way)
            none = method("/invitations/mine/AAAAAAAAAAAA/", headers=way)
            assert (real.status_code, none.status_code) == (404, 404)
            assert Page(real).content.text == Page(none).content.text
            assert "Acme" not in Page(real).content.text
    assert not Membership.objects.filter(user__email=EMAIL).exists()


def test_whoever_is_signed_out_signs_in_first(client: Client, link: Invited) -> None:
    response = client.get(here(link))
    assert (response.status_code, response["Location"]) == (302, f"/account/login/?next={here(link)}")


def test_one_that_has_ended_says_so(
    project: Project, owner: User, link: Invited, ines: User, at: datetime, way: dict[str, str]
) -> None:
    invitations.revoke_invitation(project, link.invitation.public_id, actor=acting(owner, project), at=at)
    client = signed_in(ines)
    for method in (client.get, client.post):
        response = method(here(link), headers=way)
        assert response.status_code == 410
        assert Page(response).heading == "This invitation isn't good any more"
        assert Page(response).link("Go to your projects") == "/"


def test_an_address_that_is_none_is_a_404(ines: User, way: dict[str, str]) -> None:
    client = signed_in(ines)
    for address in ("x", "A" * 13, "..", "%00"):
        assert client.get(f"/invitations/mine/{address}/", headers=way).status_code == 404


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_is_read_and_posted_only(link: Invited, ines: User, method: str) -> None:
    assert getattr(signed_in(ines), method)(here(link)).status_code == 405


def test_it_is_not_taken_from_another_site(link: Invited, ines: User, way: dict[str, str]) -> None:
    client = signed_in(ines, enforce_csrf_checks=True)
    assert client.post(here(link), headers=way).status_code == 403
    assert not Membership.objects.filter(user=ines).exists()
