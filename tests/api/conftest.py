"""Callers of the JSON API, and keys for them to act on."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from keys.kinds import KeyType
from keys.lifecycle import Issued
from projects.models import Project
from tests.api.calls import Api
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
