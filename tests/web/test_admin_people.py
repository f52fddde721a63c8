"""Accounts in the administration: made, changed, shut and opened, each with its event in the site log."""

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from config.sessions import SessionStore
from projects.models import SITE_LOG, AuditEvent, Project, User
from projects.second_factor import has_second_factor
from tests.authenticator import enrol
from tests.factories import UserFactory
from tests.web.pages import Page, Visitor, let_half_an_hour_pass, signed_in

pytestmark = pytest.mark.django_db

PEOPLE = "/admin/projects/user/"
PASSWORD = "correct horse battery"
NEW = "quartz lantern 77"


@pytest.fixture
def ines(db: None) -> User:
    return UserFactory(name="Ines Varga", email="ines@example.test", is_staff=True)


@pytest.fixture
def staff(ines: User) -> Client:
    return signed_in(ines)


@pytest.fixture
def otto(db: None) -> User:
    return User.objects.create_user("otto@example.test", PASSWORD, name="Otto Berg")


def events() -> list[AuditEvent]:
    """The site log but for sign-ins, oldest first."""
    log = AuditEvent.objects.filter(project_id=SITE_LOG).exclude(verb__contains="signed")
    return list(log.order_by("number"))


def sign_in(email: str, password: str) -> Client:
    client = Client()
    client.post("/account/login/", {"login": email, "password": password})
    return client


def is_in(client: Client) -> bool:
    return client.get("/projects/").status_code == 200


def test_the_list_shows_who_may_sign_in(staff: Client, otto: User) -> None:
    UserFactory(email="anna@example.test", name="", is_active=False)
    rows = Page(staff.get(PEOPLE)).rows("People")
    assert [(row["Email address"].text, row["Standing"].text) for row in rows] == [
        ("anna@example.test", "Deactivated"),
        ("ines@example.test", "Staff"),
        ("otto@example.test", "Active"),
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=BERG", ["otto@example.test"]),
        ("q=otto+example", ["otto@example.test"]),
        ("q=otto+varga", []),
        ("staff=yes", ["ines@example.test"]),
        ("staff=no&active=yes", ["otto@example.test"]),
        ("active=no", []),
        ("active=perhaps", []),
    ],
)
def test_they_are_searched_and_filtered(staff: Client, otto: User, query: str, found: list[str]) -> None:
    page = Page(staff.get(f"{PEOPLE}?{query}"))
    rows = page.rows("People") if found else []
    assert [row["Email address"].text for row in rows] == found
    assert bool(page.find("tbody")) is bool(found)


def test_a_key_pasted_into_this_search_goes_no_further(staff: Client) -> None:
    token = "kr_live_" + "Q" * 56
    response = staff.post(f"{PEOPLE}search/", {"q": token, "staff": "yes"}, follow=True)
    assert response.redirect_chain[-1][0] == f"{PEOPLE}?staff=yes"
    page = Page(response)
    assert page.messages() == ["That looks like an API key. Look for it under Keys."]
    assert "QQQ" not in page.source


def test_the_pages_of_the_list_turn_by_cursor(staff: Client) -> None:
    for number in range(70):
        UserFactory(email=f"p{number:02}@example.test")
    first = Page(staff.get(PEOPLE))
    second = Page(staff.get(PEOPLE + first.link("Next")))
    emails = [row["Email address"].text for page in (first, second) for row in page.rows("People")]
    assert emails == sorted(emails)
    assert len(emails) == 71


# Made


def test_a_new_person_gets_a_link_that_is_shown_once_and_sets_the_password(ines: User) -> None:
    visitor = Visitor(ines)
    visitor.visit(PEOPLE)
    visitor.follow("Add person")
    page = visitor.press("Add person", email=" Mara@Example.test ", name="Mara Lindqvist")
    assert page.heading == "Password link for Mara Lindqvist"
    assert "no-store" in visitor.response["Cache-Control"]
    link = page.one("output").text
    assert link.startswith("http://127.0.0.1:8000/account/password/reset/key/")
    mara = User.objects.get(email="mara@example.test")
    assert not mara.is_staff
    created, linked = events()
    assert (created.verb, created.object_id, created.actor_label, created.address) == (
        "person.created", str(mara.pk), "Ines Varga", "127.0.0.1",
    )  # fmt: skip
    assert linked.verb == "person.password_link_made"
    secret = link.rstrip("/").rpartition("-")[2]
    assert secret not in repr(list(AuditEvent.objects.values_list()))
    assert secret not in visitor.visit(f"{PEOPLE}{mara.pk}/change/").source

    newcomer = Client()
    form = newcomer.get(link.removeprefix("http://127.0.0.1:8000"), follow=True).redirect_chain[-1][0]
    newcomer.post(form, {"password1": NEW, "password2": NEW})
    assert is_in(sign_in("mara@example.test", NEW))


def test_what_the_verb_refuses_stands_beside_its_field(ines: User, otto: User) -> None:
    visitor = Visitor(ines)
    visitor.visit(f"{PEOPLE}add/")
    page = visitor.press("Add person", email="OTTO@example.test", name="x\u202ey")
    assert visitor.response.status_code == 422
    assert page.title.startswith("Error: ")
    assert page.problems() == page.error_of("name")
    page = visitor.press("Add person", email="OTTO@example.test", name="Otto")
    assert page.problems() == ["Another account has this e-mail address."]
    assert User.objects.count() == 2


def test_a_token_typed_as_a_name_is_not_written_back(staff: Client) -> None:
    token = "kr_live_" + "Q" * 56
    response = staff.post(f"{PEOPLE}add/", {"email": "x@example.test", "name": token})
    assert response.status_code == 422
    assert "QQQ" not in response.content.decode()


# Changed


def test_an_edit_is_recorded_with_before_and_after(ines: User, otto: User) -> None:
    visitor = Visitor(ines)
    visitor.visit(f"{PEOPLE}{otto.pk}/change/")
    visitor.follow("Edit")
    page = visitor.press("Save", email="otto.berg@example.test", is_staff="on")
    assert page.messages() == ["Otto Berg was saved."]
    (event,) = events()
    assert (event.verb, event.changes) == (
        "person.edited",
        {"email": ["otto@example.test", "otto.berg@example.test"], "is_staff": [False, True]},
    )
    assert signed_in(otto).get("/admin/").status_code == 200
    assert not is_in(sign_in("otto@example.test", PASSWORD))
    assert is_in(sign_in("otto.berg@example.test", PASSWORD))


def test_staff_do_not_take_their_own_flag(staff: Client, ines: User, otto: User) -> None:
    User.objects.filter(pk=otto.pk).update(is_staff=True)
    response = staff.post(f"{PEOPLE}{ines.pk}/edit/", {"email": ines.email, "name": ines.name})
    assert response.status_code == 422
    assert Page(response).problems() == ["Ask somebody else of staff: nobody shuts themselves out."]
    assert User.objects.get(pk=ines.pk).is_staff


def test_no_form_reaches_what_it_does_not_show(staff: Client, otto: User) -> None:
    forged = {"email": otto.email, "name": "Otto", "password": "x", "is_superuser": "on", "is_active": ""}
    staff.post(f"{PEOPLE}{otto.pk}/edit/", forged)
    stored = User.objects.get(pk=otto.pk)
    assert stored.check_password(PASSWORD)
    assert (stored.name, stored.is_superuser, stored.is_active) == ("Otto", False, True)


# Shut and opened


def test_deactivating_ends_sessions_and_sign_in_until_reactivated(ines: User, otto: User) -> None:
    client = sign_in(otto.email, PASSWORD)
    assert is_in(client)
    visitor = Visitor(ines)
    visitor.visit(f"{PEOPLE}{otto.pk}/change/")
    visitor.follow("Deactivate")
    assert visitor.press("Deactivate").messages() == ["Otto Berg was deactivated."]
    assert not is_in(client)
    assert not is_in(sign_in(otto.email, PASSWORD))
    visitor.follow("Reactivate")
    visitor.press("Reactivate")
    assert is_in(sign_in(otto.email, PASSWORD))
    told = [event.verb for event in events() if event.actor_label == "Ines Varga"]
    assert told == ["person.deactivated", "person.reactivated"]


def test_the_last_owner_of_a_project_stays(staff: Client, project: Project, owner: User) -> None:
    response = staff.post(f"{PEOPLE}{owner.pk}/deactivate/")
    assert response.status_code == 422
    said = "Mara Lindqvist is the last owner of Acme. Make somebody else an owner first."
    assert Page(response).problems() == [said]
    assert User.objects.get(pk=owner.pk).is_active
    assert events() == []


def test_there_is_no_way_to_delete_an_account(staff: Client, otto: User) -> None:
    for path in (f"{otto.pk}/delete/", f"{otto.pk}/remove/"):
        assert staff.post(f"{PEOPLE}{path}", {"post": "yes"}).status_code == 404
    staff.post(PEOPLE, {"action": "delete_selected", "_selected_action": otto.pk, "post": "yes"})
    assert User.objects.filter(pk=otto.pk).exists()


def test_a_link_may_end_the_old_password_and_every_session(ines: User, otto: User) -> None:
    client = sign_in(otto.email, PASSWORD)
    visitor = Visitor(ines)
    visitor.visit(f"{PEOPLE}{otto.pk}/link/")
    page = visitor.press("Make password link", lock="on")
    assert not is_in(client)
    assert not is_in(sign_in(otto.email, PASSWORD))
    newcomer = Client()
    link = page.one("output").text.removeprefix("http://127.0.0.1:8000")
    form = newcomer.get(link, follow=True).redirect_chain[-1][0]
    newcomer.post(form, {"password1": NEW, "password2": NEW})
    assert is_in(sign_in(otto.email, NEW))
    assert events()[0].changes == {"locked": True}


def test_a_link_leaves_the_old_password_unless_told_otherwise(staff: Client, otto: User) -> None:
    assert staff.get(f"{PEOPLE}{otto.pk}/link/").status_code == 200
    assert events() == [], "a GET makes nothing"
    staff.post(f"{PEOPLE}{otto.pk}/link/")
    assert is_in(sign_in(otto.email, PASSWORD))


# The password, asked for again


@pytest.fixture
def secured() -> User:
    return User.objects.create_user("jan@example.test", PASSWORD, name="Jan", is_staff=True)


@pytest.mark.parametrize(
    "verb", ["add/", "{}/edit/", "{}/link/", "{}/secondfactor/", "{}/deactivate/", "{}/reactivate/"]
)
def test_what_concerns_accounts_asks_for_the_password_again(secured: User, otto: User, verb: str) -> None:
    url = PEOPLE + verb.format(otto.pk)
    client = let_half_an_hour_pass(sign_in(secured.email, PASSWORD))
    asked = client.get(url)
    assert asked["Location"].startswith("/account/reauthenticate/?next=")
    client.post(asked["Location"], {"password": PASSWORD})
    assert client.get(url).status_code == 200


def test_what_is_posted_too_late_is_neither_done_nor_kept(secured: User) -> None:
    client = let_half_an_hour_pass(sign_in(secured.email, PASSWORD))
    response = client.post(f"{PEOPLE}add/", {"email": "mara@example.test", "name": "CANARY"})
    assert (response.status_code, response["Location"]) == (303, f"{PEOPLE}add/")
    assert not User.objects.filter(email="mara@example.test").exists()
    key = client.cookies["keyrack_session"].value
    assert "CANARY" not in repr(SessionStore(key).load())
    assert Session.objects.exists()


def test_reading_does_not_ask(secured: User, otto: User) -> None:
    client = sign_in(secured.email, PASSWORD)
    for url in ("/admin/", PEOPLE, f"{PEOPLE}{otto.pk}/change/", "/admin/keys/key/"):
        assert client.get(url).status_code == 200


# The second factor of somebody who lost it


def test_a_second_factor_is_removed_for_somebody_who_lost_it(ines: User, otto: User) -> None:
    url = f"{PEOPLE}{otto.pk}/change/"
    visitor = Visitor(ines)
    page = visitor.visit(url)
    assert not page.find("a", "Remove second factor")
    app = enrol(otto)
    page = visitor.visit(url)
    assert "10 of 10 recovery codes left" in page.content.text
    assert app.secret not in page.source
    page = visitor.follow("Remove second factor")
    assert page.heading == "Remove the second factor of Otto Berg?"
    assert "make sure that it is they who ask" in page.content.text
    page = visitor.press("Remove second factor")
    assert page.messages() == ["Otto Berg has no second factor any more."]
    assert not has_second_factor(otto)
    event = events()[-1]
    assert (event.verb, event.actor_label, event.object_id) == (
        "person.second_factor_removed", "Ines Varga", str(otto.pk),
    )  # fmt: skip
    assert is_in(sign_in(otto.email, PASSWORD))


def test_removing_what_is_not_there_is_said(staff: Client, otto: User) -> None:
    response = staff.post(f"{PEOPLE}{otto.pk}/secondfactor/")
    assert response.status_code == 422
    assert Page(response).problems() == ["Otto Berg has no second factor."]


def test_staff_with_a_second_factor_may_confirm_by_a_code(secured: User, otto: User) -> None:
    app = enrol(secured)
    client = sign_in(secured.email, PASSWORD)
    client.post("/account/login/code/", {"code": app.code()})
    url = f"{PEOPLE}{otto.pk}/edit/"
    asked = let_half_an_hour_pass(client).get(url)["Location"]
    code = Page(client.get(asked)).link("Use a code instead")
    assert client.post(code, {"code": app.recovery_codes[0]})["Location"] == url
    assert client.get(url).status_code == 200
