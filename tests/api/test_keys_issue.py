"""`POST /api/v1/keys`."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from keys.bodies import KeyWithToken
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import IssueNonce, Key
from keys.verification import check
from projects.models import Project
from tests.api.calls import KEYS, Answer, Api
from tests.api.conftest import MakeKey
from tests.db.racing import race, split
from tests.db.watching import events, everything, verbs

pytestmark = pytest.mark.django_db

NEW = {"name": "Docs crawler", "scopes": ["sources:read"]}


def issued(api: Api, **members: Any) -> dict[str, Any]:
    answer = api.post(KEYS, NEW | members)
    assert answer.status == 201, answer.body
    body: dict[str, Any] = answer.body
    return body


def test_it_answers_with_the_key_and_a_token_that_works(api: Api, at: datetime) -> None:
    answer = api.post(KEYS, NEW | {"note": "Runs at night."})
    assert answer.status == 201
    assert set(answer.body) == {*KeyWithToken.__annotations__}
    verdict = check(answer.body["token"], at=at, scopes=["sources:read"], project="acme")
    assert verdict.is_valid
    assert verdict.facts is not None
    assert verdict.facts.key_id == answer.body["key_id"]
    assert answer.body["preview"] == f"kr_live_{answer.body['key_id'][:4]}…{answer.body['token'][-4:]}"
    assert answer.body["note"] == "Runs at night."


def test_the_location_shows_the_key_without_its_token(api: Api) -> None:
    answer = api.post(KEYS, NEW)
    shown = api.get(answer.headers["Location"])
    assert shown.status == 200
    assert shown.body == {name: value for name, value in answer.body.items() if name != "token"}


def test_it_writes_who_issued_it_and_asks_for_no_confirmation(
    api: Api, boss: Issued, project: Project
) -> None:
    body = issued(api)
    key = Key.objects.get(key_id=body["key_id"])
    assert (key.created_by, key.created_by_key, key.created_by_label) == (None, boss.key, "Boss")
    assert key.confirmed_at is not None
    assert body["status"] == "active"
    event = events(project)[-1]
    assert (event.verb, event.actor_kind, event.actor_id) == ("key.issued", "key", boss.key.key_id)
    assert (event.object_id, event.address) == (key.key_id, "127.0.0.1")
    assert body["token"] not in str(event.__dict__)


def test_what_is_left_out_is_restricted_live_and_lasts_90_days(api: Api, at: datetime) -> None:
    body = issued(api)
    assert (body["type"], body["environment"], body["note"]) == ("restricted", "live", "")
    lasts = datetime.fromisoformat(body["expires_at"]) - at
    assert timedelta(days=90) - lasts < timedelta(minutes=1)


def test_limits_are_kept_and_hold(api: Api) -> None:
    limits = {"networks": ["192.0.2.7", "2001:DB8::/32"], "rate": "3/hour"}
    body = issued(api, **limits)
    assert (body["networks"], body["rate"]) == (["192.0.2.7/32", "2001:db8::/32"], "3/hour")
    answer = Api(body["token"]).get("/api/v1/whoami")
    assert (answer.status, answer.code) == (403, "network-not-allowed")


def test_a_wrong_network_is_named_with_all_else_that_is_wrong(api: Api) -> None:
    answer = api.post(KEYS, NEW | {"name": "", "networks": ["192.0.2.1/24"], "rate": "9999999/day"})
    assert answer.status == 422
    assert sorted(answer.wrong) == ["name", "networks", "rate"]
    assert answer.wrong["networks"] == "“192.0.2.1/24” is not a network."


def test_null_is_for_ever(api: Api) -> None:
    body = issued(api, expires_at=None)
    assert body["expires_at"] is None
    assert Key.objects.get(key_id=body["key_id"]).never_expires


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2099-02-18T12:00:00Z", "2099-02-18T12:00:00Z"),
        ("2099-02-18t12:00:00z", "2099-02-18T12:00:00Z"),
        ("2099-02-18T12:00:00.987654321Z", "2099-02-18T12:00:00Z"),
        ("2099-02-18T12:00:00+05:45", "2099-02-18T06:15:00Z"),
        ("9998-12-31T23:59:59-00:00", "9998-12-31T23:59:59Z"),
    ],
)
def test_a_time_is_shown_in_utc_and_whole_seconds(api: Api, given: str, shown: str) -> None:
    assert issued(api, expires_at=given)["expires_at"] == shown


@pytest.mark.parametrize("kind", ["privileged", "viewer"])
def test_other_types_take_no_scopes(api: Api, kind: str) -> None:
    assert issued(api, type=kind, scopes=[])["type"] == kind
    answer = api.post(KEYS, NEW | {"type": kind, "name": "Another"})
    assert answer.wrong == {"scopes": "Only a restricted key or an agent key has scopes of its own."}


def test_a_name_is_cleaned_and_scopes_are_sorted(api: Api) -> None:
    body = issued(api, name="  Ｄocs   crawler ", scopes=["sources:write", "chat:send", "chat:send"])
    assert body["name"] == "Docs crawler"
    assert body["scopes"] == ["chat:send", "sources:write"]


TIME = "Use a time such as 2027-02-18T12:00:00Z."
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "name", "Enter a name."),
    ({"name": "x" * 101}, "name", "Use 100 characters or fewer."),
    ({"name": "ﷺ" * 6}, "name", "Use 100 characters or fewer."),
    ({"name": "a\u202eb"}, "name", "Use letters, digits, blanks and punctuation that can be seen."),
    ({"name": "a\x00b"}, "name", "Use letters, digits, blanks and punctuation that can be seen."),
    ({"name": 5}, "name", "Use text."),
    ({"name": None}, "name", "Use text."),
    ({"name": ["a"]}, "name", "Use text."),
    ({"name": "boss"}, "name", "Another key is called “Boss”."),
    ({"note": "x" * 1001}, "note", "Use 1,000 characters or fewer."),
    ({"note": None}, "note", "Use text."),
    ({"type": "system"}, "type", "Use privileged, viewer, restricted, agent or channel."),
    ({"type": "Agent"}, "type", "Use privileged, viewer, restricted, agent or channel."),
    ({"type": None}, "type", "Use privileged, viewer, restricted, agent or channel."),
    ({"environment": "production"}, "environment", "Use live or test."),
    ({"scopes": []}, "scopes", "Pick at least one scope."),
    ({"scopes": "sources:read"}, "scopes", "Use a list."),
    ({"scopes": {}}, "scopes", "Use a list."),
    ({"scopes": ["sources"]}, "scopes.0", "Write it as resource:action, such as sources:read."),
    ({"scopes": ["sources:read", "*"]}, "scopes.1", "Write it as resource:action, such as sources:read."),
    ({"scopes": ["sources:read\n"]}, "scopes.0", "Write it as resource:action, such as sources:read."),
    ({"scopes": [1]}, "scopes.0", "Use text."),
    ({"scopes": ["a:" + "b" * 99]}, "scopes.0", "Use 100 characters or fewer."),
    ({"scopes": ["sources:read"] * 201}, "scopes", "Use 200 or fewer."),
    ({"scopes": ["sources:fly"]}, "scopes", "This project has no scope called “sources:fly”."),
    ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at", "Choose a date after today."),
    ({"expires_at": "2099-01-01"}, "expires_at", TIME),
    ({"expires_at": "2099-01-01T00:00:00"}, "expires_at", TIME),
    ({"expires_at": "2099-01-01 00:00:00Z"}, "expires_at", TIME),
    ({"expires_at": "4102444800"}, "expires_at", TIME),
    ({"expires_at": 4102444800}, "expires_at", TIME),
    ({"expires_at": True}, "expires_at", TIME),
    ({"expires_at": "٢٠٩٩-01-01T00:00:00Z"}, "expires_at", TIME),
    ({"expires_at": "2099-02-30T00:00:00Z"}, "expires_at", "There is no such time."),
    ({"expires_at": "0001-01-01T00:00:00+23:59"}, "expires_at", "There is no such time."),
    ({"expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at", "There is no such time."),
    ({"expires_at": "9999-12-31T00:00:00Z"}, "expires_at", "Use null for a key that never expires."),
    ({"nope": 1}, "nope", "There is no such member."),
    ({"key_id": "7Fq2aB3dE5gH"}, "key_id", "There is no such member."),
    ({"token": "mine"}, "token", "There is no such member."),
]


@pytest.mark.parametrize(("members", "member", "said"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_member_is_named_and_nothing_is_made(
    api: Api, members: dict[str, Any], member: str, said: str
) -> None:
    before = everything()
    answer = api.post(KEYS, NEW | members)
    assert (answer.status, answer.code) == (422, "invalid")
    assert answer.wrong == {member: said}
    assert everything() == before


def test_a_missing_name_is_named(api: Api) -> None:
    assert api.post(KEYS, {"scopes": ["sources:read"]}).wrong == {"name": "It is missing."}


def test_all_that_the_rules_refuse_is_said_at_once(api: Api) -> None:
    answer = api.post(KEYS, {"name": "", "expires_at": "2020-01-01T00:00:00Z"})
    assert set(answer.wrong) == {"name", "scopes", "expires_at"}


@pytest.mark.parametrize("member", ["name", "note", "scopes", "nope"])
def test_a_token_in_a_member_is_refused_and_not_echoed(api: Api, member: str) -> None:
    # The answer itself is held to that: see tests/api/calls.py.
    value: Any = [api.token] if member == "scopes" else api.token
    assert api.post(KEYS, NEW | {member: value}).code == "invalid"
    assert api.post(KEYS, NEW | {api.token: 1}).wrong == {"…": "There is no such member."}


def test_thousands_of_unknown_members_get_a_short_answer(api: Api) -> None:
    answer = api.post(KEYS, NEW | {f"m{number}": 1 for number in range(5000)})
    assert len(answer.wrong) == 20


def test_the_same_idempotency_key_makes_one_key(api: Api, project: Project) -> None:
    first = api.post(KEYS, NEW, Idempotency_Key="deploy-1")
    assert first.status == 201
    for body in (NEW, NEW | {"name": "Another"}):
        again = api.post(KEYS, body, Idempotency_Key="deploy-1")
        assert (again.status, again.code) == (409, "already-issued")
        assert again.body["key_id"] == first.body["key_id"]
        assert "token" not in again.body
    assert verbs(project).count("key.issued") == 3


def test_an_idempotency_key_is_the_callers_own(api: Api, make: MakeKey) -> None:
    other = Api(make("Second boss", type=KeyType.PRIVILEGED).token)
    first = api.post(KEYS, NEW, Idempotency_Key="1")
    second = other.post(KEYS, NEW | {"name": "Another"}, Idempotency_Key="1")
    assert (first.status, second.status) == (201, 201)


def test_a_refused_request_does_not_spend_its_idempotency_key(api: Api) -> None:
    assert api.post(KEYS, NEW | {"name": ""}, Idempotency_Key="1").status == 422
    assert api.post(KEYS, NEW, Idempotency_Key="1").status == 201


@pytest.mark.parametrize("given", ["", "two words", "x" * 256, "ключ", "tab\there"])
def test_an_idempotency_key_is_visible_ascii(api: Api, given: str) -> None:
    before = everything()
    answer = api.post(KEYS, NEW, Idempotency_Key=given)
    assert (answer.status, answer.code) == (400, "invalid-parameter")
    assert list(answer.wrong) == ["Idempotency-Key"]
    assert everything() == before


def test_an_idempotency_key_is_not_kept_in_clear(api: Api) -> None:
    assert api.post(KEYS, NEW, Idempotency_Key="6f1a4b0e").status == 201
    assert "6f1a4b0e" not in str(everything())


def test_only_a_key_that_may_write_keys_issues(make: MakeKey) -> None:
    reader = Api(make("Reader", scopes=("keys:read", "sources:read")).token)
    answer = reader.post(KEYS, NEW)
    assert (answer.status, answer.code, answer.body["scope"]) == (403, "scope-missing", "keys:write")
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer realm="keyrack", error="insufficient_scope", scope="keys:write"'
    )


def test_it_asks_the_database_a_fixed_number_of_times(
    api: Api, make: MakeKey, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        make(f"Key {number}")
    with django_assert_max_num_queries(22):
        issued(api)


@pytest.mark.django_db(transaction=True)
def test_of_those_that_race_with_one_idempotency_key_one_makes_a_key(make: MakeKey, project: Project) -> None:
    boss = make("Boss", type=KeyType.PRIVILEGED)

    def call(name: str) -> Answer:
        # A client of its own: one isn't made for threads.
        return Api(boss.token).post(KEYS, NEW | {"name": name}, Idempotency_Key="deploy-1")

    answers, raised = split(race(*[partial(call, f"Key {number}") for number in range(6)]))
    assert raised == []
    assert sorted(answer.status for answer in answers) == [201] + [409] * 5
    won = next(answer.body["key_id"] for answer in answers if answer.status == 201)
    assert {answer.body["key_id"] for answer in answers} == {won}
    assert Key.objects.of(project).count() == 3
    assert IssueNonce.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_those_that_race_for_one_name_one_makes_a_key(make: MakeKey, project: Project) -> None:
    boss = make("Boss", type=KeyType.PRIVILEGED)
    answers, raised = split(race(*[lambda: Api(boss.token).post(KEYS, NEW)] * 5))
    assert raised == []
    assert sorted(answer.status for answer in answers) == [201] + [422] * 4
    assert Key.objects.of(project).filter(name="Docs crawler").count() == 1


def test_the_end_is_kept_as_it_was_said(api: Api) -> None:
    body = issued(api, expires_at="2099-02-18T12:00:00+01:00")
    stored = Key.objects.get(key_id=body["key_id"]).expires_at
    assert stored == datetime(2099, 2, 18, 11, tzinfo=UTC)
