"""`POST /api/v1/keys/{key_id}/renew`: for a key from the console whose secret nobody has stored."""

from datetime import datetime, timedelta
from functools import partial

import pytest

from keys.bodies import KeyWithToken
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key, KeyActivity
from keys.verification import Outcome, check
from projects.models import Project
from tests.api.calls import KEYS, Api
from tests.api.conftest import MakeKey
from tests.db.racing import race, split
from tests.db.watching import events, everything

pytestmark = pytest.mark.django_db


def url(issued: Issued) -> str:
    return f"{KEYS}/{issued.key.key_id}/renew"


def test_it_gives_the_same_key_a_new_token_and_the_old_one_stops(
    api: Api, boss: Issued, make: MakeKey, project: Project, at: datetime
) -> None:
    issued = make(confirmed=False)
    answer = api.post(url(issued), {"version": 1})
    assert answer.status == 200
    assert set(answer.body) == {*KeyWithToken.__annotations__}
    assert (answer.body["key_id"], answer.body["version"]) == (issued.key.key_id, 2)
    assert answer.body["status"] == "active"
    assert check(answer.body["token"], at=at).is_valid
    assert check(issued.token, at=at).outcome is Outcome.UNKNOWN
    event = events(project)[-1]
    assert (event.verb, event.actor_id) == ("key.renewed", boss.key.key_id)


def test_a_second_time_is_refused_for_the_token_was_handed_over(api: Api, make: MakeKey) -> None:
    issued = make(confirmed=False)
    first = api.post(url(issued), {"version": 1})
    before = everything()
    for version in (1, 2):
        answer = api.post(url(issued), {"version": version})
        assert (answer.status, answer.code) == (409, "not-renewable")
        assert "token" not in answer.body
    assert everything() == before
    assert first.body["version"] == 2


def test_a_stale_version_is_refused(api: Api, make: MakeKey) -> None:
    issued = make(confirmed=False)
    answer = api.post(url(issued), {"version": 2})
    assert (answer.status, answer.code, answer.body["version"]) == (409, "stale", 1)


def test_a_key_that_is_in_use_is_refused(api: Api, make: MakeKey, at: datetime) -> None:
    stored, used = make("Stored"), make("Used", confirmed=False)
    KeyActivity.objects.filter(key=used.key).update(last_used_at=at)
    for issued in (stored, used):
        answer = api.post(url(issued), {"version": 1})
        assert (answer.status, answer.code) == (409, "not-renewable")
        assert check(issued.token, at=at).is_valid


def test_a_key_at_its_end_is_refused(api: Api, make: MakeKey, at: datetime) -> None:
    old = make("Old", confirmed=False, at=at - timedelta(days=9), expires_at=at - timedelta(days=1))
    gone = make("Gone", confirmed=False)
    api.delete(f"{KEYS}/{gone.key.key_id}")
    assert api.post(url(old), {"version": 1}).code == "not-renewable"
    assert api.post(url(gone), {"version": 2}).code == "already-revoked"


def test_no_key_renews_the_automator_key(api: Api, project: Project) -> None:
    automator = project.keys.get(type=KeyType.SYSTEM)
    before = everything()
    answer = api.post(f"{KEYS}/{automator.key_id}/renew", {"version": 1})
    assert (answer.status, answer.code) == (403, "beyond-bounds")
    assert answer.body["detail"] == "A key can't renew the Automator Key."
    assert everything() == before


def test_a_missing_version_is_named(api: Api, make: MakeKey) -> None:
    issued = make(confirmed=False)
    assert api.post(url(issued), {}).wrong == {"version": "It is missing."}
    assert api.post(url(issued), "").code == "unsupported-type"


@pytest.mark.django_db(transaction=True)
def test_of_those_that_race_one_gets_a_token_and_it_works(make: MakeKey, at: datetime) -> None:
    boss, issued = make("Boss", type=KeyType.PRIVILEGED), make(confirmed=False)
    call = partial(Api(boss.token).post, url(issued), {"version": 1})
    answers, raised = split(race(*[call] * 5))
    assert raised == []
    assert sorted(answer.status for answer in answers) == [200] + [409] * 4
    won = next(answer for answer in answers if answer.status == 200)
    assert check(won.body["token"], at=at).is_valid
    assert Key.objects.get(pk=issued.key.pk).version == 2
