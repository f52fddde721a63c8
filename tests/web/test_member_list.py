"""The members page: who is in, what they made, who is invited, and who may change that."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from keys import lifecycle
from keys.kinds import KeyType
from projects import lifecycle as projects
from projects.audit import Actor
from projects.models import Project, Role, User
from tests.factories import IssuedFactory, MembershipFactory, ProjectFactory, UserFactory, acting, invited
from tests.web.pages import HTMX, Node, Page, signed_in, url_of
from tests.web.people import EMAIL, INVITATIONS, MEMBERS, emails

pytestmark = pytest.mark.django_db

HERE = "/projects/acme/settings/members/"


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


def row(page: Page, email: str, caption: str = MEMBERS) -> dict[str, Node]:
    (found,) = [each for each in page.rows(caption) if each["E-mail"].find("b", email)]
    return found


def listed(client: Client, headers: dict[str, str] | None = None, **query: str) -> Page:
    return Page(client.get(HERE, query, headers=headers or {}))


def test_it_shows_who_is_in_with_owners_first(
    mara: Client, admin: User, operator: User, viewer: User, way: dict[str, str]
) -> None:
    page = listed(mara, way)
    assert page.is_whole is not bool(way)
    assert emails(page, MEMBERS) == [
        "mara@example.test", "ada@example.test", "otis@example.test", "vera@example.test",
    ]  # fmt: skip
    roles = [each["Role"].text for each in page.rows(MEMBERS)]
    assert roles == ["Owner", "Admin", "Operator", "Viewer"]
    assert row(page, "mara@example.test")["E-mail"].text == "mara@example.test (you) Mara Lindqvist"
    assert row(page, "ada@example.test")["E-mail"].text == "ada@example.test Ada Okafor"


def test_its_title_its_heading_and_its_place_in_the_rail(mara: Client) -> None:
    page = listed(mara)
    assert page.title == "Members · Acme · Keyrack"
    assert page.heading == "Members"
    rail = page.one("nav", aria_label="Settings")
    assert rail.one("a", aria_current="page").text == "Members"
    keys = Page(mara.get(url_of("key_list")))
    assert keys.one("nav", aria_label="Settings").one("a", "Members").attrs["href"] == HERE


@pytest.mark.parametrize("name", ["admin", "operator", "viewer"])
def test_whoever_is_no_owner_sees_who_is_in_and_whom_to_ask(
    request: pytest.FixtureRequest, project: Project, owner: User, name: str
) -> None:
    user = request.getfixturevalue(name)
    invited(project, owner)
    page = listed(signed_in(user))
    assert emails(page, MEMBERS) == ["mara@example.test", user.email]
    assert "Ask an owner to invite or remove people." in page.texts("p")
    assert not page.content.find("a", "Invite member")
    assert list(page.rows(MEMBERS)[0]) == ["E-mail", "Role", "Keys created", "Last active"]
    assert EMAIL not in page.source


def test_an_owner_may_change_each_row(mara: Client, operator: User, owner: User) -> None:
    page = listed(mara)
    assert page.link("Invite member") == f"{HERE}invite/"
    assert page.link("Change role of Otis Brandt") == f"{HERE}{operator.public_id}/role/"
    assert page.link("Remove Otis Brandt") == f"{HERE}{operator.public_id}/remove/"
    assert page.link("Leave Acme") == f"{HERE}{owner.public_id}/remove/"
    assert "Ask an owner" not in page.source


def test_keys_are_counted_by_who_created_them(
    mara: Client, project: Project, owner: User, operator: User, at: datetime
) -> None:
    made = [IssuedFactory(project=project, actor=acting(operator, project), at=at) for _ in range(3)]
    lifecycle.revoke(project, made[0].key.key_id, actor=acting(owner, project), at=at)
    IssuedFactory(project=project, at=at)
    IssuedFactory(project=ProjectFactory(), actor=acting(operator, project), at=at)
    IssuedFactory(project=project, actor=acting(owner, project), at=at, type=KeyType.VIEWER)
    page = listed(mara)
    cell = row(page, "otis@example.test")["Keys created"]
    assert cell.text == "2 keys 1 revoked"
    found = Page(mara.get(cell.one("a").attrs["href"]))
    assert len(found.rows("Project API keys, newest first")) == 2
    assert row(page, "mara@example.test")["Keys created"].text == "1 key"


def test_whoever_made_none_is_said_to_have_none(mara: Client, viewer: User) -> None:
    assert row(listed(mara), "vera@example.test")["Keys created"].text == "None"


def test_last_active_is_the_last_sign_in_and_says_so(mara: Client, viewer: User, at: datetime) -> None:
    User.objects.filter(email="mara@example.test").update(last_login=at - timedelta(days=3))
    page = listed(mara)
    cell = row(page, "mara@example.test")["Last active"]
    assert cell.text.endswith("last sign-in")
    assert cell.one("time").attrs["data-when"] == "relative"
    assert row(page, "vera@example.test")["Last active"].text == "Never signed in"


def test_an_account_that_was_shut_is_marked(mara: Client, viewer: User) -> None:
    User.objects.filter(pk=viewer.pk).update(is_active=False)
    assert "Deactivated" in row(listed(mara), "vera@example.test")["E-mail"].text


def test_somebody_without_a_name_is_known_by_the_address(mara: Client, project: Project) -> None:
    MembershipFactory(project=project, user=UserFactory(name="", email="nora@example.test"))
    page = listed(mara)
    assert row(page, "nora@example.test")["E-mail"].text == "nora@example.test"
    assert page.link("Remove nora@example.test")


def test_a_name_is_shown_and_never_run(mara: Client, project: Project) -> None:
    MembershipFactory(project=project, user=UserFactory(name="<script>alert(1)</script>"))
    page = listed(mara)
    assert "<script>alert" not in page.source
    assert any("<script>alert(1)</script>" in each["E-mail"].text for each in page.rows(MEMBERS))


# Who is invited


def test_open_invitations_are_listed_newest_first(
    mara: Client, project: Project, owner: User, at: datetime
) -> None:
    first = invited(project, owner, "otto@example.test", role=Role.ADMIN, at=at - timedelta(days=2))
    invited(project, owner, at=at)
    page = listed(mara)
    assert emails(page, INVITATIONS) == [EMAIL, "otto@example.test"]
    cells = row(page, "otto@example.test", INVITATIONS)
    assert [cells[name].text for name in ("Role", "Invited by", "Expires")] == [
        "Admin", "Mara Lindqvist", "in 5 days",
    ]  # fmt: skip
    here = f"{HERE}invitations/{first.invitation.public_id}"
    assert page.link("Make a new link for otto@example.test") == f"{here}/renew/"
    assert page.link("Revoke the invitation of otto@example.test") == f"{here}/revoke/"
    assert first.token not in page.source


def test_where_nobody_is_invited_it_says_so(mara: Client) -> None:
    assert "Nobody is invited at the moment." in listed(mara).texts("p")


def test_what_was_accepted_or_revoked_is_not_listed(
    mara: Client, project: Project, owner: User, at: datetime
) -> None:
    from projects import invitations

    one, other = (invited(project, owner, email, at=at) for email in (EMAIL, "otto@example.test"))
    invitations.join(one.invitation, name="Inês", password="quartz lantern 77", at=at)
    invitations.revoke_invitation(project, other.invitation.public_id, actor=acting(owner, project), at=at)
    assert INVITATIONS not in listed(mara).texts("caption")


def test_one_that_opens_nothing_any_more_says_why(
    mara: Client, project: Project, owner: User, admin: User, at: datetime
) -> None:
    invited(project, owner, at=at - timedelta(days=8))
    projects.change_role(project, admin, Role.OWNER, actor=Actor.system(), at=at)
    invited(project, admin, "otto@example.test", at=at)
    projects.change_role(project, admin, Role.ADMIN, actor=Actor.system(), at=at)
    page = listed(mara)
    assert row(page, EMAIL, INVITATIONS)["E-mail"].text == f"{EMAIL} Expired"
    said = row(page, "otto@example.test", INVITATIONS)["E-mail"].text
    assert said == "otto@example.test Void Ada Okafor may not invite any more. A new link makes it yours."


# Pages


def test_its_pages_turn_by_cursor_and_keep_the_other_table(
    mara: Client, project: Project, owner: User, at: datetime
) -> None:
    for number in range(60):
        MembershipFactory(project=project, user__email=f"p{number:02}@example.test", role=Role.VIEWER)
        invited(project, owner, f"i{number:02}@example.test", at=at + timedelta(seconds=number))
    first = listed(mara)
    members = first.one("nav", aria_label="Pagination")
    second = Page(mara.get(f"{HERE}{members.one('a', 'Next').attrs['href'].removeprefix(HERE)}"))
    found = emails(first, MEMBERS) + emails(second, MEMBERS)
    assert (len(found), len(set(found))) == (61, 61)
    assert found[0] == "mara@example.test"
    assert emails(second, INVITATIONS) == emails(first, INVITATIONS)
    turned = second.one("nav", aria_label="Pagination of invitations").one("a", "Next").attrs["href"]
    third = Page(mara.get(turned))
    assert emails(third, MEMBERS) == emails(second, MEMBERS)
    assert len({*emails(first, INVITATIONS), *emails(third, INVITATIONS)}) == 60
    back = Page(mara.get(third.one("nav", aria_label="Pagination").one("a", "Previous").attrs["href"]))
    assert emails(back, MEMBERS) == emails(first, MEMBERS)


def test_a_turn_of_the_page_takes_the_focus_along(mara: Client, project: Project, owner: User) -> None:
    for _ in range(51):
        MembershipFactory(project=project)
    response = mara.get(HERE, {"after": owner.public_id}, headers=HTMX)
    assert response["HX-Trigger-After-Settle"] == '{"keyrack:focus": {"target": "#members"}}'
    assert Page(response).find(id="members")


@pytest.mark.parametrize(
    "query",
    [{"after": "A" * 12}, {"before": "A" * 12}, {"iafter": "A" * 12}, {"after": "x"}, {"ibefore": "' OR 1"}],
)
def test_a_place_that_is_not_there_shows_the_beginning(
    mara: Client, way: dict[str, str], query: dict[str, Any]
) -> None:
    response = mara.get(HERE, query, headers=way)
    assert response.status_code == 400
    page = Page(response)
    assert page.one("p", role="alert").text == (
        "This page of the list isn't there any more. Here is its beginning."
    )
    assert emails(page, MEMBERS) == ["mara@example.test"]


def test_a_place_in_another_project_is_none(mara: Client, outsider: User) -> None:
    assert mara.get(HERE, {"after": outsider.public_id}).status_code == 400


# The keys of somebody: where the counts lead to


@pytest.fixture
def otis_keys(project: Project, owner: User, operator: User, at: datetime) -> list[str]:
    """Two keys that Otis made, one that he was shown, and one that he knows nothing of."""
    for name in ("Docs crawler", "Teams bot"):
        IssuedFactory(project=project, actor=acting(operator, project), at=at, name=name)
    admin = Actor.person(operator, Role.ADMIN)
    shown = IssuedFactory(project=project, actor=acting(owner, project), at=at, name="Zendesk sync").key
    lifecycle.renew(project, shown.key_id, actor=admin, at=at, version=shown.version)
    other = IssuedFactory(project=project, actor=acting(owner, project), at=at, name="Mail bridge").key
    lifecycle.renew(project, other.key_id, actor=acting(owner, project), at=at, version=other.version)
    return ["Docs crawler", "Teams bot", "Zendesk sync"]


def keys_of(client: Client, user: User, **query: str) -> Page:
    return Page(client.get(url_of("key_list"), {"by": user.public_id, **query}))


def names(page: Page) -> list[str]:
    return sorted(each["Name"].find("a")[0].text for each in page.rows(page.texts("caption")[0]))


def test_the_keys_of_somebody_are_those_made_and_those_shown_to_them(
    mara: Client, operator: User, otis_keys: list[str]
) -> None:
    page = keys_of(mara, operator)
    assert names(page) == otis_keys
    said = "Keys that Otis Brandt created, or whose secret they were shown."
    assert said in page.texts("p")
    assert page.link("Clear filters") == f"{url_of('key_list')}?"
    assert page.link("Revoke Docs crawler")


def test_they_stay_known_when_the_person_is_gone(
    mara: Client, project: Project, owner: User, operator: User, otis_keys: list[str], at: datetime
) -> None:
    projects.remove_member(project, operator, actor=acting(owner, project), at=at)
    assert names(keys_of(mara, operator)) == otis_keys


def test_the_filter_stays_with_a_search_and_with_other_filters(
    mara: Client, operator: User, otis_keys: list[str], way: dict[str, str]
) -> None:
    assert names(keys_of(mara, operator, type="restricted", q="docs")) == ["Docs crawler"]
    page = keys_of(mara, operator)
    for form in ("search-keys", "filter-keys"):
        kept = {node.attrs["name"]: node.attrs["value"] for node in page.find("input", form=form)}
        assert kept == {"by": operator.public_id}
    sent = {"q": "docs", "by": operator.public_id}
    response = mara.post(url_of("key_search"), sent, headers=way)
    assert f"by={operator.public_id}" in str(response.headers)


@pytest.mark.parametrize("by", ["A" * 12, "x", "' OR 1=1"])
def test_somebody_who_is_not_there_is_told_of(mara: Client, otis_keys: list[str], by: str) -> None:
    response = mara.get(url_of("key_list"), {"by": by})
    assert response.status_code == 400
    assert len(Page(response).rows("Project API keys, newest first")) == 5


def test_a_stranger_to_the_project_is_nobody_here(mara: Client, outsider: User) -> None:
    response = mara.get(url_of("key_list"), {"by": outsider.public_id})
    assert response.status_code == 400
    assert "Oleg" not in response.content.decode()
