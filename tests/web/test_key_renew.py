"""Get a new secret: for a key that nobody has stored or used, and for the Automator Key."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from keys.kinds import KeyType
from keys.lifecycle import Issued, confirm, revoke
from keys.models import Key, KeyActivity
from keys.verification import Outcome, check
from projects.models import AuditEvent, Project, User
from tests.factories import acting
from tests.web.conftest import MakeKey
from tests.web.pages import Page, Visitor, freshen, let_half_an_hour_pass, signed_in, url_of

pytestmark = pytest.mark.django_db

TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"
PASSWORD = "correct horse battery"
TAKEN = "This key's secret was stored or used, so it can't be replaced."


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


@pytest.fixture
def fresh(make: MakeKey) -> Issued:
    return make(confirmed=False)


@pytest.fixture
def automator(project: Project) -> Key:
    return project.keys.get(type=KeyType.SYSTEM)


def ask(client: Client, key: Key, headers: dict[str, str] | None = None) -> Any:
    return client.get(url_of("key_renew", key.key_id), headers=headers or {})


def renew(client: Client, key: Key, headers: dict[str, str] | None = None, **typed: str) -> Any:
    data = {"version": str(key.version)} | typed
    return client.post(url_of("key_renew", key.key_id), data, headers=headers or {})


def shown(response: Any) -> str:
    return Page(response).one("output", id="secret").text


def outcome(token: str, at: datetime) -> Outcome:
    return check(token, at=at).outcome


def test_it_asks_first(mara: Client, fresh: Issued, way: dict[str, str], at: datetime) -> None:
    response = ask(mara, fresh.key, way)
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Get a new secret?"
    assert (
        "Nobody has said that they stored this key's secret, and nobody has used it."
        " You get a new one, once. The one that was shown stops working at once."
    ) in page.texts("p")
    form = page.form_of("Get a new secret")
    assert form.action == form.node.attrs["hx-post"] == url_of("key_renew", fresh.key.key_id)
    assert form.fields()["version"] == [str(fresh.key.version)]
    assert page.link("Cancel") == url_of("key_list")
    if not way:
        assert page.title == "Get a new secret? · Acme · Keyrack"
    assert outcome(fresh.token, at) is Outcome.VALID


def test_it_shows_a_new_secret_once_and_the_old_one_stops(
    mara: Client, fresh: Issued, way: dict[str, str], at: datetime
) -> None:
    response = renew(mara, fresh.key, way)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Copy your key now"
    token = shown(response)
    assert token[:20] == fresh.token[:20]
    assert outcome(token, at) is Outcome.VALID
    assert outcome(fresh.token, at) is Outcome.UNKNOWN
    assert token[20:] not in str(response.headers) + str(response.cookies)
    key = Key.objects.get(pk=fresh.key.pk)
    assert key.last4 == token[-4:]
    assert key.confirmed_at is None
    assert AuditEvent.objects.filter(verb="key.renewed", object_id=key.key_id).count() == 1


def test_a_refresh_does_not_kill_the_secret_that_was_copied(
    mara: Client, fresh: Issued, way: dict[str, str], at: datetime
) -> None:
    token = shown(renew(mara, fresh.key, way))
    response = renew(mara, fresh.key, way)
    assert response.status_code == 409
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    said = page.content.one(role="alert").text
    assert said == "This key was already given a new secret. It can't be shown again."
    assert page.link("Docs crawler") == url_of("key_detail", fresh.key.key_id)
    assert page.content.one("a", "Get a new secret").attrs["href"] == url_of("key_renew", fresh.key.key_id)
    assert token[20:39] not in page.source
    assert outcome(token, at) is Outcome.VALID


def test_a_stored_key_keeps_its_secret(
    mara: Client, fresh: Issued, project: Project, owner: User, way: dict[str, str], at: datetime
) -> None:
    confirm(project, fresh.key.key_id, actor=acting(owner, project), at=at)
    for response in (ask(mara, fresh.key, way), renew(mara, fresh.key, way, version="2")):
        assert response.status_code == 409
        page = Page(response)
        assert page.content.one(role="alert").text == TAKEN
        assert not page.find("button", "Get a new secret")
    assert outcome(fresh.token, at) is Outcome.VALID


def test_a_used_key_keeps_its_secret(mara: Client, fresh: Issued, way: dict[str, str], at: datetime) -> None:
    KeyActivity.objects.filter(key=fresh.key).update(last_used_at=at)
    response = renew(mara, fresh.key, way)
    assert response.status_code == 409
    assert Page(response).content.one(role="alert").text == TAKEN
    assert outcome(fresh.token, at) is Outcome.VALID


def test_an_expired_key_gets_none(mara: Client, make: MakeKey, way: dict[str, str], at: datetime) -> None:
    then = at - timedelta(days=9)
    key = make(confirmed=False, at=then, expires_at=at - timedelta(days=1)).key
    for response in (ask(mara, key, way), renew(mara, key, way)):
        assert response.status_code == 409
        assert Page(response).content.one(role="alert").text == "This key has expired."


def test_a_revoked_key_gets_none(
    mara: Client, fresh: Issued, project: Project, operator: User, way: dict[str, str], at: datetime
) -> None:
    revoke(project, fresh.key.key_id, actor=acting(operator, project), at=at)
    for response in (ask(mara, fresh.key, way), renew(mara, fresh.key, way)):
        assert response.status_code == 409
        said = Page(response).content.one(role="alert").text
        assert said.startswith("Otis Brandt already revoked this key at")


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("", "Open this form anew: it was sent without its number."),
        ("one", "Open this form anew: its number was changed."),
        (TOKEN, "Open this form anew: its number was changed."),
    ],
    ids=["none", "word", "key"],
)
def test_it_must_say_which_version_it_means(
    mara: Client, fresh: Issued, way: dict[str, str], at: datetime, version: str, words: str
) -> None:
    response = renew(mara, fresh.key, way, version=version)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == [words]
    assert TOKEN[20:39] not in page.source
    assert outcome(fresh.token, at) is Outcome.VALID


def test_an_empty_post_is_refused(mara: Client, fresh: Issued, way: dict[str, str]) -> None:
    response = mara.post(url_of("key_renew", fresh.key.key_id), {}, headers=way)
    assert response.status_code == 422


def test_a_version_beyond_every_number_is_only_stale(
    mara: Client, fresh: Issued, way: dict[str, str]
) -> None:
    assert renew(mara, fresh.key, way, version="9" * 30).status_code == 409


# The Automator Key


def test_the_automator_key_is_renewed_with_a_warning(
    admin: User, automator: Key, way: dict[str, str], at: datetime
) -> None:
    client = freshen(signed_in(admin))
    page = Page(ask(client, automator, way))
    assert page.heading == "Renew the Automator Key?"
    assert (
        "You get a new secret for the project's Automator Key, once. The one it has now stops working"
        " at once: whatever uses it fails until it has the new one."
    ) in page.texts("p")
    response = renew(client, automator, way)
    page = Page(response)
    assert page.one("span", class_="tag").text == "System"
    assert any("Keyrack keeps it sealed for the project's own automation" in text for text in page.texts("p"))
    assert not any("one-way hash" in text for text in page.texts("p"))
    assert outcome(shown(response), at) is Outcome.VALID
    assert renew(client, automator, way).status_code == 409


def test_an_operator_may_not_renew_the_automator_key(
    operator: User, automator: Key, way: dict[str, str]
) -> None:
    client = signed_in(operator)
    before = automator.secret_hash
    for response in (ask(client, automator, way), renew(client, automator, way)):
        assert response.status_code == 403
    assert Key.objects.get(pk=automator.pk).secret_hash == before


@pytest.mark.parametrize("kind", ["system", "privileged"])
def test_what_may_do_everything_asks_for_the_password_in_the_same_form(
    admin: User, automator: Key, make: MakeKey, way: dict[str, str], at: datetime, kind: str
) -> None:
    admin.set_password(PASSWORD)
    admin.save(update_fields=["password"])
    client = let_half_an_hour_pass(signed_in(admin))
    key = automator if kind == "system" else make(type=kind, scopes=(), confirmed=False).key
    before = key.secret_hash
    assert Page(ask(client, key, way)).form_of("Get a new secret").fields()["current_password"] == [""]
    response = renew(client, key, way)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == page.error_of("current_password") == ["Enter your password."]
    assert renew(client, key, way, current_password="not this one").status_code == 422
    assert Key.objects.get(pk=key.pk).secret_hash == before
    assert outcome(shown(renew(client, key, way, current_password=PASSWORD)), at) is Outcome.VALID


def test_another_key_asks_for_none(owner: User, fresh: Issued) -> None:
    client = let_half_an_hour_pass(signed_in(owner))
    assert not Page(ask(client, fresh.key)).content.find("input", type="password")
    assert renew(client, fresh.key).status_code == 200


# Who may


def test_an_operator_renews_their_own_and_nobody_elses(
    operator: User, make: MakeKey, fresh: Issued, way: dict[str, str], at: datetime
) -> None:
    client = signed_in(operator)
    own = make("Own", confirmed=False, by=operator)
    assert outcome(shown(renew(client, own.key, way)), at) is Outcome.VALID
    for response in (ask(client, fresh.key, way), renew(client, fresh.key, way)):
        assert response.status_code == 403
    assert outcome(fresh.token, at) is Outcome.VALID


def test_somebody_who_became_an_operator_may_not_renew_a_privileged_key(
    project: Project, admin: User, make: MakeKey, way: dict[str, str], at: datetime
) -> None:
    own = make(confirmed=False, by=admin, type=KeyType.PRIVILEGED, scopes=())
    admin.memberships.update(role=20)
    assert renew(signed_in(admin), own.key, way).status_code == 403
    assert outcome(own.token, at) is Outcome.VALID


def test_a_viewer_may_not(viewer: User, fresh: Issued, way: dict[str, str], at: datetime) -> None:
    client = signed_in(viewer)
    for response in (ask(client, fresh.key, way), renew(client, fresh.key, way)):
        assert response.status_code == 403
        assert "You can't do that in Acme." in Page(response).texts("p")
    assert outcome(fresh.token, at) is Outcome.VALID


def test_it_is_not_taken_from_another_site(
    owner: User, fresh: Issued, way: dict[str, str], at: datetime
) -> None:
    assert renew(signed_in(owner, enforce_csrf_checks=True), fresh.key, way).status_code == 403
    assert outcome(fresh.token, at) is Outcome.VALID


def test_without_javascript_it_goes_from_the_row_to_the_secret(
    owner: User, fresh: Issued, at: datetime
) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("key_list"))
    visitor.follow("Get a new secret for Docs crawler")
    page = visitor.press("Get a new secret")
    assert outcome(page.one("output", id="secret").text, at) is Outcome.VALID
    assert visitor.press("I've stored it").messages() == ["Docs crawler is ready to use."]
