"""Rotate: a new key takes the place, the old one works for as long as one chooses."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from keys.kinds import KeyType
from keys.lifecycle import Issued, pause, revoke, rotate
from keys.models import Key
from keys.verification import Outcome, check
from projects.models import Project, User
from tests.factories import acting
from tests.web.conftest import MakeKey
from tests.web.pages import Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


@pytest.fixture
def mara(owner: User) -> Client:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    return signed_in(owner)


@pytest.fixture
def old(make: MakeKey) -> Issued:
    return make()


def ask(client: Client, key: Key, headers: dict[str, str] | None = None) -> Any:
    return client.get(url_of("key_rotate", key.key_id), headers=headers or {})


def send(client: Client, key: Key, headers: dict[str, str] | None = None, **typed: str) -> Any:
    data = {"grace_period": "24h"} | typed
    return client.post(url_of("key_rotate", key.key_id), data, headers=headers or {})


def shown(response: Any) -> str:
    return Page(response).one("output", id="secret").text


def test_it_asks_first_and_says_what_each_choice_means(
    mara: Client, old: Issued, way: dict[str, str], at: datetime
) -> None:
    response = ask(mara, old.key, way)
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert page.heading == "Rotate Docs crawler"
    assert "You get a new key now. The old one keeps working until the time you choose." in page.texts("p")
    assert page.texts("b") == ["Stop it now", "1 hour", "24 hours", "7 days"]
    form = page.form_of("Rotate key")
    assert form.action == form.node.attrs["hx-post"] == url_of("key_rotate", old.key.key_id)
    assert form.fields()["grace_period"] == ["24h"]
    assert page.link("Cancel") == url_of("key_list")
    assert Key.objects.filter(predecessor=old.key).count() == 0


def test_a_choice_never_promises_more_than_the_keys_own_end(
    mara: Client, make: MakeKey, at: datetime
) -> None:
    end = at + timedelta(hours=3)
    page = Page(ask(mara, make(expires_at=end).key))
    times = [node.attrs["datetime"] for node in page.content.find("time")]
    assert times[-2:] == [end.strftime("%Y-%m-%dT%H:%M:%SZ")] * 2


def test_it_shows_the_new_key_once_and_the_old_one_goes_on(
    mara: Client, old: Issued, way: dict[str, str], at: datetime
) -> None:
    response = send(mara, old.key, way)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert page.heading == "Copy your key now"
    token = shown(response)
    new = Key.objects.get(predecessor=old.key)
    assert new.key_id == token[8:20]
    assert check(token, at=at + timedelta(minutes=1)).is_valid
    assert check(old.token, at=at + timedelta(hours=23)).is_valid
    assert check(old.token, at=at + timedelta(hours=25)).outcome is Outcome.REVOKED


def test_the_table_says_until_when_and_offers_to_stop_it_now(
    mara: Client, project: Project, owner: User, old: Issued, at: datetime
) -> None:
    new = rotate(project, old.key.key_id, grace=timedelta(hours=1), actor=acting(owner, project), at=at).key
    rows = Page(mara.get(url_of("key_list"))).rows("Project API keys, newest first")
    by_key = {row["Key"].one("code").text: row for row in rows}
    before, after = by_key[old.key.preview], by_key[new.preview]
    assert "Rotating" in before["Name"].text
    assert f"…{old.key.last4} works until" in before["Name"].text
    assert before["Name"].text.endswith(", 0 requests in the last hour: safe to stop")
    assert "requests" not in after["Name"].text
    assert before["Actions"].names("a") == ["Stop old key of Docs crawler now"]
    assert before["Actions"].one("a").attrs["href"] == url_of("key_revoke", old.key.key_id)
    assert after["Actions"].names("a") == [
        "Edit Docs crawler", "Get a new secret for Docs crawler", "Revoke Docs crawler",
    ]  # fmt: skip


def test_both_pages_lead_to_one_another(
    mara: Client, project: Project, owner: User, old: Issued, at: datetime
) -> None:
    new = rotate(project, old.key.key_id, grace=timedelta(hours=1), actor=acting(owner, project), at=at).key
    page = Page(mara.get(url_of("key_detail", old.key.key_id)))
    assert page.link(new.preview) == url_of("key_detail", new.key_id)
    assert "Mara Lindqvist rotated this key" in page.one("ol").text
    assert Page(mara.get(url_of("key_detail", new.key_id))).link(old.key.preview)


def test_a_second_time_says_which_key_took_the_place(mara: Client, old: Issued, way: dict[str, str]) -> None:
    first = shown(send(mara, old.key, way))
    for response in (send(mara, old.key, way), ask(mara, old.key, way)):
        assert response.status_code == 409
        page = Page(response)
        assert "This key was rotated already. Here is the key that takes its place." in page.texts("p")
        assert url_of("key_detail", first[8:20]) in [node.attrs["href"] for node in page.content.find("a")]
        assert first not in page.source
    assert Key.objects.filter(predecessor=old.key).count() == 1


@pytest.mark.parametrize("grace", ["", "2h", "x" * 5000, "\0"])
def test_a_choice_that_is_none_is_refused(mara: Client, old: Issued, way: dict[str, str], grace: str) -> None:
    response = send(mara, old.key, way, grace_period=grace)
    assert response.status_code == 422
    assert Page(response).problems() == ["Choose when the old key stops."]
    assert Key.objects.filter(predecessor=old.key).count() == 0


def test_a_privileged_key_asks_for_the_password_in_the_same_form(
    mara: Client, make: MakeKey, way: dict[str, str]
) -> None:
    old = make(type=KeyType.PRIVILEGED).key
    assert Page(ask(mara, old, way)).find("input", type="password", name=None)
    response = send(mara, old, way, grace_period="7d")
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == ["Enter your password."]
    # What was chosen is still there.
    assert page.form_of("Rotate key").fields()["grace_period"] == ["7d"]
    assert send(mara, old, way, current_password="not this one").status_code == 422
    assert shown(send(mara, old, way, current_password=PASSWORD))


def test_another_key_asks_for_none(mara: Client, old: Issued) -> None:
    assert not Page(ask(mara, old.key)).content.find("input", type="password")


def test_a_paused_key_is_said_to_stay_so(
    mara: Client, project: Project, owner: User, old: Issued, at: datetime
) -> None:
    pause(project, old.key.key_id, actor=acting(owner, project), at=at)
    assert "This key is paused, and so is the new one" in Page(ask(mara, old.key)).content.text


def test_what_is_over_is_refused(
    mara: Client, project: Project, owner: User, old: Issued, at: datetime, way: dict[str, str]
) -> None:
    revoke(project, old.key.key_id, actor=acting(owner, project), at=at)
    assert send(mara, old.key, way).status_code == 409
    automator = project.keys.get(type=KeyType.SYSTEM)
    assert ask(mara, automator, way).status_code == 409


def test_an_operator_rotates_their_own_alone(
    operator: User, make: MakeKey, old: Issued, way: dict[str, str]
) -> None:
    otis = signed_in(operator)
    mine = make("Mine", by=operator)
    assert send(otis, mine.key, way).status_code == 200
    for ask_or_send in (ask, send):
        assert ask_or_send(otis, old.key, way).status_code == 403
    page = Page(otis.get(url_of("key_list")))
    assert "Rotate Docs crawler" not in page.names("a")


def test_a_viewer_may_not(viewer: User, old: Issued, way: dict[str, str]) -> None:
    assert send(signed_in(viewer), old.key, way).status_code == 403


def test_it_works_without_javascript(owner: User, old: Issued, at: datetime) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("key_list"))
    visitor.follow("Rotate Docs crawler")
    visitor.press("Rotate key", grace_period="1h")
    assert visitor.page.heading == "Copy your key now"
    page = visitor.press("I've stored it")
    assert page.messages() == ["Docs crawler is ready to use."]
    assert len(page.find("a", "Docs crawler")) == 2
