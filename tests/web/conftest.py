"""The two ways in which the console is asked, and keys to look at."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from pytest_django import Settings

from keys.lifecycle import Issued
from projects.models import Project, User
from tests.factories import IssuedFactory, acting
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
