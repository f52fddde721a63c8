"""One rule, four doors: console, administration, JSON API and command line call the same verb.

Each verb goes through every door that has it, in the same situation. What comes of it, and what the audit
log says of it, must not depend on the door.
"""

import io
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from keys import lifecycle
from keys.kinds import NEVER_EXPIRES, KeyType
from keys.lifecycle import Issued
from keys.models import Key
from projects.audit import Actor
from projects.models import AuditEvent, Project, User
from tests.factories import IssuedFactory, UserFactory
from tests.web.pages import freshen, signed_in

pytestmark = pytest.mark.django_db

DONE, REFUSED, CONFLICT, FORBIDDEN = "done", "refused", "conflict", "forbidden"
OF_STATUS: Final = {
    200: DONE, 201: DONE, 302: DONE, 303: DONE, 422: REFUSED, 409: CONFLICT, 403: FORBIDDEN,
}  # fmt: skip
OF_EXIT_CODE: Final = {0: DONE, 1: REFUSED, 3: CONFLICT, 4: FORBIDDEN}
TOKEN_SHAPED: Final = "kr_live_" + "a1B2" * 14


class Door:
    """A way to the verbs, for somebody who may all of them."""

    def __init__(self, project: Project) -> None:
        self.project = project

    def issue(self, name: str, *scopes: str, nonce: str = "") -> str:
        raise NotImplementedError

    def renew(self, key: Key) -> str:
        raise NotImplementedError

    def revoke(self, key: Key, reason: str = "") -> str:
        raise NotImplementedError


class Console(Door):
    def __init__(self, project: Project, owner: User) -> None:
        super().__init__(project)
        self.client = freshen(signed_in(owner))

    def _post(self, name: str, data: dict[str, Any], *key_id: str) -> str:
        response = self.client.post(reverse(name, args=[self.project.slug, *key_id]), data)
        return OF_STATUS[response.status_code]

    def issue(self, name: str, *scopes: str, nonce: str = "") -> str:
        form = {"type": "restricted", "lifetime": "never", "environment": "live", "scopes": scopes}
        return self._post("key_create", {**form, "name": name, "nonce": nonce or uuid.uuid4().hex})

    def renew(self, key: Key) -> str:
        return self._post("key_renew", {"version": key.version}, key.key_id)

    def revoke(self, key: Key, reason: str = "") -> str:
        return self._post("key_revoke", {"reason": reason}, key.key_id)


class Administration(Door):
    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.client = signed_in(UserFactory(name="Ines Varga", is_staff=True))

    def revoke(self, key: Key, reason: str = "") -> str:
        response = self.client.post(f"/admin/keys/key/{key.key_id}/revoke/", {"reason": reason})
        return OF_STATUS[response.status_code]


class Json(Door):
    def __init__(self, project: Project) -> None:
        super().__init__(project)
        caller = IssuedFactory(
            project=project, name="Provisioner", type=KeyType.PRIVILEGED, expires_at=NEVER_EXPIRES
        )
        self.client = Client(headers={"Authorization": f"Bearer {caller.token}"})

    def _post(self, path: str, body: dict[str, Any], **headers: str) -> str:
        response = self.client.post(
            f"/api/v1/keys{path}", json.dumps(body), content_type="application/json", headers=headers
        )
        return OF_STATUS[response.status_code]

    def issue(self, name: str, *scopes: str, nonce: str = "") -> str:
        headers = {"Idempotency-Key": nonce} if nonce else {}
        return self._post("", {"name": name, "scopes": scopes, "expires_at": None}, **headers)

    def renew(self, key: Key) -> str:
        return self._post(f"/{key.key_id}/renew", {"version": key.version})

    def revoke(self, key: Key, reason: str = "") -> str:
        return self._post(f"/{key.key_id}/revoke", {"reason": reason})


class CommandLine(Door):
    def _run(self, *arguments: str) -> str:
        try:
            call_command("keys", *arguments, stdout=io.StringIO(), stderr=io.StringIO())
        except CommandError as error:
            return OF_EXIT_CODE[error.returncode]
        except SystemExit as end:
            return OF_EXIT_CODE[int(end.code or 0)]
        return DONE

    def issue(self, name: str, *scopes: str, nonce: str = "") -> str:
        picked = [word for scope in scopes for word in ("--scope", scope)]
        once = ["--idempotency-key", nonce] if nonce else []
        return self._run("issue", self.project.slug, name, "--never", *picked, *once)

    def renew(self, key: Key) -> str:
        return self._run("renew", self.project.slug, key.key_id)

    def revoke(self, key: Key, reason: str = "") -> str:
        return self._run("revoke", self.project.slug, key.key_id, "--yes", "--reason", reason)


@pytest.fixture
def doors(project: Project, owner: User) -> dict[str, Door]:
    return {
        "console": Console(project, owner),
        "admin": Administration(project),
        "json": Json(project),
        "command line": CommandLine(project),
    }


@dataclass(frozen=True)
class Scene:
    """A situation, a verb in it, and what must come of it at each door that has the verb."""

    act: Callable[[Door, "Stage"], str]
    comes_of_it: str
    doors: tuple[str, ...] = ("console", "json", "command line")
    # RFC-like idempotence of the JSON API: revoking twice answers the same row again, and changes nothing.
    but: tuple[tuple[str, str], ...] = ()

    def expected(self, door: str) -> str:
        return dict(self.but).get(door, self.comes_of_it)


@dataclass(frozen=True)
class Stage:
    """What stands in the project before the verb."""

    project: Project
    at: datetime

    def key(self, name: str = "Docs crawler", **fields: Any) -> Issued:
        return IssuedFactory(project=self.project, name=name, expires_at=NEVER_EXPIRES, at=self.at, **fields)

    def revoked(self) -> Key:
        key = self.key().key
        return lifecycle.revoke(self.project, key.key_id, actor=Actor.system("Otis"), at=self.at)

    def automator(self) -> Key:
        return Key.objects.get(project=self.project, type=KeyType.SYSTEM)


ALL: Final = ("console", "admin", "json", "command line")


def _twice(door: Door, stage: Stage) -> str:
    nonce = uuid.uuid4().hex
    assert door.issue("Docs crawler", "sources:read", nonce=nonce) == DONE
    return door.issue("Docs crawler", "sources:read", nonce=nonce)


def _taken(door: Door, stage: Stage) -> str:
    stage.key("Docs crawler")
    return door.issue("docs CRAWLER", "sources:read")


SCENES: Final = {
    "issue": Scene(lambda door, stage: door.issue("Docs crawler", "sources:read"), DONE),
    "issue with two scopes": Scene(
        lambda door, stage: door.issue("Docs crawler", "sources:write", "agents:run"), DONE
    ),
    "issue twice with one nonce": Scene(_twice, CONFLICT),
    "issue under a name that is taken": Scene(_taken, REFUSED),
    "issue without a name": Scene(lambda door, stage: door.issue(" ", "sources:read"), REFUSED),
    "issue under a long name": Scene(lambda door, stage: door.issue("x" * 101, "sources:read"), REFUSED),
    "issue under a name that is a token": Scene(
        lambda door, stage: door.issue(TOKEN_SHAPED, "sources:read"), REFUSED
    ),
    "issue without scopes": Scene(lambda door, stage: door.issue("Docs crawler"), REFUSED),
    "issue with an unknown scope": Scene(
        lambda door, stage: door.issue("Docs crawler", "sources:paint"), REFUSED
    ),
    "revoke": Scene(lambda door, stage: door.revoke(stage.key().key, "Laptop stolen"), DONE, ALL),
    "revoke without a reason": Scene(lambda door, stage: door.revoke(stage.key().key), DONE, ALL),
    "revoke for a reason that is too long": Scene(
        lambda door, stage: door.revoke(stage.key().key, "x " * 150), REFUSED, ALL
    ),
    "revoke for a reason that is a token": Scene(
        lambda door, stage: door.revoke(stage.key().key, TOKEN_SHAPED), REFUSED, ALL
    ),
    "revoke what is revoked": Scene(
        lambda door, stage: door.revoke(stage.revoked(), "again"), CONFLICT, ALL, (("json", DONE),)
    ),
    "revoke the Automator Key": Scene(lambda door, stage: door.revoke(stage.automator()), CONFLICT, ALL),
    "renew": Scene(lambda door, stage: door.renew(stage.key().key), DONE),
    "renew what was confirmed": Scene(
        lambda door, stage: door.renew(stage.key(confirmed=True).key), CONFLICT
    ),
    "renew what is revoked": Scene(lambda door, stage: door.renew(stage.revoked()), CONFLICT),
    "renew the Automator Key": Scene(
        lambda door, stage: door.renew(stage.automator()), DONE, but=(("json", FORBIDDEN),)
    ),
}


@pytest.mark.parametrize(
    ("scene", "door"),
    [(scene, door) for scene, each in SCENES.items() for door in each.doors],
)
def test_every_door_gives_the_same_answer_and_leaves_the_same_event(
    doors: dict[str, Door], project: Project, at: datetime, scene: str, door: str
) -> None:
    stage = Stage(project, at)
    played = SCENES[scene]
    assert played.act(doors[door], stage) == played.expected(door)
    assert _events(project) == _EVENTS.setdefault((scene, played.expected(door)), _events(project))
    assert "a1B2a1B2" not in str(AuditEvent.objects.values_list("changes", "object_label"))


# What the first door left in the log for a scene; every other door must leave the same.
_EVENTS: Final[dict[tuple[str, str], list[tuple[str, str, dict[str, Any]]]]] = {}


def _events(project: Project) -> list[tuple[str, str, dict[str, Any]]]:
    """What the log says of keys, without who and when."""
    events = AuditEvent.objects.filter(project_id=project.pk, object_kind="key").order_by("number")
    return [(event.verb, event.object_label, event.changes) for event in events]


def test_a_door_that_has_a_verb_is_in_its_scenes() -> None:
    """A verb that a door learns later must be played there too."""
    for verb in ("issue", "renew", "revoke"):
        having = {
            name
            for name, door in zip(ALL, (Console, Administration, Json, CommandLine), strict=True)
            if getattr(door, verb) is not getattr(Door, verb)
        }
        assert set(SCENES[verb].doors) == having


def test_a_key_is_of_one_kind_whatever_door_it_came_through(project: Project, doors: dict[str, Door]) -> None:
    for name in ("console", "json", "command line"):
        assert doors[name].issue(f"Key of the {name}", "sources:read") == DONE
    keys = Key.objects.filter(project=project, name__startswith="Key of the")
    assert {(key.type, key.scopes, key.environment) for key in keys} == {
        ("restricted", "sources:read", "live")
    }
    assert {key.name for key in keys if key.confirmed_at is None} == {"Key of the console"}
