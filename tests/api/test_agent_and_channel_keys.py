"""Agent keys and channel keys in the JSON API: issued, shown, listed, edited, presented."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from keys import lifecycle
from keys.drafts import AGENT_END
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import Project
from tests.api.calls import KEYS, Answer, Api
from tests.api.conftest import MakeKey
from tests.db.watching import events, everything
from tests.factories import ChannelFactory, IssuedFactory, ProjectFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
DEFAULT = ["agents:run", "chat:send", "providers:use"]
AGENT = {"name": "Release agent", "type": "agent"}
CHANNEL = {"name": "Teams, ward 3", "type": "channel", "channel": "support", "holder": "Ward 3"}
NO_CHANNEL = {"channel": "Only a channel key has a channel, and somebody who holds it."}


@pytest.fixture(autouse=True)
def _channels(project: Project) -> None:
    ChannelFactory(project=project, slug="support", name="Support bot")
    ChannelFactory(project=project, slug="sales", name="Sales bot")


def refused(api: Api, body: dict[str, Any]) -> dict[str, str]:
    before = everything()
    answer = api.post(KEYS, body)
    assert (answer.status, answer.code) == (422, "invalid")
    assert everything() == before
    return answer.wrong


def issued(api: Api, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(KEYS, body)
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.body
    return made


def introspected(api: Api, token: str) -> dict[str, Any]:
    answer: dict[str, Any] = api.form("/api/v1/introspect", urlencode({"token": token})).body
    return answer


# Agent keys


def test_an_agent_key_needs_a_name_only(api: Api, project: Project, at: datetime) -> None:
    body = issued(api, AGENT)
    assert (body["type"], body["scopes"], body["environment"]) == ("agent", DEFAULT, "live")
    assert (body["channel"], body["holder"]) == (None, None)
    key = Key.objects.get(key_id=body["key_id"])
    assert key.expires_at - key.created_at == 90 * DAY
    assert abs(key.created_at - at) < timedelta(minutes=1)
    assert body["expires_at"] == f"{key.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    assert check(body["token"], at=at, project="acme", scopes=DEFAULT).is_valid
    assert events(project)[-1].changes["type"] == "agent"


def test_its_scopes_and_its_environment_can_be_said(make: MakeKey) -> None:
    api = Api(make("Tester", type=KeyType.PRIVILEGED, environment="test").token)
    body = issued(api, AGENT | {"scopes": ["sources:read"], "environment": "test", "note": "Nightly"})
    assert (body["scopes"], body["environment"], body["note"]) == (["sources:read"], "test", "Nightly")
    assert body["token"].startswith("kr_test_")


@pytest.mark.parametrize("end", [None, "2099-01-01T00:00:00Z", "2020-01-01T00:00:00Z"])
def test_its_end_can_not(api: Api, end: str | None) -> None:
    assert refused(api, AGENT | {"expires_at": end}) == {"expires_at": AGENT_END}


def test_not_even_the_one_that_it_gets(api: Api) -> None:
    end = datetime.now(UTC) + 90 * DAY
    assert refused(api, AGENT | {"expires_at": f"{end:%Y-%m-%dT%H:%M:%SZ}"}) == {"expires_at": AGENT_END}


def test_unknown_scopes_are_refused_and_no_others_are_put_in_their_place(api: Api) -> None:
    wrong = refused(api, AGENT | {"scopes": ["sources:paint"]})
    assert wrong == {"scopes": "This project has no scope called “sources:paint”."}


def test_its_scopes_are_edited_and_its_end_is_not(api: Api) -> None:
    body = issued(api, AGENT)
    url = f"{KEYS}/{body['key_id']}"
    edited = api.patch(url, {"version": 1, "scopes": ["sources:read"], "name": "Shipping agent"})
    assert (edited.status, edited.body["scopes"], edited.body["version"]) == (200, ["sources:read"], 2)
    for end in (None, "2099-01-01T00:00:00Z"):
        answer = api.patch(url, {"version": 2, "expires_at": end})
        assert (answer.status, answer.wrong) == (422, {"expires_at": AGENT_END})
    assert api.patch(url, {"version": 2, "scopes": []}).wrong == {"scopes": "Pick at least one scope."}
    assert api.get(url).body == edited.body


@pytest.mark.parametrize(("days", "status"), [(89, 403), (91, 201)])
def test_a_key_that_ends_before_it_issues_none(make: MakeKey, at: datetime, days: int, status: int) -> None:
    caller = make("Caller", scopes=("keys:write", *DEFAULT), expires_at=at + days * DAY)
    before = everything()
    answer = Api(caller.token).post(KEYS, AGENT)
    assert answer.status == status
    if status == 403:
        assert answer.code == "beyond-bounds"
        assert everything() == before


def test_an_agent_key_manages_keys_within_its_bounds(make: MakeKey, at: datetime) -> None:
    caller = make("Caller", type=KeyType.AGENT, scopes=("keys:read", "keys:write", *DEFAULT))
    api = Api(caller.token)
    assert api.post(KEYS, AGENT).code == "beyond-bounds"
    end = f"{at + DAY:%Y-%m-%dT%H:%M:%SZ}"
    child = issued(api, {"name": "Child", "scopes": ["chat:send"], "expires_at": end})
    assert child["created_by"] == "Caller"
    assert api.post(f"{KEYS}/{child['key_id']}/revoke").status == 200


@pytest.mark.parametrize(("path", "method"), [("/api/v1/whoami", "GET"), (KEYS, "GET"), (KEYS, "POST")])
def test_an_expired_one_is_refused_as_expired(make: MakeKey, at: datetime, path: str, method: str) -> None:
    old = make("Old scout", type=KeyType.AGENT, scopes=("keys:read", "keys:write"), at=at - 90 * DAY)
    answer = Api(old.token).send(method, path, AGENT if method == "POST" else None)
    assert (answer.status, answer.code, answer.body["detail"]) == (401, "expired", "The key has expired.")
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer realm="keyrack", error="invalid_token", error_description="The key has expired."'
    )


def test_an_expired_one_is_listed_read_and_inactive(api: Api, make: MakeKey, at: datetime) -> None:
    old = make("Old scout", type=KeyType.AGENT, at=at - 120 * DAY)
    listed = api.get(KEYS, {"type": "agent", "status": "expired"}).body["keys"]
    assert [(key["name"], key["status"]) for key in listed] == [("Old scout", "expired")]
    assert api.get(f"{KEYS}/{old.key.key_id}").body["status"] == "expired"
    assert introspected(api, old.token) == {"active": False}


def test_its_idempotency_key_makes_one_key(api: Api) -> None:
    first = api.post(KEYS, AGENT, Idempotency_Key="agent-1")
    again = api.post(KEYS, AGENT, Idempotency_Key="agent-1")
    assert (first.status, again.status, again.code) == (201, 409, "already-issued")
    assert Key.objects.filter(type=KeyType.AGENT).count() == 1


# Channel keys


def test_a_channel_key_has_a_channel_and_a_holder(api: Api, project: Project, at: datetime) -> None:
    body = issued(api, CHANNEL)
    assert (body["type"], body["channel"], body["holder"]) == ("channel", "support", "Ward 3")
    assert body["scopes"] == ["agents:read", "chat:read", "chat:send", "sources:read", "workflows:read"]
    assert check(body["token"], at=at, project="acme", channel="support").is_valid
    assert check(body["token"], at=at, project="acme").outcome is Outcome.WRONG_CHANNEL
    lasts = datetime.fromisoformat(body["expires_at"]) - at
    assert timedelta(days=90) - lasts < timedelta(minutes=1)
    changes = events(project)[-1].changes
    assert (changes["channel"], changes["holder"]) == ("support", "Ward 3")
    assert (
        issued(api, CHANNEL | {"name": "Two", "holder": "Ward 4", "expires_at": None})["expires_at"] is None
    )


WRONG: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"channel": ""}, {"channel": "Choose a channel."}),
    ({"channel": "nowhere"}, {"channel": "There is no such channel here."}),
    ({"channel": "Support"}, {"channel": "There is no such channel here."}),
    ({"channel": "support\n"}, {"channel": "There is no such channel here."}),
    ({"channel": "s" * 51}, {"channel": "Use 50 characters or fewer."}),
    ({"channel": None}, {"channel": "Use text."}),
    ({"channel": 5}, {"channel": "Use text."}),
    ({"holder": ""}, {"holder": "Enter who holds the key."}),
    ({"holder": " \u00a0"}, {"holder": "Enter who holds the key."}),
    ({"holder": "x" * 101}, {"holder": "Use 100 characters or fewer."}),
    ({"holder": "a\u202eb"}, {"holder": "Use letters, digits, blanks and punctuation that can be seen."}),
    ({"holder": ["Ward 3"]}, {"holder": "Use text."}),
    ({"scopes": ["chat:send"]}, {"scopes": "Only a restricted key or an agent key has scopes of its own."}),
]


@pytest.mark.parametrize(("members", "wrong"), WRONG, ids=lambda value: str(value)[:50])
def test_a_wrong_member_of_a_channel_key_is_named(
    api: Api, members: dict[str, Any], wrong: dict[str, str]
) -> None:
    assert refused(api, CHANNEL | members) == wrong


def test_a_token_as_holder_or_channel_is_refused_and_not_echoed(api: Api) -> None:
    # The answer itself is held to that: see tests/api/calls.py.
    assert list(refused(api, CHANNEL | {"holder": api.token})) == ["holder"]
    assert list(refused(api, CHANNEL | {"channel": api.token})) == ["channel"]


@pytest.mark.parametrize("kind", ["privileged", "viewer", "restricted", "agent"])
@pytest.mark.parametrize("member", ["channel", "holder"])
def test_no_other_type_takes_a_channel_or_a_holder(api: Api, kind: str, member: str) -> None:
    scopes = ["sources:read"] if kind == "restricted" else []
    body = {"name": "Docs crawler", "type": kind, "scopes": scopes, member: "support"}
    assert refused(api, body) == NO_CHANNEL


def test_a_holder_has_one_key_of_a_channel(api: Api) -> None:
    issued(api, CHANNEL)
    wrong = refused(api, CHANNEL | {"name": "Another", "holder": "WARD  3"})
    assert wrong == {"holder": "Ward 3 holds a key of Support bot already: “Teams, ward 3”."}
    assert issued(api, CHANNEL | {"name": "Another", "channel": "sales"})["channel"] == "sales"


def test_a_channel_of_another_project_or_a_closed_one_is_none(
    api: Api, project: Project, at: datetime
) -> None:
    ChannelFactory(project=ProjectFactory(), slug="theirs")
    ChannelFactory(project=project, slug="closed", closed_at=at)
    for slug in ("theirs", "closed"):
        assert refused(api, CHANNEL | {"channel": slug}) == {"channel": "There is no such channel here."}


def test_its_channel_and_holder_are_not_edited(api: Api) -> None:
    url = f"{KEYS}/{issued(api, CHANNEL)['key_id']}"
    for member in ("channel", "holder", "type"):
        answer = api.patch(url, {"version": 1, member: "sales"})
        assert (answer.status, answer.wrong) == (422, {member: "There is no such member."})
    assert api.patch(url, {"version": 1, "name": "Teams, ward three"}).body["channel"] == "support"


@pytest.fixture
def held(make: MakeKey) -> Issued:
    return make("Teams", type=KeyType.CHANNEL, channel="support", holder="Ward 3")


def test_it_may_ask_what_it_is(held: Issued) -> None:
    answer = Api(held.token).get("/api/v1/whoami")
    assert answer.status == 200
    assert (answer.body["type"], answer.body["channel"]) == ("channel", "support")


def test_it_is_introspected_with_its_channel(api: Api, held: Issued) -> None:
    body = introspected(api, held.token)
    assert (body["active"], body["type"], body["channel"]) == (True, "channel", "support")


def test_it_opens_nothing_that_manages_keys(held: Issued) -> None:
    caller = Api(held.token)
    for answer, scope in ((caller.get(KEYS), "keys:read"), (caller.post(KEYS, CHANNEL), "keys:write")):
        assert (answer.status, answer.code, answer.body["scope"]) == (403, "scope-missing", scope)


def test_whoever_holds_it_may_end_it(api: Api, held: Issued, at: datetime) -> None:
    assert api.form("/api/v1/revoke", urlencode({"token": held.token})).status == 200
    assert check(held.token, at=at, channel=None).outcome is Outcome.REVOKED


def test_a_call_of_a_channel_key_asks_no_more_than_any_other(
    held: Issued, make: MakeKey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    viewer = make("Viewer", type=KeyType.VIEWER)
    for token in (held.token, viewer.token):
        with django_assert_num_queries(1):
            Api(token).get(KEYS)


# Lists


def names(answer: Answer) -> set[str]:
    assert answer.status == 200, answer.body
    return {key["name"] for key in answer.body["keys"]}


def test_lists_are_filtered_by_the_new_types_and_by_channel(api: Api, make: MakeKey, held: Issued) -> None:
    make("Release agent", type=KeyType.AGENT)
    make("Slack", type=KeyType.CHANNEL, channel="sales", holder="Ward 3")
    assert names(api.get(KEYS, {"type": "agent"})) == {"Release agent"}
    assert names(api.get(KEYS, {"type": "channel"})) == {"Teams", "Slack"}
    assert names(api.get(KEYS, {"channel": "support"})) == {"Teams"}
    assert names(api.get(KEYS, {"channel": "sales", "type": "agent"})) == set()


def test_the_revoked_keys_of_a_closed_channel_are_still_listed(
    api: Api, held: Issued, project: Project, at: datetime
) -> None:
    lifecycle.revoke(project, held.key.key_id, actor=Actor.system(), at=at, reason="Closed")
    project.channels.filter(slug="support").update(closed_at=at)
    assert names(api.get(KEYS, {"channel": "support", "status": "revoked"})) == {"Teams"}


def test_a_channel_of_another_project_has_no_list_here(api: Api) -> None:
    other = ProjectFactory()
    ChannelFactory(project=other, slug="theirs")
    IssuedFactory(project=other, type=KeyType.CHANNEL, channel="theirs", holder="Somebody")
    assert api.get(KEYS, {"channel": "theirs"}).wrong == {"channel": "There is no such channel here."}


def test_fifty_channel_keys_ask_no_more_of_the_database_than_one(api: Api, make: MakeKey) -> None:
    for number in range(50):
        make(f"Key {number}", type=KeyType.CHANNEL, channel="support", holder=f"Ward {number}")
    for limit in ("1", "50"):
        # The check and the catalogue; what stands on each of four shelves; the page.
        with CaptureQueriesContext(connection) as captured:
            assert len(names(api.get(KEYS, {"type": "channel", "limit": limit}))) == int(limit)
        # PostgreSQL is told besides how to go about some of them.
        assert len([query for query in captured if query["sql"].startswith("SELECT")]) == 8
