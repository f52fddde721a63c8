"""The password or a code again, in the form that needs it. What is said of one here holds for each form."""

import json
import time
import uuid
from datetime import datetime
from typing import Any, Final

import pytest
from django import forms
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path, reverse

from config.urls import urlpatterns as console
from keys import recovery
from projects.audit import Actor
from projects.models import AuditEvent, Project, Role, User
from projects.reauthentication import FreshForm, is_fresh
from projects.second_factor import WRONG_CODE
from tests.authenticator import App, enrol
from tests.factories import IssuedFactory, ProviderKeyFactory, UpstreamFactory, acting, invited
from tests.web.pages import Form, Page, let_half_an_hour_pass, signed_in

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


# What asks for it

# By URL name: the fields of a form that does it. What isn't here is done without.
DEEDS: Final[dict[str, dict[str, Any]]] = {
    "key_create": {"type": "privileged", "name": "Zendesk sync", "lifetime": "90", "environment": "live"},
    "key_rotate": {"grace_period": "24h"},
    "key_renew": {"version": "1"},
    "key_reveal": {},
    "recoverable_keys": {"on": "0"},
    "provider_key_create": {"name": "Claude", "provider": "anthropic", "secret": "sk-ant-value-1234"},
    "provider_key_edit": {
        "version": "1", "name": "Spare", "base_url": "https://api.openai.com/v1", "header": "Authorization",
        "prefix": "Bearer",
    },
    "provider_key_delete": {},
    "upstream_create": {"slug": "gpt-5", "provider_key": ""},
    "upstream_select": {"version": "1", "provider_key": ""},
    "upstream_delete": {},
    "member_invite": {"email": "nora@example.test", "role": Role.VIEWER},
    "invitation_renew": {"version": "1"},
    "invitation_revoke": {},
    "member_role": {"role": Role.ADMIN, "was": Role.OPERATOR},
    "member_remove": {},
    "second_factor_required": {"on": "0"},
    "project_delete": {"name": "Acme"},
}  # fmt: skip


# Of these the URL names no row; of the others it names one of the kind that their name begins with.
OF_NO_ROW: Final = {
    "key_create", "recoverable_keys", "provider_key_create", "upstream_create", "member_invite",
    "second_factor_required", "project_delete",
}  # fmt: skip


@pytest.fixture
def urls(project: Project, owner: User, operator: User, at: datetime) -> dict[str, str]:
    """A URL for each deed, and what it is done to: a key that is kept sealed, an upstream, a member."""
    recovery.set_recoverable(project, True, actor=Actor.system(), at=at)
    key = IssuedFactory(project=project, actor=acting(owner, project), at=at, type="privileged").key
    provider_key = ProviderKeyFactory(project=project, name="Main OpenAI")
    UpstreamFactory(project=project, slug="gpt-4.1", provider_key=provider_key.public_id)
    rows = {
        "key": key.key_id,
        "provider": provider_key.public_id,
        "upstream": "gpt-4.1",
        "member": operator.public_id,
        "invitation": invited(project, owner).invitation.public_id,
    }
    return {
        name: reverse(name, args=["acme", *([] if name in OF_NO_ROW else [rows[name.split("_")[0]]])])
        for name in DEEDS
    }


@pytest.fixture
def late(mara: Client, urls: dict[str, str], project: Project, owner: User) -> Client:
    """The owner, with a second factor that the project requires, who proved themselves too long ago."""
    Project.objects.filter(pk=project.pk).update(require_second_factor=True)
    enrol(owner)
    return let_half_an_hour_pass(mara)


@pytest.mark.parametrize("name", DEEDS)
def test_what_could_hurt_most_asks_in_its_own_form(
    late: Client, project: Project, urls: dict[str, str], name: str, way: dict[str, str]
) -> None:
    url, fields = urls[name], DEEDS[name] | {"nonce": uuid.uuid4().hex}
    asked_in(Page(late.get(url, headers=way)))
    happened = AuditEvent.objects.filter(project_id=project.pk).count
    before = happened()
    for typed, said in (("", "Enter your password."), ("not this one", "That password isn't right.")):
        response = late.post(url, fields | {"current_password": typed}, headers=way)
        assert response.status_code == 422
        page = Page(response)
        assert page.problems() == page.error_of("current_password") == [said]
        # Nothing that was typed is lost, but for what a page never shows.
        sent = asked_in(page).fields()
        kept = {field: [str(value)] for field, value in DEEDS[name].items() if field != "secret"}
        assert {field: sent[field] for field in kept} == kept
        assert (sent["current_password"], sent.get("secret", [""])) == ([""], [""])
        assert happened() == before
    response = late.post(url, fields | {"current_password": PASSWORD}, headers=way)
    assert response.status_code in (200, 303)
    assert happened() > before
    assert is_fresh(response.wsgi_request)


def asked_in(page: Page) -> Form:
    """Return the form that asks for the password: the one that does the deed."""
    form = Form(page, page.one("input", id="id_current_password").above("form"))
    assert page.one("input", id="id_current_code").above("form") is form.node
    return form
