"""Recoverable keys: the setting, and what turning it off destroys."""

from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from keys import recovery
from projects.audit import Actor
from projects.models import Project, User
from tests.web.conftest import MakeKey
from tests.web.pages import Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


@pytest.fixture
def mara(owner: User) -> Client:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    return signed_in(owner)


def send(client: Client, headers: dict[str, str], **typed: str) -> Any:
    return client.post(url_of("recoverable_keys"), typed, headers=headers)


def test_it_says_what_it_means_before_it_is_turned_on(mara: Client, way: dict[str, str]) -> None:
    page = Page(mara.get(url_of("recoverable_keys"), headers=way))
    assert page.heading == "Make keys recoverable?"
    assert "Whoever gets the database and the sealing key has every key" in page.content.text
    assert page.form_of("Make keys recoverable").fields()["on"] == ["1"]


def test_an_owner_turns_it_on_with_their_password(
    mara: Client, project: Project, way: dict[str, str]
) -> None:
    assert Page(send(mara, way, on="1")).problems() == ["Enter your password."]
    response = send(mara, way, on="1", current_password=PASSWORD)
    assert response.status_code == (200 if way else 303)
    project.refresh_from_db()
    assert project.recoverable_keys


def test_turning_it_off_says_how_many_copies_that_destroys(
    project: Project, owner: User, make: MakeKey, mara: Client, at: datetime
) -> None:
    recovery.set_recoverable(project, True, actor=Actor.system(), at=at)
    make("One")
    visitor = Visitor(owner)
    page = visitor.visit(url_of("recoverable_keys"))
    assert "The sealed copy of 1 key is destroyed." in page.content.text
    make("Two")
    page = visitor.press("Stop keeping keys", current_password=PASSWORD)
    assert page.messages() == ["Keys aren't recoverable any more: 2 sealed copies were destroyed."]
    assert recovery.sealed_copies(project) == 0


def test_a_stale_page_turns_nothing_the_other_way(
    mara: Client, project: Project, way: dict[str, str]
) -> None:
    for _ in range(2):
        send(mara, way, on="1", current_password=PASSWORD)
    project.refresh_from_db()
    assert project.recoverable_keys


@pytest.mark.parametrize("on", ["", "2", "yes"])
def test_what_is_neither_on_nor_off_is_refused(mara: Client, way: dict[str, str], on: str) -> None:
    assert send(mara, way, on=on, current_password=PASSWORD).status_code == 422


def test_only_an_owner_may(admin: User, operator: User, viewer: User, way: dict[str, str]) -> None:
    for person in (admin, operator, viewer):
        client = signed_in(person)
        assert client.get(url_of("recoverable_keys"), headers=way).status_code == 403
        assert send(client, way, on="1").status_code == 403
