"""Keyrack as it is served, by several processes over one database: what is hostile, and what is revoked."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from time import monotonic
from typing import Final
from urllib.parse import urlencode

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from keys.kinds import KeyType
from keys.lifecycle import Issued
from projects.models import Project
from tests.api.calls import FORM
from tests.api.gates import AUTHORIZE
from tests.api.gateways import flush, serving
from tests.factories import IssuedFactory

pytestmark = pytest.mark.django_db(transaction=True)

INTROSPECT: Final = "/api/v1/introspect"
ROUNDS: Final = 200
SECONDS: Final = 60


@dataclass(frozen=True)
class Served:
    """Servers over one database, each with a process of its own."""

    ports: list[int]
    folder: Path

    @property
    def logged(self) -> str:
        return "".join(each.read_text() for each in self.folder.glob("*.log"))


@pytest.fixture(scope="module")
def served(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    static_files: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with django_db_blocker.unblock(), ExitStack() as stack:
        # At the very end: a server that stops writes what it counted.
        stack.callback(flush)
        yield Served(stack.enter_context(serving(folder, 2 if connection.vendor == "sqlite" else 4)), folder)


@pytest.fixture
def boss(project: Project) -> Issued:
    return IssuedFactory(project=project, name="Boss", type=KeyType.PRIVILEGED)


# What is hostile


def raw(head: str | bytes, *headers: str | bytes, body: bytes = b"") -> bytes:
    lines = [each.encode() if isinstance(each, str) else each for each in (head, "Host: localhost", *headers)]
    return b"\r\n".join(lines) + b"\r\nConnection: close\r\n\r\n" + body


def status_of(port: int, sent: bytes, *, cut: bool = False) -> int:
    """Return the status that is answered; 0 where the connection is closed without an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as wire:
        with suppress(OSError):
            # A server may answer before it has read all.
            wire.sendall(sent)
            if cut:
                wire.shutdown(socket.SHUT_WR)
        heard = b""
        with suppress(OSError):
            while chunk := wire.recv(65536):
                heard += chunk
    return int(heard.split()[1]) if heard else 0


GET: Final = f"GET {AUTHORIZE}?project=acme HTTP/1.1"
POST: Final = f"POST {INTROSPECT} HTTP/1.1"
STRANGE: Final = [
    b"\xff\xfe",
    "é".encode(),
    b"\x80" * 300,
    b"a" * 100_000,
    b"a" * 2_000_000,
    b"\x01",
    b"a\x00b",
]
NAMED: Final = (
    b"X-API-Key", b"X-Keyrack-Gateway", b"X-Original-Method", b"X-Forwarded-Method", b"X-Forwarded-For",
    b"Cookie", b"User-Agent", b"Content-Type", b"Upgrade", b"Accept", b"Connection", b"X-Forwarded-Host",
    b"Expect",
)  # fmt: skip


def hostile(key: str) -> Iterator[bytes]:
    """Yield what somebody sends who has a key, or none, and means no good."""
    form = f"Content-Type: {FORM}"
    for strange in STRANGE:
        for name in NAMED:
            yield raw(GET, key, name + b": " + strange)
            yield raw(GET + "&resource=sources", key, name + b": " + strange)
        yield raw(GET, b"Authorization: Bearer " + strange)
        yield raw(
            POST,
            key,
            f"Content-Type: {FORM}; charset=".encode() + strange,
            "Content-Length: 7",
            body=b"token=x",
        )
        yield (
            b"GET " + AUTHORIZE.encode() + b" HTTP/1.1\r\nConnection: close\r\nHost: " + strange + b"\r\n\r\n"
        )
        yield raw(b"GET " + AUTHORIZE.encode() + b"?project=" + strange + b" HTTP/1.1", key)
        yield raw(b"GET /" + strange + b" HTTP/1.1", key)
    yield raw(GET, key, *(f"X-{number}: x" for number in range(500)))
    yield raw(GET, key, "Content-Length: 5", body=b"\xff" * 5)
    yield raw(GET, key, "Content-Length: 200000", body=b"project=other" * 20_000)
    yield raw(GET, key, "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n")
    yield raw(POST, key, form, "Content-Length: 70000", body=b"token=" + b"x" * 69_994)
    yield raw(POST, key, form, "Content-Length: -1", body=b"token=x")
    yield raw(POST, key, form, "Content-Length: 7", "Content-Length: 8", body=b"token=x")
    yield raw(POST, key, form, "Content-Length: " + "9" * 40, body=b"token=x")
    yield raw(POST, key, form, "Transfer-Encoding: chunked", body=b"7\r\ntoken=x\r\n0\r\n\r\n")
    yield raw(
        POST, key, form, "Transfer-Encoding: chunked", "Content-Length: 7", body=b"7\r\ntoken=x\r\n0\r\n\r\n"
    )
    for target in (
        "/api/v1/authorize%ff",
        "/api/v1/authorize%00",
        "//api/v1/authorize",
        "*",
        "http://evil/api/x",
        "x",
        "/%ff%fe/",
        "/%c3%28",
        f"{AUTHORIZE}?project=%ff",
        f"{AUTHORIZE}?%00",
        "/api/..%2f..%2f",
    ):
        for method in ("GET", "get", "OPTIONS", "CONNECT", "FOO_BAR", "G\0T"):
            yield raw(f"{method} {target} HTTP/1.1", key)
    yield f"GET {AUTHORIZE}?project=acme HTTP/1.0\r\n{key}\r\n\r\n".encode()
    yield f"GET {AUTHORIZE} HTTP/9.9\r\n\r\n".encode()
    yield b"\x16\x03\x01\x00\xa5\x01\x00\x00"


def test_nothing_that_is_sent_is_an_error_of_ours(served: Served, boss: Issued) -> None:
    port, *_ = served.ports
    key = f"Authorization: Bearer {boss.token}"
    heard = [(status_of(port, sent), sent[:300]) for sent in hostile(key)]
    for head in (GET, POST):
        sent = raw(head, key, f"Content-Type: {FORM}", "Content-Length: 99", body=b"token=it+broke+off")
        heard.append((status_of(port, sent, cut=True), sent))
    assert [each for each in heard if each[0] >= 500] == []
    assert {200, 400, 401, 403, 404, 405, 411, 413} <= {status for status, _ in heard}
    lines = served.logged.splitlines()
    # Django tells a Host that isn't ours with where it noticed.
    assert [line for line in lines if "Traceback" in line and "DisallowedHost" not in line] == []
    assert "Internal Server Error" not in served.logged
    assert boss.token[20:58] not in served.logged
    assert status_of(port, raw(GET, key)) == 200
    assert status_of(port, raw(GET)) == 401


def test_a_forwarding_header_that_no_server_can_read_is_there_nevertheless(
    project: Project, served: Served
) -> None:
    bound = IssuedFactory(project=project, name="Bound", networks=["127.0.0.0/8"])
    port, *_ = served.ports
    key = f"Authorization: Bearer {bound.token}"
    assert status_of(port, raw(GET, key)) == 200
    for name in (b"X-Forwarded-For", b"Forwarded", b"X-Real-IP", b"X_Forwarded_For"):
        assert status_of(port, raw(GET, key, name + b": \xe9, 127.0.0.1")) == 403


# What is revoked


@dataclass
class Hammered:
    """What each server is asked about the token that is presented, again and again, and what it answered."""

    boss: str
    token: str = ""
    over: bool = False
    # When a check began and whether it passed: of the present token, by port.
    answers: dict[int, list[tuple[float, bool]]] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def present(self, token: str) -> None:
        """Have every server asked about this token from now on; about none, where there is none."""
        with self.changed:
            self.token = token
            self.answers = {port: [] for port in self.answers}
            self.changed.notify_all()

    def ask(self, port: int) -> None:
        """Ask a server until it is over, in turn as a gateway and as a service do, by one connection."""
        wire = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        for check in cycle((authorized, introspected)):
            with self.changed:
                self.changed.wait_for(lambda: self.token or self.over)
                token = self.token
            if self.over:
                break
            begun = monotonic()
            passed = check(wire, token, self.boss)
            with self.changed:
                if token == self.token:
                    self.answers[port].append((begun, passed))
                    self.changed.notify_all()
        wire.close()

    def wait_until(self, *, passes: int = 0, begun_after: float = 0.0, checks: int = 0) -> None:
        """Wait until each server was asked so many times after a moment, and so many checks passed."""

        def reached() -> bool:
            for answers in self.answers.values():
                later = [passed for begun, passed in answers if begun > begun_after]
                if len(later) < checks or sum(later) < passes:
                    return False
            return True

        with self.changed:
            assert self.changed.wait_for(reached, SECONDS)

    def passed_after(self, moment: float) -> bool:
        """Say whether any check passed that began after `moment`."""
        with self.changed:
            every = [each for answers in self.answers.values() for each in answers]
        return any(passed for begun, passed in every if begun > moment)


def authorized(wire: HTTPConnection, token: str, boss: str) -> bool:
    wire.request("GET", f"{AUTHORIZE}?project=acme", headers={"Authorization": f"Bearer {token}"})
    answer = wire.getresponse()
    answer.read()
    assert answer.status in (200, 401)
    return answer.status == 200


def introspected(wire: HTTPConnection, token: str, boss: str) -> bool:
    headers = {"Authorization": f"Bearer {boss}", "Content-Type": FORM}
    wire.request("POST", INTROSPECT, urlencode({"token": token}), headers)
    active: bool = json.loads(wire.getresponse().read())["active"]
    return active


@pytest.fixture
def hammered(served: Served, boss: Issued) -> Iterator[Hammered]:
    found = Hammered(boss.token, answers={port: [] for port in served.ports})
    threads = [threading.Thread(target=found.ask, args=(port,), daemon=True) for port in served.ports]
    for thread in threads:
        thread.start()
    yield found
    found.over = True
    found.present("")
    for thread in threads:
        thread.join(SECONDS)


def test_no_check_passes_that_began_after_the_revoke_was_answered(
    project: Project, served: Served, hammered: Hammered
) -> None:
    wires = [HTTPConnection("127.0.0.1", port, timeout=SECONDS) for port in served.ports]
    for number in range(ROUNDS):
        issued = IssuedFactory(project=project, name=f"Key {number}", confirmed=True)
        hammered.present(issued.token)
        # Every process has seen the key by both ways, and knows its secret.
        hammered.wait_until(passes=2)
        wire = wires[number % len(wires)]
        wire.request("POST", "/api/v1/revoke", urlencode({"token": issued.token}), {"Content-Type": FORM})
        answer = wire.getresponse()
        answer.read()
        answered = monotonic()
        assert answer.status == 200
        hammered.wait_until(begun_after=answered, checks=2)
        assert not hammered.passed_after(answered)
        hammered.present("")
