"""Projects, members and scope catalogues in the administration."""

from datetime import datetime

import pytest
from django.test import Client
from django.urls import reverse

from keys.verification import Outcome, check
from projects.models import SITE_LOG, AuditEvent, Membership, Project, Role, User
from tests.factories import IssuedFactory, MembershipFactory, ProjectFactory, UserFactory
from tests.web.pages import Page, Visitor, signed_in

pytestmark = pytest.mark.django_db

PROJECTS = "/admin/projects/project/"
MEMBERS = "/admin/projects/membership/"
SCOPES = "/admin/projects/resource/"
ACME = f"{PROJECTS}acme/change/"
PASSWORD = "correct horse battery"


@pytest.fixture
def ines(db: None) -> User:
    """Somebody of staff, and a member of nothing."""
    return UserFactory(name="Ines Varga", email="ines@example.test", is_staff=True)


@pytest.fixture
def staff(ines: User) -> Client:
    return signed_in(ines)


@pytest.fixture
def visitor(ines: User, project: Project) -> Visitor:
    visitor = Visitor(ines)
    visitor.visit(ACME)
    return visitor


def latest(project: Project) -> AuditEvent:
    return AuditEvent.objects.filter(project_id=project.pk).latest("number")


# Projects


def test_the_list_shows_living_and_deleted_ones_by_address(
    staff: Client, project: Project, at: datetime
) -> None:
    gone = ProjectFactory(name="Bravo", slug="bravo")
    Project.objects.filter(pk=gone.pk).update(deleted_at=at)
    rows = Page(staff.get(PROJECTS)).rows("Projects")
    assert [(row["Name"].text, row["State"].text) for row in rows] == [
        ("Acme", "Active"), ("Bravo", "Deleted"),
    ]  # fmt: skip
    assert [row["Name"].text for row in Page(staff.get(f"{PROJECTS}?state=deleted")).rows("Projects")] == [
        "Bravo"
    ]
    assert [row["Name"].text for row in Page(staff.get(f"{PROJECTS}?q=ACM")).rows("Projects")] == ["Acme"]


def test_its_page_leads_to_its_keys_members_scopes_and_events(
    staff: Client, project: Project, owner: User, at: datetime
) -> None:
    IssuedFactory(project=project, name="Docs crawler")
    IssuedFactory(name="Elsewhere")
    page = Page(staff.get(ACME))
    assert [row["Person"].text for row in page.rows("Members")] == ["Mara Lindqvist"]
    assert "sources" in [row["Resource"].text for row in page.rows("Scope catalogue")]
    assert page.rows("Latest events")[0]["Which"].text == "Docs crawler"
    keys = Page(staff.get(page.content.one("a", "Keys").attrs["href"]))
    assert [row["Name"].text for row in keys.rows("Keys")] == ["Docs crawler", "Automator Key"]
    events = Page(staff.get(page.link("All events")))
    assert {row["Log"].text for row in events.rows("Audit log")} == {"acme"}
    members = Page(staff.get(page.link("All members")))
    assert [row["Person"].text for row in members.rows("Members")] == ["Mara Lindqvist"]


def test_the_console_is_offered_to_staff_who_are_members(staff: Client, ines: User, project: Project) -> None:
    assert not Page(staff.get(ACME)).find("a", "Open in the console")
    MembershipFactory(project=project, user=ines)
    assert Page(staff.get(ACME)).link("Open in the console") == reverse("key_list", args=["acme"])


def test_one_is_created_for_its_owner_and_the_log_names_staff(ines: User, outsider: User) -> None:
    visitor = Visitor(ines)
    visitor.visit(PROJECTS)
    visitor.follow("Add project")
    page = visitor.press("Add project", name="Bravo Support", owner="OLEG@example.test ")
    assert page.messages() == ["Bravo Support was created, with its Automator Key."]
    project = Project.objects.get(slug="bravo-support")
    member = project.memberships.get()
    assert (member.user, member.role) == (outsider, Role.OWNER)
    assert project.keys.count() == 1
    told = AuditEvent.objects.filter(project_id=project.pk).order_by("number")
    assert [(event.verb, event.actor_label) for event in told] == [
        ("project.created", "Ines Varga"), ("key.issued", "system"), ("member.added", "Ines Varga"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"name": ""}, "name"),
        ({"slug": "acme"}, "slug"),
        ({"slug": "New Slug"}, "slug"),
        ({"owner": "nobody@example.test"}, "owner"),
        ({"owner": "asleep@example.test"}, "owner"),
    ],
)
def test_what_does_not_fit_stands_beside_its_field(
    staff: Client, project: Project, outsider: User, typed: dict[str, str], field: str
) -> None:
    UserFactory(email="asleep@example.test", is_active=False)
    given = {"name": "Bravo", "slug": "", "owner": outsider.email, **typed}
    count = Project.objects.count()
    response = staff.post(f"{PROJECTS}add/", given)
    assert response.status_code == 422
    assert Page(response).error_of(field)
    assert Project.objects.count() == count


def test_it_is_renamed(visitor: Visitor, project: Project) -> None:
    visitor.follow("Rename")
    page = visitor.press("Rename", name="Acme Ltd")
    assert (page.heading, page.messages()) == ("Acme Ltd", ["The project is called Acme Ltd now."])
    event = latest(project)
    assert (event.verb, event.actor_label, event.address, event.changes) == (
        "project.renamed", "Ines Varga", "127.0.0.1", {"name": ["Acme", "Acme Ltd"]},
    )  # fmt: skip


@pytest.mark.parametrize("typed", ["", "Acme", "acme-2", "ACME"])
def test_it_is_deleted_only_with_its_address_typed(
    staff: Client, project: Project, owner: User, typed: str
) -> None:
    response = staff.post(f"{PROJECTS}acme/delete/", {"slug": typed})
    assert response.status_code == 422
    assert Page(response).problems() == ["Type acme, the project's address."]
    assert Project.objects.get(pk=project.pk).deleted_at is None


def test_deleting_ends_it_for_every_check_and_page_and_keeps_its_rows(
    visitor: Visitor, project: Project, owner: User, at: datetime
) -> None:
    issued = IssuedFactory(project=project, at=at)
    member = signed_in(owner)
    pages = [
        reverse("key_list", args=["acme"]), reverse("key_create", args=["acme"]),
        reverse("key_detail", args=["acme", issued.key.key_id]),
    ]  # fmt: skip
    assert [member.get(page).status_code for page in pages] == [200, 200, 200]
    visitor.follow("Delete")
    page = visitor.press("Delete project", slug="acme")
    assert page.messages() == ["Acme was deleted."]
    assert [member.get(page).status_code for page in pages] == [404, 404, 404]
    assert "Acme" not in member.get("/projects/").content.decode()
    assert check(issued.token, at=at).outcome is Outcome.UNKNOWN
    whoami = Client().get("/api/v1/whoami", headers={"Authorization": f"Bearer {issued.token}"})
    assert whoami.status_code == 401
    assert project.keys.count() == 2
    assert project.memberships.count() == 1
    assert latest(project).verb == "project.deleted"


def test_what_was_deleted_is_shown_but_no_longer_changed(
    staff: Client, project: Project, owner: User, at: datetime
) -> None:
    Project.objects.filter(pk=project.pk).update(deleted_at=at)
    page = Page(staff.get(ACME))
    offered = page.content.names("a")
    for verb in ("Rename", "Delete", "Add member", "Add resource", "Open in the console"):
        assert verb not in offered
    for url, typed in {
        f"{PROJECTS}acme/rename/": {"name": "Bravo"},
        f"{PROJECTS}acme/delete/": {"slug": "acme"},
        f"{MEMBERS}acme.{owner.pk}/role/": {"role": "10"},
        f"{MEMBERS}acme.{owner.pk}/remove/": {},
        f"{SCOPES}acme.chat/edit/": {"label": "Chat", "actions": "read"},
        f"{SCOPES}acme.chat/remove/": {},
    }.items():
        response = staff.post(url, typed)
        assert response.status_code == 422, url
        assert Page(response).problems() == ["This project was deleted."]


# Members


def test_a_member_is_added_by_address(visitor: Visitor, project: Project, outsider: User) -> None:
    visitor.follow("Add member")
    assert visitor.page.form_of("Add member").fields()["project"] == ["acme"]
    page = visitor.press("Add member", email="oleg@example.test", role=str(Role.OPERATOR))
    assert page.messages() == ["Oleg Haas is now a member of Acme."]
    assert project.memberships.get(user=outsider).role == Role.OPERATOR
    event = latest(project)
    assert (event.verb, event.actor_label, event.changes) == (
        "member.added", "Ines Varga", {"role": [None, "Operator"]},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"email": "nobody@example.test"}, "No active account has this address."),
        ({"email": "mara@example.test"}, "This person is a member already."),
        ({"project": "nothing"}, "No project has this address."),
        ({"role": "41"}, "Choose a role."),
        ({"role": ""}, "Choose a role."),
    ],
)
def test_a_member_who_does_not_fit_is_refused(
    staff: Client, project: Project, owner: User, outsider: User, typed: dict[str, str], problem: str
) -> None:
    given = {"project": "acme", "email": outsider.email, "role": "20", **typed}
    response = staff.post(f"{MEMBERS}add/", given)
    assert response.status_code == 422
    assert Page(response).problems() == [problem]
    assert project.memberships.count() == 1


def test_a_role_is_changed(visitor: Visitor, project: Project, owner: User, viewer: User) -> None:
    visitor.visit(f"{MEMBERS}acme.{viewer.pk}/change/")
    visitor.follow("Change role")
    page = visitor.press("Change role", role=str(Role.ADMIN))
    assert page.messages() == ["Vera Sato is now Admin in Acme."]
    assert latest(project).changes == {"role": ["Viewer", "Admin"]}


def test_a_member_is_removed(visitor: Visitor, project: Project, owner: User, viewer: User) -> None:
    visitor.visit(f"{MEMBERS}acme.{viewer.pk}/change/")
    visitor.follow("Remove")
    page = visitor.press("Remove")
    assert page.messages() == ["Vera Sato was removed from Acme."]
    assert not Membership.objects.filter(user=viewer).exists()
    assert latest(project).verb == "member.removed"


def test_the_last_owner_is_safe_here_too(staff: Client, project: Project, owner: User) -> None:
    said = "Mara Lindqvist is the last owner of Acme. Make somebody else an owner first."
    for verb, typed in {"role": {"role": "30"}, "remove": {}}.items():
        response = staff.post(f"{MEMBERS}acme.{owner.pk}/{verb}/", typed)
        assert response.status_code == 422
        assert Page(response).problems() == [said]
    assert project.memberships.get().role == Role.OWNER


def test_members_are_filtered_by_project_and_role(
    staff: Client, owner: User, viewer: User, outsider: User
) -> None:
    def found(query: str) -> set[str]:
        return {row["Person"].text for row in Page(staff.get(f"{MEMBERS}?{query}")).rows("Members")}

    assert found("project=acme") == {"Mara Lindqvist", "Vera Sato"}
    assert found(f"role={Role.OWNER.value}") == {"Mara Lindqvist", "Oleg Haas"}
    assert found("q=sato") == {"Vera Sato"}


# Scope catalogues


def test_a_resource_is_added(visitor: Visitor, project: Project) -> None:
    visitor.follow("Add resource")
    visitor.press("Add resource", name="reports", label="Billing reports", actions="read, export")
    assert visitor.page.messages() == ["reports was added."]
    assert project.resources.get(name="reports").actions == ["read", "export"]
    event = latest(project)
    assert (event.verb, event.object_id, event.actor_label) == ("resource.added", "reports", "Ines Varga")


def test_an_action_is_added_and_one_taken_away(visitor: Visitor, project: Project) -> None:
    visitor.visit(f"{SCOPES}acme.sources/change/")
    visitor.follow("Edit")
    assert visitor.page.form_of("Save").fields()["actions"] == ["read write delete"]
    visitor.press("Save", actions="read delete archive")
    assert project.resources.get(name="sources").actions == ["read", "delete", "archive"]


@pytest.mark.parametrize("verb", ["edit", "remove"])
def test_an_action_of_a_living_key_stays_and_its_number_is_said(
    staff: Client, project: Project, verb: str
) -> None:
    for _ in range(2):
        IssuedFactory(project=project, scopes=["sources:write"])
    response = staff.post(f"{SCOPES}acme.sources/{verb}/", {"label": "Sources", "actions": "read delete"})
    assert response.status_code == 422
    assert Page(response).problems() == ["2 living keys hold “sources:write”: revoke them first."]
    assert "write" in project.resources.get(name="sources").actions


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"name": "Reports"}, "name"),
        ({"name": "sources"}, "name"),
        ({"actions": "read Export"}, "actions"),
        ({"actions": ""}, "actions"),
        ({"actions": "read:all"}, "actions"),
        ({"label": "x" * 61}, "label"),
        ({"project": "nothing"}, "project"),
    ],
)
def test_the_grammar_of_scopes_is_kept(
    staff: Client, project: Project, typed: dict[str, str], field: str
) -> None:
    given = {"project": "acme", "name": "reports", "label": "", "actions": "read", **typed}
    response = staff.post(f"{SCOPES}add/", given)
    assert response.status_code == 422
    assert Page(response).error_of(field)
    assert not project.resources.filter(name="reports").exists()


def test_a_resource_is_removed(visitor: Visitor, project: Project) -> None:
    visitor.visit(f"{SCOPES}acme.workflows/change/")
    visitor.follow("Remove")
    visitor.press("Remove")
    assert not project.resources.filter(name="workflows").exists()
    assert latest(project).verb == "resource.removed"


# All of them


def test_a_project_s_events_are_in_its_own_log_and_none_in_the_site_log(
    visitor: Visitor, project: Project
) -> None:
    visitor.follow("Rename")
    visitor.press("Rename", name="Acme Ltd")
    site = AuditEvent.objects.filter(project_id=SITE_LOG).exclude(verb="person.signed_in")
    assert not site.exists()


@pytest.mark.parametrize(
    "url", [f"{MEMBERS}add/", f"{MEMBERS}acme.1/role/", f"{MEMBERS}acme.1/remove/", f"{PROJECTS}acme/delete/"]
)
def test_roles_and_the_end_of_a_project_ask_for_the_password_again(project: Project, url: str) -> None:
    jan = User.objects.create_user("jan@example.test", PASSWORD, is_staff=True)
    MembershipFactory(project=project, role=Role.OWNER)
    url = url.replace("acme.1", f"acme.{project.memberships.get().user_id}")
    client = signed_in(jan)
    assert client.get(url)["Location"].startswith("/account/reauthenticate/?next=")
    assert client.post(url, {"slug": "acme"})["Location"] == url
    assert Project.objects.get(pk=project.pk).deleted_at is None
