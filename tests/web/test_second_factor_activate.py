"""Setting up an app: the secret as a picture and as text, its first code, and the recovery codes after it."""

import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from projects import second_factor
from projects.audit import Actor
from projects.models import AuditEvent, User
from tests.authenticator import App
from tests.meta.template_lint import findings
from tests.web.pages import Page, Visitor, freshen, let_half_an_hour_pass, signed_in

pytestmark = pytest.mark.django_db

HERE = "/account/second-factor/set-up/"
PASSWORD = "correct horse battery"


@pytest.fixture
def mara(owner: User) -> Client:
    """Somebody who has begun."""
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    client = freshen(signed_in(owner))
    client.post("/account/second-factor/")
    return client


def app_of(client: Client) -> App:
    return App(Page(client.get(HERE)).one("output", id="setup-key").text)


def send(client: Client, code: str, **fields: str) -> Any:
    return client.post(HERE, {"code": code} | fields)


def test_it_shows_the_secret_as_a_picture_and_as_text(mara: Client) -> None:
    response = mara.get(HERE)
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert page.heading == "Set up an app"
    picture = page.one("svg", role="img", class_="qr")
    assert picture.one("title").text == "QR code for your authenticator app"
    assert picture.attrs["aria-labelledby"] == picture.one("title").attrs["id"]
    # A light ground of its own, so that it is dark on white in the dark as well.
    assert [path.attrs["fill"] for path in picture.find("path")] == ["#fff", "#000"]
    key = page.one("output", id="setup-key")
    assert re.fullmatch(r"[A-Z2-7]{32}", key.text.replace(" ", ""))
    assert [len(group) for group in key.texts("span")] == [4] * 8
    for secret in (picture, key):
        assert "data-secret" in secret.attrs
    assert page.one("button", "Copy key").attrs["data-copy-from"] == "#setup-key"


def test_it_keeps_to_the_content_security_policy(mara: Client) -> None:
    source = mara.get(HERE).content.decode()
    assert list(findings(source)) == []
    assert "data:image" not in source


def test_looking_again_shows_the_same_secret(mara: Client) -> None:
    assert app_of(mara).secret == app_of(mara).secret


def test_an_app_reads_whose_account_it_is_and_where(owner: User, settings: Settings) -> None:
    settings.KEYRACK_URL = "https://keys.example.org:8443/x"
    address = urlsplit(second_factor.setup_address(owner, "JBSWY3DPEHPK3PXP"))
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert unquote(address.path) == "/Keyrack (keys.example.org):mara@example.test"
    assert parse_qs(address.query) == {
        "secret": ["JBSWY3DPEHPK3PXP"], "issuer": ["Keyrack (keys.example.org)"],
    }  # fmt: skip
    settings.KEYRACK_URL = "http://[::1]:8000"
    assert unquote(urlsplit(second_factor.setup_address(owner, "A")).path).count(":") == 1


def test_the_field_is_one_that_phones_fill(mara: Client) -> None:
    field = Page(mara.get(HERE)).one("input", name_="code")
    assert (field.attrs["autocomplete"], field.attrs["inputmode"]) == ("one-time-code", "numeric")


def test_the_first_code_turns_it_on_and_shows_recovery_codes_once(mara: Client, owner: User) -> None:
    app = app_of(mara)
    response = send(mara, app.code())
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert page.heading == "Save your recovery codes"
    codes = page.one("output", id="codes")
    assert "data-secret" in codes.attrs
    assert "data-stored" not in codes.attrs, "leaving without them is warned of"
    shown = codes.text.split()
    assert len(shown) == 10
    assert second_factor.are_current(owner, shown)
    assert page.form_of("Download").fields()["codes"] == [" ".join(shown)]
    for url in (HERE, "/account/second-factor/", "/account/second-factor/codes/"):
        assert not any(code in mara.get(url, follow=True).content.decode() for code in shown)
    event = AuditEvent.objects.get(project_id=0, verb="person.second_factor_added")
    assert (event.actor_label, event.address) == ("Mara Lindqvist", "127.0.0.1")


def test_a_second_submit_says_so_and_makes_nothing(mara: Client, owner: User) -> None:
    app = app_of(mara)
    shown = Page(send(mara, app.code())).one("output", id="codes").text.split()
    response = send(mara, app.code())
    assert response.status_code == 409
    page = Page(response)
    assert page.content.one(role="alert").text.startswith("Nothing was changed: this was sent a second time")
    assert page.content.find("a", "Make new recovery codes")
    assert not any(code in page.source for code in shown)
    assert second_factor.are_current(owner, shown)
    assert mara.get(HERE)["Location"] == "/account/second-factor/"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("", "Enter a code."),
        ("  ", "Enter a code."),
        ("abc", "That code isn't right. Enter the one that the app shows now."),
        ("12345\x006", "Null characters are not allowed."),
        ("1" * 41, "That code is too long."),
        ("kr_live_" + "a1B2" * 14, "That code is too long."),
        ("١٢٣٤٥٦", "That code isn't right. Enter the one that the app shows now."),
    ],
)
def test_a_wrong_code_is_refused_beside_its_field(mara: Client, code: str, words: str) -> None:
    secret = app_of(mara).secret
    response = send(mara, code)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == page.error_of("code") == [words]
    assert page.title == "Error: Set up an app · Keyrack"
    assert page.one("input", name_="code").attrs.get("value", "") == ""
    assert App(page.one("output", id="setup-key").text).secret == secret
    assert not Authenticator.objects.exists()


def test_without_any_code_it_is_refused(mara: Client) -> None:
    response = mara.post(HERE, {})
    assert (response.status_code, Page(response).problems()) == (422, ["Enter a code."])


def test_the_password_is_asked_for_again_when_it_took_long(mara: Client) -> None:
    app = app_of(mara)
    let_half_an_hour_pass(mara)
    page = Page(send(mara, app.code()))
    assert page.problems() == ["Enter your password."]
    assert not Authenticator.objects.exists()
    page = Page(send(mara, app.code(), current_password=PASSWORD))
    assert page.heading == "Save your recovery codes"


def test_the_secret_of_another_session_is_of_no_use(mara: Client, owner: User) -> None:
    other = freshen(signed_in(owner))
    assert send(other, app_of(mara).code()).status_code == 409
    assert not second_factor.has_second_factor(owner)


def test_codes_cannot_be_tried_without_end(mara: Client, owner: User) -> None:
    app = app_of(mara)
    for _ in range(5):
        assert Page(send(mara, app.wrong_code())).problems()[0].startswith("That code isn't right.")
    page = Page(send(mara, app.code()))
    assert page.problems() == ["Too many failed attempts. Wait five minutes, then try again."]
    assert not second_factor.has_second_factor(owner)


def test_without_javascript_it_goes_from_the_menu_back_to_where_one_wanted(owner: User, mara: Client) -> None:
    visitor = Visitor(owner)
    visitor.visit("/account/second-factor/?next=/projects/")
    page = visitor.press("Set up an app", current_password=PASSWORD)
    app = App(page.one("output", id="setup-key").text)
    assert visitor.press("Turn on", code=app.wrong_code()).problems()
    visitor.press("Turn on", code=app.code())
    page = visitor.press("I've saved them")
    assert (visitor.url, page.heading) == ("/projects/", "Projects")
    assert page.messages() == ["Your second factor is on, and its recovery codes are saved."]
    at = timezone.now()
    assert second_factor.accept(owner, app.code(steps=1), actor=Actor.system(), at=at)
