"""The audit log: what it shows, of whom, in which order, and what an address may ask for."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from keys import lifecycle
from keys.drafts import Draft, Edit
from keys.kinds import KeyType
from keys.permissions import KeyActor
from projects.audit import Actor, log
from projects.lifecycle import change_role, rename_project
from projects.models import Project, Role, User
from projects.moments import Moment
from tests.factories import IssuedFactory, acting
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Node, Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

CAPTION = "Audit log, newest first"
TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"
NOT_HERE = "This link asks for something that isn't here. Show the whole log"
MOVED = "This page of the log isn't there. Here is its beginning. Show the whole log"


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


def shown(client: Client, query: str = "") -> Page:
    return Page(client.get(f"{url_of('audit_log')}{query}"))


def rows(page: Page) -> list[dict[str, Node]]:
    return page.rows(CAPTION) if page.find("table") else []


def said(page: Page) -> list[str]:
    return [f"{row['Who'].text} {row['What'].text}" for row in rows(page)]


# What it shows


@pytest.mark.parametrize("role", ["viewer", "operator", "admin", "owner"])
def test_every_member_may_read_it(
    request: pytest.FixtureRequest, role: str, way: dict[str, str], project: Project
) -> None:
    response = signed_in(request.getfixturevalue(role)).get(url_of("audit_log"), headers=way)
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert said(page)[-1] == "system created the project Acme"
    if not way:
        assert (page.title, page.heading) == ("Audit log · Acme · Keyrack", "Audit log")
        assert page.one("nav", aria_label="Settings").one("a", aria_current="page").text == "Audit log"


def test_a_row_says_when_who_what_of_which_key_and_from_where(
    mara: Client, project: Project, owner: User, at: datetime
) -> None:
    key = IssuedFactory(project=project, actor=acting(owner, project, "192.0.2.41"), at=at, name="Docs").key
    row = rows(shown(mara))[0]
    assert {name: cell.text for name, cell in row.items()} == {
        "When": Moment.of(at).text,
        "Who": "Mara Lindqvist",
        "What": "created Docs environment: live · scopes: sources:read · type: restricted",
        "Key": key.key_id,
        "From": "192.0.2.41",
    }
    assert row["Key"].one("a").attrs["href"] == url_of("key_detail", key.key_id)
    assert row["What"].tag == "th"


def test_an_edit_is_told_before_and_after(
    mara: Client, project: Project, owner: User, viewer: User, make: MakeKey, at: datetime
) -> None:
    key = make("Docs").key
    by = acting(owner, project)
    edit = Edit(name="Docs crawler", scopes=["sources:read", "chat:send"])
    lifecycle.edit(project, key.key_id, edit, actor=by, at=at, version=key.version)
    change_role(project, viewer, Role.ADMIN, actor=by, at=at)
    rename_project(project, "Acme Ltd", actor=by, at=at)
    assert said(shown(mara))[:3] == [
        "Mara Lindqvist renamed the project Acme Ltd name: Acme → Acme Ltd",
        "Mara Lindqvist changed the role of Vera Sato role: Viewer → Admin",
        "Mara Lindqvist edited Docs crawler name: Docs → Docs crawler"
        " scopes: sources:read → chat:send, sources:read",
    ]


def test_a_key_that_did_something_leads_to_its_page(mara: Client, project: Project, at: datetime) -> None:
    boss = IssuedFactory(project=project, at=at, name="Boss", type=KeyType.PRIVILEGED).key
    lifecycle.issue(project, Draft("Deploy", scopes=["sources:read"]), actor=KeyActor.acting(boss), at=at)
    who = rows(shown(mara))[0]["Who"]
    assert who.text == "Boss"
    assert who.one("a").attrs["href"] == url_of("key_detail", boss.key_id)


def test_what_is_no_key_has_none(mara: Client, project: Project) -> None:
    row = rows(shown(mara))[-1]
    assert (row["Key"].text, row["From"].text) == ("", "")
    assert not row["Who"].find("a")


def test_a_verb_that_has_no_words_is_named(mara: Client, project: Project, at: datetime) -> None:
    with log(project.pk, Actor.system(), at) as written:
        written.record("thing.frozen", "thing", "x-1")
    assert said(shown(mara))[0] == "system thing.frozen x-1"


def test_markup_in_a_name_stays_text(mara: Client, project: Project, at: datetime) -> None:
    with log(project.pk, Actor.system("<b>Eve</b>"), at) as written:
        written.record("key.revoked", "key", "A" * 12, "<script>alert(1)</script>", reason="<i>so</i>")
    page = shown(mara)
    assert "<script>alert" not in page.source
    assert said(page)[0] == "<b>Eve</b> revoked <script>alert(1)</script> reason: <i>so</i>"


def test_the_newest_stands_first_whatever_the_clocks_said(
    mara: Client, project: Project, at: datetime
) -> None:
    for name, minutes in (("Now", 0), ("Before", -5), ("Later", 5)):
        IssuedFactory(project=project, name=name, at=at + timedelta(minutes=minutes))
    names = [row["What"].one("b").text for row in rows(shown(mara))]
    assert names.index("Later") < names.index("Now") < names.index("Before")


def test_no_other_project_s_log_is_shown(mara: Client, project: Project) -> None:
    IssuedFactory(name="Elsewhere")
    assert "Elsewhere" not in shown(mara).source


# What an address asks for


@pytest.fixture
def lived(project: Project, owner: User, operator: User, at: datetime) -> str:
    """A log with a key that Mara has made and Otis revoked; its id."""
    key = IssuedFactory(project=project, actor=acting(owner, project), at=at, name="Docs").key
    IssuedFactory(project=project, actor=acting(owner, project), at=at, name="Export")
    lifecycle.revoke(project, key.key_id, actor=acting(operator, project), at=at, reason="Lost")
    return str(key.key_id)


def test_each_filter_narrows_it_and_says_so(mara: Client, lived: str, at: datetime) -> None:
    today = at.astimezone(UTC).date()
    tomorrow = today + timedelta(days=1)
    revoked = ["Otis Brandt revoked Docs reason: Lost"]
    for query, expected in {
        "?who=Otis+Brandt": revoked,
        "?what=key.revoked": revoked,
        f"?key={lived}&who=Otis+Brandt": revoked,
        f"?what=key.revoked&since={today}&until={today}": revoked,
        f"?since={tomorrow}": [],
        f"?until={today - timedelta(days=400)}": [],
        "?who=Nobody": [],
        "?what=channel": [],
    }.items():
        page = shown(mara, query)
        assert said(page) == expected, query
        status = [node.text for node in page.content.find(class_="matches")]
        assert status == [
            f"{'Only what matches is shown.' if expected else 'No events match.'} Clear filters"
        ]
        assert page.link("Clear filters") == url_of("audit_log")
        assert "open" in page.one("details", class_="filters").attrs


def test_the_form_shows_what_the_address_asks(mara: Client, lived: str) -> None:
    page = shown(mara, "?who=Otis+Brandt&what=key.revoked&since=2026-01-02")
    fields = page.form_of("Filter").fields()
    assert {name: value for name, value in fields.items() if name != "csrfmiddlewaretoken"} == {
        "who": ["Otis Brandt"], "what": ["key.revoked"], "key": [""], "since": ["2026-01-02"], "until": [""],
    }  # fmt: skip
    for name, label in {
        "who": "Who",
        "what": "What",
        "key": "Key ID",
        "since": "First day",
        "until": "Last day",
    }.items():
        assert page.one("label", label).attrs["for"] == f"filter_{name}"
        assert page.find(id=f"filter_{name}")


def test_it_suggests_the_members_and_the_system(mara: Client, lived: str) -> None:
    options = shown(mara).one("datalist", id="actors").find("option")
    assert [option.attrs["value"] for option in options] == ["Mara Lindqvist", "Otis Brandt", "system"]


def test_what_was_done_is_offered_in_words_by_topic(mara: Client, lived: str) -> None:
    what = shown(mara).one("select", id="filter_what")
    groups = {group.attrs["label"]: group.texts("option") for group in what.find("optgroup")}
    assert list(groups)[:2] == ["API keys", "Provider keys"]
    assert groups["API keys"][:3] == ["API keys: everything", "created …", "stored the secret of …"]
    assert "signed in" not in what.text


def test_without_filters_nothing_is_said(mara: Client, lived: str) -> None:
    page = shown(mara)
    assert page.one(class_="matches").text == ""
    assert "open" not in page.one("details", class_="filters").attrs


@pytest.mark.parametrize(
    "query",
    [
        "?what=colour", "?what=key.", "?what=person.signed_in", "?since=tomorrow", "?until=2026-13-01",
        "?since=2026-02-02&until=2026-02-01", "?key=short", "?key=" + "A" * 300, "?who=" + "x" * 300,
        "?who=a%00b",
    ],
)  # fmt: skip
def test_an_address_that_asks_for_nothing_we_have_gets_400_and_the_log(
    mara: Client, project: Project, query: str, way: dict[str, str]
) -> None:
    response = mara.get(f"{url_of('audit_log')}{query}", headers=way)
    assert response.status_code == 400
    page = Page(response)
    assert [note.text for note in page.find(class_="note", role="alert")] == [NOT_HERE]
    assert said(page)[-1] == "system created the project Acme"
    assert not page.problems()


@pytest.mark.parametrize("name", ["who", "key", "what", "since", "after", "anything"])
@pytest.mark.parametrize("text", [TOKEN, TOKEN[8:], TOKEN[20:58], f"see {TOKEN}", TOKEN[:30]])
def test_a_key_in_the_address_leaves_it(
    mara: Client, project: Project, name: str, text: str, way: dict[str, str]
) -> None:
    for url in (url_of("audit_log"), url_of("audit_csv")):
        response = mara.get(url, {name: text, "what": "key"} | {name: text}, headers=way)
        assert response.status_code == 303
        location = response["Location"]
        assert TOKEN[20:30] not in location
        public = "7Fq2AAAAbbbb" in text and name in ("who", "key")
        assert (f"{name}=7Fq2AAAAbbbb" in location) is public
        assert ("what=key" in location) is (name != "what")
        assert mara.get(location).status_code == 200


# Its pages


@pytest.fixture
def long(project: Project, at: datetime) -> Project:
    for number in range(60):
        rename_project(project, f"Acme {number}", actor=Actor.system(), at=at + timedelta(seconds=number))
    return project


def test_its_pages_turn_by_number(mara: Client, long: Project) -> None:
    first = shown(mara)
    assert len(rows(first)) == 50
    assert not first.find("a", "Previous")
    second = Page(mara.get(first.link("Next")))
    assert len(rows(second)) == 12
    assert not second.find("a", "Next")
    assert first.link("Next") == f"{url_of('audit_log')}?after=13"
    assert second.link("Previous") == f"{url_of('audit_log')}?before=12"
    back = Page(mara.get(second.link("Previous")))
    assert said(back) == said(first)
    assert len({*said(first), *said(second)}) == 62


def test_a_page_keeps_the_filters(mara: Client, long: Project) -> None:
    first = shown(mara, "?what=project.renamed")
    assert first.link("Next") == f"{url_of('audit_log')}?what=project.renamed&after=13"
    second = Page(mara.get(first.link("Next")))
    assert len(rows(second)) == 10
    assert {row["What"].text.split(" Acme")[0] for row in rows(second)} == {"renamed the project"}
    assert second.link("Clear filters") == url_of("audit_log")


def test_a_turned_page_of_htmx_takes_the_focus_and_the_file_follows(mara: Client, long: Project) -> None:
    response = mara.get(f"{url_of('audit_log')}?what=project&after=13", headers=HTMX)
    assert json.loads(response["HX-Trigger-After-Settle"]) == {"keyrack:focus": {"target": "#events"}}
    page = Page(response)
    assert page.find(id="events")
    csv = page.one(id="csv")
    assert csv.attrs["href"] == f"{url_of('audit_csv')}?what=project"
    assert csv.attrs["hx-swap-oob"] == "true"


@pytest.mark.parametrize("cursor", ["after=99999", "before=0", "after=x", "before=-1", "after=" + "9" * 40])
def test_a_place_that_is_not_in_the_log_leads_to_its_beginning(
    mara: Client, long: Project, cursor: str
) -> None:
    response = mara.get(f"{url_of('audit_log')}?what=project&{cursor}")
    assert response.status_code == 400
    page = Page(response)
    assert page.one(class_="note").text == MOVED
    assert len(rows(page)) == 50


def test_a_place_of_another_project_is_none(mara: Client, project: Project) -> None:
    key = IssuedFactory().key
    rename_project(key.project, "Else", actor=Actor.system(), at=key.created_at)
    assert mara.get(f"{url_of('audit_log')}?after=4").status_code == 400


def test_past_the_end_of_what_matches_it_begins_anew(mara: Client, long: Project) -> None:
    page = shown(mara, "?what=project.created&after=1")
    assert said(page) == ["system created the project Acme"]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_is_only_read(mara: Client, project: Project, method: str) -> None:
    assert getattr(mara, method)(url_of("audit_log")).status_code == 405


def test_without_javascript_it_is_found_filtered_and_turned(owner: User, long: Project) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("key_list"))
    visitor.follow("Audit log")
    visitor.press("Filter", who="system", what="project")
    assert visitor.url == f"{url_of('audit_log')}?who=system&what=project"
    visitor.follow("Next")
    assert said(visitor.page)[-1] == "system created the project Acme"
    visitor.follow("Clear filters")
    assert visitor.url == url_of("audit_log")
