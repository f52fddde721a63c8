"""The audit log in the administration: read, by log and by what it is about; written by nobody."""

from datetime import datetime

import pytest
from django.test import Client

from projects import catalogue, lifecycle, people
from projects.audit import Actor
from projects.models import AuditEvent, Project, Role, User
from tests.factories import IssuedFactory, UserFactory
from tests.web.pages import Page, signed_in

pytestmark = pytest.mark.django_db

EVENTS = "/admin/projects/auditevent/"


@pytest.fixture
def ines(db: None) -> User:
    return UserFactory(name="Ines Varga", email="ines@example.test", is_staff=True)


@pytest.fixture
def staff(ines: User) -> Client:
    return signed_in(ines)


def told(client: Client, query: str = "") -> list[tuple[str, str]]:
    page = Page(client.get(f"{EVENTS}{query}"))
    rows = page.rows("Audit log") if page.find("tbody") else []
    return [(row["What"].text, row["Log"].text) for row in rows]


def test_all_logs_are_listed_newest_first_and_each_by_itself(
    staff: Client, project: Project, outsider: User
) -> None:
    first = told(staff)
    assert first[0] == ("key.issued", "elsewhere")
    assert {log for _, log in first} == {"Site log", "acme", "elsewhere"}
    assert {log for _, log in told(staff, "?project=acme")} == {"acme"}
    assert {log for _, log in told(staff, "?project=-")} == {"Site log"}
    assert told(staff, "?project=nothing") == []


def test_events_about_one_thing(staff: Client, project: Project, at: datetime) -> None:
    key = IssuedFactory(project=project, at=at).key
    IssuedFactory(project=project, at=at)
    assert told(staff, f"?project=acme&object=key:{key.key_id}") == [("key.issued", "acme")]
    # Without the log there is no index to find them by.
    assert told(staff, f"?object=key:{key.key_id}") == []


def test_a_search_leads_to_a_project_s_log(staff: Client, project: Project) -> None:
    response = staff.post(f"{EVENTS}search/", {"q": " ACME "})
    assert response["Location"] == f"{EVENTS}?project=acme"
    response = staff.post(f"{EVENTS}search/", {"q": "nothing"}, follow=True)
    assert Page(response).messages() == ["No project has this address."]
    response = staff.post(f"{EVENTS}search/", {"q": "kr_live_" + "Q" * 56}, follow=True)
    assert response.redirect_chain[-1][0] == EVENTS
    assert "QQQ" not in response.content.decode()


@pytest.mark.parametrize("query", ["", "?project=acme"])
def test_its_pages_turn_by_cursor(staff: Client, project: Project, at: datetime, query: str) -> None:
    for number in range(60):
        lifecycle.rename_project(project, f"Acme {number}", actor=Actor.system(), at=at)
    first = Page(staff.get(f"{EVENTS}{query}"))
    second = Page(staff.get(EVENTS + first.link("Next")))
    links = [
        link.attrs["href"]
        for page in (first, second)
        for row in page.rows("Audit log")
        for link in row["When"].find("a")
    ]
    assert len(links) == len(set(links)) >= 62
    assert (
        Page(staff.get(EVENTS + second.link("Previous")))
        .rows("Audit log")[0]["When"]
        .find("a")[0]
        .attrs["href"]
        == links[0]
    )


def test_what_changed_is_told_in_words(
    staff: Client, project: Project, owner: User, viewer: User, at: datetime
) -> None:
    actor = Actor.system("command line")
    lifecycle.change_role(project, viewer, Role.ADMIN, actor=actor, at=at)
    catalogue.add_resource(project, "reports", ["read", "export"], actor=actor, at=at)
    IssuedFactory(project=project, at=at, expires_at=datetime.fromisoformat("2027-02-18T12:00:00+00:00"))
    rows = Page(staff.get(f"{EVENTS}?project=acme")).rows("Audit log")
    assert [row["Changed"].text for row in rows[:3]] == [
        "environment: live; expires at: 18 Feb 2027, 12:00 UTC; scopes: sources:read; type: restricted",
        "actions: none → read, export",
        "role: Viewer → Admin",
    ]
    assert rows[2]["Who"].text == "command line"


def test_an_event_has_a_page_with_where_it_came_from(
    staff: Client, ines: User, project: Project, owner: User, at: datetime
) -> None:
    actor = Actor.person(ines, Role.OWNER, "192.0.2.41")
    lifecycle.rename_project(project, "Acme Ltd", actor=actor, at=at)
    number = AuditEvent.objects.filter(project_id=project.pk).latest("number").number
    page = Page(staff.get(f"{EVENTS}acme.{number}/change/"))
    assert page.heading == f"Event {number}"
    for text in ("project.renamed", "Ines Varga", "192.0.2.41", "name: Acme → Acme Ltd"):
        assert text in page.content.text
    people.reactivate_person(UserFactory(is_active=False), actor=actor, at=at)
    last = AuditEvent.objects.filter(project_id=0).latest("number").number
    assert "person.reactivated" in Page(staff.get(f"{EVENTS}-.{last}/change/")).content.text


def test_markup_in_a_name_stays_text(staff: Client, project: Project, at: datetime) -> None:
    lifecycle.rename_project(project, "<b>Acme</b> & <script>", actor=Actor.system(), at=at)
    for url in (
        EVENTS,
        "/admin/projects/project/",
        "/admin/projects/project/acme/change/",
        "/admin/keys/key/",
    ):
        source = staff.get(url).content.decode()
        assert "<b>Acme" not in source
        assert "<script>" not in source
        assert "&lt;b&gt;Acme&lt;/b&gt; &amp; &lt;script&gt;" in source
