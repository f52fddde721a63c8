"""`GET /api/v1/authorize`: what a gateway asks, and how it fails closed; by the gate and by Django alike."""

import json
import time
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote, urlencode

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from config.addresses import TrustedProxies
from keys import channels, lifecycle, problems
from keys.api.gateways import IDENTITY
from keys.kinds import KeyType
from keys.lifecycle import Issued
from projects.audit import Actor
from projects.models import Project
from tests.api.conftest import MakeKey
from tests.api.gates import Ask, Heard
from tests.factories import ChannelFactory, ProjectFactory, UpstreamFactory

pytestmark = pytest.mark.django_db

TOKEN: Final = "kr_live_" + "a1B2" * 14


@pytest.fixture
def issued(make: MakeKey) -> Issued:
    return make(scopes=["sources:read", "sources:write", "chat:send"])


def bearer(issued: Issued, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {issued.token}"} | {
        name.replace("_", "-"): v for name, v in more.items()
    }


def query(**given: Any) -> str:
    return urlencode({"project": "acme"} | given, doseq=True)


def code(heard: Heard) -> str:
    assert heard.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(heard.body)
    assert problem["status"] == heard.status
    kind: str = problem["type"].removeprefix(problems.URN)
    return kind


def wrong(heard: Heard) -> set[str]:
    return {each["member"] for each in json.loads(heard.body)["errors"]}


# Let through


def test_a_key_that_may_is_let_through_with_who_it_is(ask: Ask, issued: Issued) -> None:
    heard = ask(query=query(resource="sources", action="read"), headers=bearer(issued))
    assert (heard.status, heard.body) == (200, b"")
    assert heard.headers["Cache-Control"] == "no-store"
    assert {name: heard.headers[name] for name in IDENTITY} == {
        "X-Keyrack-Key-Id": issued.key.key_id,
        "X-Keyrack-Key-Name": "Docs%20crawler",
        "X-Keyrack-Type": "restricted",
        "X-Keyrack-Project": "acme",
        "X-Keyrack-Environment": "live",
        "X-Keyrack-Scopes": "chat:send sources:read sources:write",
        "X-Keyrack-Channel": "",
    }


def test_a_name_comes_through_whatever_it_is_made_of(ask: Ask, make: MakeKey) -> None:
    heard = ask(query=query(), headers=bearer(make("مزامنة: 100 % — é")))
    assert heard.headers["X-Keyrack-Key-Name"].isascii()
    assert unquote(heard.headers["X-Keyrack-Key-Name"]) == "مزامنة: 100 % — é"


def test_everything_is_a_star_and_a_viewers_reads_are_listed(ask: Ask, make: MakeKey) -> None:
    wide = ask(query=query(), headers=bearer(make(type=KeyType.PRIVILEGED)))
    assert wide.headers["X-Keyrack-Scopes"] == "*"
    reads = ask(query=query(), headers=bearer(make("Viewer", type=KeyType.VIEWER))).headers[
        "X-Keyrack-Scopes"
    ]
    assert "sources:read" in reads.split()
    assert "keys:read" not in reads.split()


def test_the_key_may_come_in_the_other_header_or_in_both(ask: Ask, issued: Issued) -> None:
    assert ask(query=query(), headers={"X-API-Key": issued.token}).status == 200
    assert ask(query=query(), headers=bearer(issued, X_API_Key=issued.token)).status == 200
    assert ask(query=query(), headers={"Authorization": f"bEARER {issued.token}"}).status == 200


@pytest.mark.parametrize(
    ("method", "action"),
    [
        ("GET", "read"), ("HEAD", "read"), ("OPTIONS", "read"), ("DELETE", "delete"), ("POST", "write"),
        ("PUT", "write"), ("PATCH", "write"), ("PROPFIND", "write"), ("get", "write"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", ["method", "X-Original-Method", "X-Forwarded-Method"])
def test_without_an_action_it_follows_the_method(
    ask: Ask, make: MakeKey, method: str, action: str, how: str
) -> None:
    key = make(scopes=[f"sources:{action}"])
    asked = query(resource="sources", method=method) if how == "method" else query(resource="sources")
    headers = bearer(key) if how == "method" else bearer(key) | {how: method}
    assert ask(query=asked, headers=headers).status == 200
    for other in {"read", "write", "delete"} - {action}:
        refused = ask(
            query=asked, headers=headers | bearer(make(f"Only {other}", scopes=[f"sources:{other}"]))
        )
        assert (refused.status, code(refused)) == (403, "scope-missing")
        assert f'scope="sources:{action}"' in refused.headers["WWW-Authenticate"]


def test_each_further_scope_is_needed(ask: Ask, issued: Issued) -> None:
    both = ["sources:read", "chat:send"]
    assert ask(query=query(scope=both), headers=bearer(issued)).status == 200
    refused = ask(query=query(scope=[*both, "agents:run"]), headers=bearer(issued))
    assert (refused.status, json.loads(refused.body)["scope"]) == (403, "agents:run")


# What the gateway does wrongly: 400


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", {"project"}),
        ("resource=sources&action=read", {"project"}),
        ("project=", {"project"}),
        ("project=acme&project=acme", {"project"}),
        ("project=ACME", {"project"}),
        ("project=acme/../x", {"project"}),
        ("project=nowhere", {"project"}),
        ("project=acme&colour=red", {"colour"}),
        ("project=acme&Scope=a:b", {"Scope"}),
        ("project=acme&action=read", {"action"}),
        ("project=acme&resource=", {"resource"}),
        ("project=acme&resource=sources&action=", {"action"}),
        ("project=acme&resource=Sources&action=read", {"resource"}),
        ("project=acme&resource=..%2Fkeys&action=read", {"resource"}),
        ("project=acme&resource=sources%00&action=read", {"resource"}),
        ("project=acme&resource=sources", {"method"}),
        ("project=acme&resource=sources&method=", {"method"}),
        ("project=acme&resource=sources&method=G%20T", {"method"}),
        ("project=acme&scope=", {"scope"}),
        ("project=acme&scope=*", {"scope"}),
        ("project=acme&scope=sources", {"scope"}),
        ("project=acme&environment=prod", {"environment"}),
        ("project=acme&environment=live&environment=test", {"environment"}),
        ("project=acme&throttle=429", {"throttle"}),
        ("project=acme&channel=", {"channel"}),
        ("project=acme&channel=nowhere", {"channel"}),
        ("project=acme&upstream=", {"upstream"}),
        ("project=acme&upstream=GPT%205", {"upstream"}),
        ("project=acme&upstream=nowhere", {"upstream"}),
        ("project=acme&upstream=a&upstream=a", {"upstream"}),
        ("project=acme&%ff=1", {""}),
        ("project=%ff", {""}),
        ("project=acme&" + "scope=a:b&" * 70, {""}),
        ("project=acme&resource=" + "x" * 5000, {""}),
    ],
)
def test_a_gateway_that_asks_wrongly_gets_400(ask: Ask, issued: Issued, text: str, said: set[str]) -> None:
    heard = ask(query=text, headers=bearer(issued))
    assert (heard.status, code(heard)) == (400, "invalid-parameter")
    assert wrong(heard) == said


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {TOKEN}"}], ids=["nobody", "a stranger"])
def test_a_place_that_is_not_is_the_gateways_mistake_whoever_comes(
    ask: Ask, project: Project, headers: dict[str, str]
) -> None:
    ChannelFactory(project=project, slug="support")
    UpstreamFactory(project=project, slug="openai")
    for text, said in (
        ("project=nowhere", "project"),
        ("project=acme&channel=nowhere", "channel"),
        ("project=acme&channel=support&upstream=nowhere", "upstream"),
    ):
        heard = ask(query=text, headers=headers)
        assert (heard.status, wrong(heard)) == (400, {said})
    assert ask(query="project=acme&channel=support&upstream=openai", headers=headers).status == 401


def test_a_flood_of_strangers_asks_the_database_once_where_they_are(
    ask: Ask, project: Project, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    asked = {"query": "project=acme", "headers": {"Authorization": "Bearer no-token"}}
    assert ask(**asked).status == 401
    with django_assert_num_queries(0):
        assert [ask(**asked).status for _ in range(3)] == [401, 401, 401]


def test_what_a_client_puts_into_the_path_is_never_the_gateways_mistake(
    ask: Ask, make: MakeKey, issued: Issued
) -> None:
    for resource, method in (("x" * 900, "GET"), ("sources", "X_Y!" * 50), ("no-such", "POST")):
        heard = ask(query=query(resource=resource, method=method), headers=bearer(make(resource[:9])))
        assert (heard.status, code(heard)) == (403, "scope-missing")


def test_a_revoked_key_of_a_channel_that_was_closed_is_told_so(
    ask: Ask, project: Project, make: MakeKey, at: datetime
) -> None:
    ChannelFactory(project=project, slug="support")
    held = make(type=KeyType.CHANNEL, channel="support", holder="Help desk", scopes=())
    channels.close_channel(project, "support", actor=Actor.system("Mara"), at=at)
    heard = ask(query=query(channel="support"), headers=bearer(held))
    assert (heard.status, code(heard)) == (401, "revoked")


def test_a_deleted_project_lets_nobody_in(ask: Ask, project: Project, issued: Issued, at: datetime) -> None:
    assert ask(query=query(), headers=bearer(issued)).status == 200
    Project.objects.filter(pk=project.pk).update(deleted_at=at)
    assert ask(query=query(), headers=bearer(issued)).status in (400, 401)


def test_a_token_in_the_query_is_refused_and_not_repeated(ask: Ask, issued: Issued) -> None:
    for text in (
        f"project={issued.token}",
        f"project=acme&x={issued.token}",
        f"{issued.token}=1&project=acme",
    ):
        heard = ask(query=text, headers=bearer(issued))
        assert (heard.status, code(heard)) == (400, "token-in-query")
        assert issued.token[20:58] not in heard.body.decode()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_another_method_is_refused(ask: Ask, issued: Issued, method: str) -> None:
    heard = ask(query=query(), headers=bearer(issued), method=method)
    assert (heard.status, heard.headers["Allow"]) == (405, "GET, HEAD")


# What the client causes: 401, 403, 429


def test_nobody_gets_a_bare_challenge(ask: Ask, project: Project) -> None:
    for headers in ({}, {"Authorization": ""}, {"Authorization": "Basic abc"}, {"X-API-Key": " "}):
        heard = ask(query=query(), headers=headers)
        assert (heard.status, code(heard)) == (401, "no-credentials")
        assert heard.headers["WWW-Authenticate"] == 'Bearer realm="keyrack"'


@pytest.mark.parametrize(
    "token",
    [
        "x",
        TOKEN,
        TOKEN[:-1],
        "kr_live_",
        "é" * 64,
        "\x00",
        "a" * 100_000,
        "kr_live_" + "é" * 28,
        f"{TOKEN}, {TOKEN}",
    ],
    ids=lambda token: repr(token[:12]),
)
def test_a_token_that_is_none_is_refused(ask: Ask, project: Project, token: str) -> None:
    for headers in ({"Authorization": f"Bearer {token}"}, {"X-API-Key": token}):
        heard = ask(query=query(), headers=headers)
        assert heard.status == 401


def test_a_key_of_another_project_is_unknown(ask: Ask, project: Project, make: MakeKey) -> None:
    foreign = make(project=ProjectFactory(slug="elsewhere"))
    heard = ask(query=query(), headers=bearer(foreign))
    assert (heard.status, code(heard)) == (401, "unknown")


def test_what_is_over_is_told_apart(ask: Ask, project: Project, make: MakeKey, at: datetime) -> None:
    act: dict[str, Any] = {"actor": Actor.system("Mara"), "at": at}
    revoked, paused = make("Revoked"), make("Paused")
    lifecycle.revoke(project, revoked.key.key_id, **act)
    lifecycle.pause(project, paused.key.key_id, **act)
    expired = make("Expired", at=at - timedelta(days=2), expires_at=at - timedelta(days=1))
    test = make("Test", environment="test")
    for issued, said in (
        (revoked, "revoked"),
        (paused, "paused"),
        (expired, "expired"),
        (test, "wrong-environment"),
    ):
        heard = ask(query=query(), headers=bearer(issued))
        assert (heard.status, code(heard)) == (401, said)
        assert 'error="invalid_token"' in heard.headers["WWW-Authenticate"]
    assert ask(query=query(environment="test"), headers=bearer(test)).status == 200


def test_two_different_keys_are_refused(ask: Ask, issued: Issued, make: MakeKey) -> None:
    heard = ask(query=query(), headers=bearer(issued, X_API_Key=make("Other").token))
    assert (heard.status, code(heard)) == (403, "ambiguous")


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"X-Forwarded-Method": "DELETE"}),
        ("GET", {"X-Original-Method": "POST"}),
        ("", {"X-Original-Method": "GET", "X-Forwarded-Method": "POST"}),
        ("POST", {"X-HTTP-Method-Override": "DELETE"}),
        ("GET", {"X-HTTP-Method": "GET"}),
        ("GET", {"X-Method-Override": "PUT"}),
        ("GET", {"Upgrade": "websocket", "Connection": "Upgrade"}),
    ],
)
def test_a_request_that_can_be_read_in_two_ways_is_refused(
    ask: Ask, issued: Issued, method: str, headers: dict[str, str]
) -> None:
    given = {"method": method} if method else {}
    heard = ask(query=query(resource="sources", **given), headers=bearer(issued) | headers)
    assert (heard.status, code(heard)) == (403, "ambiguous")
    # With an action of its own nothing hangs on the method.
    told = ask(query=query(resource="sources", action="read"), headers=bearer(issued) | headers)
    assert told.status == 200


def test_a_channel_key_is_good_in_its_channel_alone(
    ask: Ask, project: Project, make: MakeKey, at: datetime
) -> None:
    for slug in ("support", "sales"):
        ChannelFactory(project=project, slug=slug)
    ChannelFactory(project=project, slug="closed", closed_at=at)
    held = make(type=KeyType.CHANNEL, channel="support", holder="Help desk", scopes=())
    heard = ask(query=query(channel="support"), headers=bearer(held))
    assert (heard.status, heard.headers["X-Keyrack-Channel"]) == (200, "support")
    for asked in (query(channel="sales"), query()):
        refused = ask(query=asked, headers=bearer(held))
        assert (refused.status, code(refused)) == (403, "wrong-channel")
    wide = bearer(make("Wide"))
    assert ask(query=query(channel="support"), headers=wide).status == 200
    assert ask(query=query(channel="closed"), headers=wide).status == 400


# Limits


def test_a_network_is_held_against_the_clients_address(ask: Ask, make: MakeKey) -> None:
    bound = bearer(make(networks=["192.0.2.0/24", "2001:db8::/32"]))
    for peer in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::9"):
        assert ask(query=query(), headers=bound, peer=peer).status == 200
    for peer in ("192.0.3.7", "127.0.0.1", "", "nonsense"):
        refused = ask(query=query(), headers=bound, peer=peer)
        assert (refused.status, code(refused)) == (403, "network-not-allowed")


def test_a_forwarding_header_that_nobody_is_trusted_to_write_fails_a_bound_key(
    ask: Ask, make: MakeKey
) -> None:
    bound = bearer(make(networks=["192.0.2.0/24"]))
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        # The server makes an empty one of what isn't ASCII.
        for value in ("192.0.2.7", ""):
            refused = ask(query=query(), headers=bound | {name: value}, peer="192.0.2.7")
            assert (refused.status, code(refused)) == (403, "network-not-allowed")
    free = bearer(make("Free"))
    assert ask(query=query(), headers=free | {"X-Forwarded-For": "192.0.2.7"}).status == 200


def test_through_a_trusted_proxy_the_clients_address_counts(
    ask: Ask, make: MakeKey, settings: Settings
) -> None:
    settings.KEYRACK_TRUSTED_PROXIES = TrustedProxies.parse("10.0.0.0/8")
    bound = bearer(make(networks=["192.0.2.0/24"]))
    forwarded = {"X-Forwarded-For": "203.0.113.9, 192.0.2.7"}
    assert ask(query=query(), headers=bound | forwarded, peer="10.0.0.1").status == 200
    assert ask(query=query(), headers=bound | forwarded, peer="10.0.0.1").status == 200
    forged = {"X-Forwarded-For": "192.0.2.7, 203.0.113.9"}
    assert ask(query=query(), headers=bound | forged, peer="10.0.0.1").status == 403


def test_a_rate_is_held_to_and_says_when_to_come_again(ask: Ask, make: MakeKey) -> None:
    limited = bearer(make(rate="2/hour"))
    assert [ask(query=query(), headers=limited).status for _ in range(3)] == [200, 200, 429]
    heard = ask(query=query(), headers=limited)
    assert code(heard) == "rate-limited"
    seconds = int(heard.headers["Retry-After"])
    assert 1 <= seconds <= 3600
    assert heard.headers["RateLimit-Policy"] == '"default";q=2;w=3600'
    assert heard.headers["RateLimit"] == f'"default";r=0;t={seconds}'


def test_whoever_waits_as_long_as_told_may_come_again(
    ask: Ask, make: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    limited = bearer(make(rate="1/minute"))
    monkeypatch.setattr(time, "time", lambda: now)
    assert ask(query=query(), headers=limited).status == 200
    now += 29.6
    told = int(ask(query=query(), headers=limited).headers["Retry-After"])
    now += told
    assert ask(query=query(), headers=limited).status == 200


def test_a_gateway_that_cannot_pass_429_on_asks_for_403(ask: Ask, make: MakeKey) -> None:
    limited = bearer(make(rate="1/hour"))
    asked = query(throttle="403")
    assert ask(query=asked, headers=limited).status == 200
    heard = ask(query=asked, headers=limited)
    assert (heard.status, code(heard)) == (403, "denied")
    assert heard.headers["X-Keyrack-Denied"] == "rate-limited"
    assert heard.headers["Retry-After"]


def test_what_is_refused_uses_nothing_up(ask: Ask, make: MakeKey) -> None:
    limited = bearer(make(rate="1/hour"))
    for _ in range(3):
        assert ask(query=query(scope="agents:run"), headers=limited).status == 403
    assert ask(query=query(), headers=limited).status == 200


def test_each_key_has_a_rate_of_its_own(ask: Ask, make: MakeKey) -> None:
    for name in ("One", "Two"):
        limited = bearer(make(name, rate="1/hour"))
        assert [ask(query=query(), headers=limited).status for _ in range(2)] == [200, 429]
