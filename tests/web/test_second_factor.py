"""The page of one's second factor: what it says, and how setting one up begins."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from projects import second_factor
from projects.audit import Actor
from projects.models import Project, User
from tests.authenticator import enrol
from tests.factories import MembershipFactory
from tests.web.pages import Page, Visitor, freshen, let_half_an_hour_pass, signed_in

pytestmark = pytest.mark.django_db

HERE = "/account/second-factor/"
SET_UP = f"{HERE}set-up/"
PASSWORD = "correct horse battery"


@pytest.fixture
def mara(owner: User) -> Client:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    return signed_in(owner)


def test_it_says_what_one_is_for_and_asks_for_the_password(mara: Client) -> None:
    response = mara.get(HERE)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert (page.heading, page.title) == ("Second factor", "Second factor · Keyrack")
    assert "Somebody who has only your password can't come in." in page.content.text
    assert set(page.form_of("Set up an app").fields()) == {"csrfmiddlewaretoken", "current_password"}


def test_the_account_menu_leads_there(owner: User) -> None:
    visitor = Visitor(owner)
    visitor.visit("/projects/")
    assert visitor.follow("Second factor").heading == "Second factor"


def test_the_password_begins_it_in_the_same_form(owner: User, mara: Client) -> None:
    visitor = Visitor(owner)
    visitor.visit(HERE)
    assert visitor.press("Set up an app").problems() == ["Enter your password."]
    assert visitor.response.status_code == 422
    assert visitor.page.title == "Error: Second factor · Keyrack"
    assert visitor.press("Set up an app", current_password="wrong").problems() == [
        "That password isn't right."
    ]
    page = visitor.press("Set up an app", current_password=PASSWORD)
    assert (visitor.url, page.heading) == (SET_UP, "Set up an app")


def test_whoever_is_fresh_just_begins(mara: Client) -> None:
    freshen(mara)
    assert not Page(mara.get(HERE)).find("input", type="password")
    assert mara.post(HERE)["Location"] == SET_UP


def test_a_second_beginning_keeps_the_secret_that_a_page_shows(mara: Client) -> None:
    freshen(mara)
    mara.post(HERE)
    first = Page(mara.get(SET_UP)).one("output", id="setup-key").text
    mara.post(HERE)
    assert Page(mara.get(SET_UP)).one("output", id="setup-key").text == first


def test_somebody_without_a_password_is_told_how_to_get_one(viewer: User) -> None:
    response = signed_in(viewer).post(HERE, {"current_password": ""})
    assert response.status_code == 422
    assert Page(response).problems() == [
        "Your account has no password. Ask whoever runs this Keyrack for a password link."
    ]


@pytest.mark.parametrize("target", ["/projects/", "/projects/acme/settings/keys/?q=bill&sort=name"])
def test_where_somebody_wanted_to_go_is_kept(mara: Client, target: str) -> None:
    freshen(mara)
    page = Page(mara.get(HERE, {"next": target}))
    assert page.form_of("Set up an app").fields()["next"] == [target]
    response = mara.post(HERE, {"next": target})
    assert mara.get(response["Location"]).status_code == 200
    page = Page(mara.get(response["Location"]))
    assert page.form_of("Turn on").fields()["next"] == [target]


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/x?q=kr_live_" + "a1B2" * 14],
)
def test_it_leads_nowhere_else_and_repeats_no_key(mara: Client, target: str) -> None:
    freshen(mara)
    page = Page(mara.get(HERE, {"next": target}))
    assert "next" not in page.form_of("Set up an app").fields()
    assert mara.post(HERE, {"next": target})["Location"] == SET_UP


# While it is on


def test_it_says_since_when_and_how_many_codes_are_left(mara: Client, owner: User) -> None:
    app = enrol(owner)
    second_factor.accept(owner, app.recovery_codes[0], actor=Actor.system(), at=timezone.now())
    page = Page(mara.get(HERE))
    facts = dict(zip(page.content.texts("dt"), page.content.texts("dd"), strict=True))
    assert re.fullmatch(r"On since \d+ \w{3} \d{4}, \d\d:\d\d UTC", facts["Authenticator app"])
    assert facts["Recovery codes"] == "9 of 10 left"
    assert app.secret not in page.source
    assert not any(code in page.source for code in app.recovery_codes)


def test_it_warns_of_codes_that_nobody_saved_and_of_few_that_are_left(mara: Client, owner: User) -> None:
    app = enrol(owner)
    assert "You haven't said that you saved your recovery codes." in Page(mara.get(HERE)).content.text
    second_factor.mark_saved(owner)
    assert not Page(mara.get(HERE)).content.find(class_="note")
    for code in app.recovery_codes[:8]:
        second_factor.accept(owner, code, actor=Actor.system(), at=timezone.now())
    assert "Few recovery codes are left." in Page(mara.get(HERE)).content.text


def test_whoever_was_led_here_goes_on_from_here(mara: Client, owner: User) -> None:
    enrol(owner)
    assert Page(mara.get(HERE, {"next": "/projects/"})).link("Continue") == "/projects/"
    assert not Page(mara.get(HERE, {"next": "//evil.example/"})).find("a", "Continue")


def test_beginning_again_changes_nothing(mara: Client, owner: User) -> None:
    app = enrol(owner)
    response = freshen(mara).post(HERE)
    assert response.status_code == 409
    assert Page(response).content.one(role="alert").text == "Your second factor is on already."
    assert second_factor.accept(owner, app.code(), actor=Actor.system(), at=timezone.now())


def test_the_page_of_setting_up_is_not_there_without_a_beginning(mara: Client) -> None:
    assert mara.get(SET_UP)["Location"] == HERE
    assert mara.get(SET_UP, {"next": "/projects/"})["Location"] == f"{HERE}?next=%2Fprojects%2F"


def test_it_names_the_projects_that_open_only_with_one(
    mara: Client, owner: User, project: Project, outsider: User
) -> None:
    second = MembershipFactory(user=owner).project
    Project.objects.update(require_second_factor=True)
    said = Page(mara.get(HERE)).content.one(class_="note").text
    assert said == f"Acme, {second.name} open only to members with a second factor."
    Project.objects.filter(pk=second.pk).update(deleted_at=timezone.now())
    assert Page(mara.get(HERE)).content.one(class_="note").text == (
        "Acme opens only to members with a second factor."
    )


def test_a_beginning_is_forgotten_after_half_an_hour(mara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    freshen(mara)
    mara.post(HERE)
    later = timezone.now() + timedelta(minutes=31)
    monkeypatch.setattr("projects.views.second_factor.time.time", later.timestamp)
    assert mara.get(SET_UP)["Location"] == HERE


def test_it_is_not_begun_from_another_site(owner: User) -> None:
    client = freshen(signed_in(owner, enforce_csrf_checks=True))
    assert client.post(HERE).status_code == 403
    assert let_half_an_hour_pass(client).get(SET_UP).status_code == 302
