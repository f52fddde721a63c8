"""First call: the proof that a secret was stored where it is used, asked for by the dialog that shows it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from keys import lifecycle
from keys.activity import activity
from keys.kinds import KeyType
from keys.models import Key, KeyActivity
from keys.sources import Source
from keys.verification import check
from projects.models import Project, User
from projects.moments import Moment
from tests.factories import acting
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Page, Visitor, freshen, signed_in, url_of

pytestmark = pytest.mark.django_db

HERE = Source("192.0.2.41", "curl")


@pytest.fixture
def mara(owner: User) -> Client:
    return freshen(signed_in(owner))


@pytest.fixture
def now(at: datetime, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The moment in which the page is asked."""
    monkeypatch.setattr("keys.views.keys.timezone.now", lambda: at)
    return at


def ask(client: Client, key: Key, headers: dict[str, str] | None = None, **query: str) -> Any:
    return client.get(url_of("key_first_call", key.key_id), query, headers=headers or {})


def since(moment: datetime) -> str:
    return Moment.of(moment).iso


def create(client: Client) -> Page:
    page = Page(client.get(url_of("key_create")))
    fields = page.form_of("Generate").fields() | {"name": ["Docs crawler"], "scopes": ["sources:read"]}
    return Page(client.post(url_of("key_create"), fields))


def test_the_dialog_asks_until_it_is_told(mara: Client) -> None:
    page = create(mara)
    key = Key.objects.get(name="Docs crawler")
    waiting = page.one("p", id="first-call")
    assert waiting.text.startswith("Waiting for the first call…")
    assert page.one("div", role="status").one("p", id="first-call") is waiting
    assert waiting.attrs["hx-trigger"] == "every 2s"
    assert (waiting.attrs["hx-target"], waiting.attrs["hx-swap"]) == ("this", "outerHTML")
    url = waiting.attrs["hx-get"]
    assert url == f"{url_of('key_first_call', key.key_id)}?since={since(key.created_at)}"
    response = mara.get(url, headers=HTMX)
    assert (response.status_code, response.content) == (204, b"")
    assert "HX-Request" in response["Vary"]
    token = page.one("output", id="secret").text
    at = key.created_at + timedelta(seconds=3)
    assert check(token, at=at, source=HERE).is_valid
    activity.flush()
    told = Page(mara.get(url, headers=HTMX))
    assert not told.is_whole
    seen = told.one("p", id="first-call")
    assert seen.text == f"First call seen from 192.0.2.41, {Moment.of(at).text}."
    assert seen.one("time").attrs["data-when"] == "relative"
    # It has its answer, and asks no more.
    assert not {"hx-get", "hx-trigger"} & seen.attrs.keys()
    assert token not in told.source


def test_a_refused_call_is_no_proof(mara: Client, make: MakeKey, now: datetime) -> None:
    issued = make()
    check(issued.token, at=now, source=HERE, scopes=["sources:write"])
    activity.flush()
    assert ask(mara, issued.key, HTMX, since=since(now)).status_code == 204


def test_a_call_from_an_unknown_place_is_one(mara: Client, make: MakeKey, now: datetime) -> None:
    issued = make()
    check(issued.token, at=now)
    activity.flush()
    seen = Page(ask(mara, issued.key, HTMX)).one("p", id="first-call")
    assert seen.text == f"First call seen, {Moment.of(now).text}."


def test_what_the_old_secret_did_is_no_proof_of_the_new_one(
    mara: Client, project: Project, owner: User, now: datetime
) -> None:
    automator = project.keys.get(type=KeyType.SYSTEM)
    KeyActivity.objects.filter(key=automator).update(last_used_at=now - timedelta(seconds=5))
    lifecycle.renew(project, automator.key_id, actor=acting(owner, project), at=now, version=1)
    assert ask(mara, automator, HTMX, since=since(now)).status_code == 204
    assert "First call seen" in Page(ask(mara, automator, HTMX, since=since(now - timedelta(days=1)))).source


def test_a_forgotten_dialog_asks_no_more_after_a_while(mara: Client, make: MakeKey, now: datetime) -> None:
    key = make().key
    shown = since(now - timedelta(minutes=14))
    assert ask(mara, key, HTMX, since=shown).status_code == 204
    told = Page(ask(mara, key, HTMX, since=since(now - timedelta(minutes=16))))
    waiting = told.one("p", id="first-call")
    assert waiting.text == "No call seen yet. Look again"
    assert "hx-trigger" not in waiting.attrs
    again = told.one("a", "Look again")
    assert again.attrs["hx-target"] == "#first-call"
    assert again.attrs["hx-get"] == again.attrs["href"]


def test_it_is_a_page_of_its_own_too(mara: Client, make: MakeKey, now: datetime) -> None:
    key = make().key
    page = Page(ask(mara, key, since=since(now)))
    assert page.is_whole
    assert page.heading == "First call"
    assert page.title == "First call of Docs crawler · Acme · Keyrack"
    assert page.content.one("p", id="first-call").text.startswith("Waiting for the first call…")
    assert page.link("Docs crawler") == url_of("key_detail", key.key_id)


@pytest.mark.parametrize("text", ["", "now", "2026-11-21", "2026-13-01T00:00:00Z", "9" * 5000])
def test_a_moment_that_is_none_leads_nowhere(
    mara: Client, make: MakeKey, way: dict[str, str], text: str
) -> None:
    assert ask(mara, make().key, way, since=text).status_code == 404


def test_a_viewer_may_look(viewer: User, make: MakeKey, now: datetime) -> None:
    assert ask(signed_in(viewer), make().key, HTMX).status_code == 204


def test_it_is_read_only(mara: Client, make: MakeKey) -> None:
    assert mara.post(url_of("key_first_call", make().key.key_id)).status_code == 405


def test_it_is_never_kept(mara: Client, make: MakeKey, now: datetime, way: dict[str, str]) -> None:
    issued = make()
    check(issued.token, at=now, source=HERE)
    activity.flush()
    assert "no-store" in ask(mara, issued.key, way)["Cache-Control"]


def test_without_javascript_it_is_looked_at_beside_the_secret(owner: User) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("key_create"))
    page = visitor.press("Generate", name="Docs crawler", scopes=["sources:read"])
    link = page.one("a", "Look in a new tab")
    # The secret stays on the screen.
    assert (link.attrs["target"], link.attrs["rel"]) == ("_blank", "noopener")
    assert "without-script" in link.attrs["class"]
    token = page.one("output", id="secret").text
    visitor.visit(link.attrs["href"])
    check(token, at=timezone.now(), source=HERE)
    activity.flush()
    page = visitor.follow("Look again")
    assert "First call seen from 192.0.2.41" in page.content.text
    assert not page.find("a", "Look again")
