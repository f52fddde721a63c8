"""The canary: secrets are made, shown, used and mistyped everywhere, and then looked for where none may be.

What is looked for: the whole token, its secret without the public key id, and either half of that.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from config.logs import JsonLines
from keys.lifecycle import Issued
from keys.models import Key, KeyActivity
from projects.models import Project, Role, User
from tests.factories import IssuedFactory, MembershipFactory, ProjectFactory, UserFactory, acting
from tests.meta.canary import LIST, WHOAMI, Watch, Watched, body, fields, parts, shown, watching
from tests.web.pages import HTMX, url_of

pytestmark = pytest.mark.django_db

PASSWORD: Final = "correct horse battery"

# What happens to secrets


def live(client: Watched) -> None:
    """Issue, submit twice, renew, download, store, list: both ways."""
    for headers in ({}, HTMX):
        nonce = uuid.uuid4().hex
        first = shown(client.post(url_of("key_create"), fields(nonce=nonce), headers=headers))
        client.post(url_of("key_create"), fields(nonce=nonce), headers=headers)
        key = Key.objects.get(key_id=first[8:20])
        renewal = {"version": key.version}
        second = shown(client.post(url_of("key_renew", key.key_id), renewal, headers=headers))
        client.post(url_of("key_renew", key.key_id), renewal, headers=headers)
        for token in (first, second):
            client.post(url_of("key_env", key.key_id), {"token": token}, headers=headers)
        client.post(url_of("key_confirm", key.key_id), {"token": second}, headers=headers)
        for url in (LIST, url_of("key_detail", key.key_id), url_of("key_revoke", key.key_id)):
            client.get(url, headers=headers)


def mistake(client: Watched, issued: Issued) -> None:
    """Put a token, and a secret without its prefix, into every field of every form, both ways."""
    key_id = issued.key.key_id
    KeyActivity.objects.filter(key=issued.key).update(last_used_at=issued.key.created_at)
    forms: dict[str, dict[str, Any]] = {
        url_of("key_create"): fields(),
        url_of("key_renew", key_id): {"version": "1"},
        url_of("key_revoke", key_id): {"last4": "", "reason": ""},
        url_of("key_env", key_id): {"token": ""},
        url_of("key_search"): dict.fromkeys(("q", "rq", "type", "sort", "after", "key", "rkey", "mine"), ""),
        "/projects/new/": {"name": "", "slug": ""},
        url_of("audit_filter"): dict.fromkeys(("who", "what", "key", "since", "until"), ""),
        url_of("project_rename"): {"name": "Acme"},
        url_of("project_delete"): {"name": "", "current_password": ""},
        url_of("resource_create"): {"name": "", "label": "", "actions": ""},
        url_of("resource_edit", "sources"): {"label": "Sources", "actions": "read", "seen": ""},
        "/account/password/change/": {"oldpassword": "", "password1": "", "password2": ""},
    }
    for text in (issued.token, f"see {issued.token}!", issued.token[20:58]):
        for headers in ({}, HTMX):
            for url, form in forms.items():
                for name in form:
                    if url.endswith("/env/") and text == issued.token:
                        continue  # the one field that is for it
                    client.post(url, form | {name: text}, headers=headers)


def search(client: Watched, issued: Issued) -> None:
    """Search with it, posted and typed into the address, and follow where that leads."""
    token = issued.token
    for text in (token, token[:40], token[8:], token[20:58], f"Bearer {token}", f"kr_\u200b{token[3:]}"):
        for headers in ({}, HTMX):
            for name in ("q", "rq"):
                typed = {name: text, "sort": "name"}
                follow(client, client.post(url_of("key_search"), typed, headers=headers))
                follow(client, client.get(LIST, {name: text}, headers=headers))
            for name in ("who", "key", "since"):
                follow(client, client.post(url_of("audit_filter"), {name: text}, headers=headers))
                follow(client, client.get(url_of("audit_log"), {name: text}, headers=headers))
            follow(client, client.get("/projects/", {"q": text}, headers=headers))
            came_from = {"HX-Current-URL": f"http://testserver{LIST}?q={text}"}
            client.post(url_of("key_confirm", issued.key.key_id), headers=headers | came_from)
    for name in ("key", "rkey", "type", "status", "environment", "mine", "sort", "after", "rbefore"):
        client.get(LIST, {name: token})


def follow(client: Watched, answer: Any) -> None:
    if answer.status_code in (302, 303):
        client.get(answer["Location"])


def present(watch: Watch, issued: Issued) -> None:
    """Present it as a client does, well and badly."""
    client, token = Watched(watch), issued.token
    other = "kr_test_" + token[8:]
    for text in (token, token[:-1], token + "x", token[::-1], other, token.lower()):
        client.get(WHOAMI, headers={"Authorization": f"Bearer {text}"})
        client.get(WHOAMI, headers={"X-API-Key": text})
        client.get(WHOAMI, headers={"Authorization": f"Basic {text}"})
        client.get(WHOAMI, headers={"Authorization": f"Bearer {token}", "X-API-Key": text})
        client.get(WHOAMI, {"token": text})
        client.post(WHOAMI, {"token": text}, headers={"Authorization": f"Bearer {text}"})
        client.get(WHOAMI, headers={"Cookie": f"keyrack_session={text}", "Referer": f"http://x/?q={text}"})
    # Signed out, and into the sign-in form itself.
    for text in (token, token[20:58]):
        client.get(LIST, {"q": text})
        client.get(LIST, {"q": text}, headers=HTMX)
        client.post("/account/login/", {"login": "mara@example.test", "password": text})
        client.post("/account/login/", {"login": text, "password": "x"})


@dataclass
class Story:
    """What was watched, and what is kept at its end."""

    watch: Watch
    tables: list[tuple[str, str]]
    session: str


@pytest.fixture(scope="module")
def story(django_db_setup: None, django_db_blocker: DjangoDbBlocker, static_files: None) -> Iterator[Story]:
    """Told once for all the tests that look; undone after them."""
    with django_db_blocker.unblock(), transaction.atomic(), watching() as watch:
        cache.clear()
        project = ProjectFactory(name="Acme", slug="acme")
        owner = UserFactory(name="Mara Lindqvist", email="mara@example.test", password=PASSWORD)
        MembershipFactory(project=project, user=owner, role=Role.OWNER)
        yield tell(watch, project, owner)
        transaction.set_rollback(True)


def tell(watch: Watch, project: Project, owner: User) -> Story:
    mara = Watched(watch)
    mara.force_login(owner)
    live(mara)
    issued = IssuedFactory(
        project=project, actor=acting(owner, project), at=timezone.now(), name="Docs crawler"
    )
    mistake(mara, issued)
    search(mara, issued)
    present(watch, issued)
    # A message that nobody has read yet.
    mara.post("/projects/new/", {"name": "Beta"})
    return Story(watch, list(dump()), json.dumps(dict(mara.session.items())))


# Where it is looked for


def test_the_story_shows_what_it_should(story: Story) -> None:
    """Else the searches below would find nothing because nothing happened."""
    watch = story.watch
    # Acme's and Beta's Automator Key, two keys with two secrets each, and one that the rest is done with.
    assert len(watch.tokens) == len(set(watch.tokens)) == 7
    assert len(watch.answers) > 200
    statuses = {answer.status_code for _, answer in watch.answers}
    assert statuses >= {200, 302, 303, 400, 401, 405, 409, 422}
    assert max(statuses) < 500
    assert watch.found_in(f"x{watch.tokens[0]}x") == parts(watch.tokens[0])
    assert watch.found_in(f"x{watch.tokens[0][:20]}x") == set()


def test_it_is_shown_in_the_answer_that_made_it_and_in_the_file(story: Story) -> None:
    asked = story.watch.showing()
    renewed = [url_of("key_renew", token[8:20]) for token in story.watch.tokens[1:5]]
    files = [url_of("key_env", token[8:20]) for token in story.watch.tokens[1:5]]
    expected = [url_of("key_create")] * 2 + sorted({*renewed, *files})
    assert sorted(asked) == sorted(f"POST {url}" for url in expected)


def test_no_answer_that_shows_it_is_kept_by_anybody(story: Story) -> None:
    for _, answer in story.watch.answers:
        if story.watch.found_in(body(answer)):
            assert "no-store" in answer["Cache-Control"]
            assert answer.status_code == 200


def test_it_is_in_no_header_and_no_cookie(story: Story) -> None:
    for asked, answer in story.watch.answers:
        sent = "".join(f"{name}: {value}\n" for name, value in answer.items()) + str(answer.cookies)
        assert not story.watch.found_in(sent), asked


def test_it_is_in_no_session_and_no_message(story: Story) -> None:
    assert "Beta was created" in story.session
    assert not story.watch.found_in(story.session)


def dump() -> Iterator[tuple[str, str]]:
    """Return every value of every table, as text and as the bytes that it is made of."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for value in (value for row in cursor.fetchall() for value in row):
                binary = isinstance(value, bytes | memoryview)
                yield table, bytes(value).decode("latin-1") if binary else str(value)


def test_it_is_in_no_table_of_the_database(story: Story) -> None:
    assert {table for table, _ in story.tables} >= {
        "keys_key", "keys_issuenonce", "projects_auditevent", "projects_project", "django_session",
    }  # fmt: skip
    assert [table for table, value in story.tables if story.watch.found_in(value)] == []
    # The public part is there, so the search would have seen the rest.
    for token in story.watch.tokens:
        assert any(token[8:20] in value for _, value in story.tables)


def test_it_is_in_no_log(story: Story) -> None:
    assert any("/renew/" in record.getMessage() for record in story.watch.records)
    formatter = JsonLines()
    for record in story.watch.records:
        assert not story.watch.found_in(record.getMessage()), record.name
        assert not story.watch.found_in(formatter.format(record)), record.name
