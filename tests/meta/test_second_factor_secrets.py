"""The canary of second factors: an app's secret, and recovery codes, are shown, used, and looked for."""

import logging
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from django.core.cache import cache
from django.db import connection
from pytest_django import Settings

from config.logs import JsonLines
from projects.models import AuditEvent, User
from tests.authenticator import App, enrol
from tests.meta.canary import Watch, Watched, body, watching
from tests.meta.test_canary import dump
from tests.web.pages import Page, freshen

pytestmark = pytest.mark.django_db

HERE: Final = "/account/second-factor/"
SET_UP: Final = f"{HERE}set-up/"
CODES: Final = f"{HERE}codes/"
PASSWORD: Final = "correct horse battery"


@pytest.fixture
def watch(db: None) -> Iterator[Watch]:
    with watching() as watch:
        yield watch


@pytest.fixture
def mara(watch: Watch, owner: User) -> Watched:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    client = Watched(watch)
    client.force_login(owner)
    freshen(client)
    return client


class Canaries:
    """What was secret: in the ways in which it could be written."""

    def __init__(self) -> None:
        self.texts: set[str] = set()

    def add(self, secret: str) -> None:
        plain = "".join(secret.split())
        self.texts |= {plain, plain.replace("-", "")}

    def found_in(self, text: str) -> set[str]:
        # An app's secret is shown in groups, recovery codes with a hyphen.
        bare = text.replace("</span><span>", "")
        return {canary for canary in self.texts if canary in bare}


def tables() -> Iterator[tuple[str, str]]:
    yield from dump()


def set_up(client: Watched, canaries: Canaries) -> App:
    """Begin, look, mistype, turn on, download."""
    client.post(HERE)
    app = App(Page(client.get(SET_UP)).one("output", id="setup-key").text)
    canaries.add(app.secret)
    assert [table for table, value in tables() if canaries.found_in(value)] == [], "while it waits"
    for wrong in (app.wrong_code(), app.secret):
        client.post(SET_UP, {"code": wrong})
    client.get(SET_UP)
    return app


def shown_codes(answer: Any, canaries: Canaries) -> list[str]:
    codes = Page(answer).one("output", id="codes").text.split()
    for code in codes:
        canaries.add(code)
    return codes


def use(watch: Watch, app: App, codes: list[str]) -> None:
    """Sign in by a recovery code, well and badly, and put secrets where they don't belong."""
    cache.clear()  # what was mistyped before counts here as well
    client = Watched(watch)
    client.post("/account/login/", {"login": "mara@example.test", "password": PASSWORD})
    for code in (app.secret, "x" + codes[0], codes[0] + codes[1]):
        client.post("/account/login/code/", {"code": code})
    client.post("/account/login/code/", {"code": codes[0]})
    assert client.get("/projects/").status_code == 200
    client.post("/account/reauthenticate/code/", {"code": codes[0]})
    client.post("/account/reauthenticate/code/", {"code": codes[1], "next": "/projects/"})
    client.post(f"{HERE}off/", {"current_code": codes[2]})
    client.post("/projects/new/", {"name": "", "slug": codes[3]})


def test_they_are_nowhere_but_in_the_answers_that_show_them(watch: Watch, mara: Watched) -> None:
    canaries = Canaries()
    app = set_up(mara, canaries)
    first = shown_codes(mara.post(SET_UP, {"code": app.code()}), canaries)
    mara.post(f"{CODES}download/", {"codes": " ".join(first)})
    mara.post(f"{CODES}saved/")
    second = shown_codes(mara.post(CODES), canaries)
    for url in (HERE, SET_UP, CODES, f"{HERE}off/", "/projects/"):
        mara.get(url)
    use(watch, app, second)
    assert len(canaries.texts) == 1 + 2 * 20

    expected = {f"GET {SET_UP}", f"POST {SET_UP}", f"POST {CODES}", f"POST {CODES}download/"}
    showing = {asked for asked, answer in watch.answers if canaries.found_in(body(answer))}
    # What somebody types into the wrong field comes back to them: into the address of a project.
    assert showing - {"POST /projects/new/"} == expected
    for asked, answer in watch.answers:
        if asked in expected:
            assert "no-store" in answer["Cache-Control"]
        sent = "".join(f"{name}: {value}\n" for name, value in answer.items()) + str(answer.cookies)
        assert not canaries.found_in(sent), asked
    assert [table for table, value in tables() if canaries.found_in(value)] == []
    assert AuditEvent.objects.filter(verb="person.recovery_code_used").count() == 2
    lines = [JsonLines().format(record) for record in watch.records]
    assert any(SET_UP in line for line in lines)
    assert not any(canaries.found_in(line) for line in lines)


def test_the_search_would_find_one(owner: User) -> None:
    """Else nothing above proves anything."""
    app = enrol(owner)
    canaries = Canaries()
    canaries.add(app.secret)
    canaries.add(app.recovery_codes[0])
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE mfa_authenticator SET data = %s WHERE type = 'totp'", [f'{{"secret": "{app.secret}"}}']
        )
    assert {table for table, value in tables() if canaries.found_in(value)} == {"mfa_authenticator"}
    assert len(canaries.found_in(f"<span>{app.recovery_codes[0]}</span>")) == 1


# An error on the way


class Broken(Exception):
    pass


Send = Callable[[Watched, App], object]


def send_code(client: Watched, app: App) -> None:
    client.post(SET_UP, {"code": app.code()})


def send_sign_in(client: Watched, app: App) -> None:
    client.logout()
    client.post("/account/login/", {"login": "mara@example.test", "password": PASSWORD})
    client.post("/account/login/code/", {"code": app.recovery_codes[0]})


def send_confirmation(client: Watched, app: App) -> None:
    client.post(f"{HERE}off/", {"current_code": app.recovery_codes[0], "current_password": ""})


def send_new_codes(client: Watched, app: App) -> None:
    client.post(CODES)


def send_download(client: Watched, app: App) -> None:
    client.post(f"{CODES}download/", {"codes": " ".join(app.recovery_codes)})


BREAKS: Final[list[tuple[str, Send, bool]]] = [
    ("projects.views.second_factor.qr_picture", lambda client, app: client.get(SET_UP), False),
    ("projects.views.second_factor.render", lambda client, app: client.get(SET_UP), False),
    ("projects.views.second_factor.attempt", send_code, False),
    ("projects.second_factor.hotp_value", send_code, False),
    ("projects.second_factor.compare_user_code", send_code, False),
    ("projects.second_factor.TOTP.activate", send_code, False),
    ("projects.factor_sealing.Keyring.seal", send_code, False),
    ("projects.second_factor.RecoveryCodes.generate_codes", send_code, False),
    ("projects.views.second_factor.render", send_code, False),
    ("projects.reauthentication.attempt", send_sign_in, True),
    ("projects.second_factor.RecoveryCodes.validate_code", send_sign_in, True),
    ("allauth.mfa.recovery_codes.internal.auth.compare_user_code", send_sign_in, True),
    ("projects.reauthentication.second_factor.accept", send_confirmation, True),
    ("projects.reauthentication.record_authentication", send_confirmation, True),
    ("projects.second_factor.RecoveryCodes.activate", send_new_codes, True),
    ("projects.views.second_factor.render", send_new_codes, True),
    ("projects.second_factor.normalize_user_code", send_download, True),
    ("projects.second_factor.hmac.compare_digest", send_download, True),
]


@pytest.mark.parametrize("debug", [False, True], ids=["live", "debug"])
@pytest.mark.parametrize(
    ("place", "send", "enrolled"), BREAKS, ids=[f"{at} {send.__name__}" for at, send, _ in BREAKS]
)
def test_no_report_of_an_error_shows_them(
    watch: Watch,
    mara: Watched,
    owner: User,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    send: Send,
    enrolled: bool,
    debug: bool,
) -> None:
    canaries = Canaries()
    if enrolled:
        app = enrol(owner)
        for code in app.recovery_codes:
            canaries.add(code)
    else:
        app = set_up(mara, canaries)
        canaries.add(app.code())
    canaries.add(app.secret)
    if send is send_confirmation:
        mara.cookies.clear()
        mara.force_login(owner)  # not fresh
    settings.DEBUG = debug

    def breaks(*secret: Any, **secrets: Any) -> Any:
        raise Broken

    monkeypatch.setattr(place, breaks)
    watch.answers.clear()
    watch.records.clear()
    send(mara, app)
    assert watch.answers[-1][1].status_code == 500
    assert len(watch.reports) == 2
    for report in watch.reports:
        assert "Broken" in report
        assert not canaries.found_in(report)
    assert not canaries.found_in(body(watch.answers[-1][1]))
    lines = [JsonLines().format(record) for record in watch.records if record.levelno >= logging.ERROR]
    assert any("Traceback" in line for line in lines)
    assert not any(canaries.found_in(line) for line in lines)
