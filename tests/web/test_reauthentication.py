"""The password again, in the form that needs it. What is said of one form here holds for each of them."""

import time
from typing import Any

import pytest
from django import forms
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from config.urls import urlpatterns as console
from projects.models import User
from projects.reauthentication import FreshForm
from tests.web.pages import signed_in

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
