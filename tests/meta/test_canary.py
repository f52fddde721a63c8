"""The canary: secrets are made, shown, used and mistyped everywhere, and then looked for where none may be.

What is looked for: the whole token, its secret without the public key id, and either half of that.
"""

import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from config.logs import JsonLines
from keys import recovery
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key, KeyActivity, ProviderKey
from keys.providers import authorization_for
from projects.audit import Actor
from projects.models import Invitation, Membership, Project, Role, User
from tests.factories import (
    IssuedFactory,
    MembershipFactory,
    ProjectFactory,
    ProviderKeyFactory,
    UpstreamFactory,
    UserFactory,
    acting,
)
from tests.meta.canary import LIST, WHOAMI, Watch, Watched, body, fields, parts, shown, watching
from tests.web.pages import HTMX, let_half_an_hour_pass, url_of

pytestmark = pytest.mark.django_db

PASSWORD: Final = "correct horse battery"
AGENTS: Final = f"{LIST}agents/"
CREATED_AT: Final = ("key_create", "agent_create")

# What happens to secrets


def live(client: Watched) -> None:
    """Issue, submit twice, renew, download, store, edit, rotate, list: both ways, project and agent keys."""
    for create, headers in product(CREATED_AT, ({}, HTMX)):
        nonce = uuid.uuid4().hex
        first = shown(client.post(url_of(create), fields(nonce=nonce), headers=headers))
        client.post(url_of(create), fields(nonce=nonce), headers=headers)
        key = Key.objects.get(key_id=first[8:20])
        renewal = {"version": key.version}
        second = shown(client.post(url_of("key_renew", key.key_id), renewal, headers=headers))
        client.post(url_of("key_renew", key.key_id), renewal, headers=headers)
        for token in (first, second):
            client.post(url_of("key_env", key.key_id), {"token": token}, headers=headers)
        client.post(url_of("key_confirm", key.key_id), {"token": second}, headers=headers)
        edit = url_of("key_edit", key.key_id)
        client.post(edit, {"version": key.version, "name": "Late", "note": second}, headers=headers)
        for _ in range(2):
            client.post(url_of("key_rotate", key.key_id), {"grace_period": "24h"}, headers=headers)
        client.get(url_of("key_rotate", key.key_id), headers=headers)
        for url in (LIST, AGENTS, edit, url_of("key_detail", key.key_id), url_of("key_revoke", key.key_id)):
            client.get(url, headers=headers)


def live_in_a_channel(client: Watched) -> None:
    """The same in the dialog of a channel: issue, submit twice, store, revoke; close it at the end."""
    client.post(url_of("channel_create"), {"name": "Support bot", "kind": "teams"})
    of_channel = url_of("channel_keys", "support-bot")
    for headers in ({}, HTMX | {"HX-Current-URL": f"http://testserver{url_of('channel_list')}"}):
        fields_ = channel_fields(holder=f"Holder {uuid.uuid4()}")
        token = shown(client.post(url_of("channel_issue", "support-bot"), fields_, headers=headers))
        client.post(url_of("channel_issue", "support-bot"), fields_, headers=headers)
        key_id = token[8:20]
        client.post(url_of("key_env", key_id), {"token": token}, headers=headers)
        for url in (of_channel, url_of("channel_list"), LIST, url_of("key_detail", key_id)):
            client.get(url, headers=headers)
        client.post(f"{url_of('key_confirm', key_id)}?from=channel", {"version": 1}, headers=headers)
        client.get(f"{of_channel}?after={token}", headers=headers)
    client.post(f"{url_of('key_revoke', key_id)}?from=channel", {"reason": "Left"})
    client.post(url_of("channel_close", "support-bot"))


def channel_fields(**typed: str) -> dict[str, str]:
    untouched = {"lifetime": "90", "until": "", "environment": "live"}
    return untouched | {"nonce": uuid.uuid4().hex, "name": f"Key {uuid.uuid4()}", "holder": "Nora"} | typed


def mistake(client: Watched, issued: Issued) -> None:
    """Put a token, and a secret without its prefix, into every field of every form, both ways."""
    key_id = issued.key.key_id
    KeyActivity.objects.filter(key=issued.key).update(last_used_at=issued.key.created_at)
    client.post(url_of("channel_create"), {"name": "Website", "kind": "web-widget"})
    forms: dict[str, dict[str, Any]] = {
        url_of("channel_create"): {"name": "", "kind": "teams"},
        url_of("channel_edit", "website"): {"name": "", "kind": "teams", "version": "1"},
        url_of("channel_issue", "website"): channel_fields(),
        url_of("key_create"): fields(),
        url_of("agent_create"): {name: fields()[name] for name in ("nonce", "name", "scopes")},
        url_of("key_edit", key_id): {"version": "1", "name": "", "note": ""},
        url_of("key_renew", key_id): {"version": "1"},
        url_of("key_revoke", key_id): {"last4": "", "reason": ""},
        url_of("key_rotate", key_id): {"grace_period": "", "current_password": ""},
        url_of("key_reveal", key_id): {"current_password": ""},
        url_of("recoverable_keys"): {"on": "", "current_password": ""},
        url_of("key_env", key_id): {"token": ""},
        url_of("key_search"): dict.fromkeys(("q", "rq", "type", "sort", "after", "key", "rkey", "mine"), ""),
        url_of("agent_search"): dict.fromkeys(("q", "rq", "status", "sort", "after", "key", "rkey"), ""),
        url_of("member_invite"): {"email": "", "role": "10"},
        "/projects/new/": {"name": "", "slug": ""},
        url_of("audit_filter"): dict.fromkeys(("who", "what", "key", "since", "until"), ""),
        url_of("project_rename"): {"name": "Acme"},
        url_of("project_delete"): {"name": "", "current_password": ""},
        url_of("resource_create"): {"name": "", "label": "", "actions": ""},
        url_of("resource_edit", "sources"): {"label": "Sources", "actions": "read", "seen": ""},
        "/account/password/change/": {"oldpassword": "", "password1": "", "password2": ""},
    }
    if issued.key.type == KeyType.AGENT:
        # What isn't about a key was tried with the first.
        forms = {url: form for url, form in forms.items() if key_id in url or "/agents/" in url}
    invitation = client.watch.invitations[-1]
    for text in (issued.token, f"see {issued.token}!", issued.token[20:58], invitation, f"see {invitation}!"):
        for headers in ({}, HTMX):
            for url, form in forms.items():
                for name in form:
                    if url.endswith("/env/") and text == issued.token:
                        continue  # the one field that is for it
                    client.post(url, form | {name: text}, headers=headers)


PROVIDERS: Final = "/projects/acme/settings/providers/"
# One with a shape that is known, and one that looks like a checksum.
SHAPED: Final = "sk-proj-Zq3vT8mB1xW6nR4cK9yL2pD7uF5h"
PLAIN: Final = "7c1f9e3ab2d84650cc91d7e2f0a3b865"


def provide(client: Watched, project: Project) -> None:
    """Store provider keys, replace them, come too late, use them, move them, delete one: both ways."""
    client.watch.values += [SHAPED, PLAIN, SHAPED[::-1], PLAIN[::-1]]
    for secret in (SHAPED, PLAIN):
        for headers in ({}, HTMX):
            fields = {"name": f"Key {uuid.uuid4()}", "provider": "openai", "secret": secret}
            let_half_an_hour_pass(client)
            cache.clear()
            for typed in ("", "not this one", secret):
                mistyped = fields | {"current_password": typed}
                client.post(url_of("provider_key_create"), mistyped, headers=headers)
            client.post(
                url_of("provider_key_create"),
                fields | {"secret": "", "current_password": PASSWORD},
                headers=headers,
            )
            client.post(url_of("provider_key_create"), fields | {"name": ""}, headers=headers)
            client.post(url_of("provider_key_create"), fields | {"base_url": "ftp://x"}, headers=headers)
            client.post(url_of("provider_key_create"), fields, headers=headers)
            client.post(url_of("provider_key_create"), fields, headers=headers)
            key = ProviderKey.objects.get(name=fields["name"])
            slug = f"model-{key.public_id.lower()}"
            client.post(
                url_of("upstream_create"), {"slug": slug, "provider_key": key.public_id}, headers=headers
            )
            edit, shown = url_of("provider_key_edit", key.public_id), ("base_url", "header", "prefix")
            same = {"name": key.name, **{name: getattr(key, name) for name in shown}}
            client.post(edit, same | {"version": "1", "secret": secret[::-1]}, headers=headers)
            client.post(edit, same | {"version": "1", "secret": secret}, headers=headers)
            client.post(edit, same | {"version": "2", "secret": f"{secret}\n"}, headers=headers)
            client.post(edit, same | {"version": "2", "secret": secret, "header": "Host"}, headers=headers)
            for url in (PROVIDERS, edit, url_of("provider_key_delete", key.public_id)):
                client.get(url, headers=headers)
            assert authorization_for(project, slug).value == f"Bearer {secret[::-1]}"
    call_command("reseal", stdout=io.StringIO())
    client.post(url_of("provider_key_delete", key.public_id))


def misplace(client: Watched, project: Project) -> None:
    """Put a provider's key into every field that isn't for it: alone where its shape is known, else twice."""
    key, upstream = ProviderKeyFactory(project=project), UpstreamFactory(project=project)
    address = {"base_url": "", "header": "", "prefix": ""}
    forms: dict[str, dict[str, str]] = {
        url_of("provider_key_create"): {"name": "", "provider": "openai", **address},
        url_of("provider_key_edit", key.public_id): {"name": key.name, "version": "1", **address},
        url_of("upstream_create"): {"slug": "", "provider_key": ""},
        url_of("upstream_select", upstream.slug): {"provider_key": "", "version": "1"},
        url_of("provider_key_search"): {"q": "", "uafter": "", "ubefore": ""},
        url_of("key_create"): fields(),
        url_of("key_search"): {"q": "", "rq": ""},
        "/projects/new/": {"name": "", "slug": ""},
    }
    for headers in ({}, HTMX):
        for url, form in forms.items():
            for name in form:
                follow(client, client.post(url, form | {name: SHAPED}, headers=headers))
                if "/providers/" in url and "/upstreams/" not in url:
                    twice = form | {name: PLAIN, "secret": PLAIN}
                    follow(client, client.post(url, twice, headers=headers))
        for text in (SHAPED, PLAIN):
            follow(client, client.get(PROVIDERS, {"q": text}, headers=headers))
            client.get(PROVIDERS, {"uafter": text, "after": text}, headers=headers)
            client.get(url_of("provider_key_create"), {"provider": text}, headers=headers)
        follow(client, client.get(LIST, {"q": SHAPED}, headers=headers))


def search(client: Watched, issued: Issued) -> None:
    """Search with it, posted and typed into the address, and follow where that leads."""
    token = issued.token
    pasted = (token, token[:40], token[8:], token[20:58], f"Bearer {token}", f"kr_\u200b{token[3:]}")
    for text in (*pasted, client.watch.invitations[-1], f"https://x.test/{client.watch.invitations[-1]}/"):
        for headers in ({}, HTMX):
            for name, tab in product(("q", "rq"), ("key", "agent")):
                typed = {name: text, "sort": "name"}
                follow(client, client.post(url_of(f"{tab}_search"), typed, headers=headers))
                follow(client, client.get(url_of(f"{tab}_list"), {name: text}, headers=headers))
            for name in ("who", "key", "since"):
                follow(client, client.post(url_of("audit_filter"), {name: text}, headers=headers))
                follow(client, client.get(url_of("audit_log"), {name: text}, headers=headers))
            follow(client, client.get("/projects/", {"q": text}, headers=headers))
            came_from = {"HX-Current-URL": f"http://testserver{LIST}?q={text}"}
            client.post(url_of("key_confirm", issued.key.key_id), headers=headers | came_from)
    for name in ("key", "rkey", "type", "status", "environment", "mine", "sort", "after", "rbefore"):
        client.get(LIST, {name: token})
        client.get(AGENTS, {name: token})


def keep(client: Watched, project: Project) -> None:
    """Make a key while keys are kept sealed, and look at it again: both ways, and three times in all."""
    recovery.set_recoverable(project, True, actor=Actor.system(), at=timezone.now())
    owner = User.objects.get(email="mara@example.test")
    kept = IssuedFactory(project=project, actor=acting(owner, project), name="Kept")
    let_half_an_hour_pass(client)
    for headers in ({}, HTMX):
        url = url_of("key_reveal", kept.key.key_id)
        client.get(url, headers=headers)
        client.post(url, {"current_password": "not this one"}, headers=headers)
        client.post(url, {"current_password": PASSWORD}, headers=headers)
    for url in (LIST, url_of("key_detail", kept.key.key_id)):
        client.get(url)


def invite(client: Watched, watch: Watch) -> None:
    """Invite, replace, open, join and come too late: with a new account, with one, and with another's."""
    for number, headers in enumerate(({}, HTMX)):
        for email in (f"new{number}@example.test", f"known{number}@example.test"):
            client.post(url_of("member_invite"), {"email": email, "role": "20"}, headers=headers)
            client.post(url_of("member_invite"), {"email": email, "role": "20"}, headers=headers)
            found = Invitation.objects.get(email=email)
            renewed = url_of("invitation_renew", found.public_id)
            client.post(renewed, {"version": found.version}, headers=headers)
            client.post(renewed, {"version": found.version}, headers=headers)
            client.get(LIST.replace("keys", "members"), headers=headers)
            for link in [f"/invitations/{token}/" for token in watch.invitations[-2:]]:
                client.get(link, headers=headers)  # signed in as somebody else
                client.post(link, headers=headers)
                arrive(watch, link, email, headers)
        client.post(url_of("invitation_revoke", found.public_id), headers=headers)


def arrive(watch: Watch, link: str, email: str, headers: dict[str, str]) -> None:
    """Open a link as whoever is invited, and do there what can be done, well and badly."""
    cache.clear()  # Nobody here comes too often: each of them is somebody else.
    visitor = Watched(watch)
    visitor.get(link, headers=headers)
    visitor.get(f"{link[:-2]}/", headers=headers)
    visitor.get(f"{link[:40]}/", headers=headers)
    Watched(watch, enforce_csrf_checks=True).post(link, headers=headers)
    if email.startswith("known"):
        user = User.objects.filter(email=email).first() or UserFactory(email=email)
        visitor.get(link, headers=headers)
        visitor.force_login(user)
    given = {"name": "Inês", "password1": PASSWORD, "password2": PASSWORD}
    visitor.post(link, given | {"name": link}, headers=headers)
    follow(visitor, visitor.post(link, given, headers=headers))
    visitor.get(link, headers=headers)


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
    mara.post("/account/login/", {"login": owner.email, "password": PASSWORD})
    invite(mara, watch)
    live(mara)
    live_in_a_channel(mara)
    for kind in (KeyType.RESTRICTED, KeyType.AGENT):
        issued = IssuedFactory(
            project=project, actor=acting(owner, project), at=timezone.now(), name=f"A {kind}", type=kind
        )
        mistake(mara, issued)
        search(mara, issued)
        present(watch, issued)
    # What was tried as a password before counts against the throttle.
    cache.clear()
    keep(mara, project)
    provide(mara, project)
    misplace(mara, project)
    # A message that nobody has read yet.
    mara.post("/projects/new/", {"name": "Beta"})
    return Story(watch, list(dump()), json.dumps(dict(mara.session.items())))


# Where it is looked for


def test_the_story_shows_what_it_should(story: Story) -> None:
    """Else the searches below would find nothing because nothing happened."""
    watch = story.watch
    # Acme's and Beta's Automator Key, four keys with two secrets and a successor each, two of a channel, two
    # that the rest is done with, and one that is kept sealed.
    assert len(watch.tokens) == len(set(watch.tokens)) == 19
    assert len(watch.answers) > 200
    assert ProviderKey.objects.filter(project__slug="acme", mask="h5F…-ks").count() == 2
    assert sum("h5F…-ks" in body(answer) for _, answer in watch.answers) > 4
    assert watch.found_in(f"x{SHAPED[3:20]}x") == {SHAPED[3:18]}
    statuses = {answer.status_code for _, answer in watch.answers}
    assert statuses >= {200, 302, 303, 400, 401, 405, 409, 422}
    assert max(statuses) < 500
    assert watch.found_in(f"x{watch.tokens[0]}x") == parts(watch.tokens[0])
    assert watch.found_in(f"x{watch.tokens[0][:20]}x") == set()
    # Four invitations with two links each; two led to a new account, and two to one that was there.
    assert len(watch.invitations) == len(set(watch.invitations)) == 8
    assert watch.found_in(f"x{watch.invitations[0]}x") == parts(watch.invitations[0])
    assert Membership.objects.filter(user__email__startswith="new").count() == 2
    assert Membership.objects.filter(user__email__startswith="known").count() == 2


def test_it_is_shown_in_the_answer_that_made_it_and_in_the_file(story: Story) -> None:
    asked = story.watch.showing()
    made = [story.watch.tokens[number][8:20] for number in (1, 4, 7, 10)]
    once = [url_of(name, key) for key in made for name in ("key_renew", "key_rotate", "key_env")]
    kept = [url_of("key_reveal", Key.objects.get(name="Kept").key_id)] * 3
    held = [url_of("key_env", token[8:20]) for token in story.watch.tokens[13:15]]
    held += [url_of("channel_issue", "support-bot")] * 2
    links = [url_of("member_invite")] * 4 + new_links()
    expected = [url_of(name) for name in CREATED_AT] * 2 + once + kept + held + links
    assert sorted(asked) == sorted(f"POST {url}" for url in expected)


def new_links() -> list[str]:
    return [url_of("invitation_renew", found.public_id) for found in Invitation.objects.all()]


def test_no_page_of_a_link_lets_the_browser_send_its_address_on(story: Story) -> None:
    tokens = story.watch.invitations
    opened = [answer for asked, answer in story.watch.answers if any(token in asked for token in tokens)]
    assert len(opened) > 40
    assert {answer.status_code for answer in opened} >= {200, 302, 303, 403, 404, 409, 410, 422}
    assert {answer["Referrer-Policy"] for answer in opened} == {"strict-origin"}


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
        "keys_key", "keys_providerkey", "keys_issuenonce", "projects_auditevent", "projects_project",
        "projects_invitation", "django_session",
    }  # fmt: skip
    assert [table for table, value in story.tables if story.watch.found_in(value)] == []
    # The public part is there, so the search would have seen the rest.
    assert any("h5F…-ks" in value for _, value in story.tables)
    for token in story.watch.tokens:
        assert any(token[8:20] in value for _, value in story.tables)


def test_it_is_in_no_log(story: Story) -> None:
    assert any("/renew/" in record.getMessage() for record in story.watch.records)
    formatter = JsonLines()
    for record in story.watch.records:
        # Django names the path of a form that it refuses; the formatter, which writes the line, cleans it.
        if record.name != "django.security.csrf":
            assert not story.watch.found_in(record.getMessage()), record.name
        assert not story.watch.found_in(formatter.format(record)), record.name
