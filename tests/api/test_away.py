"""The database or Redis goes away and comes back: 503 meanwhile, never a pass, and then all is as before."""

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from typing import Any, Final
from urllib.parse import urlencode

import psycopg
import pytest
import redis
from django.db import connection
from pytest_django import Settings

from keys import throttles
from keys.lifecycle import Issued
from keys.rates import Rate
from tests import services
from tests.api.calls import FORM
from tests.api.conftest import MakeKey
from tests.api.gates import Ask, Heard

pytestmark = pytest.mark.django_db(transaction=True)

UNAVAILABLE: Final = (503, "1")


def authorize(ask: Ask, issued: Issued) -> Heard:
    return ask(query="project=acme", headers={"Authorization": f"Bearer {issued.token}"})


def introspect(ask: Ask, issued: Issued) -> Heard:
    headers = {"Authorization": f"Bearer {issued.token}", "Content-Type": FORM}
    body = urlencode({"token": issued.token}).encode()
    return ask(path="/api/v1/introspect", method="POST", body=body, headers=headers)


def told(heard: Heard) -> tuple[int, str]:
    assert heard.status == 200 or json.loads(heard.body)["type"] == "urn:keyrack:problem:unavailable"
    return heard.status, heard.headers.get("Retry-After", "")


@contextmanager
def database_away() -> Iterator[None]:
    """Let nobody to the database: PostgreSQL ends every connection and takes none; SQLite's file is gone."""
    known = connection.settings_dict
    if connection.vendor == "sqlite":
        name = known["NAME"]
        known["NAME"] = "/nowhere/keyrack.sqlite3"
        connection.close()
        try:
            yield
        finally:
            known["NAME"] = name
        return
    name = psycopg.sql.Identifier(known["NAME"])
    parameters = connection.get_connection_params() | {"dbname": "postgres"}
    with psycopg.connect(**parameters, autocommit=True) as other:
        other.execute(psycopg.sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        try:
            ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
            other.execute(ended, [known["NAME"]])
            yield
        finally:
            other.execute(psycopg.sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


@pytest.mark.parametrize("check", [authorize, introspect])
def test_the_database_goes_and_comes_back(
    ask: Ask, make: MakeKey, check: Callable[[Ask, Issued], Heard]
) -> None:
    issued = make(scopes=("keys:read",))
    assert told(check(ask, issued)) == (200, "")
    with database_away():
        for _ in range(3):
            assert told(check(ask, issued)) == UNAVAILABLE
    assert told(check(ask, issued)) == (200, "")


# Redis, which counts what keys with a rate have used


@pytest.fixture
def redis_port(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> int:
    port = services.free_port()
    settings.KEYRACK_REDIS_URL = f"redis://127.0.0.1:{port}/0"
    # Else it is asked once a second.
    monkeypatch.setattr(throttles, "_ASKED_EVERY", 0.0)
    return port


def running(port: int) -> AbstractContextManager[str]:
    return services.redis_server(port)


def test_redis_goes_and_comes_back(
    ask: Ask, make: MakeKey, redis_port: int, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    limited, free = make("Limited", rate="2/hour"), make("Free")
    with running(redis_port):
        assert told(authorize(ask, limited)) == (200, "")
    for _ in range(3):
        assert told(authorize(ask, limited)) == UNAVAILABLE
        assert told(authorize(ask, free)) == (200, "")
    settings.KEYRACK_THROTTLE_FAILS = "open"
    assert told(authorize(ask, limited)) == (200, "")
    with running(redis_port):
        # Nothing of Redis' is kept here, so all begins anew.
        assert [authorize(ask, limited).status for _ in range(3)] == [200, 200, 429]
    said = [record.message for record in caplog.records if record.name == "keyrack.throttles"]
    assert [line.partition(" (")[0] for line in said] == [
        "Redis doesn't answer",
        "Redis answers again: rate limits hold.",
    ]


def test_redis_says_when_to_come_again_and_not_too_early(redis_port: int) -> None:
    rate = Rate(1, "minute")
    with running(redis_port) as url, closing(redis.Redis.from_url(url)) as client:
        assert throttles.take("a key", rate)
        (key,) = client.keys()
        client.pexpire(key, 30_400)
        window = throttles.take("a key", rate)
    assert window
    assert (window.exceeded, window.resets_in) == (True, 31)


def test_a_rate_is_exact_across_threads() -> None:
    rate, passed = Rate(40, "hour"), list[str]()
    together = threading.Barrier(8)

    def use() -> None:
        for name in names:
            together.wait()
            windows = [throttles.take(name, rate) for _ in range(20)]
            # In one step, which no other thread comes between: a counter would lose some.
            passed.extend([name for window in windows if window is not None and not window.exceeded])

    names, often = [f"key {number}" for number in range(40)], sys.getswitchinterval()
    threads = [threading.Thread(target=use) for _ in range(8)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(often)
    assert Counter(passed) == dict.fromkeys(names, 40)


def test_a_rate_is_exact_across_processes(redis_port: int) -> None:
    """Each thread has a connection and a limiter of its own, as each process has."""
    rate = Rate(25, "hour")
    passed: list[bool] = []

    def use(limiter: Any) -> None:
        item = throttles._item(rate)
        passed.extend(limiter.hit(item, "a key") for _ in range(20))

    with running(redis_port), ExitStack() as stack:
        limiters = [throttles._limiter.__wrapped__() for _ in range(4)]
        threads = [threading.Thread(target=use, args=(limiter,)) for limiter in limiters]
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.close()
    assert (len(passed), sum(passed)) == (80, 25)
