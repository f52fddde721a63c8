"""`POST /api/v1/revoke` (RFC 7009), also as Authlib asks it."""

from datetime import datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from keys import lifecycle, throttles
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import Project, User
from tests.api.calls import Answer, Api
from tests.api.conftest import MakeKey
from tests.api.oauth import OAuthClient
from tests.db.racing import race, split
from tests.db.watching import events, everything, verbs

pytestmark = pytest.mark.django_db

URL = "/api/v1/revoke"


def revoke(api: Api, token: str, **parameters: str) -> Answer:
    return api.form(URL, urlencode({"token": token} | parameters))


@pytest.fixture
def automator(project: Project, at: datetime) -> Issued:
    key = project.keys.get(type=KeyType.SYSTEM)
    return lifecycle.renew(project, key.key_id, actor=Actor.system(), at=at, version=1)


def test_whoever_holds_a_token_can_end_it(nobody: Api, make: MakeKey, project: Project, at: datetime) -> None:
    issued = make()
    answer = revoke(nobody, issued.token)
    assert (answer.status, answer.body) == (200, {})
    assert check(issued.token, at=at).outcome is Outcome.REVOKED
    key = Key.objects.get(pk=issued.key.pk)
    assert (key.revoked_by_label, key.revoked_reason) == ("Docs crawler", "Revoked by whoever held it.")
    event = events(project)[-1]
    assert (event.verb, event.actor_kind, event.actor_id) == ("key.revoked", "key", issued.key.key_id)


def test_the_same_again_answers_the_same(nobody: Api, make: MakeKey, project: Project) -> None:
    token = make().token
    assert [revoke(nobody, token).body for _ in range(3)] == [{}] * 3
    assert verbs(project).count("key.revoked") == 1


@pytest.mark.parametrize("token", ["x", "kr_live_" + "0" * 56, " ", "\x00", "ü" * 64, "x" * 60_000])
def test_an_unknown_token_is_answered_as_a_known_one(nobody: Api, make: MakeKey, token: str) -> None:
    make()
    before = everything()
    answer = revoke(nobody, token)
    assert (answer.status, answer.body) == (200, {})
    assert everything() == before


def test_a_wrong_secret_ends_nothing(nobody: Api, make: MakeKey, at: datetime) -> None:
    one, other = make("One").token, make("Other").token
    assert revoke(nobody, one[:20] + other[20:]).status == 200
    assert check(one, at=at).is_valid


def test_every_kind_of_key_can_be_ended_by_its_holder(nobody: Api, make: MakeKey, at: datetime) -> None:
    expired = make("Old", at=at - timedelta(days=9), expires_at=at - timedelta(days=1))
    paused = make("Paused")
    Key.objects.filter(pk=paused.key.pk).update(paused_at=at)
    others = [
        make("Boss", type=KeyType.PRIVILEGED),
        make("Bot", type=KeyType.VIEWER),
        make("T", environment="test"),
    ]
    for issued in (expired, paused, *others):
        assert revoke(nobody, issued.token).status == 200
        assert Key.objects.get(pk=issued.key.pk).revoked_at is not None


def test_a_key_that_was_used_too_often_is_ended_though_nothing_can_be_counted(
    nobody: Api, make: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(key_id: str, rate: object) -> None:
        raise throttles.ThrottleUnavailable

    monkeypatch.setattr(throttles, "take", away)
    issued = make(rate="1/hour")
    assert revoke(nobody, issued.token).status == 200
    assert Key.objects.get(pk=issued.key.pk).revoked_at is not None


def test_the_automator_key_is_refused_so_that_nobody_thinks_it_dead(
    nobody: Api, automator: Issued, at: datetime
) -> None:
    before = everything()
    answer = revoke(nobody, automator.token)
    assert (answer.status, answer.code) == (400, "unsupported-token-type")
    assert answer.body["error"] == "unsupported_token_type"
    assert answer.body["error_description"] == "The Automator Key can't be revoked. Renew it to stop a leak."
    assert check(automator.token, at=at).is_valid
    assert everything() == before


def test_the_key_that_asks_has_no_say_in_it(api: Api, make: MakeKey, at: datetime) -> None:
    issued = make()
    assert revoke(Api("kr_live_no"), issued.token).status == 200
    assert not check(issued.token, at=at).is_valid
    assert check(api.token, at=at).is_valid


def test_a_session_ends_nothing_by_itself(owner: User, api: Api) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    assert Api(client=client).form(URL).code == "invalid-request"


def test_a_hint_binds_nothing(nobody: Api, make: MakeKey, at: datetime) -> None:
    issued = make()
    assert revoke(nobody, issued.token, token_type_hint="refresh_token").status == 200
    assert not check(issued.token, at=at).is_valid


@pytest.mark.parametrize("body", ["", "token=", "token_type_hint=x", "token=a&token=b", b"token=\xff"])
def test_a_form_that_cannot_be_understood_is_an_invalid_request(nobody: Api, body: str | bytes) -> None:
    answer = nobody.form(URL, body)
    assert (answer.status, answer.code) == (400, "invalid-request")
    assert answer.body["error"] == "invalid_request"


@pytest.mark.django_db(transaction=True)
def test_of_those_that_race_all_are_answered_and_one_event_is_written(
    make: MakeKey, project: Project
) -> None:
    token = make().token
    answers, raised = split(race(*[lambda: revoke(Api(), token)] * 5))
    assert raised == []
    assert {answer.status for answer in answers} == {200}
    assert verbs(project).count("key.revoked") == 1


@pytest.mark.django_db(transaction=True)
def test_authlib_revokes(live_server: LiveServer, make: MakeKey, automator: Issued, at: datetime) -> None:
    issued = make()
    client = OAuthClient(live_server.url, issued.token)
    for _ in range(2):
        assert client.revoke(issued.token, token_type_hint="access_token").status_code == 200
    assert check(issued.token, at=at).outcome is Outcome.REVOKED
    refused = client.revoke(automator.token)
    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_token_type")
