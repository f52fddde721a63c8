"""`POST /api/v1/keys/{key_id}/rotate`, `/pause` and `/resume`."""

from datetime import datetime, timedelta
from functools import partial

import pytest

from keys.bodies import KeyWithToken
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.verification import Outcome, check
from projects.models import Project
from tests.api.calls import KEYS, Api
from tests.api.conftest import MakeKey
from tests.db.racing import race, split
from tests.db.watching import events, everything

pytestmark = pytest.mark.django_db


def url(issued: Issued, verb: str = "rotate") -> str:
    return f"{KEYS}/{issued.key.key_id}/{verb}"


def test_a_new_key_takes_the_place_and_the_old_one_works_for_a_day(
    api: Api, boss: Issued, make: MakeKey, project: Project, at: datetime
) -> None:
    old = make(note="For the docs")
    answer = api.post(url(old))
    assert answer.status == 201
    assert set(answer.body) == {*KeyWithToken.__annotations__}
    assert (answer.body["name"], answer.body["note"], answer.body["status"]) == (
        "Docs crawler", "For the docs", "active",
    )  # fmt: skip
    assert answer.headers["Location"] == f"{KEYS}/{answer.body['key_id']}"
    assert check(answer.body["token"], at=at + timedelta(minutes=1)).is_valid
    assert check(old.token, at=at + timedelta(hours=23)).is_valid
    assert check(old.token, at=at + timedelta(hours=25)).outcome is Outcome.REVOKED
    read = api.get(f"{KEYS}/{old.key.key_id}").body
    assert (read["status"], read["revoked_by"]) == ("rotating", None)
    assert read["revoked_at"]
    assert {event.actor_id for event in events(project)[-2:]} == {boss.key.key_id}


@pytest.mark.parametrize(("grace", "hours"), [("1h", 1), ("24h", 24), ("7d", 168)])
def test_the_grace_is_chosen(api: Api, make: MakeKey, at: datetime, grace: str, hours: int) -> None:
    old = make()
    assert api.post(url(old), {"grace": grace}).status == 201
    end = Key.objects.get(pk=old.key.pk).revoked_at
    assert end is not None
    assert timedelta(0) <= end - at - timedelta(hours=hours) < timedelta(minutes=1)


def test_without_a_grace_it_stops_at_once(api: Api, make: MakeKey, at: datetime) -> None:
    old = make()
    assert api.post(url(old), {"grace": "now"}).status == 201
    assert check(old.token, at=at).outcome is Outcome.REVOKED


def test_a_repeated_request_is_told_which_key_took_the_place_and_gets_no_token(
    api: Api, make: MakeKey
) -> None:
    old = make()
    first = api.post(url(old))
    before = everything()
    again = api.post(url(old), {"grace": "7d"})
    assert (again.status, again.code) == (409, "already-rotated")
    assert again.body["key_id"] == first.body["key_id"]
    assert "token" not in again.body
    assert everything() == before


@pytest.mark.parametrize(
    ("body", "status", "wrong"),
    [
        ({"grace": "2h"}, 422, "grace"),
        ({"grace": 3600}, 422, "grace"),
        ({"grace": None}, 422, "grace"),
        ({"grace": "24h", "name": "Other"}, 422, "name"),
        ([], 400, ""),
    ],
)
def test_a_body_that_is_wrong_is_refused(
    api: Api, make: MakeKey, body: object, status: int, wrong: str
) -> None:
    old, before = make(), everything()
    answer = api.post(url(old), body)
    assert answer.status == status
    assert status == 400 or set(answer.wrong) == {wrong}
    assert Key.objects.filter(predecessor=old.key).count() == 0
    assert before


@pytest.mark.parametrize("verb", ["rotate", "pause"])
def test_what_is_over_or_protected_is_refused(api: Api, make: MakeKey, project: Project, verb: str) -> None:
    ended = make()
    api.delete(f"{KEYS}/{ended.key.key_id}")
    assert api.post(url(ended, verb)).code == "already-revoked"
    automator = Key.objects.get(project=project, type=KeyType.SYSTEM)
    assert api.post(f"{KEYS}/{automator.key_id}/{verb}").code == "protected"


@pytest.mark.parametrize("verb", ["rotate", "pause", "resume"])
def test_a_key_that_is_not_here_is_not_found(api: Api, at: datetime, verb: str) -> None:
    assert api.post(f"{KEYS}/{'A' * 12}/{verb}").status == 404


@pytest.mark.parametrize("verb", ["rotate", "pause", "resume"])
def test_a_key_beyond_the_callers_bounds_is_refused(make: MakeKey, verb: str) -> None:
    caller = make("Caller", scopes=["keys:write", "sources:read"])
    wide = make("Wide", scopes=["sources:read", "sources:write"])
    before = everything()
    assert Api(caller.token).post(url(wide, verb)).code == "beyond-bounds"
    assert Api(caller.token).post(url(caller, verb)).code == "beyond-bounds"
    assert everything() == before


def test_a_paused_key_is_refused_until_it_is_resumed_and_twice_is_as_once(
    api: Api, make: MakeKey, at: datetime
) -> None:
    issued = make()
    for _ in range(2):
        answer = api.post(url(issued, "pause"))
        assert (answer.status, answer.body["status"], answer.body["version"]) == (200, "paused", 2)
    refused = Api(issued.token).get("/api/v1/whoami")
    assert (refused.status, refused.code) == (401, "paused")
    for _ in range(2):
        answer = api.post(url(issued, "resume"))
        assert (answer.status, answer.body["status"], answer.body["version"]) == (200, "active", 3)
    assert Api(issued.token).get("/api/v1/whoami").status == 200


@pytest.mark.django_db(transaction=True)
def test_of_those_who_rotate_at_once_one_gets_a_token(make: MakeKey, boss: Issued) -> None:
    old = make()
    won, told = split(race(*[partial(Api(boss.token).post, url(old)) for _ in range(4)]))
    assert told == []
    assert sorted(answer.status for answer in won) == [201, 409, 409, 409]
    assert Key.objects.filter(predecessor=old.key).count() == 1
