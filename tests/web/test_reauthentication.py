"""The password or a code again, in the form that needs it. What is said of one here holds for each form."""

import json
import time
from typing import Any

import pytest
from django import forms
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from config.urls import urlpatterns as console
from projects.models import Project, User
from projects.reauthentication import FreshForm
from projects.second_factor import WRONG_CODE
from tests.authenticator import App, enrol
from tests.web.pages import Page, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

PASSWORD = "correct horse battery"


class Deed(FreshForm):
    name = forms.CharField()


class DeedNowAndThen(Deed):
    def is_sensitive(self) -> bool:
        return bool(self.cleaned_data.get("name") == "everything")


def view(kind: type[Deed]) -> Any:
    def deed(request: HttpRequest) -> HttpResponse:
        form = kind(request.POST if request.method == "POST" else None, request=request)
        if request.method == "POST" and form.is_valid():
            return HttpResponse("done")
        return HttpResponse(" ".join(form.fields) + form.errors.as_json(), status=422)

    return deed


urlpatterns = [*console, path("deed/", view(Deed)), path("sometimes/", view(DeedNowAndThen))]


@pytest.fixture
def mara(owner: User) -> Client:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    return signed_in(owner)


def say(client: Client, url: str = "/deed/", **fields: str) -> str:
    return client.post(url, {"name": "x"} | fields).content.decode()


def test_whoever_is_not_fresh_is_asked_and_does_it_in_the_same_form(mara: Client) -> None:
    assert "Enter your password." in say(mara)
    assert say(mara, current_password=PASSWORD) == "done"


def test_whoever_gave_it_is_not_asked_for_half_an_hour(mara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    say(mara, current_password=PASSWORD)
    assert say(mara) == "done"
    assert "current_password" not in mara.get("/deed/").content.decode()
    now = time.time
    monkeypatch.setattr("projects.reauthentication.time.time", lambda: now() + 30 * 60 - 5)
    assert say(mara) == "done"
    monkeypatch.setattr("projects.reauthentication.time.time", lambda: now() + 30 * 60 + 1)
    assert "Enter your password." in say(mara)


def test_whoever_has_just_signed_in_is_fresh(owner: User) -> None:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    client = Client()
    client.post("/account/login/", {"login": owner.email, "password": PASSWORD})
    assert say(client) == "done"


def test_a_wrong_one_does_nothing(mara: Client) -> None:
    assert "That password isn't right." in say(mara, current_password="not this one")
    assert "Enter your password." in say(mara)


def test_a_right_one_is_remembered_though_something_else_is_wrong(mara: Client) -> None:
    said = say(mara, name="", current_password=PASSWORD)
    assert "required" in said
    assert "current_password" not in said
    assert say(mara) == "done"


def test_a_form_may_ask_only_at_times(mara: Client) -> None:
    assert say(mara, "/sometimes/") == "done"
    assert "Enter your password." in say(mara, "/sometimes/", name="everything")
    assert say(mara, "/sometimes/", name="everything", current_password=PASSWORD) == "done"


def test_it_cannot_be_guessed_at_leisure(mara: Client) -> None:
    for _ in range(10):
        say(mara, current_password="not this one")
    assert "Too many failed attempts." in say(mara, current_password=PASSWORD)


def test_another_session_of_the_same_person_is_not_fresh(mara: Client, owner: User) -> None:
    say(mara, current_password=PASSWORD)
    assert "Enter your password." in say(signed_in(owner))


# With a second factor


@pytest.fixture
def app(owner: User) -> App:
    return enrol(owner)


def test_only_whoever_has_a_second_factor_is_offered_a_code(mara: Client, owner: User) -> None:
    assert mara.get("/deed/").content.decode() == "current_password name{}"
    enrol(owner)
    assert mara.get("/deed/").content.decode() == "current_password current_code name{}"


def test_a_code_does_as_well_as_the_password(mara: Client, app: App) -> None:
    assert say(mara, current_code=app.code()) == "done"
    assert mara.get("/deed/").content.decode() == "name{}"
    assert say(mara) == "done"


def test_a_recovery_code_does_too_and_is_spent(mara: Client, app: App, owner: User) -> None:
    assert say(mara, current_code=app.recovery_codes[0]) == "done"
    assert "was used before" in say(signed_in(owner), current_code=app.recovery_codes[0])


@pytest.mark.parametrize("password", ["", "not this one"])
def test_a_wrong_code_does_nothing_and_says_so_beside_it(mara: Client, app: App, password: str) -> None:
    said = say(mara, current_password=password, current_code=app.wrong_code())
    assert json.loads(said.partition("name")[2]) == {
        "current_code": [{"message": WRONG_CODE, "code": ""}]
    }  # fmt: skip
    assert "Enter your password." in say(mara)


def test_one_of_the_two_is_enough(mara: Client, app: App, owner: User) -> None:
    """A browser may have filled in an old password, or the person an old code."""
    assert say(mara, current_password="not this one", current_code=app.code()) == "done"
    other = signed_in(owner)
    assert say(other, current_password=PASSWORD, current_code=app.wrong_code()) == "done"


def test_a_code_is_not_spent_where_the_password_is_right(mara: Client, app: App, owner: User) -> None:
    assert say(mara, current_password=PASSWORD, current_code=app.code()) == "done"
    assert say(signed_in(owner), current_code=app.code()) == "done"


def test_codes_cannot_be_guessed_at_leisure_in_whichever_form(mara: Client, app: App, owner: User) -> None:
    for _ in range(5):
        assert "was used before" in say(mara, current_code=app.wrong_code())
    assert "Too many failed attempts. Wait five minutes" in say(mara, current_code=app.code())
    browser = Client()
    browser.post("/account/login/", {"login": owner.email, "password": PASSWORD})
    response = browser.post("/account/login/code/", {"code": app.code()})
    assert b"Too many failed attempts. Wait five minutes" in response.content
    assert say(mara, current_password=PASSWORD) == "done"


def test_a_code_that_is_too_long_is_refused_without_being_tried(mara: Client, app: App) -> None:
    assert "That code is too long." in say(mara, current_code="1" * 41)


def test_whoever_has_neither_password_nor_code_is_told_how_to_get_one(viewer: User) -> None:
    said = say(signed_in(viewer))
    assert "Your account has no password. Ask whoever runs this Keyrack for a password link." in said


def test_the_form_asks_for_both_in_one_place(mara: Client, project: Project, app: App) -> None:
    page = Page(mara.get("/projects/acme/settings/keys/recoverable/"))
    password, code = page.one("input", name_="current_password"), page.one("input", name_="current_code")
    assert (password.attrs["autocomplete"], code.attrs["autocomplete"]) == (
        "current-password", "one-time-code",
    )  # fmt: skip
    assert code.attrs["inputmode"] == "numeric"
    assert page.one("label", for_="id_current_code").text == "Or a code"
    # Whose password it is; not sent.
    whose = page.one("input", autocomplete="username")
    assert (whose.attrs["value"], whose.attrs.get("name"), "hidden" in whose.attrs) == (
        "mara@example.test", None, True,
    )  # fmt: skip


def test_staff_who_proved_themselves_in_the_console_are_not_asked_again(mara: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    url = f"/admin/projects/user/{owner.pk}/edit/"
    assert mara.get(url)["Location"].startswith("/account/reauthenticate/")
    assert say(mara, current_password=PASSWORD) == "done"
    assert mara.get(url).status_code == 200
