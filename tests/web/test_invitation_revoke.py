"""Revoke an invitation: its link opens nothing from then on."""

from typing import Any

import pytest
from django.test import Client

from projects import invitations
from projects.invitations import Invited
from projects.models import Invitation, Project, User
from tests.factories import invited
from tests.web.pages import Page, freshen, signed_in, url_of
from tests.web.people import EMAIL, INVITATIONS, fresh, url_of_link

pytestmark = pytest.mark.django_db

LIST = "http://testserver/projects/acme/settings/members/"


@pytest.fixture
def mara(owner: User) -> Client:
    return freshen(signed_in(owner))


@pytest.fixture
def waiting(project: Project, owner: User) -> Invited:
    return invited(project, owner)


def revoke(client: Client, given: Invited, headers: dict[str, str]) -> Any:
    return client.post(url_of("invitation_revoke", given.invitation.public_id), headers=headers)


def test_it_asks_first_and_a_get_ends_nothing(mara: Client, waiting: Invited, way: dict[str, str]) -> None:
    page = Page(mara.get(url_of("invitation_revoke", waiting.invitation.public_id), headers=way))
    assert page.heading == "Revoke invitation?"
    assert page.one("a", "Keep invitation").attrs["href"] == url_of("member_list")
    assert Client().get(url_of_link(waiting)).status_code == 200


def test_without_htmx_the_list_says_so(mara: Client, waiting: Invited) -> None:
    response = revoke(mara, waiting, {})
    assert (response.status_code, response["Location"]) == (303, url_of("member_list"))
    page = Page(mara.get(response["Location"]))
    assert page.messages() == [f"The invitation of {EMAIL} was revoked."]
    assert INVITATIONS not in page.texts("caption")
    assert Client().get(url_of_link(waiting)).status_code == 410


def test_with_htmx_the_table_is_put_in_its_place_and_the_dialog_closes(
    mara: Client, waiting: Invited
) -> None:
    response = revoke(mara, waiting, {"HX-Request": "true", "HX-Current-URL": LIST})
    assert response.status_code == 200
    assert (response["HX-Retarget"], response["HX-Reswap"]) == ("#listing", "outerHTML")
    assert '"keyrack:close"' in response["HX-Trigger-After-Settle"]
    page = Page(response)
    assert page.messages() == [f"The invitation of {EMAIL} was revoked."]
    assert INVITATIONS not in page.texts("caption")


def test_from_another_page_it_leads_to_the_list(mara: Client, waiting: Invited) -> None:
    elsewhere = {"HX-Request": "true", "HX-Current-URL": f"{LIST}invite/"}
    assert revoke(mara, waiting, elsewhere)["HX-Redirect"] == url_of("member_list")


def test_a_second_time_says_that_it_happened_before(
    mara: Client, waiting: Invited, way: dict[str, str]
) -> None:
    revoke(mara, waiting, way)
    response = revoke(mara, waiting, way)
    assert response.status_code == 409
    assert Page(response).one("p", role="alert").text == f"The invitation of {EMAIL} was revoked already."


def test_what_was_accepted_is_too_late_to_take_back(
    mara: Client, waiting: Invited, way: dict[str, str]
) -> None:
    found = waiting.invitation
    invitations.join(found, name="Inês", password="quartz lantern 77", at=found.created_at)
    response = revoke(mara, waiting, way)
    assert response.status_code == 409
    assert Page(response).one("p", role="alert").text == f"{EMAIL} has accepted this invitation already."
    assert Invitation.objects.get().revoked_at is None


def test_it_is_for_owners(admin: User, waiting: Invited, way: dict[str, str]) -> None:
    assert revoke(fresh(admin), waiting, way).status_code == 403
    assert Invitation.objects.get().revoked_at is None
