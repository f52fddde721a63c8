"""Remove a member: what stays, what it refuses, and leaving by oneself."""

from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from keys import lifecycle
from keys.kinds import KeyType
from projects.audit import Actor
from projects.models import Membership, Project, Role, User
from tests.factories import IssuedFactory, MembershipFactory, acting
from tests.web.pages import Page, Visitor, signed_in, url_of
from tests.web.people import MEMBERS, PASSWORD, emails, fresh

pytestmark = pytest.mark.django_db

LIST = "http://testserver/projects/acme/settings/members/"


@pytest.fixture
def mara(owner: User) -> Client:
    return fresh(owner)


def ask(client: Client, user: User, headers: dict[str, str] | None = None) -> Page:
    return Page(client.get(url_of("member_remove", user.public_id), headers=headers or {}))


def remove(client: Client, user: User, headers: dict[str, str], **typed: str) -> Any:
    return client.post(url_of("member_remove", user.public_id), typed, headers=headers)


def is_in(user: User) -> bool:
    return Membership.objects.filter(user=user, project__slug="acme").exists()


def made(project: Project, user: User, at: datetime, *names: str) -> None:
    for name in names:
        IssuedFactory(project=project, actor=acting(user, project), at=at, name=name)


def kept(page: Page) -> list[str]:
    """Return what the list of the keys that stay names."""
    return [text for each in page.find("ul", class_="issued") for text in each.texts("li")]


# Before


def test_it_says_that_they_leave_no_keys_behind(mara: Client, operator: User, way: dict[str, str]) -> None:
    page = ask(mara, operator, way)
    assert page.heading == "Remove Otis Brandt?"
    assert "The project is gone for otis@example.test at once. The account stays." in page.texts("p")
    assert "data-autofocus" in page.one("a", "Keep member").attrs
    assert kept(page) == []
    assert not page.find("a", "Review keys")
    assert is_in(operator)


def test_it_names_the_keys_that_keep_working(
    mara: Client, project: Project, operator: User, at: datetime, way: dict[str, str]
) -> None:
    made(project, operator, at, "Docs crawler", "Teams bot", "Nightly export")
    page = ask(mara, operator, way)
    assert any(text.startswith("Their 3 keys keep working.") for text in page.texts("p"))
    assert sorted(kept(page)) == ["Docs crawler", "Nightly export", "Teams bot"]
    review = page.link("Review keys")
    assert review == f"{url_of('key_list')}?by={operator.public_id}"
    found = Page(mara.get(review))
    assert len(found.rows("Project API keys, newest first")) == 3
    assert found.link("Revoke Docs crawler")


def test_it_names_ten_and_counts_the_rest(
    mara: Client, project: Project, operator: User, at: datetime
) -> None:
    made(project, operator, at, *(f"Key {number}" for number in range(12)))
    page = ask(mara, operator)
    assert len(kept(page)) == 11
    assert kept(page)[-1] == "and 2 more"
    assert any("Their 12 keys keep working." in text for text in page.texts("p"))


def test_a_single_key_is_spoken_of_as_one(
    mara: Client, project: Project, operator: User, at: datetime
) -> None:
    made(project, operator, at, "Docs crawler")
    assert any("Their key keeps working." in text for text in ask(mara, operator).texts("p"))


def test_keys_that_work_no_more_are_left_out_and_those_shown_to_them_are_in(
    mara: Client, project: Project, owner: User, operator: User, at: datetime
) -> None:
    made(project, operator, at, "Docs crawler", "Old poller")
    old = project.keys.get(name="Old poller")
    lifecycle.revoke(project, old.key_id, actor=acting(owner, project), at=at)
    automator = project.keys.get(type=KeyType.SYSTEM)
    admin = Actor.person(operator, Role.ADMIN)
    lifecycle.renew(project, automator.key_id, actor=admin, at=at, version=automator.version)
    page = ask(mara, operator)
    assert sorted(kept(page)) == ["Automator Key", "Docs crawler"]


# After


def test_without_htmx_the_list_says_what_stays(
    mara: Client, project: Project, operator: User, at: datetime
) -> None:
    made(project, operator, at, "Docs crawler", "Teams bot")
    response = remove(mara, operator, {})
    assert (response.status_code, response["Location"]) == (303, url_of("member_list"))
    page = Page(mara.get(response["Location"]))
    assert page.messages() == ["Otis Brandt was removed. Their 2 keys keep working. Review keys"]
    assert page.link("Review keys") == f"{url_of('key_list')}?by={operator.public_id}"
    assert emails(page, MEMBERS) == ["mara@example.test"]
    assert User.objects.get(pk=operator.pk).is_active


def test_with_htmx_the_table_is_put_in_its_place(mara: Client, operator: User) -> None:
    response = remove(mara, operator, {"HX-Request": "true", "HX-Current-URL": LIST})
    assert (response.status_code, response["HX-Retarget"]) == (200, "#listing")
    page = Page(response)
    assert page.messages() == ["Otis Brandt was removed."]
    assert emails(page, MEMBERS) == ["mara@example.test"]


def test_the_project_is_gone_for_them_at_once_and_their_keys_stay(
    mara: Client, project: Project, operator: User, at: datetime, way: dict[str, str]
) -> None:
    issued = IssuedFactory(project=project, actor=acting(operator, project), at=at)
    otis = signed_in(operator)
    assert otis.get(url_of("key_list")).status_code == 200
    remove(mara, operator, way)
    assert otis.get(url_of("key_list")).status_code == 404
    answer = Client().get("/api/v1/whoami", headers={"Authorization": f"Bearer {issued.token}"})
    assert answer.status_code == 200


def test_a_name_in_the_message_is_text(mara: Client, project: Project, way: dict[str, str]) -> None:
    user = MembershipFactory(project=project, user__name="<b>Otis</b>").user
    response = remove(mara, user, way)
    page = Page(response if way else mara.get(url_of("member_list")))
    if not way:
        assert page.messages() == ["<b>Otis</b> was removed."]
    assert "<b>Otis</b>" not in page.source


def test_the_last_owner_stays(mara: Client, owner: User, way: dict[str, str]) -> None:
    response = remove(mara, owner, way)
    assert response.status_code == 422
    said = "Mara Lindqvist is the last owner of Acme. Make somebody else an owner first."
    assert Page(response).problems() == [said]
    assert is_in(owner)


def test_an_owner_may_leave_where_another_stays(
    mara: Client, project: Project, owner: User, at: datetime, way: dict[str, str]
) -> None:
    MembershipFactory(project=project, role=Role.OWNER)
    made(project, owner, at, "Docs crawler")
    page = ask(mara, owner, way)
    assert page.heading == "Leave Acme?"
    assert "The key that you made or were shown keeps working." in page.texts("p")
    response = remove(mara, owner, way)
    assert response.get("HX-Redirect", response.get("Location")) == "/projects/"
    assert Page(mara.get("/projects/")).messages() == ["You left Acme."]
    assert not is_in(owner)


def test_whoever_is_removed_already_is_not_there(mara: Client, operator: User, way: dict[str, str]) -> None:
    remove(mara, operator, way)
    assert remove(mara, operator, way).status_code == 404


def test_whoever_is_no_member_is_not_there(mara: Client, outsider: User, way: dict[str, str]) -> None:
    assert remove(mara, outsider, way).status_code == 404
    assert Membership.objects.filter(user=outsider).exists()


def test_whoever_is_not_fresh_gives_the_password_in_the_same_form(
    owner: User, operator: User, way: dict[str, str]
) -> None:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    client = signed_in(owner)
    assert Page(remove(client, operator, way)).problems() == ["Enter your password."]
    assert is_in(operator)
    remove(client, operator, way, current_password=PASSWORD)
    assert not is_in(operator)


@pytest.mark.parametrize("name", ["admin", "operator", "viewer"])
def test_it_is_for_owners(request: pytest.FixtureRequest, way: dict[str, str], name: str) -> None:
    user = request.getfixturevalue(name)
    assert remove(fresh(user), user, way).status_code == 403
    assert is_in(user)


def test_without_javascript_it_goes_from_the_list_to_their_keys(
    project: Project, owner: User, operator: User, at: datetime
) -> None:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    made(project, operator, at, "Docs crawler")
    visitor = Visitor(owner)
    visitor.visit(url_of("member_list"))
    visitor.follow("Remove Otis Brandt")
    visitor.press("Remove member", current_password=PASSWORD)
    page = visitor.follow("Review keys")
    assert [row["Name"].find("a")[0].text for row in page.rows("Project API keys, newest first")] == [
        "Docs crawler"
    ]
