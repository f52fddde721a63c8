"""Revoke: what it says before, what it asks of a key in use, and what stands there afterwards."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from keys import lifecycle
from keys.drafts import Draft
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import DayCount, Key, KeyActivity
from keys.permissions import KeyActor
from keys.verification import Outcome, check
from projects.models import AuditEvent, Project, User
from projects.moments import Moment
from tests.factories import acting
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"
LIST = "http://testserver/projects/acme/settings/keys/"
KEYS = "Project API keys, newest first"
REVOKED = "Revoked API keys, last revoked first"


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


@pytest.fixture
def crawler(make: MakeKey) -> Issued:
    return make()


@pytest.fixture
def busy(crawler: Issued, at: datetime) -> Issued:
    """A key that was used two minutes ago."""
    KeyActivity.objects.filter(key=crawler.key).update(
        last_used_at=at - timedelta(minutes=2), last_used_client="curl", last_used_address="192.0.2.41"
    )
    return crawler


def ask(client: Client, key: Key, headers: dict[str, str] | None = None) -> Any:
    return client.get(url_of("key_revoke", key.key_id), headers=headers or {})


def revoke(client: Client, key: Key, headers: dict[str, str] | None = None, **typed: str) -> Any:
    return client.post(url_of("key_revoke", key.key_id), typed, headers=headers or {})


def is_living(issued: Issued) -> bool:
    return Key.objects.get(pk=issued.key.pk).revoked_at is None


def names(page: Page, caption: str) -> list[str]:
    return [row["Name"].find("a")[0].text for row in page.rows(caption)]


# Before


def test_it_says_what_will_happen(mara: Client, crawler: Issued, way: dict[str, str]) -> None:
    response = ask(mara, crawler.key, way)
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Revoke Docs crawler?"
    words = "Requests with this key fail from the moment you revoke it. This can't be undone."
    assert words in page.texts("p")
    assert crawler.key.preview in page.texts("code")
    form = page.form_of("Revoke key")
    assert form.action == form.node.attrs["hx-post"] == url_of("key_revoke", crawler.key.key_id)
    assert form.fields().keys() - {"csrfmiddlewaretoken"} == {"reason"}
    keep = page.one("a", "Keep key")
    assert keep.attrs["href"] == url_of("key_list")
    assert "data-autofocus" in keep.attrs
    assert page.one("label", for_="id_reason").text == "Reason (optional)"
    if not way:
        assert page.title == "Revoke Docs crawler · Acme · Keyrack"


def test_a_get_ends_nothing(mara: Client, crawler: Issued, way: dict[str, str]) -> None:
    ask(mara, crawler.key, way)
    assert is_living(crawler)


def test_it_says_what_would_break(mara: Client, busy: Issued, way: dict[str, str], at: datetime) -> None:
    page = Page(ask(mara, busy.key, way))
    note = page.one("p", class_="note").text
    last = Moment.of(at - timedelta(minutes=2)).text
    assert note == f"In use: last {last} from 192.0.2.41."
    for ago, count in ((0, 1200), (6, 4), (7, 99)):
        day = timezone.now().astimezone(UTC).date() - timedelta(days=ago)
        DayCount.objects.create(key=busy.key, day=day, outcome="valid", count=count)
    note = Page(ask(mara, busy.key, way)).one("p", class_="note").text
    assert note == f"In use: 1,204 requests this week, last {last} from 192.0.2.41."
    label = page.one("label", for_="id_last4").text
    assert label == f"Type the last 4 characters ({busy.key.last4}) to confirm"


def test_it_lists_the_keys_that_the_key_has_issued(
    mara: Client, project: Project, make: MakeKey, way: dict[str, str], at: datetime
) -> None:
    parent = make("Parent", type=KeyType.PRIVILEGED, scopes=())
    actor = KeyActor.acting(parent.key)
    children = [
        lifecycle.issue(project, Draft(f"Child {n}", scopes=["sources:read"]), actor=actor, at=at).key
        for n in range(2)
    ]
    page = Page(ask(mara, parent.key, way))
    assert "This key issued 2 other keys. They keep working." in page.texts("p")
    for child in children:
        assert page.link(child.name) == url_of("key_detail", child.key_id)
    revoke(mara, children[0])
    page = Page(ask(mara, parent.key, way))
    assert "This key issued another key. It keeps working." in page.texts("p")
    assert not page.content.find("a", "Child 0")
    assert not Page(ask(mara, children[1], way)).find("ul", class_="issued")


# What it refuses


@pytest.mark.parametrize("typed", ["", "AAAA", "wrong word"])
def test_a_key_in_use_asks_for_its_last_characters(
    mara: Client, busy: Issued, way: dict[str, str], typed: str
) -> None:
    response = revoke(mara, busy.key, way, last4=typed, reason="Left the team")
    assert response.status_code == 422
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    words = f"Type {busy.key.last4}, the last 4 characters of the key."
    assert page.problems() == [words]
    assert page.error_of("last4") == [words]
    assert page.one(id="errors").one("a").attrs["href"] == "#id_last4"
    assert page.form_of("Revoke key").fields()["reason"] == ["Left the team"]
    if not way:
        assert page.title == "Error: Revoke Docs crawler · Acme · Keyrack"
    assert is_living(busy)


def test_the_last_characters_are_told_apart_by_case(mara: Client, busy: Issued, way: dict[str, str]) -> None:
    Key.objects.filter(pk=busy.key.pk).update(last4="x9Qa")
    assert revoke(mara, busy.key, way, last4="X9QA").status_code == 422
    assert revoke(mara, busy.key, way, last4=" x9Qa ").status_code in (200, 303)


def test_a_key_that_rested_for_a_week_asks_for_nothing(
    mara: Client, busy: Issued, way: dict[str, str], at: datetime
) -> None:
    KeyActivity.objects.update(last_used_at=at - timedelta(days=7, minutes=1))
    assert not Page(ask(mara, busy.key, way)).find(id="id_last4")
    assert revoke(mara, busy.key, way).status_code in (200, 303)
    assert not is_living(busy)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("x " * 101, "Use 200 characters or fewer."),
        ("a\u200bb", "Use letters, digits, blanks and punctuation that can be seen."),
        (
            f"Leaked as {TOKEN}",
            "That looks like an API key. Keys don't belong here: nobody should be able to read it.",
        ),
        (
            TOKEN[20:58],
            "That looks like an API key. Keys don't belong here: nobody should be able to read it.",
        ),
    ],
    ids=["long", "unseen", "key", "secret"],
)
def test_a_reason_keeps_to_the_rules(
    mara: Client, crawler: Issued, way: dict[str, str], reason: str, words: str
) -> None:
    response = revoke(mara, crawler.key, way, reason=reason)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == [words]
    assert page.error_of("reason") == [words]
    assert page.one(id="errors").one("a").attrs["href"] == "#id_reason"
    assert TOKEN[20:39] not in page.source
    assert is_living(crawler)


def test_a_key_in_the_wrong_field_is_not_repeated(mara: Client, busy: Issued, way: dict[str, str]) -> None:
    response = revoke(mara, busy.key, way, last4=TOKEN)
    assert response.status_code == 422
    assert TOKEN[20:39] not in response.content.decode()


# After


def test_without_htmx_the_list_shows_it_among_the_revoked(
    mara: Client, crawler: Issued, at: datetime
) -> None:
    response = revoke(mara, crawler.key, reason="Left the team")
    assert (response.status_code, response["Location"]) == (303, url_of("key_list"))
    page = Page(mara.get(response["Location"]))
    assert page.messages() == ["Docs crawler was revoked."]
    assert names(page, KEYS) == ["Automator Key"]
    (row,) = page.rows(REVOKED)
    assert (row["Name"].text, row["By"].text, row["Reason"].text) == (
        "Docs crawler", "Mara Lindqvist", "Left the team",
    )  # fmt: skip
    assert check(crawler.token, at=at + timedelta(minutes=1)).outcome is Outcome.REVOKED


def test_with_htmx_the_row_moves_and_the_next_has_the_focus(
    mara: Client, crawler: Issued, make: MakeKey, at: datetime
) -> None:
    newest = make("Newest", at=at + timedelta(seconds=1)).key
    response = revoke(mara, newest, HTMX | {"HX-Current-URL": LIST})
    assert response.status_code == 200
    assert (response["HX-Retarget"], response["HX-Reswap"]) == ("#listing", "outerHTML")
    assert json.loads(response["HX-Trigger-After-Settle"]) == {
        "keyrack:close": {},
        "keyrack:focus": {"target": f"#key-{crawler.key.key_id}"},
    }
    page = Page(response)
    assert not page.is_whole
    assert page.messages() == ["Newest was revoked."]
    assert names(page, KEYS) == ["Docs crawler", "Automator Key"]
    assert names(page, REVOKED) == ["Newest"]
    assert page.find(id=f"key-{crawler.key.key_id}")


def test_with_htmx_the_heading_has_the_focus_after_the_last_row(
    mara: Client, make: MakeKey, at: datetime
) -> None:
    last = make("Oldest", at=at - timedelta(days=1)).key
    response = revoke(mara, last, HTMX | {"HX-Current-URL": LIST})
    assert json.loads(response["HX-Trigger-After-Settle"])["keyrack:focus"] == {"target": "h1"}


def test_with_htmx_the_list_stays_as_it_was_sorted_and_searched(
    mara: Client, crawler: Issued, make: MakeKey
) -> None:
    make("Docs of old")
    make("Docs about us")
    response = revoke(mara, crawler.key, HTMX | {"HX-Current-URL": f"{LIST}?q=docs&sort=name"})
    page = Page(response)
    by_name = "Project API keys, by name, A to Z"
    assert names(page, by_name) == ["Docs about us", "Docs of old"]
    focus = json.loads(response["HX-Trigger-After-Settle"])["keyrack:focus"]["target"]
    assert page.one(id=focus.removeprefix("#")).text == "Docs of old"


def test_with_htmx_on_the_keys_own_page_the_list_is_gone_to(mara: Client, crawler: Issued) -> None:
    headers = HTMX | {"HX-Current-URL": f"{LIST}{crawler.key.key_id}/"}
    response = revoke(mara, crawler.key, headers)
    assert response["HX-Redirect"] == url_of("key_list")
    assert not is_living(crawler)
    assert Page(mara.get(url_of("key_list"))).messages() == ["Docs crawler was revoked."]


def test_a_key_in_use_goes_with_its_last_characters(mara: Client, busy: Issued, way: dict[str, str]) -> None:
    assert revoke(mara, busy.key, way, last4=busy.key.last4).status_code in (200, 303)
    assert not is_living(busy)


def test_it_is_written_down_with_its_reason_and_address(
    mara: Client, crawler: Issued, way: dict[str, str]
) -> None:
    revoke(mara, crawler.key, way, reason="Left the team")
    event = AuditEvent.objects.get(verb="key.revoked", object_id=crawler.key.key_id)
    assert (event.actor_label, event.address) == ("Mara Lindqvist", "127.0.0.1")
    assert event.changes == {"reason": "Left the team"}


def test_its_name_is_free_again(mara: Client, crawler: Issued, make: MakeKey, way: dict[str, str]) -> None:
    revoke(mara, crawler.key, way)
    make("docs CRAWLER")
    assert names(Page(mara.get(url_of("key_list"))), REVOKED) == ["Docs crawler"]


@pytest.mark.parametrize("status", ["Expired", "Paused", "Not confirmed"])
def test_a_key_that_is_out_of_order_can_be_revoked(
    mara: Client, make: MakeKey, way: dict[str, str], at: datetime, status: str
) -> None:
    issued = make(at=at - timedelta(days=2), expires_at=at + timedelta(days=90))
    changes: dict[str, dict[str, datetime | None]] = {
        "Expired": {"expires_at": at - timedelta(days=1)},
        "Paused": {"paused_at": at},
        "Not confirmed": {"confirmed_at": None},
    }
    Key.objects.filter(pk=issued.key.pk).update(**changes[status])
    assert revoke(mara, issued.key, way).status_code in (200, 303)
    assert not is_living(issued)


# Too late, and never


def test_the_second_time_it_says_who_did_it_and_when(
    mara: Client, crawler: Issued, project: Project, operator: User, way: dict[str, str], at: datetime
) -> None:
    lifecycle.revoke(project, crawler.key.key_id, actor=acting(operator, project), at=at)
    for response in (ask(mara, crawler.key, way), revoke(mara, crawler.key, way, reason="Again")):
        assert response.status_code == 409
        assert "HX-Request" in response["Vary"]
        page = Page(response)
        assert page.is_whole is not bool(way)
        alert = page.content.one(role="alert")
        assert alert.text == f"Otis Brandt already revoked this key at {Moment.of(at).text}."
        assert alert.one("time").attrs["datetime"] == Moment.of(at).iso
        assert page.link("Docs crawler") == url_of("key_detail", crawler.key.key_id)
        assert page.link("Back to API keys") == url_of("key_list")
        assert not page.find("button", "Revoke key")
    assert Key.objects.get(pk=crawler.key.pk).revoked_reason == ""
    assert AuditEvent.objects.filter(verb="key.revoked").count() == 1


def test_a_double_click_revokes_once(mara: Client, crawler: Issued, way: dict[str, str]) -> None:
    assert revoke(mara, crawler.key, way).status_code in (200, 303)
    assert revoke(mara, crawler.key, way).status_code == 409
    assert AuditEvent.objects.filter(verb="key.revoked").count() == 1


def test_the_automator_key_is_never_revoked(
    mara: Client, project: Project, way: dict[str, str], at: datetime
) -> None:
    automator = project.keys.get(type=KeyType.SYSTEM)
    for response in (ask(mara, automator, way), revoke(mara, automator, way)):
        assert response.status_code == 409
        said = Page(response).content.one(role="alert").text
        assert said == "The Automator Key can't be revoked. Renew it to stop a leak."
    assert project.keys.get(type=KeyType.SYSTEM).revoked_at is None


# Who may


def test_an_operator_ends_anybodys_key(operator: User, make: MakeKey, way: dict[str, str]) -> None:
    for issued in (make("Mara's"), make("Wide", type=KeyType.PRIVILEGED, scopes=())):
        assert revoke(signed_in(operator), issued.key, way).status_code in (200, 303)
        assert not is_living(issued)


def test_a_viewer_ends_none(viewer: User, crawler: Issued, way: dict[str, str]) -> None:
    client = signed_in(viewer)
    for response in (ask(client, crawler.key, way), revoke(client, crawler.key, way)):
        assert response.status_code == 403
        page = Page(response)
        assert page.title == "Not allowed · Keyrack"
        assert "You can't do that in Acme." in page.texts("p")
    assert is_living(crawler)


def test_it_is_not_taken_from_another_site(owner: User, crawler: Issued, way: dict[str, str]) -> None:
    assert revoke(signed_in(owner, enforce_csrf_checks=True), crawler.key, way).status_code == 403
    assert is_living(crawler)


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_is_read_and_posted_only(mara: Client, crawler: Issued, method: str) -> None:
    assert getattr(mara, method)(url_of("key_revoke", crawler.key.key_id)).status_code == 405
    assert is_living(crawler)


# Without JavaScript


def test_without_javascript_it_goes_from_the_row_to_the_revoked_table(owner: User, busy: Issued) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("key_list"))
    page = visitor.follow("Revoke Docs crawler")
    page = visitor.press("Revoke key", reason="Left the team")
    asked = re.search(r"\((\w{4})\)", page.one("label", for_="id_last4").text)
    assert asked
    page = visitor.press("Revoke key", last4=asked[1])
    assert page.messages() == ["Docs crawler was revoked."]
    assert page.rows(REVOKED)[0]["Reason"].text == "Left the team"


def test_without_javascript_keep_key_leads_back(owner: User, crawler: Issued) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("key_list"))
    visitor.follow("Revoke Docs crawler")
    visitor.follow("Keep key")
    assert visitor.url == url_of("key_list")
    assert is_living(crawler)


# Agent keys


def test_an_agent_key_is_revoked_in_its_own_tab(mara: Client, make: MakeKey, at: datetime) -> None:
    agent = {"type": KeyType.AGENT}
    older = make("Older", at=at - timedelta(days=2), **agent).key
    key = make("Release agent", at=at - timedelta(days=1), **agent).key
    make("Docs crawler")
    assert Page(ask(mara, key, HTMX)).link("Keep key") == url_of("agent_list")
    response = revoke(mara, key, HTMX | {"HX-Current-URL": f"{LIST}agents/"}, reason="Replaced")
    events = json.loads(response["HX-Trigger-After-Settle"])
    assert events["keyrack:focus"] == {"target": f"#key-{older.key_id}"}
    page = Page(response)
    assert names(page, "Agent keys, newest first") == ["Older"]
    assert names(page, REVOKED) == ["Release agent"]
    assert revoke(mara, older)["Location"] == url_of("agent_list")
    late = Page(revoke(mara, older))
    assert late.link("Back to Agent keys") == url_of("agent_list")


def test_with_htmx_on_the_other_tab_the_tab_of_the_key_is_gone_to(mara: Client, make: MakeKey) -> None:
    key = make("Release agent", type=KeyType.AGENT).key
    response = revoke(mara, key, HTMX | {"HX-Current-URL": LIST})
    assert response["HX-Redirect"] == url_of("agent_list")
