"""Who may do what: every URL, every method, as everybody, against the list in `rights.py`.

Whoever may has done it: the event is there. Whoever may not is refused, and nothing has happened.
"""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from keys import lifecycle, recovery
from keys.kinds import KeyType
from keys.lifecycle import Issued
from projects.audit import Actor
from projects.lifecycle import add_resource
from projects.models import AuditEvent, Project, Role, User
from tests.authenticator import enrol
from tests.factories import (
    ChannelFactory,
    IssuedFactory,
    MembershipFactory,
    ProjectFactory,
    ProviderKeyFactory,
    UpstreamFactory,
    UserFactory,
    invited,
)
from tests.meta.rights import API, CONSOLE, Call, Deed
from tests.meta.routes import Route, routes
from tests.web.pages import HTMX, freshen, signed_in

pytestmark = pytest.mark.django_db

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ROUTES: Final = {route.name: route for route in routes()}
LOGIN: Final = "/account/login/"
ROLES: Final = {"viewer": Role.VIEWER, "operator": Role.OPERATOR, "admin": Role.ADMIN, "owner": Role.OWNER}
# Somebody who is a member elsewhere, and somebody who is a member of nothing.
STRANGERS: Final = ("outsider", "stranger")


@dataclass(frozen=True)
class World:
    """Acme with its people, each signed in and fresh, and a row of each kind."""

    project: Project
    people: dict[str, Client]
    named: dict[str, str]
    keys: dict[tuple[str, str], Issued]
    tokens: dict[str, str]

    def key(self, who: str, row: str) -> Issued:
        """Return the key that somebody means by “own” or “another's”."""
        return self.keys[who if row.startswith("own") and who in ROLES else "", _whose(who, row)]

    def path(self, route: Route, who: str, row: str) -> str:
        return route.path(self.named | {"key_id": self.key(who, row).key.key_id})

    def events(self) -> int:
        return AuditEvent.objects.filter(project_id=self.project.pk).count()

    def latest(self) -> str:
        return AuditEvent.objects.filter(project_id=self.project.pk).latest("number").verb


def _whose(who: str, row: str) -> str:
    # To those outside nothing is their own: it stands for a key all the same.
    return row if who in ROLES else row.replace("own", "another's")


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker, static_files: None) -> Iterator[World]:
    """Made once for all the tests here; each of them undoes what it does."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield make_world()
        transaction.set_rollback(True)


def make_world() -> World:
    at = timezone.now()
    project, elsewhere = ProjectFactory(name="Acme", slug="acme"), ProjectFactory(name="Else", slug="else")
    recovery.set_recoverable(project, True, actor=Actor.system(), at=at)
    users = {name: UserFactory(name=name, email=f"{name}@example.test") for name in (*ROLES, *STRANGERS)}
    for name, role in ROLES.items():
        MembershipFactory(project=project, user=users[name], role=role)
    MembershipFactory(project=elsewhere, user=users["outsider"], role=Role.OWNER)
    # Who requires a second factor of others has one.
    enrol(users["owner"])
    return World(
        project,
        {name: freshen(signed_in(user)) for name, user in users.items()},
        make_rows(project, users["owner"]),
        make_keys(project, users),
        make_tokens(project, elsewhere),
    )


def make_rows(project: Project, owner: User) -> dict[str, str]:
    """Return what the URLs name beside a key."""
    at = timezone.now()
    ChannelFactory(project=project, slug="support-bot")
    add_resource(project, "reports", ["read", "write"], actor=Actor.system(), at=at)
    provider_key = ProviderKeyFactory(project=project, name="Main OpenAI")
    UpstreamFactory(project=project, slug="gpt-4.1", provider_key=provider_key.public_id)
    member = MembershipFactory(project=project, role=Role.OPERATOR)
    return {
        "slug": "acme",
        "channel": "support-bot",
        "resource": "reports",
        "public_id": provider_key.public_id,
        "upstream": "gpt-4.1",
        "person_id": member.user.public_id,
        "invitation_id": invited(project, owner).invitation.public_id,
    }


def make_keys(project: Project, users: dict[str, User]) -> dict[tuple[str, str], Issued]:
    """Return keys of everybody, made when they might, and of nobody here: by whose they are and how."""
    automator = project.keys.get(type=KeyType.SYSTEM)
    keys = {("", "automator"): Issued(automator, "")}
    makers = {"": Actor.system()} | {name: Actor.person(users[name], Role.OWNER) for name in ROLES}
    for who, actor in makers.items():
        whose = "own" if who else "another's"
        for name, kind in ((whose, KeyType.RESTRICTED), (f"{whose} privileged", KeyType.PRIVILEGED)):
            for state in ("", " paused"):
                given = {"name": f"{who} {name}{state}", "type": kind}
                issued = IssuedFactory(project=project, actor=actor, **given)
                if state:
                    key_id = issued.key.key_id
                    lifecycle.pause(project, key_id, actor=actor, at=timezone.now())
                keys[who, f"{name}{state}"] = issued
    return keys


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def ask(client: Client, method: str, path: str, sent: Any, headers: dict[str, str]) -> Any:
    """Ask as somebody whose browser is as it was before."""
    browser = Client()
    browser.cookies = copy.deepcopy(client.cookies)
    send = getattr(browser, method.lower())
    return send(path, sent, headers=headers) if sent else send(path, headers=headers)


def test_what_is_on_the_lists_is_what_there_is() -> None:
    assert set(CONSOLE) == {name for name, route in ROUTES.items() if "slug" in route.arguments}
    assert set(API) == {name for name, route in ROUTES.items() if route.pattern.startswith("api/v1/")}


@pytest.mark.parametrize("way", [{}, HTMX], ids=["plain", "htmx"])
@pytest.mark.parametrize("name", CONSOLE)
def test_the_console_is_for_whom_the_list_says(world: World, name: str, way: dict[str, str]) -> None:
    wrong = []
    for deed in CONSOLE[name]:
        for who in (*ROLES, *STRANGERS):
            wrong += [f"{who} {deed}: {said}" for said in tried(world, ROUTES[name], deed, who, way)]
    assert not wrong, "\n".join(wrong)


def tried(world: World, route: Route, deed: Deed, who: str, way: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong with what comes of it."""
    path, sent = world.path(route, who, deed.row), dict(deed.sent)
    if "token" in sent:
        sent["token"] = world.key(who, deed.row).token
    with undone():
        before = world.events()
        response = ask(world.people[who], deed.method, path, sent, way)
        body = b"".join(response) if response.streaming else response.content
        happened = world.events() - before
        wanted = expected(deed, who)
        if response.status_code not in wanted:
            yield f"{response.status_code}, not {wanted}"
        elif wanted == DONE and deed.verb:
            if not happened or world.latest() != deed.verb:
                yield f"it left {world.latest() if happened else 'nothing'}"
        elif happened:
            yield f"it left {world.latest()}"
        if who in STRANGERS and b"Acme" in body:
            yield "they learn of the project"
    if deed.method == "GET":
        status = ask(world.people[who], "HEAD", path, {}, way).status_code
        if status not in wanted:
            yield f"HEAD {status}, not {wanted}"


# A poll that has nothing new to say is answered with 204.
DONE: Final = {200, 204, 303}


def expected(deed: Deed, who: str) -> set[int]:
    if who in STRANGERS:
        return {404}
    if ROLES[who] >= deed.least:
        return DONE
    return {422} if deed.asks is not None and ROLES[who] >= deed.asks else {403}


@pytest.mark.parametrize("name", CONSOLE)
def test_no_other_method_is_offered(world: World, name: str) -> None:
    offered = {deed.method for deed in CONSOLE[name]}
    offered |= {"HEAD"} if "GET" in offered else set()
    for who in (*ROLES, *STRANGERS):
        path = world.path(ROUTES[name], who, "another's")
        for method in set(METHODS) - offered:
            assert ask(world.people[who], method, path, {}, {}).status_code == 405, (who, method)


def test_whoever_is_signed_out_is_led_to_the_door(world: World) -> None:
    """Whatever they ask for; htmx is told, since a page of that door has no place inside another."""
    wrong = []
    for name, route in ROUTES.items():
        if not (name in CONSOLE or (route.needs_sign_in and not name.startswith("admin:"))):
            continue
        path = route.path(world.named | {"key_id": "A" * 12})
        for method in METHODS:
            plain = ask(Client(), method, path, {}, {})
            if plain.status_code != 302 or not plain["Location"].startswith(LOGIN):
                wrong.append(f"{name} {method}: {plain.status_code}")
            fragment = ask(Client(), method, path, {}, HTMX)
            if fragment.status_code != 401 or not fragment["HX-Retarget"] or b"<html" in fragment.content:
                wrong.append(f"{name} {method} htmx: {fragment.status_code}")
            if b"Acme" in plain.content + fragment.content:
                wrong.append(f"{name} {method}: they learn of the project")
    assert wrong == []


# The JSON API: who calls is a key


def make_tokens(project: Project, elsewhere: Project) -> dict[str, str]:
    """Return the token of each caller, and of some that are none."""
    at = timezone.now()

    def made(name: str, *scopes: str, of: Project = project, **given: Any) -> Issued:
        fields = {"type": "restricted", "scopes": scopes} if scopes else {}
        return IssuedFactory(project=of, name=f"Caller {name}", at=at - timedelta(days=2), **fields | given)

    callers = {
        "everything": made("everything", type="privileged"),
        "reader": made("reader", "keys:read", "sources:read"),
        "writer": made("writer", "keys:write", "sources:read"),
        "neither": made("neither", "sources:read", "settings:write", "gateway:use"),
        "viewer": made("viewer", type="viewer"),
        "agent": made("agent", type="agent"),
        "channel": made("channel", type="channel", channel="support-bot", holder="Nora"),
        "test": made("test", type="privileged", environment="test"),
        "elsewhere": made("elsewhere", type="privileged", of=elsewhere),
        "revoked": made("revoked", type="privileged"),
        "paused": made("paused", type="privileged"),
        "expired": made("expired", type="privileged", expires_at=at - timedelta(days=1)),
    }
    system = Actor.system()
    lifecycle.revoke(project, callers["revoked"].key.key_id, actor=system, at=at)
    lifecycle.pause(project, callers["paused"].key.key_id, actor=system, at=at)
    tokens = {name: issued.token for name, issued in callers.items()}
    return tokens | {"mistyped": tokens["everything"][:-1] + "!", "": ""}


HAVING: Final = {
    "keys:read": {"everything", "reader", "test", "elsewhere"},
    "keys:write": {"everything", "writer", "test", "elsewhere"},
    "sources:read": {"everything", "reader", "writer", "neither", "viewer"},
}
DEAD: Final = {"revoked", "paused", "expired", "mistyped", ""}
# Of the live keys of Acme they see none.
BLIND: Final = {"test", "elsewhere"}
FORM: Final = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("name", API)
def test_the_api_is_for_the_keys_that_the_list_says(world: World, name: str) -> None:
    wrong = []
    for method in METHODS:
        call = API[name].get("GET" if method == "HEAD" else method)
        for who in world.tokens:
            wrong += [
                f"{who or 'nobody'} {method}: {said}" for said in called(world, name, method, call, who)
            ]
    assert not wrong, "\n".join(wrong)


def called(world: World, name: str, method: str, call: Call | None, who: str) -> Iterator[str]:
    """Yield what is wrong with what comes of a call. `call` is None where the method isn't offered."""
    row = world.keys["", call.row if call else "another's"]
    path = ROUTES[name].path({"key_id": row.key.key_id}) + (call.query if call else "")
    headers = {"Authorization": f"Bearer {world.tokens[who]}"} if who else {}
    sent: dict[str, Any] = {} if call is None else dict(call.sent)
    with undone():
        before = world.events()
        if "token" in sent:
            body, kind = f"token={row.token}", FORM
        else:
            body, kind = json.dumps(sent) if sent else "", "application/json"
        response = Client().generic(method, path, body, content_type=kind, headers=headers)
        happened = world.latest() if world.events() > before else ""
        wanted = wanted_of(ROUTES[name], call, who)
        if response.status_code not in wanted:
            yield f"{response.status_code}, not {wanted}"
        if happened != left_by(call, who, wanted):
            yield f"it left {happened or 'nothing'}"


DONE_BY_API: Final = {200, 201}


def left_by(call: Call | None, who: str, wanted: set[int]) -> str:
    """Return the event that a call leaves in Acme; "" for none."""
    if call is None or wanted != DONE_BY_API or (call.scope and who == "elsewhere"):
        return ""
    return call.verb


def wanted_of(route: Route, call: Call | None, who: str) -> set[int]:
    if call is None:
        return {405}
    if call.scope is None:
        return DONE_BY_API
    if who in DEAD or (call.query and who in BLIND):
        return {401}
    if call.scope and who not in HAVING[call.scope]:
        return {403}
    if route.arguments and who in BLIND:
        return {404}
    if who == "test" and call.verb:
        return {403}  # A test key issues test keys alone.
    return DONE_BY_API
