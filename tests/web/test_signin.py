"""The account pages: signing in and out, passwords, links, and who is turned away."""

import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import NoReverseMatch, reverse
from pytest_django import Settings

from config.addresses import TrustedProxies
from projects.models import AuditEvent, User

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
NEW = "quartz lantern 77"
WRONG = "That email or password isn&#x27;t right."
LOGIN = "/account/login/"
CHANGE = "/account/password/change/"


@pytest.fixture
def mara() -> User:
    return User.objects.create_user("mara@example.test", PASSWORD, name="Mara")


def sign_in(client: Client, email: str = "mara@example.test", **fields: str) -> Any:
    return client.post(LOGIN, {"login": email, "password": PASSWORD} | fields)


def change(client: Client, old: str = PASSWORD, new: str = NEW, **fields: str) -> Any:
    passwords = {"oldpassword": old, "password1": new, "password2": new}
    return client.post(CHANGE, passwords | fields)


def verbs() -> list[str]:
    return list(AuditEvent.objects.filter(project_id=0).order_by("number").values_list("verb", flat=True))


def signed_in(client: Client) -> bool:
    return client.get(CHANGE).status_code == 200


# Signing in


def test_the_page_has_the_words_that_people_look_for(client: Client) -> None:
    page = client.get(LOGIN).content.decode()
    assert "<title>Sign in · Keyrack</title>" in page
    assert ">Email address</label>" in page
    assert ">Password</label>" in page
    assert "sign up" not in page.lower()


def test_it_signs_in_with_address_and_password(client: Client, mara: User) -> None:
    response = sign_in(client)
    assert (response.status_code, response["Location"]) == (302, "/")
    assert signed_in(client)


def test_it_ignores_the_case_of_the_address(client: Client, mara: User) -> None:
    assert sign_in(client, "MARA@Example.test").status_code == 302


def test_it_greets_nobody_with_a_message(client: Client, mara: User) -> None:
    sign_in(client)
    assert b'class="message' not in client.get(CHANGE).content


def test_the_session_is_a_new_one_and_lasts_a_working_day(client: Client, mara: User) -> None:
    client.get(LOGIN)
    sign_in(client)
    cookie = client.cookies["keyrack_session"]
    assert cookie["max-age"] == 12 * 60 * 60
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


@pytest.mark.parametrize(
    "fields",
    [{"password": "wrong horse battery"}, {"login": "nobody@example.test"}],
    ids=["wrong password", "unknown address"],
)
def test_it_answers_every_failure_alike(client: Client, mara: User, fields: dict[str, str]) -> None:
    response = sign_in(client, **fields)
    assert response.status_code == 422
    page = response.content.decode()
    assert WRONG in page
    assert "<title>Error: Sign in · Keyrack</title>" in page
    assert PASSWORD not in page
    assert not signed_in(client)


def test_it_does_not_say_that_an_account_is_inactive(client: Client, mara: User) -> None:
    User.objects.update(is_active=False)
    response = sign_in(client)
    assert response.status_code == 422
    assert WRONG in response.content.decode()


def test_it_asks_for_what_is_missing(client: Client) -> None:
    page = client.post(LOGIN, {}).content.decode()
    assert "Enter your email address." in page
    assert "Enter your password." in page


def test_it_answers_in_html_whatever_a_client_asks_for(client: Client, mara: User) -> None:
    response = client.post(
        LOGIN, {"login": "x"}, headers={"Accept": "application/json", "X-Requested-With": "XMLHttpRequest"}
    )  # fmt: skip
    assert response["Content-Type"].startswith("text/html")


# Where it leads


@pytest.mark.parametrize("target", ["/projects/", "/projects/acme/settings/keys/?q=bill"])
def test_it_leads_back_to_where_somebody_wanted_to_go(client: Client, mara: User, target: str) -> None:
    page = client.get(LOGIN, {"next": target}).content.decode()
    assert f'name="next" value="{target}"' in page
    assert sign_in(client, next=target)["Location"] == target


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "https:evil.example",
    ],
)
def test_it_never_leads_elsewhere(client: Client, mara: User, target: str) -> None:
    assert sign_in(client, next=target)["Location"] == "/"
    assert client.get(LOGIN, {"next": target})["Location"] == "/"


def test_a_page_leads_whoever_is_signed_out_to_the_door_and_back(client: Client, mara: User) -> None:
    response = client.get("/projects/")
    assert response["Location"] == f"{LOGIN}?next=/projects/"


def test_the_admin_has_the_same_door(client: Client, mara: User) -> None:
    response = client.get("/admin/login/?next=/admin/")
    assert response["Location"].startswith(LOGIN)
    sign_in(client)
    assert client.get("/admin/login/").status_code == 403
    assert client.get("/admin/password_change/")["Location"] == CHANGE


# No other way in


def test_nobody_signs_up(client: Client) -> None:
    for name in ("account_signup", "account_reset_password", "account_email", "account_set_password"):
        with pytest.raises(NoReverseMatch):
            reverse(name)
    assert client.get("/account/signup/").status_code in {302, 404}
    assert client.post("/account/signup/", {"email": "a@b.test", "password1": NEW}).status_code != 200
    assert not User.objects.exists()


# The throttle


def fail(client: Client, email: str = "mara@example.test", forwarded: str = "") -> int:
    headers = {"X-Forwarded-For": forwarded} if forwarded else None
    response = client.post(LOGIN, {"login": email, "password": "wrong"}, headers=headers)
    return response.status_code


def test_five_failures_close_an_account_for_a_while(client: Client, mara: User) -> None:
    assert [fail(client) for _ in range(5)] == [422] * 5
    response = sign_in(client)
    assert response.status_code == 422
    assert "Too many failed attempts." in response.content.decode()


def test_signing_in_does_not_forgive_failures(client: Client, mara: User) -> None:
    for _ in range(4):
        fail(client)
    assert sign_in(client).status_code == 302
    client.post("/account/logout/")
    fail(client)
    assert "Too many" in sign_in(client).content.decode()


def test_many_failures_close_the_door_to_an_address(client: Client, mara: User) -> None:
    for number in range(10):
        fail(client, f"guess{number}@example.test")
    assert "Too many" in sign_in(client).content.decode()
    elsewhere = client.post(LOGIN, {"login": mara.email, "password": PASSWORD}, REMOTE_ADDR="198.51.100.7")
    assert elsewhere.status_code == 302


def test_too_many_attempts_get_a_page_of_our_own(client: Client) -> None:
    codes = [client.post(LOGIN, {}).status_code for _ in range(31)]
    assert codes == [422] * 30 + [429]
    assert b"Too many attempts" in client.post(LOGIN, {}).content


def test_a_forwarding_header_does_not_get_around_the_throttle(client: Client, mara: User) -> None:
    for number in range(10):
        fail(client, f"guess{number}@example.test", f"198.51.100.{number}")
    assert "Too many" in sign_in(client).content.decode()


def test_behind_a_trusted_proxy_each_client_is_counted_by_itself(
    client: Client, mara: User, settings: Settings
) -> None:
    settings.KEYRACK_TRUSTED_PROXIES = TrustedProxies(count=1)
    for number in range(12):
        forwarded = f"203.0.113.66, 198.51.100.{number}"
        assert fail(client, f"guess{number}@example.test", forwarded) == 422
    response = client.post(
        LOGIN, {"login": mara.email, "password": PASSWORD}, HTTP_X_FORWARDED_FOR="198.51.100.99"
    )
    assert response.status_code == 302


# Signing out


def test_signing_out_takes_a_post(client: Client, mara: User) -> None:
    sign_in(client)
    assert b"Sign out?" in client.get("/account/logout/").content
    assert signed_in(client)
    response = client.post("/account/logout/", follow=True)
    assert b"You&#x27;ve been signed out." in response.content
    assert not signed_in(client)


# Changing the password


def test_changing_the_password_ends_the_other_sessions(client: Client, mara: User) -> None:
    other = Client()
    sign_in(client)
    sign_in(other)
    response = change(client)
    assert (response.status_code, response["Location"]) == (302, "/")
    assert signed_in(client)
    assert not signed_in(other)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("wrong", NEW, "That isn&#x27;t your current password."),
        (PASSWORD, "short", "at least 10 characters"),
        (PASSWORD, "mara@example.test", "too similar"),
        (PASSWORD, "password123", "too common"),
    ],
)
def test_a_refused_password_changes_nothing(
    client: Client, mara: User, old: str, new: str, message: str
) -> None:
    sign_in(client)
    response = change(client, old, new)
    assert response.status_code == 422
    assert message in response.content.decode()
    mara.refresh_from_db()
    assert mara.check_password(PASSWORD)


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_account_without_a_password_is_told_how_to_get_one(client: Client, method: str) -> None:
    client.force_login(User.objects.create_user("jan@example.test"))
    response = getattr(client, method)(CHANGE)
    assert response.status_code == (200 if method == "get" else 422)
    page = response.content.decode()
    assert "<h1>Your account has no password</h1>" in page
    assert "Ask whoever runs this Keyrack for a password link" in page


# An invented password


@pytest.fixture
def newcomer(client: Client, mara: User) -> Client:
    User.objects.update(must_change_password=True)
    sign_in(client)
    return client


@pytest.mark.parametrize("path", ["/", "/projects/", "/admin/", "/projects/acme/settings/keys/"])
def test_an_invented_password_must_be_changed_first(newcomer: Client, path: str) -> None:
    response = newcomer.get(path)
    assert response.status_code == 302
    assert response["Location"].startswith(f"{CHANGE}?next=%2F")
    assert newcomer.post(path)["Location"] == CHANGE


def test_htmx_is_led_there_too(newcomer: Client) -> None:
    response = newcomer.get("/projects/", headers={"HX-Request": "true"})
    assert response["HX-Redirect"] == CHANGE


def test_whoever_must_change_it_may_sign_out(newcomer: Client) -> None:
    assert newcomer.post("/account/logout/")["Location"] == LOGIN


def test_the_api_is_for_keys_and_asks_nobody(newcomer: Client) -> None:
    assert newcomer.get("/api/v1/whoami").status_code == 401


def test_the_invented_password_is_not_a_new_one(newcomer: Client) -> None:
    response = change(newcomer, new=PASSWORD)
    assert response.status_code == 422
    assert "Choose another password" in response.content.decode()


def test_changing_it_opens_the_way(newcomer: Client, mara: User) -> None:
    assert b"Choose your own to go on" in newcomer.get(CHANGE).content
    assert change(newcomer, next="/projects/")["Location"] == "/projects/"
    mara.refresh_from_db()
    assert not mara.must_change_password
    assert newcomer.get("/projects/").status_code == 200


# A link


def link(email: str = "mara@example.test") -> str:
    output = StringIO()
    call_command("passwordlink", email, stdout=output)
    return output.getvalue().strip()


def follow(client: Client, url: str) -> Any:
    assert url.startswith("http://127.0.0.1:8000/account/password/reset/key/")
    return client.get(url.removeprefix("http://127.0.0.1:8000"), follow=True)


def set_password(client: Client, url: str) -> Any:
    follow(client, url)
    action = re.sub(r"key/([^-]+)-.*", r"key/\1-set-password/", url).removeprefix("http://127.0.0.1:8000")
    return client.post(action, {"password1": NEW, "password2": NEW}, follow=True)


def test_a_link_sets_a_password_once(client: Client, mara: User) -> None:
    User.objects.update(must_change_password=True)
    url = link()
    assert b"<h1>Password set</h1>" in set_password(client, url).content
    mara.refresh_from_db()
    assert mara.check_password(NEW)
    assert not mara.must_change_password
    assert not signed_in(client)
    assert b"This link doesn't work any more" in follow(Client(), url).content


def test_opening_a_link_changes_nothing(client: Client, mara: User) -> None:
    follow(client, link())
    mara.refresh_from_db()
    assert mara.check_password(PASSWORD)
    assert verbs() == ["person.password_link_made"]


def test_the_form_of_a_link_does_not_show_its_secret(client: Client, mara: User) -> None:
    url = link()
    response = follow(client, url)
    secret = url.rstrip("/").rpartition("-")[2]
    assert b"<h1>Set a new password</h1>" in response.content
    assert secret not in response.content.decode()
    assert secret not in response.wsgi_request.path


def test_a_link_forgives_the_failures_before_it(client: Client, mara: User) -> None:
    for _ in range(5):
        fail(client)
    set_password(client, link())
    assert sign_in(client, password=NEW).status_code == 302


def test_a_tampered_link_does_not_work(client: Client, mara: User) -> None:
    url = link().rstrip("/")
    broken = url[:-1] + ("0" if url[-1] != "0" else "1") + "/"
    assert b"This link doesn't work any more" in follow(client, broken).content


@pytest.mark.parametrize("email", ["nobody@example.test", "gone@example.test", "a\udcff"])
def test_there_is_no_link_without_a_living_account(email: str) -> None:
    User.objects.create_user("gone@example.test", is_active=False)
    with pytest.raises(CommandError, match=re.escape(email)):
        link(email)


# Re-authentication


def test_it_confirms_somebody_by_password(client: Client, mara: User) -> None:
    sign_in(client)
    page = client.get("/account/reauthenticate/", {"next": "/projects/"}).content.decode()
    assert "Confirm it's you" in page
    url = "/account/reauthenticate/"
    assert client.post(url, {"password": "wrong"}).status_code == 422
    response = client.post(url, {"password": PASSWORD, "next": "/projects/"})
    assert response["Location"] == "/projects/"


# The site log


def test_the_log_tells_who_came_and_went(client: Client, mara: User) -> None:
    sign_in(client)
    change(client)
    client.post("/account/logout/")
    assert verbs() == ["person.signed_in", "person.password_changed", "person.signed_out"]
    event = AuditEvent.objects.get(project_id=0, verb="person.signed_in")
    assert (event.actor_id, event.actor_label) == (str(mara.pk), "Mara")
    assert event.address == "127.0.0.1"


def test_the_log_never_holds_what_was_typed(client: Client, mara: User) -> None:
    fail(client)
    client.post(LOGIN, {"login": "s3cret-passphrase@x.test", "password": "s3cret-passphrase"})
    assert verbs() == ["person.sign_in_failed"] * 2
    known, unknown = AuditEvent.objects.order_by("number")
    assert known.object_label == "Mara"
    assert (unknown.object_label, unknown.actor_label) == ("", "")
    assert "s3cret" not in str(list(AuditEvent.objects.values()))


def test_a_link_and_its_use_are_in_the_log(client: Client, mara: User) -> None:
    set_password(client, link())
    assert verbs() == ["person.password_link_made", "person.password_reset"]
