"""`DELETE /api/v1/keys/{key_id}` and `POST …/revoke`."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.verification import Outcome, check
from projects.models import Project
from tests.api.calls import KEYS, Answer, Api
from tests.api.conftest import MakeKey
from tests.db.racing import race, split
from tests.db.watching import events, everything, verbs

pytestmark = pytest.mark.django_db

End = Callable[[Api, str], Answer]


@pytest.fixture(
    params=[
        lambda api, key_id: api.delete(f"{KEYS}/{key_id}"),
        lambda api, key_id: api.post(f"{KEYS}/{key_id}/revoke"),
        lambda api, key_id: api.post(f"{KEYS}/{key_id}/revoke", {}),
    ],
    ids=["DELETE", "POST", "POST with an object"],
)
def end(request: pytest.FixtureRequest) -> End:
    """The ways to revoke a key."""
    way: End = request.param
    return way


def test_it_answers_with_the_row_and_the_token_stops(api: Api, make: MakeKey, at: datetime, end: End) -> None:
    issued = make()
    answer = end(api, issued.key.key_id)
    assert answer.status == 200
    assert (answer.body["status"], answer.body["revoked_by"]) == ("revoked", "Boss")
    assert answer.body["revoked_at"] is not None
    assert answer.body["revoked_reason"] is None
    assert check(issued.token, at=at).outcome is Outcome.REVOKED


def test_the_same_again_answers_the_same_and_does_nothing(api: Api, make: MakeKey, end: End) -> None:
    key_id = make().key.key_id
    first = end(api, key_id)
    before = everything()
    again = end(api, key_id)
    assert (again.status, again.body) == (200, first.body)
    assert everything() == before


def test_it_writes_one_event(api: Api, boss: Issued, make: MakeKey, project: Project, end: End) -> None:
    end(api, make().key.key_id)
    event = events(project)[-1]
    assert (event.verb, event.actor_kind, event.actor_id) == ("key.revoked", "key", boss.key.key_id)


def test_a_reason_is_kept(api: Api, make: MakeKey, project: Project) -> None:
    key_id = make().key.key_id
    answer = api.post(f"{KEYS}/{key_id}/revoke", {"reason": "  Laptop stolen. "})
    assert (answer.status, answer.body["revoked_reason"]) == (200, "Laptop stolen.")
    assert events(project)[-1].changes == {"reason": "Laptop stolen."}


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("x " * 101, "Use 200 characters or fewer."),
        ("a\u200bb", "Use letters, digits, blanks and punctuation that can be seen."),
        (None, "Use text."),
        (5, "Use text."),
    ],
)
def test_a_wrong_reason_is_named_and_nothing_is_revoked(
    api: Api, make: MakeKey, reason: object, said: str
) -> None:
    key_id = make().key.key_id
    before = everything()
    answer = api.post(f"{KEYS}/{key_id}/revoke", {"reason": reason})
    assert (answer.status, answer.wrong) == (422, {"reason": said})
    assert everything() == before


def test_a_token_as_the_reason_is_refused_and_not_echoed(api: Api, make: MakeKey) -> None:
    issued = make()
    answer = api.post(f"{KEYS}/{issued.key.key_id}/revoke", {"reason": f"leaked: {issued.token}"})
    assert (answer.status, list(answer.wrong)) == (422, ["reason"])
    assert api.get(f"{KEYS}/{issued.key.key_id}").body["status"] == "active"


def test_the_automator_key_is_protected(api: Api, project: Project, end: End) -> None:
    automator = project.keys.get(type=KeyType.SYSTEM)
    before = everything()
    answer = end(api, automator.key_id)
    assert (answer.status, answer.code) == (409, "protected")
    assert answer.body["key_id"] == automator.key_id
    assert everything() == before


def test_an_expired_or_paused_key_is_revoked_too(api: Api, make: MakeKey, at: datetime, end: End) -> None:
    old = make("Old", at=at - timedelta(days=9), expires_at=at - timedelta(days=1)).key
    paused = make("Paused").key
    Key.objects.filter(pk=paused.pk).update(paused_at=at)
    for key in (old, paused):
        assert end(api, key.key_id).body["status"] == "revoked"


def test_a_key_ends_itself_and_its_next_call_is_refused(make: MakeKey, end: End) -> None:
    issued = make("Short-lived", scopes=("keys:write",))
    api = Api(issued.token)
    assert end(api, issued.key.key_id).body["status"] == "revoked"
    again = end(api, issued.key.key_id)
    assert (again.status, again.code) == (401, "revoked")
    assert 'error_description="The key was revoked."' in again.headers["WWW-Authenticate"]


@pytest.mark.django_db(transaction=True)
def test_of_those_that_race_all_see_one_revocation(make: MakeKey, project: Project) -> None:
    boss, key = make("Boss", type=KeyType.PRIVILEGED), make().key
    answers, raised = split(race(*[lambda: Api(boss.token).delete(f"{KEYS}/{key.key_id}")] * 5))
    assert raised == []
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["revoked_at"] for answer in answers}) == 1
    assert verbs(project).count("key.revoked") == 1
