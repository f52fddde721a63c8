"""`GET /api/v1/keys`."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from pytest_django import DjangoAssertNumQueries

from keys import bodies, lifecycle
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.listing import Listing
from keys.models import Key, KeyActivity
from projects.access import project_for
from projects.audit import Actor
from projects.models import Project, User
from tests.api.calls import KEYS, Answer, Api
from tests.api.conftest import MakeKey
from tests.factories import IssuedFactory, ProjectFactory, acting

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def names(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return [key["name"] for key in answer.body["keys"]]


def pages(api: Api, **query: Any) -> list[dict[str, Any]]:
    """Every key, page after page, as a client walks them that only follows `Link`."""
    found: list[dict[str, Any]] = []
    while True:
        answer = api.get(KEYS, query)
        assert answer.status == 200, answer.body
        found += answer.body["keys"]
        assert ("Link" in answer.headers) is (answer.body["next_cursor"] is not None)
        if answer.body["next_cursor"] is None:
            return found
        link = answer.headers["Link"]
        assert link.startswith(f"<{KEYS}?")
        assert link.endswith('>; rel="next"')
        query = dict(parse_qsl(urlsplit(link.partition(">")[0][1:]).query))
        assert query["cursor"] == answer.body["next_cursor"]


def revoked(issued: Issued, at: datetime) -> Key:
    key = issued.key
    return lifecycle.revoke(key.project, key.key_id, actor=Actor.system("on call"), at=at, reason="Leaked")


def test_it_shows_keys_newest_first_without_a_secret(api: Api, make: MakeKey, at: datetime) -> None:
    key = make(at=at + DAY, note="Runs at night.").key
    answer = api.get(KEYS)
    assert names(answer) == ["Docs crawler", "Boss", "Automator Key"]
    first = answer.body["keys"][0]
    assert first == {
        "key_id": key.key_id,
        "name": "Docs crawler",
        "type": "restricted",
        "environment": "live",
        "scopes": ["sources:read"],
        "channel": None,
        "holder": None,
        "note": "Runs at night.",
        "preview": key.preview,
        "status": "active",
        "created_at": (at + DAY).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "created_by": "system",
        "expires_at": None,
        "last_used_at": None,
        "revoked_at": None,
        "revoked_by": None,
        "revoked_reason": None,
        "networks": [],
        "rate": None,
        "version": 1,
    }
    assert set(first) == set(bodies.Key.__annotations__)


@pytest.mark.parametrize(
    "sort", ["created", "-created", "name", "-name", "used", "-used", "expires", "-expires"]
)
def test_pages_have_every_key_once_in_every_order(api: Api, make: MakeKey, at: datetime, sort: str) -> None:
    # Several made at the same time: only their number tells them apart.
    for number in range(11):
        make(f"Key {number:02}", at=at - (number % 3) * DAY, expires_at=at + (number % 4 + 1) * DAY)
    whole = [key["key_id"] for key in api.get(KEYS, {"sort": sort}).body["keys"]]
    assert len(set(whole)) == 13
    for limit in (1, 4, 12, 13):
        walked = [key["key_id"] for key in pages(api, sort=sort, limit=limit)]
        assert walked == whole
    opposite = sort[1:] if sort.startswith("-") else f"-{sort}"
    assert [key["key_id"] for key in pages(api, sort=opposite, limit=5)] == whole[::-1]


def test_keys_that_come_meanwhile_neither_repeat_nor_hide_others(
    api: Api, make: MakeKey, at: datetime
) -> None:
    for number in range(4):
        make(f"Key {number}", at=at - number * DAY)
    first = api.get(KEYS, {"limit": 2})
    make("Late", at=at + DAY)
    second = api.get(KEYS, {"limit": 5, "cursor": first.body["next_cursor"]})
    seen = names(first) + names(second)
    assert sorted(seen) == ["Automator Key", "Boss", "Key 0", "Key 1", "Key 2", "Key 3"]


def test_a_page_goes_on_after_a_key_that_was_revoked_since(api: Api, make: MakeKey, at: datetime) -> None:
    keys = [make(f"Key {number}", at=at + number * DAY) for number in range(3)]
    first = api.get(KEYS, {"limit": 1})
    assert names(first) == ["Key 2"]
    revoked(keys[2], at + 3 * DAY)
    second = api.get(KEYS, {"limit": 1, "cursor": first.body["next_cursor"]})
    assert names(second) == ["Key 1"]


def test_revoked_keys_are_a_list_of_their_own(api: Api, make: MakeKey, at: datetime) -> None:
    for number in range(5):
        revoked(make(f"Key {number}"), at + number * timedelta(seconds=1))
    assert names(api.get(KEYS)) == ["Boss", "Automator Key"]
    found = pages(api, status="revoked", limit=2, sort="name")
    assert [key["name"] for key in found] == ["Key 4", "Key 3", "Key 2", "Key 1", "Key 0"]
    assert {key["status"] for key in found} == {"revoked"}
    assert {(key["revoked_by"], key["revoked_reason"]) for key in found} == {("on call", "Leaked")}


@pytest.fixture
def varied(make: MakeKey, at: datetime) -> None:
    """A key for each filter to find and to leave out."""
    make("Zendesk sync", type=KeyType.PRIVILEGED, at=at - 100 * DAY)
    make("Teams bot", type=KeyType.VIEWER, expires_at=at + 5 * DAY)
    make("Docs crawler", at=at - 100 * DAY)
    make("Nightly export", environment="test")
    make("Not stored", confirmed=False)
    make("Old", at=at - 9 * DAY, expires_at=at - DAY)
    paused = make("Paused").key
    Key.objects.filter(pk=paused.pk).update(paused_at=at)
    used = make("In use", at=at - 200 * DAY).key
    KeyActivity.objects.filter(key=used).update(last_used_at=at - DAY)
    revoked(make("Gone"), at)


FILTERS = [
    ({"type": "privileged"}, {"Boss", "Zendesk sync"}),
    ({"type": "viewer"}, {"Teams bot"}),
    ({"type": "system"}, {"Automator Key"}),
    ({"status": "unconfirmed"}, {"Not stored"}),
    ({"status": "expires_soon"}, {"Teams bot"}),
    ({"status": "expired"}, {"Old"}),
    ({"status": "paused"}, {"Paused"}),
    ({"environment": "test"}, {"Nightly export"}),
    ({"unused": "true"}, {"Zendesk sync", "Docs crawler"}),
    ({"unused": "false", "status": "expired"}, {"Old"}),
    ({"q": "DOCS"}, {"Docs crawler"}),
    # One letter or two are the beginning of a name.
    ({"q": "N"}, {"Not stored", "Nightly export"}),
    ({"q": "no such key"}, set()),
    ({"q": "sync", "type": "viewer"}, set()),
    ({"q": "%"}, set()),
    ({"q": "_"}, set()),
]  # fmt: skip


def ids(value: object) -> str:
    # A set's own text differs between two processes that share the tests, which then can't agree on them.
    return str(sorted(value) if isinstance(value, set) else value)


@pytest.mark.parametrize(("query", "expected"), FILTERS, ids=ids)
@pytest.mark.usefixtures("varied")
def test_filters_find_what_the_console_finds(
    api: Api,
    project: Project,
    owner: User,
    at: datetime,
    query: dict[str, str],
    expected: set[str],
) -> None:
    found = {key["name"] for key in pages(api, limit=3, **query)}
    assert found == expected
    params = {name: {"true": "1", "false": ""}.get(value, value) for name, value in query.items()}
    listing = Listing(project_for(owner, project.slug), acting(owner, project), params, at)
    assert {row.name for row in listing.table().rows} == found


@pytest.mark.usefixtures("varied")
def test_each_key_is_found_under_its_own_status(api: Api) -> None:
    for key in api.get(KEYS).body["keys"]:
        assert key["name"] in {other["name"] for other in pages(api, status=key["status"])}


def test_mine_are_those_that_this_key_issued(api: Api, make: MakeKey) -> None:
    make("Somebody else's")
    for name in ("Own 1", "Own 2"):
        assert api.post(KEYS, {"name": name, "scopes": ["sources:read"]}).status == 201
    assert sorted(names(api.get(KEYS, {"mine": "true"}))) == ["Own 1", "Own 2"]
    assert len(names(api.get(KEYS, {"mine": "false"}))) == 5


def test_a_key_is_found_by_its_id_and_by_its_preview(api: Api, make: MakeKey) -> None:
    key = make("Needle").key
    make("Hay")
    assert names(api.get(KEYS, {"q": key.key_id})) == ["Needle"]
    assert names(api.get(KEYS, {"q": key.preview})) == ["Needle"]
    assert names(api.get(KEYS, {"q": f"kr_live_{key.key_id}"})) == ["Needle"]


@pytest.mark.parametrize(
    "cut",
    [
        lambda token: token,
        lambda token: token[:30],
        lambda token: f"  {token}\n",
        lambda token: token[8:],
        lambda token: token[20:58],
        lambda token: f"{token[:20]}\u200b{token[20:]}",
        lambda token: f"name {token}",
    ],
    ids=["whole", "most of it", "with blanks", "without its prefix", "the secret", "hidden", "in a text"],
)
@pytest.mark.parametrize("parameter", ["q", "cursor", "nope"])
def test_a_token_in_the_query_is_refused_and_not_echoed(
    api: Api, make: MakeKey, cut: Any, parameter: str
) -> None:
    token = make().token
    answer = api.get(KEYS, {parameter: cut(token)})
    assert (answer.status, answer.code) == (400, "token-in-query")
    assert token[20:58] not in str(answer)


def test_a_token_as_the_name_of_a_parameter_is_refused_and_not_echoed(api: Api) -> None:
    assert api.get(KEYS, {api.token: "1"}).code == "token-in-query"


@pytest.mark.parametrize(
    ("query", "member", "said"),
    [
        ({"limit": "0"}, "limit", "Use a whole number from 1 to 100."),
        ({"limit": "101"}, "limit", "Use a whole number from 1 to 100."),
        ({"limit": "-1"}, "limit", "Use a whole number from 1 to 100."),
        ({"limit": "1.0"}, "limit", "Use a whole number from 1 to 100."),
        ({"limit": " 5"}, "limit", "Use a whole number from 1 to 100."),
        ({"limit": "\u0665"}, "limit", "Use a whole number from 1 to 100."),
        ({"limit": "9" * 5000}, "limit", "Use a whole number from 1 to 100."),
        ({"limit": ""}, "limit", "Use a whole number from 1 to 100."),
        ({"mine": "yes"}, "mine", "Use true or false."),
        ({"unused": "1"}, "unused", "Use true or false."),
        ({"type": "root"}, "type", "Use privileged, viewer, restricted, agent, channel or system."),
        ({"channel": "nowhere"}, "channel", "There is no such channel here."),
        ({"channel": "Not A Slug"}, "channel", "Use small letters, digits and hyphens."),
        ({"channel": "a" * 51}, "channel", "Use 50 characters or fewer."),
        ({"channel": ""}, "channel", "Use small letters, digits and hyphens."),
        ({"status": "gone"}, "status", "Use active, unconfirmed, expires_soon, paused, expired or revoked."),
        ({"environment": "LIVE"}, "environment", "Use live or test."),
        ({"sort": "secret_hash"}, "sort", None),
        ({"q": "word " * 21}, "q", "Use 100 characters or fewer."),
        ({"q": "a\x00b"}, "q", "Use no control characters."),
        ({"cursor": "short"}, "cursor", "Use a key id: 12 letters and digits."),
        ({"cursor": "abcdefghijkl"}, "cursor", "It isn't of this list."),
        ({"page": "2"}, "page", "There is no such parameter."),
        ({"limit": ["2", "3"]}, "limit", "Give it once."),
        ({"nope": ["2", "3"]}, "nope", "Give it once."),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_named(api: Api, query: dict[str, Any], member: str, said: str | None) -> None:
    answer = api.get(KEYS, query)
    assert (answer.status, answer.code) == (400, "invalid-parameter")
    assert list(answer.wrong) == [member]
    assert said is None or answer.wrong[member] == said


def test_all_that_is_wrong_is_said_at_once(api: Api) -> None:
    answer = api.get(KEYS, {"limit": "0", "mine": "x", "nope": "1"})
    assert set(answer.wrong) == {"limit", "mine", "nope"}


def test_limits_of_1_and_100_are_good(api: Api) -> None:
    assert len(names(api.get(KEYS, {"limit": "1"}))) == 1
    assert len(names(api.get(KEYS, {"limit": "100"}))) == 2


def test_a_cursor_of_another_project_is_none(api: Api) -> None:
    theirs = IssuedFactory(project=ProjectFactory(name="Elsewhere")).key
    assert api.get(KEYS, {"cursor": theirs.key_id}).wrong == {"cursor": "It isn't of this list."}


def test_a_cursor_is_of_the_list_that_gave_it(api: Api, make: MakeKey) -> None:
    living = make().key
    answer = api.get(KEYS, {"status": "revoked", "cursor": living.key_id})
    assert answer.wrong == {"cursor": "It isn't of this list."}


def test_a_test_key_sees_test_keys_only(make: MakeKey) -> None:
    live = make("Live one").key
    caller = make("Tester", type=KeyType.PRIVILEGED, environment="test")
    make("Test one", environment="test")
    api = Api(caller.token)
    assert sorted(key["name"] for key in pages(api, limit=1)) == ["Test one", "Tester"]
    assert names(api.get(KEYS, {"environment": "live"})) == []
    assert names(api.get(KEYS, {"q": live.key_id})) == []
    assert api.get(KEYS, {"cursor": live.key_id}).wrong == {"cursor": "It isn't of this list."}


def test_other_projects_are_not_there(api: Api) -> None:
    theirs = IssuedFactory(project=ProjectFactory(name="Elsewhere"), name="Theirs")
    revoked(theirs, theirs.key.created_at)
    assert "Theirs" not in names(api.get(KEYS))
    assert names(api.get(KEYS, {"status": "revoked"})) == []


def test_fifty_rows_ask_no_more_of_the_database_than_one(
    api: Api, make: MakeKey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(7):
        api.get(KEYS, {"limit": "1"})
    for number in range(50):
        make(f"Key {number}")
    with django_assert_num_queries(7):
        assert len(names(api.get(KEYS, {"limit": "50"}))) == 50


def test_head_answers_as_get_does_without_a_body(api: Api) -> None:
    answer = api.send("HEAD", KEYS)
    assert (answer.status, answer.body) == (200, None)
