"""PostgreSQL and Redis go away and come back under a server of several processes, while it is asked."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import psycopg
import pytest

from tests import collected, services
from tests.meta.test_run import ROOT, clean_environment

WORKERS: Final = 4
METRICS: Final = "a-token-of-more-than-20-characters"
KEYS: Final = "/api/v1/keys"
AUTHORIZE: Final = "/api/v1/authorize?project=demo&resource=sources&action=read"
# How long anything may take here; nothing waits for it where all is well.
PATIENCE: Final = 60


@dataclass(frozen=True)
class Heard:
    """What the server answered; names of headers in small letters."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass
class Installation:
    """Keyrack as `manage.py serve` runs it, over a PostgreSQL and a Redis that can be stopped."""

    folder: Path
    cluster: services.Postgresql
    redis_port: int = field(default_factory=services.free_port)
    port: int = field(default_factory=services.free_port)
    database: ExitStack = field(default_factory=ExitStack)
    redis: ExitStack = field(default_factory=ExitStack)

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment() | {
            "PORT": str(self.port),
            "KEYRACK_DATA": str(self.folder / "data"),
            "KEYRACK_WORKERS": str(WORKERS),
            "KEYRACK_METRICS_TOKEN": METRICS,
            "DATABASE_URL": self.cluster.url,
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
        }

    def start_database(self) -> None:
        self.database.enter_context(self.cluster.running())

    def start_redis(self) -> None:
        self.redis.enter_context(services.redis_server(self.redis_port))

    def manage(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(self, path: str, method: str = "GET", body: str = "", **headers: str) -> Heard:
        # A connection each: the processes take them in turn.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body or None, sent)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        heard = Heard(answer.status, headers, answer.read().decode())
        connection.close()
        return heard

    def ready(self) -> bool:
        try:
            return self.ask("/readyz").status == 200
        except OSError:
            return False

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.cluster.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@contextmanager
def installed(tmp_path: Path) -> Iterator[Installation]:
    with services.cluster() as cluster, ExitStack() as running:
        made = Installation(tmp_path, cluster)
        running.push(made.database)
        running.push(made.redis)
        made.start_database()
        made.start_redis()
        # Named and compressed for these tests already: it takes seconds.
        collected.give(tmp_path / "data")
        log = (tmp_path / "log").open("w")
        server = subprocess.Popen(
            [sys.executable, "manage.py", "serve"], cwd=ROOT, env=made.environment,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        running.callback(server.wait, PATIENCE)
        running.callback(server.send_signal, signal.SIGTERM)
        until(made.ready, "It doesn't become ready.")
        yield made


class Callers:
    """Some who never stop asking: three issue keys, each until it is there; one authorizes; one looks."""

    def __init__(self, server: Installation, token: str) -> None:
        self.heard: dict[str, list[Heard]] = {"issue": [], "authorize": [], "page": [], "health": []}
        self.issued: dict[int, list[Heard]] = {}
        self._server, self._bearer = server, f"Bearer {token}"
        self._ended, self._numbers = False, count(1)
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._issue, self._authorize, self._look)
        ]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        for thread in self._threads:
            thread.join(PATIENCE)

    def hear(self, status: int, *who: str) -> None:
        """Wait until each of them has heard this status, from now on."""
        since = {name: len(self.heard[name]) for name in who}

        def heard(name: str) -> bool:
            return any(each.status == status for each in self.heard[name][since[name] :])

        for name in who:
            until(partial(heard, name), f"{name} hears no {status}.")

    def _issue(self) -> None:
        for number in self._numbers:
            body = json.dumps({"name": f"Key {number}", "scopes": ["sources:read"]})
            answers = self.issued.setdefault(number, [])
            while not answers or answers[-1].status == 503:
                heard = self._server.ask(
                    KEYS, "POST", body, Authorization=self._bearer,
                    Content_Type="application/json", Idempotency_Key=f"nonce-{number}",
                )  # fmt: skip
                answers.append(heard)
                self.heard["issue"].append(heard)
            if self._ended or answers[-1].status not in (201, 409):
                return

    def _authorize(self) -> None:
        while not self._ended:
            self.heard["authorize"].append(self._server.ask(AUTHORIZE, Authorization=self._bearer))

    def _look(self) -> None:
        while not self._ended:
            # A cookie, so that the page looks for a session.
            self.heard["page"].append(self._server.ask("/", Cookie="keyrack_session=" + "a" * 32))
            self.heard["health"].append(self._server.ask("/healthz"))


@pytest.mark.usefixtures("static_files")
def test_it_comes_back_with_the_database_and_with_redis(tmp_path: Path) -> None:
    if "DATABASE_URL" not in os.environ:
        # SQLite is a file: it has nothing to go away.
        return
    with installed(tmp_path) as installation:
        callers = through_a_restart_of_the_database(installation)
        nothing_was_lost_or_doubled(installation, callers)
        every_refusal_says_when_to_come_back(callers)
        all_processes_are_in_the_metrics(installation, callers)
        it_comes_back_with_redis(installation)


def through_a_restart_of_the_database(installation: Installation) -> Callers:
    boss = ["keys", "issue", "demo", "Boss", "--type", "privileged", "--expires-in", "365d"]
    with Callers(installation, installation.manage(*boss)) as callers:
        callers.hear(201, "issue")
        callers.hear(200, "authorize", "health")
        callers.hear(302, "page")
        until(lambda: len(callers.issued) > 20, "It issues too slowly.")
        installation.database.close()
        callers.hear(503, "issue", "authorize", "page")
        callers.hear(200, "health")
        assert "database: no answer" in installation.ask("/readyz").body
        installation.start_database()
        callers.hear(201, "issue")
        callers.hear(200, "authorize", "health")
        callers.hear(302, "page")
        until(installation.ready, "It doesn't become ready again.")
    return callers


def nothing_was_lost_or_doubled(installation: Installation, callers: Callers) -> None:
    made = dict(installation.sql("SELECT name, key_id FROM keys_key WHERE name LIKE 'Key %'"))
    assert len(made) == installation.sql("SELECT count(*) FROM keys_key WHERE name LIKE 'Key %'")[0][0]
    assert set(made) == {f"Key {number}" for number in callers.issued}
    for number, answers in callers.issued.items():
        *refused, last = answers
        assert {each.status for each in refused} <= {503}
        # 409 where the key was made, and the connection broke before that was known.
        assert last.status in ((201, 409) if refused else (201,)), last
        assert json.loads(last.body)["key_id"] == made[f"Key {number}"]
    installation.manage("audit", "verify")
    events = installation.sql("SELECT count(*) FROM projects_auditevent WHERE verb = 'key.issued'")
    # The one that asks, and the Automator Key.
    assert events[0][0] == len(made) + 2


def every_refusal_says_when_to_come_back(callers: Callers) -> None:
    assert {each.status for each in callers.heard["authorize"]} == {200, 503}
    assert {each.status for each in callers.heard["page"]} == {302, 503}
    assert {each.status for each in callers.heard["health"]} == {200}
    for who in ("issue", "authorize", "page"):
        for heard in callers.heard[who]:
            if heard.status == 503:
                assert int(heard.headers["retry-after"]) > 0
                kind = "text/html; charset=utf-8" if who == "page" else "application/problem+json"
                assert heard.headers["content-type"] == kind
                assert "127.0.0.1" not in heard.body


def all_processes_are_in_the_metrics(installation: Installation, callers: Callers) -> None:
    def authorized() -> float:
        text = installation.ask("/metrics", Authorization=f"Bearer {METRICS}").body
        found = re.search(r'^keyrack_requests_total\{status="200",surface="authorize"\} (\S+)$', text, re.M)
        assert found, text
        return float(found[1])

    passed = sum(each.status == 200 for each in callers.heard["authorize"])
    assert {authorized() for _ in range(4 * WORKERS)} == {passed}
    files = (installation.folder / "data" / "metrics" / str(installation.port)).glob("counter_*.db")
    assert len(list(files)) > 1


def it_comes_back_with_redis(installation: Installation) -> None:
    limited = installation.manage("keys", "issue", "demo", "Limited", "--scope", "sources:read")
    free = installation.manage("keys", "issue", "demo", "Free", "--scope", "sources:read")
    installation.sql("UPDATE keys_key SET rate = '10000/hour' WHERE name = 'Limited'")

    def statuses() -> list[int | bool]:
        form = {"Content_Type": "application/x-www-form-urlencoded", "Cookie": f"csrftoken={'a' * 32}"}
        fields = {"csrfmiddlewaretoken": "a" * 32, "login": "x@example.test", "password": "wrong"}
        return [
            installation.ask(AUTHORIZE, Authorization=f"Bearer {limited}").status,
            installation.ask(AUTHORIZE, Authorization=f"Bearer {free}").status,
            # The throttle counts there, whatever else it answers.
            installation.ask("/account/login/", "POST", urlencode(fields), **form).status == 503,
            installation.ask("/readyz").status,
        ]

    # Every process has asked Redis, so that each holds a connection that breaks.
    for _ in range(2 * WORKERS):
        assert statuses()[:2] == [200, 200]
    installation.redis.close()
    until(lambda: statuses() == [503, 200, True, 503], f"Without Redis: {statuses()}")
    installation.start_redis()
    until(lambda: statuses() == [200, 200, False, 200], f"With Redis again: {statuses()}")
