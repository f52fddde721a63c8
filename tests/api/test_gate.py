"""The gate in front of Django answers as Django does: the same thousand requests both ways."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from random import Random
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest
from django.db import OperationalError, connection

from config.addresses import TrustedProxies
from config.requests import Handler
from keys import authorization, gate, lifecycle, reading, throttles
from keys.gate import Gate
from keys.kinds import KeyType
from keys.lifecycle import Issued
from projects.audit import Actor
from projects.models import Project
from tests.api import gates
from tests.api.conftest import MakeKey
from tests.api.gates import AUTHORIZE, Ask, Heard
from tests.factories import ChannelFactory, ProjectFactory, ProviderKeyFactory, UpstreamFactory

pytestmark = pytest.mark.django_db

INTROSPECT: Final = "/api/v1/introspect"
FORM: Final = "application/x-www-form-urlencoded"
THOUSAND: Final = 1000
# What counts down while the test runs.
CLOCK: Final = re.compile(r"^[0-9]+$|(?<=;t=)[0-9]+$")


@pytest.fixture
def tokens(project: Project, make: MakeKey, at: datetime) -> list[str]:
    """What somebody may present: keys of every state, and what is none."""
    for slug in ("support", "sales"):
        ChannelFactory(project=project, slug=slug)
    provider = ProviderKeyFactory(project=project)
    UpstreamFactory(project=project, slug="openai", provider_key=provider.public_id)
    UpstreamFactory(project=project, slug="bare")
    act: dict[str, Any] = {"actor": Actor.system("Mara"), "at": at}
    revoked, paused = make("Revoked"), make("Paused")
    lifecycle.revoke(project, revoked.key.key_id, **act)
    lifecycle.pause(project, paused.key.key_id, **act)
    issued = [
        make("Boss", type=KeyType.PRIVILEGED),
        make("Reader مزامنة", scopes=("sources:read", "keys:read")),
        make("Agent", type=KeyType.AGENT, scopes=("providers:use",)),
        make("Gateway", scopes=("gateway:use",)),
        make("Test", environment="test"),
        make("Channel", type=KeyType.CHANNEL, channel="support", holder="Nora", scopes=()),
        make("Limited", rate="2/hour"),
        make("Near", networks=["192.0.2.0/24", "2001:db8::/32"]),
        make("Far", project=ProjectFactory(slug="elsewhere")),
        revoked,
        paused,
    ]
    good = [each.token for each in issued]
    return [
        *good,
        good[0][:-1],
        good[1][::-1],
        "kr_live_" + "a1B2" * 14,
        "",
        " ",
        "x",
        "é" * 64,
        "\x00",
        "a" * 9000,
    ]


def asked(random: Random, tokens: list[str]) -> dict[str, Any]:
    """One request, as a gateway, a service or somebody hostile sends it."""
    path = random.choices([AUTHORIZE, INTROSPECT, f"{AUTHORIZE}/", "/api/v1/authoriz%65"], [60, 38, 1, 1])[0]
    request: dict[str, Any] = {
        "path": path,
        "query": "",
        "headers": headers(random, tokens),
        "peer": random.choice(["127.0.0.1", "192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "", "nonsense"]),
        "host": random.choices(
            [
                "localhost",
                "127.0.0.1:8000",
                "LOCALHOST",
                "[::1]",
                "evil.example",
                "localhost@evil",
                "",
                "a" * 300,
            ],
            [50, 5, 2, 2, 2, 1, 1, 1],
        )[0],
    }
    return request | (authorizing(random, tokens) if path != INTROSPECT else introspecting(random, tokens))


def headers(random: Random, tokens: list[str]) -> dict[str, str]:
    token = random.choice(tokens[:7]) if random.random() < 0.7 else random.choice(tokens)
    how = random.choice(["Bearer {}", "bearer {}", "Bearer  {}", "Basic {}", "{}", "Bearer"])
    found = {"Authorization": (how if random.random() < 0.2 else "Bearer {}").format(token)}
    odd = {
        "X-API-Key": random.choice(tokens),
        "X-Forwarded-For": random.choice(["192.0.2.7", "1.2.3.4, 192.0.2.7", ",,", "x" * 900, "é"]),
        "Forwarded": "for=192.0.2.7",
        "X-Real-IP": "192.0.2.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Original-Method": random.choice(["GET", "POST", "DELETE", "get", "", "G T", "é"]),
        "X-Forwarded-Method": random.choice(["GET", "POST", "PROPFIND"]),
        "X-HTTP-Method-Override": "DELETE",
        "Upgrade": "websocket",
        "Connection": "X-Keyrack-Gateway",
        "Cookie": random.choice(["keyrack_session=\x00\xff", "csrftoken=" + "x" * 5000, "a=b"]),
        "User-Agent": random.choice(["curl/8", "\xff" * 50, "x" * 100_000]),
        "Accept": "nonsense/\xff",
        "X-Request-Id": "forged",
        "HX-Request": "true",
        "Expect": "100-continue",
        "X-Keyrack-Gateway": random.choice(tokens[:6]),
    }
    for name in random.sample(sorted(odd), random.choice([0, 0, 1, 2, 5])):
        found[name] = odd[name]
    return found


def authorizing(random: Random, tokens: list[str]) -> dict[str, Any]:
    parts: dict[str, list[str]] = {
        "project": ["acme"] * 20 + ["elsewhere", "nowhere", "", "ACME", "acme\x00", "é"],
        "resource": ["sources"] * 9 + ["agents", "keys", "no-such", "", "Sources", "../keys", "x" * 300],
        "action": ["read"] * 5 + ["write", "delete", "", "*"],
        "method": ["GET"] * 5 + ["POST", "DELETE", "", "get", "G T", "X_Y"],
        "scope": ["sources:read"] * 6 + ["chat:send", "gateway:use", "*", "sources", ""],
        "channel": ["support"] * 4 + ["sales", "nowhere", "", "a b"],
        "environment": ["live"] * 5 + ["test", "prod", ""],
        "upstream": ["openai"] * 5 + ["bare", "nowhere", "", "GPT 5"],
        "throttle": ["403"] * 4 + ["429", ""],
    }
    given = [("project", random.choice(parts["project"]))] if random.random() < 0.97 else []
    for name in random.sample(sorted(parts)[1:], random.choice([0, 0, 1, 2, 3])):
        given += [(name, random.choice(parts[name]))] * random.choices([1, 2], [9, 1])[0]
    query = urlencode(given)
    if random.random() < 0.04:
        query += random.choice(
            ["&colour=red", "&%ff=1", "&é=1", "&" + "scope=a:b&" * 80, "&" + "x=1&" * 1200,
             "&a" + "y" * 5000, "&&", "=",
             f"&q={random.choice(tokens[:5])}", f"&x=%ff&q={quote(tokens[0])}"]
        )  # fmt: skip
    body = random.choice([b"x" * 100, b"\xff" * 70_000, b"project=other"]) if random.random() < 0.1 else b""
    method = random.choices(
        ["GET", "HEAD", "get", "POST", "OPTIONS", "TRACE", "BREW"], [60, 6, 2, 2, 1, 1, 1]
    )[0]
    return {"query": query, "body": body, "method": method}


def introspecting(random: Random, tokens: list[str]) -> dict[str, Any]:
    token = random.choice(tokens)
    form = urlencode({"token": token}).encode()
    body = random.choices(
        [
            form,
            form + b"&client_ip=" + random.choice([b"192.0.2.7", b"10.0.0.1", b"x", b"%00", b"2001:db8::9"]),
            form + b"&token=again",
            form + b"&token_type_hint=refresh_token&x=1",
            b"token=" + b"x" * 70_000,
            b"token=%ff",
            b"\xff\xfe",
            b"&".join(b"a%d=1" % number for number in range(1500)),
            b"",
            b'{"token": "x"}',
        ],
        [30, 15, 2, 3, 3, 2, 2, 2, 3, 2],
    )[0]
    kind = random.choices(
        [FORM, f"{FORM}; charset=latin-1", f"{FORM}; charset=hex", "application/json", "", "\xff"],
        [40, 2, 2, 2, 2, 1],
    )[0]
    more = {"Content-Type": kind} if kind else {}
    if random.random() < 0.05:
        more["Transfer-Encoding"] = "chunked"
    query = random.choices(["", "x=1", f"token={tokens[0]}", "&" + "x=1&" * 1200], [30, 1, 1, 1])[0]
    length = random.choices([None, "-1", "9" * 30, "x", "3"], [40, 1, 1, 1, 1])[0]
    method = random.choices(["POST", "post", "GET", "HEAD", "PUT"], [50, 2, 2, 1, 1])[0]
    return {"query": query, "body": body, "more": more, "length": length, "method": method}


def send(ask: Ask, request: dict[str, Any]) -> Heard:
    given = {name: value for name, value in request.items() if name != "more"}
    given["headers"] = request["headers"] | request.get("more", {})
    return ask(**given)


def told(heard: Heard) -> tuple[Any, ...]:
    """What was answered, without what counts down."""
    status, body, headers = heard.told
    timeless = {
        name: value if name == "Content-Length" else CLOCK.sub("…", value) for name, value in headers.items()
    }
    return status, body, timeless


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[tuple[Any, ...]]]:
    """What the access log says, without how long it took."""
    found: list[tuple[Any, ...]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append((record.getMessage(), vars(record)["status"], vars(record)["address"]))

    log, handler = logging.getLogger("keyrack.access"), Handler()
    log.addHandler(handler)
    yield found
    log.removeHandler(handler)


def forget() -> None:
    """Begin anew: both ways count the same rates, and find out the same for themselves."""
    throttles._limiter.cache_clear()
    authorization._known_places.clear()
    authorization._parsed.cache_clear()


@pytest.mark.parametrize(
    "proxies", ["", "1", "10.0.0.0/8, 127.0.0.1"], ids=["no proxy", "one proxy", "networks"]
)
@pytest.mark.usefixtures("_connections_stay")
def test_the_same_requests_get_the_same_answers_and_the_same_lines(
    tokens: list[str], settings: Any, lines: list[tuple[Any, ...]], proxies: str
) -> None:
    settings.KEYRACK_TRUSTED_PROXIES = TrustedProxies.parse(proxies) if proxies else TrustedProxies()
    random = Random(proxies)
    requests = [asked(random, tokens) for _ in range(THOUSAND)]
    heard: list[list[Heard]] = []
    logged: list[list[tuple[Any, ...]]] = []
    for ask in (gates.asking(Gate(Handler())), gates.slow()):
        forget()
        lines.clear()
        heard.append([send(ask, request) for request in requests])
        logged.append(list(lines))
    for request, fast, slow in zip(requests, *heard, strict=True):
        assert told(fast) == told(slow), request
        assert fast.status < 500, request
        assert re.fullmatch("[0-9a-f]{16}", fast.headers["X-Request-Id"])
    assert logged[0] == logged[1]
    assert len({each.headers["X-Request-Id"] for each in (*heard[0], *heard[1])}) == 2 * THOUSAND
    counted = Counter(each.status for each in heard[0])
    # Nothing is proven where everything is refused the same way.
    assert {200, 400, 401, 403, 404, 405, 411, 413, 415, 429} <= set(counted), counted
    assert counted[200] > 50


def test_no_answer_repeats_what_was_sent(tokens: list[str]) -> None:
    random = Random("echo")
    ask = gates.asking(Gate(Handler()))
    for request in (asked(random, tokens) for _ in range(200)):
        heard = send(ask, request)
        for token in tokens[:11]:
            assert token[20:58] not in f"{heard.headers}{heard.body.decode()}"


@pytest.mark.parametrize("charset", ["hex", "utf-16", "idna", "a\0b", "nonsense"])
@pytest.mark.usefixtures("_connections_stay")
def test_no_charset_that_a_client_declares_is_an_error_of_ours(charset: str, boss: Issued) -> None:
    given = {"Content-Type": f"{FORM}; charset={charset}", "Authorization": f"Bearer {boss.token}"}
    for path in (INTROSPECT, "/api/v1/revoke"):
        ask = gates.asking(Gate(Handler()))
        heard = ask(path=path, query="x=1&" * 1200, method="POST", body=b"token=x", headers=given)
        assert heard.status == 400
        heard = ask(path=path, method="POST", body="token=\u00e9".encode(), headers=given)
        assert heard.status == 200


# When something is wrong with the database, or with us


@pytest.mark.usefixtures("_connections_stay")
def test_a_connection_that_broke_is_tried_once_more(make: MakeKey, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = make(scopes=("keys:read",))
    read = reading.read
    for request in (authorization_of(issued), introspection_of(issued)):
        tries: list[str] = []

        def broken_once(key_id: str, tries: list[str] = tries) -> Any:
            tries.append(key_id)
            if len(tries) == 1:
                raise OperationalError
            return read(key_id)

        with monkeypatch.context() as patch:
            patch.setattr(reading, "read", broken_once)
            patch.setattr(connection, "close", lambda: None)
            patch.setattr(gate, "own_connection", Breaking)
            heard = gates.fast()(**request)
        assert heard.status == 200
        assert len(tries) >= 2


def authorization_of(issued: Issued) -> dict[str, Any]:
    return {"query": "project=acme", "headers": {"Authorization": f"Bearer {issued.token}"}}


def introspection_of(issued: Issued) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {issued.token}", "Content-Type": FORM}
    body = urlencode({"token": issued.token}).encode()
    return {"path": INTROSPECT, "method": "POST", "body": body, "headers": headers}


class Breaking:
    """A connection that the gate sees there, and then closed; the test's own stays open."""

    def __init__(self) -> None:
        self._seen = 0

    @property
    def connection(self) -> object | None:
        self._seen += 1
        return object() if self._seen == 1 else None

    def close(self) -> None:
        pass


@pytest.mark.parametrize("request_of", [authorization_of, introspection_of])
@pytest.mark.usefixtures("_connections_stay")
def test_without_a_database_it_is_503_and_tried_twice_at_most(
    make: MakeKey, monkeypatch: pytest.MonkeyPatch, request_of: Callable[[Issued], dict[str, Any]]
) -> None:
    issued = make(scopes=("keys:read",))
    tries = []

    def away(key_id: str) -> Any:
        tries.append(key_id)
        raise OperationalError

    monkeypatch.setattr(reading, "read", away)
    monkeypatch.setattr(connection, "close", lambda: None)
    heard = gates.fast()(**request_of(issued))
    assert (heard.status, heard.headers["Retry-After"]) == (503, "1")
    assert 1 <= len(tries) <= 2


def test_a_mistake_of_ours_is_logged_and_lets_nobody_pass(
    make: MakeKey, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    issued = make()

    def wrong(*args: Any, **options: Any) -> Any:
        raise RuntimeError("This is a test.")

    monkeypatch.setattr(authorization, "check", wrong)
    headers = {"Authorization": f"Bearer {issued.token}"}
    heard = gates.fast()(query="project=acme", headers=headers)
    assert (heard.status, heard.headers["Content-Type"]) == (500, "application/problem+json")
    assert heard.headers["X-Request-Id"] in heard.body.decode()
    assert "This is a test." in caplog.text
