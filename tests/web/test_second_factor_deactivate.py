"""Turning the second factor off: asked for again, said in the log, and told which projects close by it."""

import pytest
from django.test import Client

from projects import second_factor
from projects.models import AuditEvent, Project, User
from tests.authenticator import App, enrol
from tests.web.pages import Page, Visitor, freshen, signed_in

pytestmark = pytest.mark.django_db

HERE = "/account/second-factor/off/"
PASSWORD = "correct horse battery"


@pytest.fixture
def app(owner: User) -> App:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    return enrol(owner)


@pytest.fixture
def mara(owner: User, app: App) -> Client:
    return signed_in(owner)


def test_it_asks_first(mara: Client, owner: User) -> None:
    page = Page(mara.get(HERE))
    assert page.heading == "Turn the second factor off?"
    assert set(page.form_of("Turn off").fields()) == {
        "csrfmiddlewaretoken", "current_password", "current_code",
    }  # fmt: skip
    assert page.link("Keep it on") == "/account/second-factor/"
    assert second_factor.has_second_factor(owner)


def test_it_says_which_projects_close(mara: Client, project: Project) -> None:
    assert not Page(mara.get(HERE)).content.find(class_="note")
    Project.objects.update(require_second_factor=True)
    assert Page(mara.get(HERE)).content.one(class_="note").text.startswith("Acme opens only to members")


@pytest.mark.parametrize("by", ["password", "code", "recovery code"])
def test_it_goes_with_the_password_or_a_code(owner: User, app: App, by: str) -> None:
    typed = {
        "password": {"current_password": PASSWORD},
        "code": {"current_code": app.code()},
        "recovery code": {"current_code": app.recovery_codes[0]},
    }[by]
    visitor = Visitor(owner)
    visitor.visit(HERE)
    assert visitor.press("Turn off").problems() == ["Enter your password."]
    assert second_factor.has_second_factor(owner)
    page = visitor.press("Turn off", **typed)
    assert page.messages() == ["Your second factor is off."]
    assert not second_factor.has_second_factor(owner)
    event = AuditEvent.objects.get(verb="person.second_factor_removed")
    assert (event.actor_label, event.address) == ("Mara Lindqvist", "127.0.0.1")


def test_whoever_has_none_is_told_so(mara: Client, owner: User) -> None:
    freshen(mara).post(HERE)
    assert mara.get(HERE)["Location"] == "/account/second-factor/"
    response = mara.post(HERE)
    assert response.status_code == 409
    assert Page(response).content.one(role="alert").text == "Nothing was changed: your second factor is off."


def test_it_is_not_taken_from_another_site(owner: User, app: App) -> None:
    client = freshen(signed_in(owner, enforce_csrf_checks=True))
    assert client.post(HERE).status_code == 403
    assert second_factor.has_second_factor(owner)
