"""The two ways in which the console is asked, and keys to look at."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from pytest_django import Settings

from keys.kinds import KeyType
from keys.lifecycle import Issued
from projects.models import Channel, Project, User
from tests.factories import ChannelFactory, IssuedFactory, acting
from tests.web.pages import HTMX

MakeKey = Callable[..., Issued]


@pytest.fixture(autouse=True)
def _static_files_are_looked_up(settings: Settings) -> None:
    """Every client has middleware of its own, and whitenoise's would list all static files for each."""
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(params=[{}, HTMX], ids=["plain", "htmx"])
def way(request: pytest.FixtureRequest) -> dict[str, str]:
    """The headers of a request: as a browser sends it, and as htmx does."""
    headers: dict[str, str] = request.param
    return headers


@pytest.fixture
def make(project: Project, owner: User, at: datetime) -> MakeKey:
    """Makes a key in Acme: Mara's, stored, unless told otherwise."""

    def make(name: str = "Docs crawler", *, by: User | None = None, **fields: Any) -> Issued:
        given = {"actor": acting(by or owner, project), "at": at, "confirmed": True} | fields
        return IssuedFactory(project=project, name=name, **given)

    return make


@pytest.fixture
def support(project: Project) -> Channel:
    """An open channel of Acme."""
    return ChannelFactory(project=project, slug="support-bot", name="Support bot")


@pytest.fixture
def hold(make: MakeKey) -> MakeKey:
    """Makes a key of a channel: of Support bot, stored, held by whom it is called after."""

    def hold(name: str = "Bot for Nora", holder: str = "", **fields: Any) -> Issued:
        held = {"type": KeyType.CHANNEL, "channel": "support-bot", "holder": holder or name}
        return make(name, **held | fields)

    return hold
