"""Real nginx and real Caddy, configured by the files of the docs, in front of a service that echoes."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from keys import lifecycle, tokens
from keys.kinds import KeyType
from keys.lifecycle import Issued
from projects.audit import Actor
from projects.models import Project
from tests.api.gateways import STARTS, Behind, Echo, Heard, flush, served
from tests.factories import ChannelFactory, IssuedFactory, ProjectFactory, ProviderKeyFactory, UpstreamFactory

# What they ask is committed by `world`; nothing is written by them.
pytestmark = pytest.mark.django_db

SECRET: Final = "sk-proj-Zq3vT8mB1xW6nR4cK9yL2pD7"


@dataclass(frozen=True)
class World:
    """A project with a key of each kind, a Keyrack that is served, and a service."""

    keys: dict[str, Issued]
    port: int
    echo: Echo

    def token(self, name: str) -> str:
        return self.keys[name].token


@pytest.fixture(scope="module")
def world(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Everything is committed, since another process reads it, and is gone afterwards."""
    with django_db_blocker.unblock(), ExitStack() as stack:
        stack.callback(flush)
        echo = stack.enter_context(Echo().listening())
        keys = _keys(echo.port)
        port = stack.enter_context(served(tmp_path_factory.mktemp("served")))
        yield World(keys, port, echo)


def _keys(provider: int) -> dict[str, Issued]:
    project = ProjectFactory(slug="acme")
    for slug in ("support", "sales"):
        ChannelFactory(project=project, slug=slug)
    Project.objects.filter(pk=project.pk).update(private_upstreams=True)
    project.refresh_from_db()
    key = ProviderKeyFactory(project=project, base_url=f"http://127.0.0.1:{provider}/v1", secret=SECRET)
    UpstreamFactory(project=project, slug="openai", provider_key=key.public_id)

    def issue(name: str, **fields: Any) -> Issued:
        return IssuedFactory(project=project, name=name, confirmed=True, **fields)

    every = ("sources:read", "sources:write", "sources:delete", "agents:run", "chat:send")
    keys = {
        "every": issue("Every é", scopes=every),
        "reader": issue("Reader", scopes=("sources:read",)),
        "writer": issue("Writer", scopes=("sources:write",)),
        "deleter": issue("Deleter", scopes=("sources:delete",)),
        "chatter": issue("Chatter", scopes=("chat:send",)),
        "test": issue("Test", scopes=every, environment="test"),
        "agent": issue("Agent", type=KeyType.AGENT, scopes=("agents:run", "providers:use")),
        "gateway": issue("Gateway", scopes=("gateway:use",)),
        "local": issue("Local", scopes=every, networks=["127.0.0.0/8"]),
        "far": issue("Far", scopes=every, networks=["192.0.2.0/24"]),
        "support": issue("Support", type=KeyType.CHANNEL, channel="support", holder="Nora", scopes=()),
        "sales": issue("Sales", type=KeyType.CHANNEL, channel="sales", holder="Nora", scopes=()),
        "revoked": issue("Revoked", scopes=every),
        **{f"limited {name}": issue(f"Limited {name}", scopes=every, rate="2/hour") for name in STARTS},
    }
    actor = Actor.system("Mara")
    lifecycle.revoke(project, keys["revoked"].key.key_id, actor=actor, at=timezone.now())
    return keys


@pytest.fixture(scope="module", params=list(STARTS))
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def ask(name: str, world: World) -> Iterator[Behind]:
    with STARTS[name](world.port, world.echo.port, world.token("gateway")) as gateway:
        yield Behind(gateway, world.echo)


def bearer(world: World, name: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {world.token(name)}"


def refused(heard: Heard, status: int) -> bool:
    return heard.status == status and heard.seen is None


# Allowed


def test_a_key_that_may_is_let_through_and_the_service_learns_whose_it_is(ask: Behind, world: World) -> None:
    heard = ask("GET", "/api/sources/7?q=a%20b", [bearer(world, "every")])
    assert heard.status == 200
    seen = heard.seen
    assert seen
    assert (seen.method, seen.path) == ("GET", "/api/sources/7?q=a%20b")
    assert {name: seen.header(f"X-Keyrack-{name}") for name in ("Key-Id", "Key-Name", "Type", "Project")} == {
        "Key-Id": world.keys["every"].key.key_id,
        "Key-Name": "Every%20%C3%A9",
        "Type": "restricted",
        "Project": "acme",
    }
    assert seen.header("X-Keyrack-Environment") == "live"
    assert (seen.header("X-Keyrack-Scopes") or "").split()[0] == "agents:run"
    assert not seen.header("X-Keyrack-Channel")


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_the_service_never_sees_the_key(ask: Behind, world: World, header: str) -> None:
    token = world.token("every")
    value = f"Bearer {token}" if header == "Authorization" else token
    heard = ask("GET", "/api/sources", [(header, value)])
    assert heard.seen
    assert heard.seen.header(header) is None
    assert token not in str(heard.seen)


def test_a_body_goes_to_the_service_and_not_to_keyrack(ask: Behind, world: World) -> None:
    heard = ask("POST", "/api/sources", [bearer(world, "every")], b"x" * 200_000)
    assert heard.seen
    assert len(heard.seen.body) == 200_000


# Refused


def test_nobody_and_strangers_are_refused_with_the_challenge(ask: Behind, world: World) -> None:
    heard = ask("GET", "/api/sources")
    assert refused(heard, 401)
    assert heard.headers["www-authenticate"] == 'Bearer realm="keyrack"'
    for token in ("x", tokens.generate("live").text, world.token("revoked"), world.token("every")[:-1] + "-"):
        heard = ask("GET", "/api/sources", [("Authorization", f"Bearer {token}")])
        assert refused(heard, 401)
        assert 'error="invalid_token"' in heard.headers["www-authenticate"]


def test_too_little_scope_is_refused(ask: Behind, world: World) -> None:
    assert refused(ask("POST", "/api/sources", [bearer(world, "reader")]), 403)
    assert refused(ask("GET", "/api/agents", [bearer(world, "reader")]), 403)


@pytest.mark.parametrize(
    ("method", "needed"),
    [
        ("GET", "reader"), ("HEAD", "reader"), ("OPTIONS", "reader"), ("POST", "writer"), ("PUT", "writer"),
        ("PATCH", "writer"), ("DELETE", "deleter"), ("PROPFIND", "writer"), ("FOO_BAR", "writer"),
    ],
)  # fmt: skip
def test_the_action_follows_the_method(ask: Behind, world: World, method: str, needed: str) -> None:
    for name in ("reader", "writer", "deleter"):
        heard = ask(method, "/api/sources", [bearer(world, name)])
        if name == needed:
            assert heard.status == 200
            assert heard.seen
            assert heard.seen.method == method
        else:
            assert refused(heard, 403)


def test_throttled_is_429_with_the_time_to_wait(ask: Behind, world: World, name: str) -> None:
    limited = [bearer(world, f"limited {name}")]
    assert [ask("GET", "/api/sources", limited).status for _ in range(2)] == [200, 200]
    heard = ask("GET", "/api/sources", limited)
    assert refused(heard, 429)
    assert 1 <= int(heard.headers["retry-after"]) <= 3600


def test_a_channels_key_opens_its_channel_alone(ask: Behind, world: World) -> None:
    heard = ask("POST", "/chat/support/say", [bearer(world, "support")])
    assert heard.seen
    assert heard.seen.header("X-Keyrack-Channel") == "support"
    assert ask("POST", "/chat/support/say", [bearer(world, "chatter")]).status == 200
    assert refused(ask("POST", "/chat/support/say", [bearer(world, "sales")]), 403)
    assert refused(ask("GET", "/api/sources", [bearer(world, "support")]), 403)
    assert refused(ask("POST", "/chat/support/say", [bearer(world, "reader")]), 403)


def test_each_environment_has_its_own_keys(ask: Behind, world: World) -> None:
    heard = ask("GET", "/sandbox/run", [bearer(world, "test")])
    assert heard.seen
    assert heard.seen.header("X-Keyrack-Environment") == "test"
    assert refused(ask("GET", "/sandbox/run", [bearer(world, "every")]), 401)
    assert refused(ask("GET", "/api/sources", [bearer(world, "test")]), 401)


def test_what_no_location_names_is_not_there(ask: Behind, world: World) -> None:
    for path in ("/", "/other", "/api/", "/api/Sources", "/api/1", "/api/" + "x" * 41, "/llm/other/v1"):
        assert refused(ask("GET", path, [bearer(world, "every")]), 404)
    assert refused(ask("GET", "/_keyrack", [bearer(world, "every")]), 404)


# Forged


IDENTITY: Final = ("Key-Id", "Key-Name", "Type", "Project", "Environment", "Scopes", "Channel")


@pytest.mark.parametrize("form", ["X-Keyrack-{}", "X_Keyrack_{}", "x-keyrack_{}", "X-KEYRACK-{}"])
def test_a_forged_identity_never_reaches_the_service(ask: Behind, world: World, form: str) -> None:
    forged = [(form.format(name), "forged") for name in (*IDENTITY, "Gateway", "Upstream-Url", "Denied")]
    underscored = [(name.replace("-", "_"), value) for name, value in forged]
    for headers in (forged, underscored):
        assert refused(ask("GET", "/api/sources", headers), 401)
        heard = ask("GET", "/api/sources", [*headers, bearer(world, "every")])
        assert heard.seen
        assert heard.seen.header("X-Keyrack-Key-Id") == world.keys["every"].key.key_id
        assert "forged" not in str(heard.seen)


@pytest.mark.parametrize(
    "header", ["X-Original-Method", "X-Forwarded-Method", "X_Original_Method", "X_Forwarded_Method"]
)
def test_a_forged_method_changes_nothing(ask: Behind, world: World, header: str) -> None:
    assert refused(ask("POST", "/api/sources", [bearer(world, "reader"), (header, "GET")]), 403)
    assert ask("GET", "/api/sources", [bearer(world, "reader"), (header, "GET")]).status == 200
    assert ask("GET", "/api/sources", [bearer(world, "reader"), (header, "DELETE")]).status == 200


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_header_that_overrides_the_method_is_refused(ask: Behind, world: World, header: str) -> None:
    assert refused(ask("POST", "/api/sources", [bearer(world, "every"), (header, "DELETE")]), 403)
    # Underscored it would be the same to many a service.
    heard = ask("POST", "/api/sources", [bearer(world, "every"), (header.replace("-", "_"), "DELETE")])
    assert heard.seen is None or "DELETE" not in str(heard.seen)


@pytest.mark.parametrize(
    "named",
    [
        "X-Keyrack-Key-Id, X-Keyrack-Scopes", "Authorization", "X-Forwarded-Method, X-Original-Method",
        "X-Forwarded-For", "close, X-Keyrack-Gateway", "keep-alive, Host",
    ],
)  # fmt: skip
def test_connection_takes_nothing_out(ask: Behind, world: World, named: str) -> None:
    heard = ask("GET", "/api/sources", [bearer(world, "every"), ("Connection", named)])
    assert heard.seen
    assert heard.seen.header("X-Keyrack-Key-Id") == world.keys["every"].key.key_id
    assert heard.seen.header("X-Keyrack-Scopes")
    assert heard.seen.header("Authorization") is None
    assert refused(ask("POST", "/api/sources", [bearer(world, "reader"), ("Connection", named)]), 403)
    assert refused(ask("GET", "/api/sources", [bearer(world, "far"), ("Connection", named)]), 403)


def test_an_upgrade_is_never_passed_on_unasked(ask: Behind, world: World) -> None:
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    heard = ask("GET", "/api/sources", [bearer(world, "every"), *upgrade])
    assert heard.status in (200, 403)
    assert heard.seen is None or heard.seen.header("Upgrade") is None


def test_where_the_client_is_only_the_gateway_says(ask: Behind, world: World) -> None:
    assert ask("GET", "/api/sources", [bearer(world, "local")]).status == 200
    for name in ("X-Forwarded-For", "X_Forwarded_For", "X-Real-IP", "Forwarded", "X-Client-IP"):
        forged = (name, "for=192.0.2.7" if name == "Forwarded" else "192.0.2.7")
        assert refused(ask("GET", "/api/sources", [bearer(world, "far"), forged]), 403)
        assert ask("GET", "/api/sources", [bearer(world, "local"), forged]).status == 200
        # What can't be read makes nobody the client, nor the gateway itself.
        unreadable = (name, "\xe9, 192.0.2.7")
        assert refused(ask("GET", "/api/sources", [bearer(world, "far"), unreadable]), 403)


@pytest.mark.parametrize(
    "more",
    [
        [("X-Big", "x" * 7000)], [("X-Big", "x" * 100_000)],
        [(f"X-{number}", "x") for number in range(150)], [("User-Agent", "\xff\xe9" * 99)],
        [("X-API-Key", "\xe9" * 64)], [("X-API-Key", "k" * 7000)], [("X-Original-Method", "\xff")],
    ],
    ids=["large", "larger", "many", "strange", "strange key", "large key", "strange method"],
)  # fmt: skip
def test_headers_that_are_huge_or_strange_are_the_clients_doing(
    ask: Behind, world: World, more: list[tuple[str, str]]
) -> None:
    assert ask("GET", "/api/sources", more).status in (400, 401, 431)
    heard = ask("GET", "/api/sources", [*more, bearer(world, "every")], b"x" * 100_000)
    assert heard.status in (200, 400, 403, 431)
    assert (heard.seen is not None) == (heard.status == 200)


def test_two_keys_are_refused(ask: Behind, world: World) -> None:
    both = [bearer(world, "every"), ("X-API-Key", world.token("reader"))]
    assert refused(ask("GET", "/api/sources", both), 403)
    hidden = [bearer(world, "reader"), ("X_API_Key", world.token("every"))]
    assert refused(ask("POST", "/api/sources", hidden), 403)


# Paths


@pytest.mark.parametrize(
    "path",
    [
        "/api/sources%2F..%2Fagents", "/api/sources/%2e%2e/agents", "/api/sources/../agents", "/api//agents",
        "/api/sources/..%5Cagents", "/api/sources\\..\\agents", "/api/./agents", "/api/sources%00",
        "//api/sources", "/api/sources/..", "/x/../api/sources", "/api%2Fsources",
        "/chat/support/../../api/agents",
        "/llm/openai/../../api/sources", "/llm/openai/%2e%2e/%2e%2e/sources",
    ],
)  # fmt: skip
def test_a_path_that_could_be_read_in_two_ways_is_refused(ask: Behind, world: World, path: str) -> None:
    for name in ("every", "agent"):
        heard = ask("GET", path, [bearer(world, name)])
        assert heard.seen is None
        assert heard.status in (400, 404)


def test_a_resource_is_never_decoded(ask: Behind, world: World) -> None:
    for path in (
        "/api/%73ources",
        "/api/sources%3Faction=read",
        "/api/sources%26scope=x",
        "/api/sources;x=1",
    ):
        assert refused(ask("GET", path, [bearer(world, "every")]), 404)


def test_a_query_asks_keyrack_nothing(ask: Behind, world: World) -> None:
    for query in ("?resource=agents&action=run", "?project=other", "?%26action=read", "?&throttle="):
        assert refused(ask("POST", f"/api/sources{query}", [bearer(world, "reader")]), 403)
        heard = ask("GET", f"/api/sources{query}", [bearer(world, "reader")])
        assert heard.seen
        assert heard.seen.path == f"/api/sources{query}"


# Upstreams


def test_the_provider_sees_its_own_key_and_neither_the_agents_nor_the_gateways(
    ask: Behind, world: World
) -> None:
    for header in (bearer(world, "agent"), ("X-API-Key", world.token("agent"))):
        more = [header, ("Cookie", "session=1"), ("X-Goog-Api-Key", "forged"), ("Api-Key", "forged")]
        heard = ask("POST", "/llm/openai/chat/completions?stream=1", more, b"{}")
        assert heard.status == 200
        seen = heard.seen
        assert seen
        assert (seen.method, seen.path, seen.body) == ("POST", "/v1/chat/completions?stream=1", "{}")
        assert seen.header("Authorization") == f"Bearer {SECRET}"
        for name in ("X-API-Key", "X-Goog-Api-Key", "Api-Key", "Cookie"):
            assert seen.header(name) is None
        for secret in ("agent", "gateway"):
            assert world.token(secret)[20:58] not in str(seen)
        assert "keyrack" not in str(seen.headers).lower()
        assert SECRET not in str(heard.headers)


def test_whoever_may_not_use_providers_is_refused(ask: Behind, world: World) -> None:
    assert refused(ask("POST", "/llm/openai/chat", [bearer(world, "every")]), 403)
    assert refused(ask("POST", "/llm/openai/chat"), 401)
    own = [bearer(world, "gateway"), ("X-Keyrack-Gateway", world.token("gateway"))]
    assert refused(ask("POST", "/llm/openai/chat", own), 403)


def test_the_agent_asking_keyrack_itself_gets_403(world: World) -> None:
    direct = Behind(type("Keyrack", (), {"port": world.port})(), world.echo)
    agent, key_id = world.token("agent"), world.keys["gateway"].key.key_id
    proofs = [
        [], [("X-Keyrack-Gateway", agent)], [("X_Keyrack_Gateway", agent)], [("X-Keyrack-Gateway", key_id)],
        [("X-Keyrack-Gateway", world.token("every"))], [("X-Keyrack-Gateway", f"Bearer {agent}")],
        [("X-Forwarded-For", "127.0.0.1"), ("X-Keyrack-Scopes", "gateway:use"), ("X-Keyrack-Key-Id", key_id)],
    ]  # fmt: skip
    for proof in proofs:
        asked = "/api/v1/authorize?project=acme&upstream=openai"
        heard = direct("GET", asked, [bearer(world, "agent"), *proof])
        assert heard.status == 403
        assert SECRET not in f"{heard.headers}{heard.body.decode()}"
        assert not [name for name in heard.headers if "upstream" in name]


# What goes wrong


@pytest.mark.parametrize("path", ["/api/sources", "/llm/openai/chat"])
def test_without_keyrack_nothing_passes(name: str, world: World, path: str) -> None:
    """Nobody answers; or somebody else does, whose 200 says nothing of a key."""
    with Echo().listening() as impostor:
        for keyrack in (9, impostor.port):
            with STARTS[name](keyrack, world.echo.port, world.token("gateway")) as gateway:
                heard = Behind(gateway, world.echo)("GET", path, [bearer(world, "agent")])
            assert heard.seen is None
            assert heard.status in (403, 500, 502, 503)


def test_no_log_of_a_gateway_holds_a_key(ask: Behind, name: str, world: World) -> None:
    every, agent = world.token("every"), world.token("agent")
    assert refused(ask("GET", f"/api/sources?key={every}", [bearer(world, "every")]), 400)
    assert refused(ask("GET", f"/api/sources/{every}", [bearer(world, "every")]), 400)
    assert ask("GET", f"/api/sources/{every[20:]}", [("X-API-Key", every)]).status == 200
    assert ask("POST", "/llm/openai/chat", [("X-API-Key", agent)]).status == 200
    logged = ask.gateway.logged
    with STARTS[name](world.port, 9, world.token("gateway")) as gateway:
        # The service is away, which is an error with the request in it.
        assert Behind(gateway, world.echo)("GET", "/api/sources?a=1", [("X-API-Key", every)]).status == 502
        logged += gateway.logged
    assert "/api/sources" in logged
    for secret in (every, agent, world.token("gateway")):
        assert secret[20:58] not in logged
    assert SECRET not in logged


def test_the_files_are_those_of_the_docs(name: str) -> None:
    file = {"nginx": "nginx.conf", "Caddy": "Caddyfile"}[name]
    assert (Path("templates/docs/gateways") / file).is_file()
