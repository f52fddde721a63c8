"""Resume: a paused key passes again."""

from datetime import datetime

import pytest
from django.test import Client

from keys.lifecycle import Issued, pause, revoke
from keys.verification import Outcome, check
from projects.models import Project, User
from tests.factories import acting
from tests.web.conftest import MakeKey
from tests.web.pages import Page, signed_in, url_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


@pytest.fixture
def paused(make: MakeKey, project: Project, owner: User, at: datetime) -> Issued:
    issued = make()
    pause(project, issued.key.key_id, actor=acting(owner, project), at=at)
    return issued


def test_the_key_passes_again(mara: Client, paused: Issued, way: dict[str, str], at: datetime) -> None:
    response = mara.post(url_of("key_resume", paused.key.key_id), headers=way)
    assert check(paused.token, at=at).is_valid
    if way:
        assert Page(response).messages() == ["Docs crawler works again."]
    else:
        assert response["Location"] == url_of("key_detail", paused.key.key_id)


def test_twice_is_as_once(mara: Client, paused: Issued, way: dict[str, str]) -> None:
    for _ in range(2):
        assert mara.post(url_of("key_resume", paused.key.key_id), headers=way).status_code in (200, 303)
    paused.key.refresh_from_db()
    assert paused.key.version == 3


def test_a_get_does_nothing(mara: Client, paused: Issued, at: datetime) -> None:
    assert mara.get(url_of("key_resume", paused.key.key_id)).status_code == 405
    assert check(paused.token, at=at).outcome is Outcome.PAUSED


def test_what_is_over_is_refused(
    mara: Client, project: Project, owner: User, paused: Issued, at: datetime, way: dict[str, str]
) -> None:
    revoke(project, paused.key.key_id, actor=acting(owner, project), at=at)
    assert mara.post(url_of("key_resume", paused.key.key_id), headers=way).status_code == 409


def test_a_pause_of_anothers_key_is_not_an_operators_to_end(
    operator: User, viewer: User, paused: Issued, at: datetime, way: dict[str, str]
) -> None:
    for person in (operator, viewer):
        response = signed_in(person).post(url_of("key_resume", paused.key.key_id), headers=way)
        assert response.status_code == 403
    assert check(paused.token, at=at).outcome is Outcome.PAUSED


def test_a_key_that_is_not_here_is_not_found(mara: Client, project: Project, way: dict[str, str]) -> None:
    assert mara.post(url_of("key_resume", "A" * 12), headers=way).status_code == 404
