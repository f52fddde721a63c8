"""Keys in the administration: found, read and revoked."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from keys import lifecycle, tokens
from keys.kinds import NEVER_EXPIRES, Environment, KeyType
from keys.lifecycle import Issued
from keys.models import Key, KeyActivity
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import AuditEvent, Project, User
from tests.factories import ChannelFactory, IssuedFactory, MembershipFactory, ProjectFactory, UserFactory
from tests.web.conftest import MakeKey
from tests.web.pages import Page, Visitor, path_and_query, signed_in

pytestmark = pytest.mark.django_db

KEYS = "/admin/keys/key/"
SEARCH = f"{KEYS}search/"


@pytest.fixture
def ines(db: None) -> User:
    """Somebody of staff, and a member of nothing."""
    return UserFactory(name="Ines Varga", email="ines@example.test", is_staff=True)


@pytest.fixture
def staff(ines: User) -> Client:
    return signed_in(ines)


def page_of(issued: Issued) -> str:
    return f"{KEYS}{issued.key.key_id}/change/"


def listed(client: Client, query: str = "") -> list[str]:
    page = Page(client.get(f"{KEYS}{query}"))
    return [row["Name"].text for row in page.rows("Keys")] if page.find("tbody") else []


# The list


def test_it_shows_the_keys_of_every_project_newest_first(staff: Client, make: MakeKey) -> None:
    make("Docs crawler")
    IssuedFactory(project=ProjectFactory(name="Bravo"), name="Website bot")
    row = Page(staff.get(KEYS)).rows("Keys")[0]
    assert (row["Name"].text, row["Project"].text, row["Type"].text) == ("Website bot", "Bravo", "Restricted")
    assert listed(staff) == ["Website bot", "Automator Key", "Docs crawler", "Automator Key"]


def test_it_is_filtered_by_project_type_environment_state_and_maker(
    staff: Client, make: MakeKey, owner: User, at: datetime
) -> None:
    make("Viewer", type=KeyType.VIEWER)
    make("Test key", environment=Environment.TEST)
    make("Ending", at=at - timedelta(days=1), expires_at=at + timedelta(days=2))
    make("Ended", at=at - timedelta(days=2), expires_at=at - timedelta(days=1))
    make("Not stored", confirmed=False)
    revoked = make("Leaked")
    lifecycle.revoke(revoked.key.project, revoked.key.key_id, actor=Actor.system(), at=at)
    IssuedFactory(name="Elsewhere", confirmed=True)
    found = {
        query: set(listed(staff, f"?{query}"))
        for query in (
            "project=acme", "type=viewer", "environment=test", "state=active", "state=expires_soon",
            "state=expired", "state=unconfirmed", "state=revoked", f"person={owner.pk}",
            "project=acme&state=expired&type=restricted", "project=nothing", "type=nothing",
            "person=nothing", "state=nothing",
        )
    }  # fmt: skip
    assert "Elsewhere" not in found["project=acme"]
    assert len(found["project=acme"]) == 7
    assert found["type=viewer"] == {"Viewer"}
    assert found["environment=test"] == {"Test key"}
    assert found["state=active"] == {"Viewer", "Test key", "Elsewhere", "Automator Key"}
    assert found["state=expires_soon"] == {"Ending"}
    assert found["state=expired"] == {"Ended"} == found["project=acme&state=expired&type=restricted"]
    assert found["state=unconfirmed"] == {"Not stored"}
    assert found["state=revoked"] == {"Leaked"}
    assert found[f"person={owner.pk}"] == found["project=acme"] - {"Automator Key"}
    for query in ("project=nothing", "type=nothing", "person=nothing", "state=nothing"):
        assert found[query] == set()


def test_agent_keys_and_channel_keys_are_listed_by_their_type(
    staff: Client, make: MakeKey, project: Project, at: datetime
) -> None:
    ChannelFactory(project=project, slug="support")
    make("Release agent", type=KeyType.AGENT)
    make("Old scout", type=KeyType.AGENT, at=at - timedelta(days=120))
    make("Teams", type=KeyType.CHANNEL, channel="support", holder="Ward 3")
    assert listed(staff, "?type=agent") == ["Old scout", "Release agent"]
    assert listed(staff, "?type=agent&state=expired") == ["Old scout"]
    assert listed(staff, "?type=channel") == ["Teams"]
    page = Page(staff.get(f"{KEYS}?type=agent"))
    assert [row["Type"].text for row in page.rows("Keys")] == ["Agent", "Agent"]
    for name in ("Agent", "Channel"):
        assert path_and_query(page.content.find("a", name)[0].attrs["href"])[1]["type"] == name.lower()


def test_an_agent_key_is_read_and_revoked(staff: Client, make: MakeKey) -> None:
    issued = make("Release agent", type=KeyType.AGENT)
    page = Page(staff.get(page_of(issued)))
    told = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert (told["Type"], told["Access"]) == ("Agent", "agents:run chat:send providers:use")
    response = staff.post(f"{KEYS}{issued.key.key_id}/revoke/", {"reason": "Done"})
    assert response.status_code == 303
    assert Key.objects.get(pk=issued.key.pk).revoked_reason == "Done"


def test_the_filters_are_links_that_keep_one_another(staff: Client, make: MakeKey) -> None:
    make("Docs crawler")
    page = Page(staff.get(f"{KEYS}?project=acme&type=restricted&after=nothing"))
    _, query = path_and_query(page.link("Live"))
    assert query == {"project": "acme", "type": "restricted", "environment": "live"}
    assert "Project: Acme" in page.content.text
    assert path_and_query(page.link("Show all"))[1] == {"type": "restricted"}


@pytest.mark.parametrize("query", ["", "project=acme", "project=acme&type=restricted"])
def test_it_turns_its_pages_by_cursor(staff: Client, project: Project, query: str) -> None:
    names = [f"Key {number:03}" for number in range(120)]
    for name in names:
        IssuedFactory(project=project, name=name)
    seen: list[str] = []
    url = f"{KEYS}?{query}"
    pages = []
    while url:
        page = Page(staff.get(url))
        pages.append([row["Name"].text for row in page.rows("Keys")])
        seen += pages[-1]
        url = KEYS + page.link("Next") if page.find("a", "Next") else ""
    assert [name for name in seen if name != "Automator Key"] == names[::-1]
    assert len(pages) == 3
    back = Page(staff.get(KEYS + page.link("Previous")))
    assert [row["Name"].text for row in back.rows("Keys")] == pages[1]


def queries_of(client: Client, url: str) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in captured.captured_queries]


@pytest.mark.parametrize(
    "url",
    [
        KEYS, f"{KEYS}?project=acme", f"{KEYS}?state=expired", f"{KEYS}?q=crawler",
        "/admin/projects/project/", "/admin/projects/project/acme/change/", "/admin/projects/auditevent/",
        "/admin/projects/auditevent/?project=acme", "/admin/projects/membership/",
        "/admin/projects/user/", "/admin/projects/resource/", "/admin/projects/channel/",
        "/admin/keys/key/?channel=acme.support-bot",
    ],
)  # fmt: skip
def test_no_list_counts_or_reads_more_than_a_page(
    staff: Client, project: Project, url: str, at: datetime
) -> None:
    MembershipFactory(project=project)
    ChannelFactory(project=project, slug="support-bot", name="Support bot")
    held = {"type": KeyType.CHANNEL, "channel": "support-bot"}
    IssuedFactory(project=project, name="A crawler", at=at - timedelta(days=9), expires_at=at)
    IssuedFactory(project=project, holder="Nora", **held)
    staff.get(url)
    few = queries_of(staff, url)
    for number in range(60):
        IssuedFactory(project=project, name=f"Crawler {number}", at=at - timedelta(days=9), expires_at=at)
        IssuedFactory(project=project, holder=f"Shop {number}", **held)
        ChannelFactory(project=project, slug=f"bot-{number}")
    many = queries_of(staff, url)
    assert len(many) == len(few), "a query for each row"
    assert not [sql for sql in many if "COUNT(" in sql.upper()]
    unlimited = [sql for sql in many if 'FROM "keys_key"' in sql and "LIMIT" not in sql]
    assert not unlimited
    assert not [sql for sql in many if "secret_hash" in sql or '"sealed"' in sql]


# The search


def sought(client: Client, text: str, **kept: str) -> str:
    response = client.post(SEARCH, {"q": text, **kept})
    assert response.status_code == 303
    location: str = response["Location"]
    return location


def test_a_pasted_token_leads_to_its_key_and_stands_nowhere(
    staff: Client, make: MakeKey, caplog: pytest.LogCaptureFixture
) -> None:
    issued = make()
    token = issued.token
    for text in (token, f"Authorization: Bearer {token}", token[:-10], token[8:], f" {token}\n"):
        assert sought(staff, text, project="acme") == page_of(issued)
    assert token[22:] not in caplog.text
    assert token[22:] not in repr(list(AuditEvent.objects.values_list()))
    stored = [Session.objects.model(session_data=row.session_data) for row in Session.objects.all()]
    assert token[22:] not in repr([row.session_data for row in stored])
    assert token[22:] not in staff.get(page_of(issued)).content.decode()


def test_a_preview_and_a_key_id_find_the_key(staff: Client, make: MakeKey) -> None:
    issued = make()
    assert sought(staff, issued.key.preview) == page_of(issued)
    location = sought(staff, issued.key.key_id)
    assert location == f"{KEYS}?q={issued.key.key_id}"
    assert listed(staff, "?" + location.partition("?")[2]) == ["Docs crawler"]


def test_the_start_of_a_key_finds_all_that_begin_so(
    staff: Client, make: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["7Fq2aaaaaaaa", "7Fq2bbbbbbbb", "7Fq3cccccccc"])
    generate = tokens.generate
    monkeypatch.setattr(tokens, "generate", lambda environment, key_id: generate(environment, next(ids)))
    for name in ("One", "Two", "Three"):
        make(name)
    location = sought(staff, "kr_live_7Fq2")
    assert location == f"{KEYS}?q=kr_live_7Fq2"
    assert listed(staff, "?" + location.partition("?")[2]) == ["Two", "One"]
    assert sought(staff, "kr_live_7Fq3") == f"{KEYS}7Fq3cccccccc/change/"


def test_a_revoked_key_and_one_of_a_deleted_project_are_found_too(
    staff: Client, make: MakeKey, project: Project, at: datetime
) -> None:
    revoked, living = make("Leaked"), make("Docs crawler")
    lifecycle.revoke(project, revoked.key.key_id, actor=Actor.system(), at=at)
    Project.objects.filter(pk=project.pk).update(deleted_at=at)
    assert sought(staff, revoked.token) == page_of(revoked)
    page = Page(staff.get(sought(staff, living.token)))
    assert "Project deleted" in page.content.text
    assert not page.find("a", "Revoke")


def test_a_token_that_is_nobody_s_is_dropped_with_a_word(staff: Client, project: Project) -> None:
    token = "kr_live_" + "Q" * 56
    for text in (token, "Q" * 56, "ZZZZ9f" * 7):
        response = staff.post(SEARCH, {"q": text}, follow=True)
        assert response.redirect_chain[-1][0] == KEYS
        page = Page(response)
        assert page.messages() == ["No key matches what you pasted."]
        assert "QQQQ" not in page.source
        assert "ZZZZ" not in page.source


def test_a_token_that_somebody_typed_into_the_address_leaves_it(staff: Client, make: MakeKey) -> None:
    issued = make()
    response = staff.get(KEYS, {"q": issued.token})
    assert (response.status_code, response["Location"]) == (303, page_of(issued))
    response = staff.get(KEYS, {"project": issued.token, "type": "restricted"})
    assert (response.status_code, response["Location"]) == (303, f"{KEYS}?type=restricted")


def test_a_name_is_searched_and_the_filters_stay(staff: Client, make: MakeKey) -> None:
    make("Docs crawler")
    make("Website bot")
    location = sought(staff, "  crawl ", project="acme", environment="live", nonsense="x")
    assert path_and_query(location) == (KEYS, {"project": "acme", "environment": "live", "q": "crawl"})
    page = Page(staff.get(location))
    assert [row["Name"].text for row in page.rows("Keys")] == ["Docs crawler"]
    assert "Those that match “crawl”." in page.content.text
    assert sought(staff, "") == KEYS


def test_the_search_form_posts(ines: User, make: MakeKey) -> None:
    issued = make()
    visitor = Visitor(ines)
    visitor.visit(f"{KEYS}?type=restricted")
    assert visitor.page.form_of("Search").method == "post"
    page = visitor.press("Search", q=issued.token)
    assert page.heading == "Docs crawler"
    assert visitor.url == page_of(issued)


# A key's page


def test_its_page_leads_to_its_project_its_events_and_for_members_to_the_console(
    ines: User, staff: Client, make: MakeKey, project: Project
) -> None:
    issued = make(note="Reads the docs.")
    page = Page(staff.get(page_of(issued)))
    assert page.link("Acme") == "/admin/projects/project/acme/change/"
    events = page.link("All events")
    assert path_and_query(events)[1] == {"project": "acme", "object": f"key%3A{issued.key.key_id}"}
    (row,) = Page(staff.get(events)).rows("Audit log")
    assert (row["What"].text, row["Who"].text) == ("key.issued", "Mara Lindqvist")
    assert not page.find("a", "Open in the console")
    assert "Reads the docs." in page.content.text
    MembershipFactory(project=project, user=ines)
    console = Page(staff.get(page_of(issued))).link("Open in the console")
    assert staff.get(console).status_code == 200


# Revoking


def test_it_is_revoked_with_a_reason_and_the_log_says_who(ines: User, make: MakeKey, at: datetime) -> None:
    issued = make()
    visitor = Visitor(ines)
    visitor.visit(page_of(issued))
    assert visitor.follow("Revoke").heading == "Revoke Docs crawler?"
    page = visitor.press("Revoke key", reason="Laptop stolen")
    assert page.messages() == ["Docs crawler was revoked."]
    assert not page.find("a", "Revoke")
    key = Key.objects.get(pk=issued.key.pk)
    assert (key.revoked_by_label, key.revoked_reason) == ("Ines Varga", "Laptop stolen")
    assert check(issued.token, at=at + timedelta(minutes=1)).outcome is Outcome.REVOKED
    event = AuditEvent.objects.filter(verb="key.revoked").get()
    assert (event.actor_kind, event.actor_id, event.actor_label, event.address, event.changes) == (
        "person", str(ines.pk), "Ines Varga", "127.0.0.1", {"reason": "Laptop stolen"},
    )  # fmt: skip


def test_one_in_use_asks_for_its_last_characters(staff: Client, make: MakeKey, at: datetime) -> None:
    issued = make()
    KeyActivity.objects.filter(key=issued.key).update(last_used_at=at - timedelta(hours=1))
    url = f"{KEYS}{issued.key.key_id}/revoke/"
    response = staff.post(url, {"last4": "nope", "reason": ""})
    assert response.status_code == 422
    last4 = issued.key.last4
    assert Page(response).problems() == [f"Type {last4}, the last 4 characters of the key."]
    assert Key.objects.get(pk=issued.key.pk).revoked_at is None
    assert staff.post(url, {"last4": last4}).status_code == 303


def test_a_token_in_the_reason_is_refused_and_not_repeated(staff: Client, make: MakeKey) -> None:
    issued, other = make(), make("Other")
    response = staff.post(f"{KEYS}{issued.key.key_id}/revoke/", {"reason": f"see {other.token}"})
    assert response.status_code == 422
    assert other.token[20:] not in response.content.decode()
    assert Key.objects.get(pk=issued.key.pk).revoked_at is None


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_second_time_says_who_was_first(
    staff: Client, make: MakeKey, project: Project, at: datetime, method: str
) -> None:
    issued = make()
    lifecycle.revoke(project, issued.key.key_id, actor=Actor.system("Otis"), at=at, reason="first")
    response = getattr(staff, method)(f"{KEYS}{issued.key.key_id}/revoke/", {"reason": "second"})
    assert response.status_code == 409
    assert "Otis already revoked this key." in Page(response).content.text
    assert Key.objects.get(pk=issued.key.pk).revoked_reason == "first"


def test_the_automator_key_is_protected(staff: Client, project: Project) -> None:
    key = project.keys.get(type=KeyType.SYSTEM)
    url = f"{KEYS}{key.key_id}/revoke/"
    assert not Page(staff.get(f"{KEYS}{key.key_id}/change/")).find("a", "Revoke")
    for response in (staff.get(url), staff.post(url, {"reason": ""})):
        assert response.status_code == 409
        assert "Renew it to stop a leak" in Page(response).content.text
    assert Key.objects.get(pk=key.pk).revoked_at is None


def test_nothing_is_revoked_by_looking_or_without_the_form_s_token(ines: User, make: MakeKey) -> None:
    issued = make()
    url = f"{KEYS}{issued.key.key_id}/revoke/"
    signed_in(ines).get(url)
    guarded: Any = Client(enforce_csrf_checks=True)
    guarded.force_login(ines)
    assert guarded.post(url, {"reason": ""}).status_code == 403
    assert Key.objects.get(pk=issued.key.pk).revoked_at is None


def test_its_limits_are_told_and_not_edited(staff: Client, project: Project) -> None:
    limits = {"networks": ["192.0.2.0/24"], "rate": "5/hour"}
    page = Page(staff.get(page_of(IssuedFactory(project=project, **limits))))
    told = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert told["Limits"] == "Only from 192.0.2.0/24; At most 5 uses per hour"
    assert not page.content.find("textarea")


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages look through so few keys that a handful is very many."""
    monkeypatch.setattr("keys.admin.pages.LOOKED_THROUGH", 10)
    monkeypatch.setattr("keys.admin.pages.COUNTED_AT_MOST", 3)


def turned(client: Client, query: str) -> tuple[list[str], int]:
    """Return what all pages of a list have, and how many there are; back from the last it is the same."""
    seen: list[list[str]] = []
    url = f"{KEYS}?{query}"
    while url:
        page = Page(client.get(url))
        seen.append([row["Name"].text for row in page.rows("Keys")] if page.find("table") else [])
        url = KEYS + page.link("Next") if page.find("a", "Next") else ""
    back: list[list[str]] = []
    while page.find("a", "Previous"):
        page = Page(client.get(KEYS + page.link("Previous")))
        back.insert(0, [row["Name"].text for row in page.rows("Keys")] if page.find("table") else [])
    names = [name for each in seen for name in each]
    assert [name for each in back for name in each] == names[: len(names) - len(seen[-1])] or not back
    return names, len(seen)


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize(
    "query",
    ["type=viewer", "project=acme&type=viewer", "q=ra", "q=rare", "project=acme&q=rare", "person={owner}"],
)
def test_what_has_no_index_is_looked_through_piece_by_piece(
    staff: Client, make: MakeKey, owner: User, at: datetime, query: str
) -> None:
    for number in range(40):
        rare = number % 8 == 0
        made_at = at - timedelta(days=1) + timedelta(minutes=number)
        kind = KeyType.VIEWER if rare else KeyType.RESTRICTED
        make(f"{'Rare' if rare else 'Key'} {number:02}", type=kind, at=made_at)
    names, pages = turned(staff, query.format(owner=owner.pk))
    assert [name for name in names if "Rare" in name] == [f"Rare {n:02}" for n in (32, 24, 16, 8, 0)]
    assert pages == 5


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("state", ["paused", "unconfirmed", "expired", "revoked"])
def test_within_a_project_a_state_is_found_at_once(
    staff: Client, make: MakeKey, at: datetime, state: str
) -> None:
    old = at - timedelta(days=2)
    rare = make(
        "Rare",
        at=old,
        expires_at=at - timedelta(days=1) if state == "expired" else NEVER_EXPIRES,
        confirmed=state != "unconfirmed",
    )
    act: dict[str, Any] = {"actor": Actor.system(), "at": at}
    if state in ("paused", "revoked"):
        verb = lifecycle.pause if state == "paused" else lifecycle.revoke
        verb(rare.key.project, rare.key.key_id, **act)
    for number in range(30):
        make(f"Key {number:02}", at=at - timedelta(days=1))
    assert turned(staff, f"project=acme&state={state}") == (["Rare"], 1)
    assert turned(staff, f"project=acme&state={state}&q=ra&type=restricted") == (["Rare"], 1)
    assert turned(staff, f"project=acme&state={state}&environment=test") == ([], 1)


@pytest.mark.parametrize("after", ["nothing", "000000000000", "{elsewhere}", "{living}"])
@pytest.mark.parametrize("query", ["", "project=acme", "project=acme&state=revoked", "state=paused", "q=doc"])
def test_a_place_of_another_list_is_no_place(
    staff: Client, make: MakeKey, at: datetime, query: str, after: str
) -> None:
    living = make("Docs crawler").key.key_id
    elsewhere = IssuedFactory(project=ProjectFactory(name="Bravo"), name="Website bot").key.key_id
    place = after.format(living=living, elsewhere=elsewhere)
    for name in ("after", "before"):
        assert staff.get(f"{KEYS}?{query}&{name}={place}").status_code == 200


STRANGE = ["long " * 2_000, "%%%", "___", "*", '"', '"doc" NEAR "x"', "doc*", "-doc", "name:doc", "doc\0x"]


@pytest.mark.parametrize("term", STRANGE)
def test_a_strange_search_is_a_name_like_any_other(staff: Client, make: MakeKey, term: str) -> None:
    make("Docs crawler")
    response = staff.post(SEARCH, {"q": term}, follow=True)
    assert response.status_code == 200
    page = Page(response)
    assert not page.find("tbody")
    assert "Nothing matches" in page.content.text
