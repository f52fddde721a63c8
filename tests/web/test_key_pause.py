"""Pause: a key is refused until somebody resumes it."""

from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from keys.kinds import KeyType
from keys.lifecycle import Issued, revoke
from keys.models import KeyActivity
from keys.verification import Outcome, check
from projects.models import Project, User
from tests.factories import acting
from tests.web.conftest import MakeKey
from tests.web.pages import Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


@pytest.fixture
def issued(make: MakeKey) -> Issued:
    return make()


def test_it_asks_first(mara: Client, issued: Issued, way: dict[str, str], at: datetime) -> None:
    response = mara.get(url_of("key_pause", issued.key.key_id), headers=way)
    assert response.status_code == 200
    page = Page(response)
    assert page.heading == "Pause Docs crawler?"
    said = "Requests with this key fail until somebody resumes it. Its secret stays the same."
    assert said in page.texts("p")
    assert page.form_of("Pause key").action == url_of("key_pause", issued.key.key_id)
    assert page.link("Keep it working") == url_of("key_detail", issued.key.key_id)
    assert check(issued.token, at=at).is_valid


def test_it_says_who_would_notice(mara: Client, issued: Issued, at: datetime) -> None:
    KeyActivity.objects.filter(key=issued.key).update(
        last_used_at=at, last_used_client="curl", last_used_address="192.0.2.41"
    )
    page = Page(mara.get(url_of("key_pause", issued.key.key_id)))
    assert page.one(class_="note").text.endswith(" from 192.0.2.41.")


def test_the_key_stops_and_the_tables_come_back(
    mara: Client, issued: Issued, way: dict[str, str], at: datetime
) -> None:
    response: Any = mara.post(url_of("key_pause", issued.key.key_id), headers=way)
    assert check(issued.token, at=at).outcome is Outcome.PAUSED
    if way:
        page = Page(response)
        assert response["HX-Retarget"] == "#listing"
        assert page.messages() == ["Docs crawler is paused."]
        assert "Paused" in page.rows("Project API keys, newest first")[0]["Name"].text
    else:
        assert response.status_code == 303
        assert response["Location"] == url_of("key_detail", issued.key.key_id)


def test_twice_is_as_once(mara: Client, issued: Issued, way: dict[str, str]) -> None:
    for _ in range(2):
        assert mara.post(url_of("key_pause", issued.key.key_id), headers=way).status_code in (200, 303)
    issued.key.refresh_from_db()
    assert issued.key.version == 2


def test_an_operator_stops_anybodys_key(operator: User, issued: Issued, at: datetime) -> None:
    otis = signed_in(operator)
    assert "Pause Docs crawler" in Page(otis.get(url_of("key_detail", issued.key.key_id))).names("a")
    assert otis.post(url_of("key_pause", issued.key.key_id)).status_code == 303
    assert check(issued.token, at=at).outcome is Outcome.PAUSED
    page = Page(otis.get(url_of("key_detail", issued.key.key_id)))
    assert "Resume Docs crawler" not in page.names("button")


def test_what_is_over_or_protected_is_refused(
    mara: Client, project: Project, owner: User, issued: Issued, at: datetime, way: dict[str, str]
) -> None:
    revoke(project, issued.key.key_id, actor=acting(owner, project), at=at)
    for key in (issued.key, project.keys.get(type=KeyType.SYSTEM)):
        for method in (mara.get, mara.post):
            assert method(url_of("key_pause", key.key_id), headers=way).status_code == 409


def test_a_viewer_may_not(viewer: User, issued: Issued, way: dict[str, str]) -> None:
    assert signed_in(viewer).post(url_of("key_pause", issued.key.key_id), headers=way).status_code == 403


def test_it_works_without_javascript(owner: User, issued: Issued, at: datetime) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("key_detail", issued.key.key_id))
    visitor.follow("Pause Docs crawler")
    assert visitor.press("Pause key").messages() == ["Docs crawler is paused."]
    assert visitor.press("Resume Docs crawler").messages() == ["Docs crawler works again."]
    assert check(issued.token, at=at).is_valid
