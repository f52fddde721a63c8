"""Make a new link: it is shown once, and the one before stops working."""

from typing import Any

import pytest
from django.test import Client

from projects import invitations
from projects.invitations import Invited
from projects.models import Invitation, Project, User
from tests.factories import acting, invited
from tests.web.pages import Page, signed_in, url_of
from tests.web.people import EMAIL, PASSWORD, fresh, path_of, url_of_link

pytestmark = pytest.mark.django_db


@pytest.fixture
def mara(owner: User) -> Client:
    return fresh(owner)


@pytest.fixture
def waiting(project: Project, owner: User) -> Invited:
    return invited(project, owner)


def renew(client: Client, given: Invited, headers: dict[str, str], **typed: str) -> Any:
    url = url_of("invitation_renew", given.invitation.public_id)
    return client.post(url, {"version": "1"} | typed, headers=headers)


def test_it_says_what_becomes_of_the_link_before(mara: Client, waiting: Invited, way: dict[str, str]) -> None:
    page = Page(mara.get(url_of("invitation_renew", waiting.invitation.public_id), headers=way))
    assert page.heading == "Make a new link?"
    assert any("The one that it had stops working at once." in text for text in page.texts("p"))
    assert page.form_of("Make a new link").fields()["version"] == ["1"]
    assert "data-autofocus" in page.one("a", "Cancel").attrs


def test_the_new_one_works_and_the_old_one_does_not(
    mara: Client, waiting: Invited, way: dict[str, str]
) -> None:
    response = renew(mara, waiting, way)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    link = Page(response).one("output", id="link").text
    assert Page(Client().get(path_of(link))).heading == "Join Acme"
    assert Client().get(url_of_link(waiting)).status_code == 404


def test_a_second_click_replaces_nothing(mara: Client, waiting: Invited, way: dict[str, str]) -> None:
    link = Page(renew(mara, waiting, way)).one("output", id="link").text
    response = renew(mara, waiting, way)
    assert response.status_code == 409
    page = Page(response)
    assert page.heading == "Nothing was changed"
    assert page.one("p", role="alert").text.startswith("Somebody has made a new link")
    assert page.link("Back to members") == url_of("member_list")
    assert Client().get(path_of(link)).status_code == 200


@pytest.mark.parametrize("version", ["", "x", "-1", "9" * 12, "1.5"])
def test_a_number_that_was_changed_is_refused(
    mara: Client, waiting: Invited, way: dict[str, str], version: str
) -> None:
    response = renew(mara, waiting, way, version=version)
    assert response.status_code == 422
    assert Page(response).problems()[0].startswith("Open this form anew")
    assert Client().get(url_of_link(waiting)).status_code == 200


def test_what_has_ended_gets_none(
    mara: Client, project: Project, owner: User, waiting: Invited, way: dict[str, str]
) -> None:
    invitations.revoke_invitation(
        project, waiting.invitation.public_id, actor=acting(owner, project), at=owner.date_joined
    )
    response = renew(mara, waiting, way)
    assert response.status_code == 409
    assert Page(response).one("p", role="alert").text == f"The invitation of {EMAIL} was revoked already."


def test_whoever_became_a_member_gets_none(
    mara: Client, waiting: Invited, project: Project, viewer: User, way: dict[str, str]
) -> None:
    User.objects.filter(pk=viewer.pk).update(email=EMAIL)
    response = renew(mara, waiting, way)
    assert response.status_code == 422
    assert Page(response).problems() == ["This person is a member already."]


def test_whoever_is_not_fresh_gives_the_password_in_the_same_form(
    owner: User, waiting: Invited, way: dict[str, str]
) -> None:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    client = signed_in(owner)
    assert Page(renew(client, waiting, way)).problems() == ["Enter your password."]
    assert Invitation.objects.get().version == 1
    assert renew(client, waiting, way, current_password=PASSWORD).status_code == 200


def test_it_is_for_owners(admin: User, waiting: Invited, way: dict[str, str]) -> None:
    assert renew(fresh(admin), waiting, way).status_code == 403
