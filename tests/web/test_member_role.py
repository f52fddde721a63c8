"""Change a role: what it asks, what it refuses, and what the page shows afterwards."""

from typing import Any

import pytest
from django.test import Client

from projects import lifecycle
from projects.models import Membership, Project, Role, User
from tests.factories import MembershipFactory, acting
from tests.web.pages import Page, Visitor, signed_in, url_of
from tests.web.people import MEMBERS, PASSWORD, emails, fresh

pytestmark = pytest.mark.django_db

LIST = "http://testserver/projects/acme/settings/members/"
ANEW = "Open this form anew"


@pytest.fixture
def mara(owner: User) -> Client:
    return fresh(owner)


def change(client: Client, user: User, headers: dict[str, str], **typed: Any) -> Any:
    given = {"role": "30", "was": "20"} | typed
    return client.post(url_of("member_role", user.public_id), given, headers=headers)


def role_of(user: User) -> int | None:
    return Membership.objects.filter(user=user).values_list("role", flat=True).first()


def test_the_form_shows_the_role_that_they_have(mara: Client, operator: User, way: dict[str, str]) -> None:
    page = Page(mara.get(url_of("member_role", operator.public_id), headers=way))
    assert page.heading == "Role of Otis Brandt"
    fields = page.form_of("Change role").fields()
    assert (fields["role"], fields["was"]) == (["20"], ["20"])
    assert role_of(operator) == Role.OPERATOR


def test_without_htmx_the_list_says_so(mara: Client, operator: User) -> None:
    response = change(mara, operator, {})
    assert (response.status_code, response["Location"]) == (303, url_of("member_list"))
    page = Page(mara.get(response["Location"]))
    assert page.messages() == ["Otis Brandt is now Admin in Acme."]
    assert [row["Role"].text for row in page.rows(MEMBERS)] == ["Owner", "Admin"]


def test_with_htmx_the_table_is_put_in_its_place(mara: Client, operator: User) -> None:
    response = change(mara, operator, {"HX-Request": "true", "HX-Current-URL": LIST})
    assert (response.status_code, response["HX-Retarget"]) == (200, "#listing")
    page = Page(response)
    assert page.messages() == ["Otis Brandt is now Admin in Acme."]
    assert [row["Role"].text for row in page.rows(MEMBERS)] == ["Owner", "Admin"]


def test_it_counts_from_the_next_click(mara: Client, operator: User, way: dict[str, str]) -> None:
    otis = signed_in(operator)
    assert otis.get(url_of("key_create")).status_code == 200
    change(mara, operator, way, role="10")
    assert otis.get(url_of("key_create")).status_code == 403


def test_somebody_else_s_change_is_not_lost(
    mara: Client, project: Project, owner: User, operator: User, way: dict[str, str]
) -> None:
    lifecycle.change_role(project, operator, Role.VIEWER, actor=acting(owner, project), at=owner.date_joined)
    response = change(mara, operator, way)
    assert response.status_code == 409
    said = "Otis Brandt is Viewer by now: somebody else has changed the role."
    assert Page(response).one("p", role="alert").text == said
    assert role_of(operator) == Role.VIEWER


def test_the_last_owner_stays_one(mara: Client, owner: User, way: dict[str, str]) -> None:
    response = change(mara, owner, way, was="40")
    assert response.status_code == 422
    said = "Mara Lindqvist is the last owner of Acme. Make somebody else an owner first."
    assert Page(response).problems() == [said]
    assert role_of(owner) == Role.OWNER


def test_an_owner_who_steps_down_sees_the_page_as_it_is_for_them_now(
    mara: Client, project: Project, owner: User, way: dict[str, str]
) -> None:
    MembershipFactory(project=project, role=Role.OWNER)
    response = change(mara, owner, way, role="10", was="40")
    assert response.get("HX-Redirect", response.get("Location")) == url_of("member_list")
    page = Page(mara.get(url_of("member_list")))
    assert page.messages() == ["You are now Viewer in Acme."]
    assert not page.content.find("a", "Invite member")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"role": ""}, "Choose a role."),
        ({"role": "15"}, "Choose a role."),
        ({"role": "owner"}, "Choose a role."),
        ({"was": ""}, f"{ANEW}: it was sent without its number."),
        ({"was": "15"}, f"{ANEW}: its number was changed."),
    ],
)
def test_it_refuses_with_words_of_its_own(
    mara: Client, operator: User, way: dict[str, str], typed: dict[str, str], words: str
) -> None:
    response = change(mara, operator, way, **typed)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == [words]
    if not way:
        assert page.title == "Error: Role of Otis Brandt · Acme · Keyrack"
    assert role_of(operator) == Role.OPERATOR


def test_whoever_is_not_fresh_gives_the_password_in_the_same_form(
    owner: User, operator: User, way: dict[str, str]
) -> None:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    client = signed_in(owner)
    page = Page(change(client, operator, way))
    assert page.problems() == ["Enter your password."]
    assert page.form_of("Change role").fields()["role"] == ["30"]
    change(client, operator, way, current_password=PASSWORD)
    assert role_of(operator) == Role.ADMIN


@pytest.mark.parametrize("name", ["admin", "operator", "viewer"])
def test_it_is_for_owners(request: pytest.FixtureRequest, way: dict[str, str], name: str) -> None:
    user = request.getfixturevalue(name)
    before = role_of(user)
    assert change(fresh(user), user, way, role="40", was=str(before)).status_code == 403
    assert role_of(user) == before


def test_whoever_is_no_member_has_no_role(mara: Client, outsider: User, way: dict[str, str]) -> None:
    assert change(mara, outsider, way).status_code == 404
    assert mara.get(url_of("member_role", outsider.public_id), headers=way).status_code == 404


def test_without_javascript_it_goes_from_the_list_and_back(owner: User, operator: User) -> None:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    visitor = Visitor(owner)
    visitor.visit(url_of("member_list"))
    visitor.follow("Change role of Otis Brandt")
    page = visitor.press("Change role", role="40", current_password=PASSWORD)
    assert page.messages() == ["Otis Brandt is now Owner in Acme."]
    assert emails(page, MEMBERS)[0] == "otis@example.test"
