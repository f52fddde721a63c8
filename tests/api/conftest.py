"""Callers of the JSON API, and keys for them to act on."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from pytest_django import Settings

from keys import authorization, throttles
from keys.kinds import KeyType
from keys.lifecycle import Issued
from projects.models import Project
from tests.api import gates
from tests.api.calls import Api
from tests.api.gates import Ask
from tests.factories import IssuedFactory

MakeKey = Callable[..., Issued]


@pytest.fixture
def make(project: Project, at: datetime) -> MakeKey:
    """Makes a key in Acme: the system's, stored, unless told otherwise."""

    def make(name: str = "Docs crawler", **fields: Any) -> Issued:
        given = {"project": project, "at": at, "confirmed": True} | fields
        return IssuedFactory(name=name, **given)

    return make


@pytest.fixture
def boss(make: MakeKey) -> Issued:
    """A key that may do everything in Acme, for ever."""
    return make("Boss", type=KeyType.PRIVILEGED)


@pytest.fixture
def api(boss: Issued) -> Api:
    """The API as the boss calls it."""
    return Api(boss.token)


@pytest.fixture
def nobody(db: None) -> Api:
    """The API as somebody calls it who has no key."""
    return Api()


@pytest.fixture(autouse=True)
def _nothing_known(settings: Settings) -> None:
    """What a process remembers from the test before: of gateways' queries, of rates, of where Redis is."""
    authorization._known_places.clear()
    authorization._parsed.cache_clear()
    throttles._limiter.cache_clear()
    throttles._redis = throttles._Redis()  # type: ignore[misc]
    settings.WHITENOISE_AUTOREFRESH = True
    settings.KEYRACK_REDIS_URL = ""


@pytest.fixture
def _connections_stay() -> Iterator[None]:
    """Django looks after its connections around each request, and would close the one of the test."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture(params=[gates.fast, gates.slow], ids=["gate", "Django"])
def ask(request: pytest.FixtureRequest, db: None, _connections_stay: None) -> Ask:
    way: Callable[[], Ask] = request.param
    return way()
