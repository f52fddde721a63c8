"""The second step of a sign-in: the code, for whoever has a second factor."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from projects import people, second_factor
from projects.audit import Actor
from projects.models import SITE_LOG, AuditEvent, User
from tests.authenticator import App, enrol
from tests.web.pages import Page, Visitor

pytestmark = pytest.mark.django_db

LOGIN = "/account/login/"
HERE = "/account/login/code/"
PASSWORD = "correct horse battery"
WRONG = "That code isn't right, or was used before."
TOO_MANY = "Too many failed attempts. Wait five minutes, then try again."


@pytest.fixture
def app(owner: User) -> App:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    return enrol(owner)


def begin(client: Client, **fields: str) -> Any:
    """Take the first step."""
    typed = {"login": "mara@example.test", "password": PASSWORD} | fields
    return client.post(LOGIN, typed)


def send(client: Client, code: str) -> Any:
    return client.post(HERE, {"code": code})


def is_in(client: Client) -> bool:
    return client.get("/projects/").status_code == 200


def log() -> list[tuple[str, dict[str, object]]]:
    events = AuditEvent.objects.filter(project_id=SITE_LOG).order_by("number")
    return [(event.verb, event.changes) for event in events][1:]


def test_the_password_leads_to_the_code_and_opens_nothing_yet(client: Client, app: App) -> None:
    response = begin(client)
    assert (response.status_code, response["Location"]) == (302, HERE)
    assert not is_in(client)
    response = client.get(HERE)
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert (page.heading, page.title) == ("Enter a code", "Sign in · Keyrack")
    field = page.one("input", name_="code")
    assert (field.attrs["autocomplete"], field.attrs["inputmode"]) == ("one-time-code", "numeric")
    assert "From your authenticator app, or one of your recovery codes." in page.content.text
    assert not page.find("a", "Second factor"), "nobody is signed in yet"


def test_the_code_signs_in(client: Client, app: App, owner: User) -> None:
    begin(client)
    response = send(client, app.code())
    assert (response.status_code, response["Location"]) == (302, "/")
    assert is_in(client)
    assert log() == [("person.signed_in", {"second_factor": "authenticator app"})]
    state = second_factor.second_factor_of(owner)
    assert state is not None
    assert state.last_used is not None
    # Whoever has just signed in is fresh.
    assert client.post("/account/second-factor/off/").status_code == 303


def test_a_recovery_code_signs_in_once(client: Client, app: App) -> None:
    begin(client)
    assert send(client, app.recovery_codes[4]).status_code == 302
    assert log() == [
        ("person.recovery_code_used", {"left": 9}),
        ("person.signed_in", {"second_factor": "recovery code"}),
    ]
    other = Client()
    begin(other)
    assert Page(send(other, app.recovery_codes[4])).problems() == [WRONG]
    assert not is_in(other)


def test_a_code_works_once(client: Client, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    code = app.code()
    begin(client)
    assert send(client, code).status_code == 302
    for later in (0, 35):
        other = Client()
        begin(other)
        now = timezone.now() + timedelta(seconds=later)
        monkeypatch.setattr("projects.reauthentication.timezone.now", lambda now=now: now)
        assert Page(send(other, code)).problems() == [WRONG]
        assert not is_in(other)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("", "Enter a code."),
        ("000 00", WRONG),
        ("abc", WRONG),
        ("12345\x006", "Null characters are not allowed."),
        ("1" * 41, "That code is too long."),
        ("kr_live_" + "a1B2" * 14, "That code is too long."),
        (PASSWORD, WRONG),
    ],
)
def test_any_other_code_is_refused_and_not_repeated(client: Client, app: App, code: str, words: str) -> None:
    begin(client)
    response = send(client, code)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == [words]
    assert page.title == "Error: Sign in · Keyrack"
    assert page.one("input", name_="code").attrs.get("value", "") == ""
    assert "a1B2" not in page.source
    assert not is_in(client)


def test_a_post_without_a_code_is_refused(client: Client, app: App) -> None:
    begin(client)
    response = client.post(HERE, {"credential": "{}"})
    assert (response.status_code, Page(response).problems()) == (422, ["Enter a code."])


def test_a_wrong_code_is_in_the_log_without_it(client: Client, app: App) -> None:
    begin(client)
    wrong = app.wrong_code()
    send(client, wrong)
    assert log() == [("person.sign_in_failed", {"factor": "code"})]
    event = AuditEvent.objects.filter(project_id=SITE_LOG).latest("number")
    assert (event.actor_label, event.address) == ("Mara Lindqvist", "127.0.0.1")
    assert wrong not in str(list(AuditEvent.objects.values_list()))


@pytest.mark.parametrize("target", ["/projects/?q=acme", "/projects/acme/settings/keys/?q=bill&sort=name"])
def test_it_leads_to_where_somebody_wanted_to_go(client: Client, app: App, target: str) -> None:
    begin(client, next=target)
    send(client, app.wrong_code())
    assert send(client, app.code())["Location"] == target


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/"])
def test_it_never_leads_elsewhere(client: Client, app: App, target: str) -> None:
    begin(client, next=target)
    assert client.post(HERE, {"code": app.code(), "next": target})["Location"] == "/"


def test_whoever_has_no_second_factor_is_asked_for_none(client: Client, app: App, owner: User) -> None:
    second_factor.turn_off(owner, actor=Actor.system(), at=timezone.now())
    assert begin(client)["Location"] == "/"
    assert is_in(client)


def test_a_wrong_password_says_what_it_says_to_everybody(client: Client, app: App) -> None:
    for fields in ({"password": "wrong horse battery"}, {"login": "nobody@example.test"}):
        response = begin(client, **fields)
        assert response.status_code == 422
        assert Page(response).problems() == ["That email or password isn't right."]
        assert client.get(HERE)["Location"] == LOGIN


def test_there_is_no_second_step_without_the_first(client: Client, app: App) -> None:
    for response in (client.get(HERE), send(client, app.code())):
        assert response["Location"] == LOGIN
    assert not is_in(client)


# The throttle


def test_five_wrong_codes_close_it_for_a_while_in_every_browser(client: Client, app: App) -> None:
    begin(client)
    for _ in range(5):
        assert Page(send(client, app.wrong_code())).problems() == [WRONG]
    other = Client()
    begin(other)
    for browser in (client, other):
        assert Page(send(browser, app.code())).problems() == [TOO_MANY]
        assert not is_in(browser)


def test_a_right_code_forgives_no_wrong_ones(client: Client, app: App) -> None:
    begin(client)
    for _ in range(4):
        send(client, app.wrong_code())
    assert send(client, app.code()).status_code == 302
    other = Client()
    begin(other)
    send(other, app.wrong_code())
    assert Page(send(other, app.code(steps=1))).problems() == [TOO_MANY]


# What ends a half-finished sign-in


def test_another_person_may_sign_in_instead(app: App) -> None:
    visitor = Visitor()
    visitor.visit(LOGIN)
    visitor.press("Sign in", login="mara@example.test", password=PASSWORD)
    assert visitor.page.heading == "Enter a code"
    assert visitor.visit(LOGIN).heading == "Enter a code"
    page = visitor.press("Use another account")
    assert page.heading == "Sign in"
    assert visitor.client.get(HERE)["Location"] == LOGIN


def test_a_password_that_was_ended_meanwhile_ends_it(client: Client, app: App, owner: User) -> None:
    begin(client)
    owner.set_unusable_password()
    owner.save(update_fields=["password"])
    assert send(client, app.code())["Location"] == LOGIN
    assert not is_in(client)
    assert client.get(LOGIN).status_code == 200


def test_an_account_that_was_shut_meanwhile_stays_shut(client: Client, app: App) -> None:
    begin(client)
    User.objects.update(is_active=False)
    assert send(client, app.code())["Location"] == LOGIN
    assert not is_in(client)
    assert "person.signed_in" not in [verb for verb, _ in log()]


def test_a_factor_that_was_removed_meanwhile_asks_for_the_password_again(
    client: Client, app: App, owner: User
) -> None:
    begin(client)
    second_factor.turn_off(owner, actor=Actor.system(), at=timezone.now())
    assert client.get(HERE)["Location"] == LOGIN
    assert client.get(LOGIN).status_code == 200
    assert begin(client)["Location"] == "/"


def test_it_waits_for_a_quarter_of_an_hour(client: Client, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(client)
    late = timezone.now() + timedelta(minutes=15, seconds=1)
    monkeypatch.setattr("allauth.account.internal.stagekit.time.time", late.timestamp)
    assert send(client, app.code())["Location"] == LOGIN


def test_a_lost_sealing_key_is_said_and_signs_nobody_in(client: Client, app: App, settings: Settings) -> None:
    begin(client)
    settings.KEYRACK_SEALING_KEYS = (b"x" * 32,)
    response = send(client, app.code())
    assert response.status_code == 422
    (said,) = Page(response).problems()
    assert said.startswith("Your second factor can't be read. The sealing key ")
    assert not is_in(client)


def test_an_invented_password_is_changed_after_the_code(client: Client, app: App) -> None:
    User.objects.update(must_change_password=True)
    begin(client)
    send(client, app.code())
    assert client.get("/projects/")["Location"].startswith("/account/password/change/")


def test_a_password_link_leaves_the_second_factor(client: Client, app: App, owner: User) -> None:
    link = people.make_password_link(owner, lock=True, actor=Actor.system(), at=timezone.now())
    form = client.get(link.removeprefix("http://127.0.0.1:8000"), follow=True).redirect_chain[-1][0]
    client.post(form, {"password1": "quartz lantern 77", "password2": "quartz lantern 77"})
    assert begin(client, password="quartz lantern 77")["Location"] == HERE
    assert not is_in(client)
    assert send(client, app.code()).status_code == 302


# The page that staff are led to


def test_a_code_confirms_somebody_as_a_password_does(client: Client, app: App) -> None:
    begin(client)
    send(client, app.code())
    page = Page(client.get("/account/reauthenticate/?next=/projects/"))
    url = page.link("Use a code instead")
    assert url == "/account/reauthenticate/code/?next=%2Fprojects%2F"
    page = Page(client.get(url))
    assert page.heading == "Confirm it's you"
    assert page.link("Use your password instead") == "/account/reauthenticate/?next=%2Fprojects%2F"
    response = client.post(url, {"code": app.wrong_code(), "next": "/projects/"})
    assert (response.status_code, Page(response).problems()) == (422, [WRONG])
    response = client.post(url, {"code": app.code(steps=1), "next": "/projects/"})
    assert response["Location"] == "/projects/"


def test_whoever_has_no_second_factor_is_led_to_the_password(client: Client, app: App, owner: User) -> None:
    second_factor.turn_off(owner, actor=Actor.system(), at=timezone.now())
    begin(client)
    response = client.get("/account/reauthenticate/code/?next=/projects/")
    assert response["Location"] == "/account/reauthenticate/?next=%2Fprojects%2F"
    assert not Page(client.get("/account/reauthenticate/")).find("a", "Use a code instead")
