"""Chromium, driven by Playwright, against the console as production serves it.

One browser for all tests, a fresh context for each. Whatever a page complains about in its console (an
exception, a violation of the Content-Security-Policy, a file that doesn't load) fails the test.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from django.conf import settings as django_settings
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    expect,
    sync_playwright,
)
from pytest_django.live_server_helper import LiveServer

from projects.models import User
from tests.browser import steps
from tests.web.pages import freshen

ARGUMENTS: Final = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
DESKTOP: Final = {"width": 1280, "height": 960}
# Milliseconds. A machine that has other things to do makes a page late, not wrong; only failing costs them.
PATIENCE: Final = 30_000
expect.set_options(timeout=PATIENCE)

OpenContext = Callable[..., BrowserContext]


@pytest.fixture(scope="package", autouse=True)
def _django_beside_the_loop() -> Iterator[None]:
    """Playwright's loop runs in this thread, where Django refuses to ask the database; let it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield


class AsServed(WSGIHandler):
    """Keyrack by itself: pytest-django would put Django's finders and a media folder before it."""

    def __init__(self, _wrapped: WSGIHandler) -> None:
        super().__init__()


@pytest.fixture(scope="session")
def live_server(static_files: None) -> Iterator[LiveServer]:
    """Keyrack on 127.0.0.1, its static files collected and served by whitenoise as in production."""
    server = LiveServer("127.0.0.1", start=False)
    server.thread.static_handler = AsServed
    server.start()
    yield server
    server.stop()


def launch_options(program: str = "chromium-headless-shell") -> dict[str, Any]:
    """Return what starts one of Debian's two Chromiums. Fails the test where it is missing.

    The headless shell has the same engine at two thirds of the cost. `chromium` is the whole browser, with
    the profile on disk and the history that a person's has.
    """
    path = shutil.which(program)
    if path is None:
        pytest.fail(
            f"{program} is missing. Run apt-get install {program}, or leave these tests out by --no-browser."
        )
    # Root has no user namespaces to make Chromium's sandbox of.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {"executable_path": path, "args": [*ARGUMENTS, *sandbox]}


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(**launch_options())
    yield browser
    browser.close()


class Complaints:
    """What pages wrote to the console as an error or a warning, or threw."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._allowed: list[str] = []

    def listen(self, context: BrowserContext) -> None:
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.heard.append(str(error.error)))

    def allow(self, *patterns: str | int) -> None:
        """Let pass what the test brings about: a status, or a pattern of the whole message."""
        for pattern in patterns:
            if isinstance(pattern, int):
                pattern = rf"Failed to load resource: .* status of {pattern} .*"
            self._allowed.append(pattern)

    def unexpected(self) -> list[str]:
        return [text for text in self.heard if not any(re.fullmatch(p, text) for p in self._allowed)]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.heard.append(message.text)


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    complaints = Complaints()
    yield complaints
    assert complaints.unexpected() == []


@pytest.fixture
def prepare(live_server: LiveServer, complaints: Complaints) -> Callable[[BrowserContext], BrowserContext]:
    """Make a context ready: watched, and as patient as a machine that is busy needs it."""

    def prepare(context: BrowserContext) -> BrowserContext:
        complaints.listen(context)
        context.set_default_timeout(PATIENCE)
        return context

    return prepare


@pytest.fixture
def open_context(
    browser: Browser,
    live_server: LiveServer,
    prepare: Callable[[BrowserContext], BrowserContext],
    transactional_db: None,
) -> Iterator[OpenContext]:
    """A function that opens a fresh context, for somebody who is signed in if named."""
    opened = []

    def open_context(user: User | None = None, **options: Any) -> BrowserContext:
        context = prepare(browser.new_context(**context_options(live_server) | options))
        opened.append(context)
        if user is not None:
            sign_in(context, user, live_server)
        return context

    yield open_context
    for context in opened:
        context.close()


def context_options(live_server: LiveServer) -> dict[str, Any]:
    # A time zone that isn't the server's: local times then differ from what the page came with.
    return {"base_url": live_server.url, "viewport": DESKTOP, "timezone_id": "Asia/Kathmandu"}


def sign_in(context: BrowserContext, user: User, live_server: LiveServer) -> None:
    """Sign somebody in without the form, where signing in isn't what is tested."""
    client = Client()
    client.force_login(user)
    name = django_settings.SESSION_COOKIE_NAME
    context.add_cookies(
        [{"name": name, "value": client.cookies[name].value, "url": live_server.url, "httpOnly": True}]
    )


def freshen_browser(context: BrowserContext) -> None:
    """Let whoever is signed in have given their password a moment ago, where that isn't what is tested."""
    name = django_settings.SESSION_COOKIE_NAME
    (cookie,) = [each for each in context.cookies() if each.get("name") == name]
    client = Client()
    client.cookies[name] = cookie.get("value", "")
    freshen(client)


@pytest.fixture
def context(open_context: OpenContext, owner: User) -> BrowserContext:
    """The owner's browser."""
    return open_context(owner)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """The owner at the keys of the project."""
    page = context.new_page()
    page.goto(steps.KEYS)
    return page


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def javascript(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def either(open_context: OpenContext, owner: User, javascript: bool) -> Page:
    """The owner at the keys of the project: once with JavaScript, and once without."""
    page = open_context(owner, java_script_enabled=javascript).new_page()
    page.goto(steps.KEYS)
    return page


@pytest.fixture
def plain(open_context: OpenContext, owner: User) -> Page:
    """The owner at the keys of the project, without JavaScript."""
    page = open_context(owner, java_script_enabled=False).new_page()
    page.goto(steps.KEYS)
    return page
