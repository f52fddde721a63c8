"""New recovery codes: shown in the answer to the POST that made them, the old ones dead."""

import pytest
from django.test import Client
from django.utils import timezone

from projects import second_factor
from projects.audit import Actor
from projects.models import AuditEvent, User
from tests.authenticator import App, enrol
from tests.web.pages import Page, Visitor, freshen, signed_in

pytestmark = pytest.mark.django_db

HERE = "/account/second-factor/codes/"
PASSWORD = "correct horse battery"


@pytest.fixture
def app(owner: User) -> App:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    return enrol(owner)


def test_it_asks_first_and_for_the_password(owner: User, app: App) -> None:
    client = signed_in(owner)
    page = Page(client.get(HERE))
    assert page.heading == "Make new recovery codes?"
    assert "Those that you have now stop working at once." in page.content.text
    response = client.post(HERE)
    assert (response.status_code, Page(response).problems()) == (422, ["Enter your password."])
    assert second_factor.are_current(owner, app.recovery_codes)


def test_they_are_shown_once_and_the_old_ones_stop(owner: User, app: App) -> None:
    visitor = Visitor(owner)
    visitor.visit("/account/second-factor/")
    visitor.follow("Make new recovery codes")
    page = visitor.press("Make new codes", current_password=PASSWORD)
    assert page.heading == "Save your recovery codes"
    assert "no-store" in visitor.response["Cache-Control"]
    shown = page.one("output", id="codes").text.split()
    assert second_factor.are_current(owner, shown)
    assert not set(shown) & set(app.recovery_codes)
    assert shown[0] not in visitor.visit(HERE).source
    at = timezone.now()
    assert not second_factor.accept(owner, app.recovery_codes[0], actor=Actor.system(), at=at)
    assert second_factor.accept(owner, shown[0], actor=Actor.system(), at=at)
    event = AuditEvent.objects.get(verb="person.recovery_codes_made")
    assert (event.actor_label, event.changes) == ("Mara Lindqvist", {})


def test_there_are_none_without_a_second_factor(owner: User) -> None:
    client: Client = freshen(signed_in(owner))
    assert client.get(HERE)["Location"] == "/account/second-factor/"
    response = client.post(HERE)
    assert response.status_code == 409
    assert Page(response).content.one(role="alert").text == "Nothing was changed: your second factor is off."
