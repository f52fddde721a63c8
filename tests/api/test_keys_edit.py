"""`GET PATCH /api/v1/keys/{key_id}`."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from keys import lifecycle
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.verification import check
from projects.audit import Actor
from projects.models import Project
from tests.api.calls import KEYS, Answer, Api
from tests.api.conftest import MakeKey
from tests.db.racing import race, split
from tests.db.watching import events, everything
from tests.factories import IssuedFactory, ProjectFactory

pytestmark = pytest.mark.django_db


def url(issued: Issued) -> str:
    return f"{KEYS}/{issued.key.key_id}"


def automator(project: Project) -> Key:
    key: Key = project.keys.get(type=KeyType.SYSTEM)
    return key


def test_a_key_is_read_by_its_id(api: Api, make: MakeKey) -> None:
    issued = make()
    answer = api.get(url(issued))
    assert answer.status == 200
    assert answer.body["name"] == "Docs crawler"
    assert answer.body == next(key for key in api.get(KEYS).body["keys"] if key["name"] == "Docs crawler")


def test_a_revoked_or_expired_key_is_still_read(api: Api, make: MakeKey, at: datetime) -> None:
    old = make("Old", at=at - timedelta(days=9), expires_at=at - timedelta(days=1))
    gone = make("Gone")
    assert api.delete(url(gone)).status == 200
    assert api.get(url(old)).body["status"] == "expired"
    assert api.get(url(gone)).body["status"] == "revoked"


@pytest.mark.parametrize(
    "key_id",
    [
        "abcdefghijkl",
        "short",
        "abcdefghijklm",
        "abcdefghijk%00",
        "%00",
        "abcdefghijk%0A",
        "äbcdefghijkl",
        "*",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_unknown_id_is_404(api: Api, method: str, key_id: str) -> None:
    answer = api.send(method, f"{KEYS}/{key_id}", {"version": 1})
    assert (answer.status, answer.code) == (404, "not-found")


def test_a_token_in_the_place_of_an_id_is_404_without_an_echo(
    api: Api, make: MakeKey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    token = make().token
    # Those that ask who is calling.
    with django_assert_num_queries(2):
        answer = api.get(f"{KEYS}/{token}")
    assert (answer.status, answer.code) == (404, "not-found")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_key_of_another_project_is_404(api: Api, method: str) -> None:
    theirs = IssuedFactory(project=ProjectFactory(name="Elsewhere"))
    before = everything()
    answer = api.send(method, url(theirs), {"version": 1})
    assert (answer.status, answer.code) == (404, "not-found")
    assert everything() == before


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"name": "New  name"}, {"name": "New name"}),
        ({"note": "A note."}, {"note": "A note."}),
        ({"note": ""}, {"note": ""}),
        ({"scopes": ["sources:write", "chat:send"]}, {"scopes": ["chat:send", "sources:write"]}),
        ({"expires_at": "2099-02-18T12:00:00Z"}, {"expires_at": "2099-02-18T12:00:00Z"}),
        ({"expires_at": None}, {"expires_at": None}),
        (
            {"networks": ["10.0.0.0/8", "::ffff:192.0.2.7"]},
            {"networks": ["10.0.0.0/8", "192.0.2.7/32"]},
        ),
        ({"networks": []}, {"networks": []}),
        ({"rate": "100/minute"}, {"rate": "100/minute"}),
        ({"rate": None}, {"rate": None}),
        (
            {"name": "New", "note": "n", "scopes": ["chat:read"]},
            {"name": "New", "note": "n", "scopes": ["chat:read"]},
        ),
    ],
    ids=str,
)
def test_what_is_sent_is_changed_and_nothing_else(
    api: Api, make: MakeKey, at: datetime, changes: dict[str, Any], shown: dict[str, Any]
) -> None:
    limits = {"networks": ["192.0.2.0/24"], "rate": "5/second"}
    issued = make(note="Before.", expires_at=at + timedelta(days=30), **limits)
    before = api.get(url(issued)).body
    assert (before["networks"], before["rate"]) == (["192.0.2.0/24"], "5/second")
    answer = api.patch(url(issued), {"version": 1} | changes)
    assert answer.status == 200
    assert answer.body == before | shown | {"version": 2}
    assert api.get(url(issued)).body == answer.body


def test_the_event_has_each_value_before_and_after(
    api: Api, boss: Issued, make: MakeKey, project: Project
) -> None:
    issued = make()
    api.patch(url(issued), {"version": 1, "name": "Sources reader", "scopes": ["sources:write"], "note": ""})
    event = events(project)[-1]
    assert (event.verb, event.actor_kind, event.actor_id) == ("key.edited", "key", boss.key.key_id)
    assert event.changes == {
        "name": ["Docs crawler", "Sources reader"],
        "scopes": [["sources:read"], ["sources:write"]],
    }


def test_an_edit_that_changes_nothing_writes_nothing(api: Api, make: MakeKey) -> None:
    issued = make()
    before = everything()
    for body in ({"version": 1}, {"version": 1, "name": "Docs crawler", "note": "", "expires_at": None}):
        answer = api.patch(url(issued), body)
        assert (answer.status, answer.body["version"]) == (200, 1)
    assert everything() == before


def test_the_token_stays_and_has_the_new_scopes_at_once(api: Api, make: MakeKey, at: datetime) -> None:
    issued = make()
    api.patch(url(issued), {"version": 1, "scopes": ["chat:read"]})
    assert check(issued.token, at=at, scopes=["chat:read"]).is_valid
    assert not check(issued.token, at=at, scopes=["sources:read"]).is_valid


def test_a_stale_version_changes_nothing_and_says_the_one_of_now(api: Api, make: MakeKey) -> None:
    issued = make()
    assert api.patch(url(issued), {"version": 1, "note": "First."}).status == 200
    before = everything()
    for version in (1, 3, 2**31 - 1):
        answer = api.patch(url(issued), {"version": version, "note": "Second."})
        assert (answer.status, answer.code) == (409, "stale")
        assert (answer.body["key_id"], answer.body["version"]) == (issued.key.key_id, 2)
    assert everything() == before


TIME = "Use a time such as 2027-02-18T12:00:00Z."
RATE = "Use a number per second, minute, hour or day, such as 100/minute."


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"name": "New"}, {"version": "It is missing."}),
        ({"version": "1"}, {"version": "Use a whole number."}),
        ({"version": 1.5}, {"version": "Use a whole number."}),
        ({"version": True}, {"version": "Use a whole number."}),
        ({"version": None}, {"version": "Use a whole number."}),
        ({"version": 0}, {"version": "Use 1 or more."}),
        ({"version": -1}, {"version": "Use 1 or more."}),
        ({"version": 2**31}, {"version": "Use less than 2,147,483,648."}),
        ({"version": 10**19}, {"version": "Use less than 2,147,483,648."}),
        ({"version": 1, "name": None}, {"name": "Use text."}),
        ({"version": 1, "note": None}, {"note": "Use text."}),
        ({"version": 1, "scopes": None}, {"scopes": "Use a list."}),
        ({"version": 1, "scopes": []}, {"scopes": "Pick at least one scope."}),
        ({"version": 1, "name": ""}, {"name": "Enter a name."}),
        ({"version": 1, "name": "Boss"}, {"name": "Another key is called “Boss”."}),
        ({"version": 1, "expires_at": "tomorrow"}, {"expires_at": TIME}),
        ({"version": 1, "expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "Choose a date after today."}),
        ({"version": 1, "networks": None}, {"networks": "Use a list."}),
        ({"version": 1, "networks": ["10.0.0.0/33"]}, {"networks": "“10.0.0.0/33” is not a network."}),
        ({"version": 1, "networks": [""]}, {"networks.0": "It is empty."}),
        ({"version": 1, "networks": ["::/0"] * 51}, {"networks": "Use 50 or fewer."}),
        ({"version": 1, "rate": 100}, {"rate": "Use text."}),
        ({"version": 1, "rate": "100/fortnight"}, {"rate": RATE}),
        ({"version": 1, "rate": "0/minute"}, {"rate": RATE}),
        ({"version": 1, "rate": "9999999/day"}, {"rate": f"Use a number up to 1,000,000{RATE[12:]}"}),
        ({"version": 1, "type": "privileged"}, {"type": "There is no such member."}),
        ({"version": 1, "environment": "test"}, {"environment": "There is no such member."}),
    ],
    ids=str,
)
def test_a_wrong_member_is_named_and_nothing_is_changed(
    api: Api, make: MakeKey, body: dict[str, Any], wrong: dict[str, str]
) -> None:
    issued = make()
    before = everything()
    answer = api.patch(url(issued), body)
    assert (answer.status, answer.code) == (422, "invalid")
    assert answer.wrong == wrong
    assert everything() == before


def test_a_key_of_a_type_without_scopes_takes_none(api: Api, make: MakeKey) -> None:
    issued = make(type=KeyType.VIEWER)
    answer = api.patch(url(issued), {"version": 1, "scopes": ["sources:read"]})
    assert answer.wrong == {"scopes": "Only a restricted key or an agent key has scopes of its own."}


def test_an_expired_key_does_not_come_back(api: Api, make: MakeKey, at: datetime) -> None:
    issued = make(at=at - timedelta(days=9), expires_at=at - timedelta(days=1))
    for expires_at in (None, "2099-02-18T12:00:00Z"):
        answer = api.patch(url(issued), {"version": 1, "expires_at": expires_at})
        assert answer.wrong == {"expires_at": "An expired key can't be brought back. Issue a new one."}
    assert api.patch(url(issued), {"version": 1, "note": "Ended."}).status == 200


def test_a_revoked_key_is_not_edited(api: Api, make: MakeKey, at: datetime) -> None:
    key = make().key
    actor = Actor.system("on call")
    lifecycle.revoke(key.project, key.key_id, actor=actor, at=at)
    answer = api.patch(f"{KEYS}/{key.key_id}", {"version": 2, "name": "Back"})
    assert (answer.status, answer.code) == (409, "already-revoked")
    assert answer.body["detail"] == "on call already revoked this key."


def test_the_automator_key_is_not_edited(api: Api, project: Project) -> None:
    answer = api.patch(f"{KEYS}/{automator(project).key_id}", {"version": 1, "name": "Mine"})
    assert (answer.status, answer.code) == (409, "protected")
    assert answer.body["detail"] == "The Automator Key can't be edited."


def test_a_key_does_not_edit_itself(api: Api, boss: Issued) -> None:
    before = everything()
    answer = api.patch(url(boss), {"version": 1, "note": "Mine."})
    assert (answer.status, answer.code) == (403, "beyond-bounds")
    assert answer.body["detail"] == "On itself a key may only revoke."
    assert everything() == before


@pytest.mark.django_db(transaction=True)
def test_of_two_edits_of_one_version_one_is_done(make: MakeKey, project: Project) -> None:
    boss, issued = make("Boss", type=KeyType.PRIVILEGED), make()

    def edit(note: str) -> Answer:
        return Api(boss.token).patch(url(issued), {"version": 1, "note": note})

    answers, raised = split(race(*[partial(edit, f"Note {number}") for number in range(5)]))
    assert raised == []
    assert sorted(answer.status for answer in answers) == [200] + [409] * 4
    won = next(answer for answer in answers if answer.status == 200)
    key = Key.objects.get(pk=issued.key.pk)
    assert (key.version, key.note) == (2, won.body["note"])
    assert [event.verb for event in events(project)].count("key.edited") == 1
