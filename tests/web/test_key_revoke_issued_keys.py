"""Revoke: the page names the keys that this key itself issued, for they go on working."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from keys import lifecycle
from keys.drafts import Draft
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.permissions import KeyActor
from keys.verification import check
from projects.models import Project, User
from tests.factories import acting
from tests.web.conftest import MakeKey
from tests.web.pages import Page, signed_in, url_of

pytestmark = pytest.mark.django_db

Child = Callable[..., Issued]


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


@pytest.fixture
def boss(make: MakeKey) -> Issued:
    return make("Boss", type=KeyType.PRIVILEGED)


@pytest.fixture
def child(project: Project, boss: Issued, at: datetime) -> Child:
    """Has the boss issue a key."""

    def child(name: str, after: int = 0, **fields: datetime) -> Issued:
        draft = Draft(name, scopes=["sources:read"], **fields)  # type: ignore[arg-type]
        made = at + timedelta(seconds=after)
        return lifecycle.issue(project, draft, actor=KeyActor.acting(boss.key), at=made, confirmed=True)

    return child


def asked(client: Client, key: Key, way: dict[str, str] | None = None) -> Page:
    response = client.get(url_of("key_revoke", key.key_id), headers=way or {})
    assert response.status_code == 200
    return Page(response)


def named(page: Page) -> list[str]:
    return [text for each in page.find("ul", class_="issued") for text in each.texts("li")]


def test_a_key_that_issued_none_says_nothing(mara: Client, boss: Issued) -> None:
    page = asked(mara, boss.key)
    assert named(page) == []
    assert "issued" not in page.content.text


def test_one_is_named_with_a_link(mara: Client, boss: Issued, child: Child, way: dict[str, str]) -> None:
    issued = child("Docs crawler")
    page = asked(mara, boss.key, way)
    assert "This key issued another key. It keeps working." in page.texts("p")
    assert named(page) == ["Docs crawler"]
    assert page.link("Docs crawler") == url_of("key_detail", issued.key.key_id)


def test_ten_are_named_the_newest_first_and_the_rest_counted(
    mara: Client, boss: Issued, child: Child
) -> None:
    for number in range(13):
        child(f"Key {number}", after=number)
    page = asked(mara, boss.key)
    assert "This key issued 13 other keys. They keep working." in page.texts("p")
    assert named(page) == [*(f"Key {number}" for number in range(12, 2, -1)), "and 3 more"]


def test_only_those_that_go_on_working_count(
    mara: Client, boss: Issued, child: Child, make: MakeKey, owner: User, project: Project, at: datetime
) -> None:
    child("Works")
    make("Somebody else's")
    gone, paused = child("Gone"), child("Paused")
    lifecycle.revoke(project, gone.key.key_id, actor=acting(owner, project), at=at)
    Key.objects.filter(pk=paused.key.pk).update(paused_at=at)
    child("Over", after=-99, expires_at=at - timedelta(seconds=9))
    assert named(asked(mara, boss.key)) == ["Works"]


def test_they_do_keep_working(mara: Client, boss: Issued, child: Child, at: datetime) -> None:
    issued = child("Docs crawler")
    assert mara.post(url_of("key_revoke", boss.key.key_id), {"reason": ""}).status_code == 303
    assert not check(boss.token, at=at).is_valid
    assert check(issued.token, at=at).is_valid


def test_many_cost_no_more_queries_than_one(
    mara: Client, boss: Issued, child: Child, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    child("Key")
    with django_assert_num_queries(7):
        asked(mara, boss.key)
    for number in range(20):
        child(f"Key {number}")
    with django_assert_num_queries(7):
        asked(mara, boss.key)
