"""Reveal: a recoverable key is shown again, to whoever may, after the password."""

from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from keys import recovery
from keys.kinds import KeyType
from keys.lifecycle import Issued, revoke
from projects.audit import Actor
from projects.models import Project, User
from tests.db.watching import events
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
def kept(project: Project, make: MakeKey, at: datetime) -> Issued:
    recovery.set_recoverable(project, True, actor=Actor.system(), at=at)
    return make()


def send(client: Client, issued: Issued, headers: dict[str, str], **typed: str) -> Any:
    return client.post(url_of("key_reveal", issued.key.key_id), typed, headers=headers)


def test_it_asks_for_the_password_and_shows_nothing_yet(
    mara: Client, kept: Issued, way: dict[str, str]
) -> None:
    response = mara.get(url_of("key_reveal", kept.key.key_id), headers=way)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert page.heading == "Reveal Docs crawler"
    assert page.form_of("Show key").fields()["current_password"] == [""]
    assert kept.token not in page.source


def test_it_shows_the_whole_key_in_the_answer_to_the_post(
    mara: Client, project: Project, kept: Issued, way: dict[str, str]
) -> None:
    assert send(mara, kept, way).status_code == 422
    assert Page(send(mara, kept, way, current_password="not this one")).problems() == [
        "That password isn't right."
    ]
    before = len(events(project))
    response = send(mara, kept, way, current_password=PASSWORD)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert Page(response).one("output", id="secret").text == kept.token
    # Within half an hour nobody is asked again; each look is an event of its own.
    assert kept.token in send(mara, kept, way).content.decode()
    assert [event.verb for event in events(project)[before:]] == ["key.revealed", "key.revealed"]


def test_the_copy_icon_becomes_reveal_for_whoever_may(
    mara: Client, operator: User, project: Project, make: MakeKey, kept: Issued
) -> None:
    make("Otis's own", by=operator)
    names = Page(mara.get(url_of("key_list"))).names("a")
    assert {"Reveal Docs crawler", "Reveal Otis's own"} <= set(names)
    page = Page(signed_in(operator).get(url_of("key_list")))
    assert "Reveal Otis's own" in page.names("a")
    assert "Copy key ID of Docs crawler" in page.names("button")
    assert "Copy key ID of Automator Key" in page.names("button")


def test_show_once_says_that_it_is_kept(mara: Client, project: Project, make: MakeKey, kept: Issued) -> None:
    key = make("Another", confirmed=False).key
    page = Page(mara.post(url_of("key_renew", key.key_id), {"version": "1"}))
    assert "This project keeps its keys recoverable" in page.content.text
    assert "one-way hash" not in page.content.text


def test_a_key_that_was_made_before_is_not_kept(
    mara: Client, project: Project, make: MakeKey, at: datetime, way: dict[str, str]
) -> None:
    older = make("Older")
    recovery.set_recoverable(project, True, actor=Actor.system(), at=at)
    response = send(mara, older, way, current_password=PASSWORD)
    assert response.status_code == 409
    assert "nothing of it is kept" in Page(response).content.text


def test_what_is_over_or_protected_is_refused(
    mara: Client, project: Project, owner: User, kept: Issued, at: datetime, way: dict[str, str]
) -> None:
    automator = project.keys.get(type=KeyType.SYSTEM)
    assert mara.get(url_of("key_reveal", automator.key_id), headers=way).status_code == 409
    revoke(project, kept.key.key_id, actor=acting(owner, project), at=at)
    assert send(mara, kept, way, current_password=PASSWORD).status_code == 409


def test_others_may_not(operator: User, viewer: User, kept: Issued, way: dict[str, str]) -> None:
    for person in (operator, viewer):
        client = signed_in(person)
        assert client.get(url_of("key_reveal", kept.key.key_id), headers=way).status_code == 403
        assert send(client, kept, way, current_password=PASSWORD).status_code == 403
    assert "key.revealed" not in [event.verb for event in events(kept.key.project)]


def test_a_lost_sealing_key_is_said_and_nothing_is_shown(
    mara: Client, kept: Issued, settings: Settings, way: dict[str, str]
) -> None:
    settings.KEYRACK_SEALING_KEYS = (b"x" * 32,)
    response = send(mara, kept, way, current_password=PASSWORD)
    assert response.status_code == 422
    (said,) = Page(response).problems()
    assert said.startswith("The sealed copy of this key can't be opened. The sealing key ")


def test_it_works_without_javascript(mara: Client, owner: User, kept: Issued) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("key_list"))
    visitor.follow("Reveal Docs crawler")
    page = visitor.press("Show key", current_password=PASSWORD)
    assert page.one("output", id="secret").text == kept.token
    assert visitor.follow("Done").heading == "API keys"
