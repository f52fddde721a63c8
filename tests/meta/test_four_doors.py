"""One rule, four doors: console, administration, JSON API and command line call the same verb.

Each verb goes through every door that has it, in the same situation. What comes of it, and what the audit
log says of it, must not depend on the door.
"""

import io
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from keys import lifecycle
from keys.drafts import Edit
from keys.kinds import NEVER_EXPIRES, KeyType
from keys.lifecycle import Issued
from keys.models import Key
from projects.audit import Actor
from projects.models import AuditEvent, Channel, Project, User
from tests.factories import ChannelFactory, IssuedFactory, UserFactory
from tests.web.pages import Page, freshen, signed_in

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

    def issue_agent(self, name: str, *scopes: str) -> str:
        raise NotImplementedError

    def issue_channel(self, name: str, channel: str, holder: str) -> str:
        raise NotImplementedError

    def edit(self, key: Key, version: int = 1, **changes: str) -> str:
        raise NotImplementedError

    def renew(self, key: Key) -> str:
        raise NotImplementedError

    def rotate(self, key: Key, grace: str = "24h") -> str:
        raise NotImplementedError

    def pause(self, key: Key) -> str:
        raise NotImplementedError

    def resume(self, key: Key) -> str:
        raise NotImplementedError

    def revoke(self, key: Key, reason: str = "") -> str:
        raise NotImplementedError

    def open_channel(self, name: str, kind: str = "teams") -> str:
        raise NotImplementedError

    def edit_channel(self, channel: Channel, name: str, kind: str = "teams", version: int = 1) -> str:
        raise NotImplementedError

    def close_channel(self, channel: Channel) -> str:
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

    def issue_agent(self, name: str, *scopes: str) -> str:
        page = Page(self.client.get(reverse("agent_create", args=[self.project.slug])))
        form = page.form_of("Generate").fields()
        return self._post("agent_create", {**form, "name": name} | ({"scopes": scopes} if scopes else {}))

    def edit(self, key: Key, version: int = 1, **changes: str) -> str:
        form = {"version": version, "name": key.name, "note": key.note, "scopes": key.scopes.split()}
        limits = {"networks": "", "rate_count": "", "rate_per": "minute"}
        if "rate" in changes:
            limits["rate_count"], limits["rate_per"] = changes.pop("rate").split("/")
        return self._post("key_edit", {**form, **limits, **changes}, key.key_id)

    def renew(self, key: Key) -> str:
        return self._post("key_renew", {"version": key.version}, key.key_id)

    def rotate(self, key: Key, grace: str = "24h") -> str:
        return self._post("key_rotate", {"grace_period": grace}, key.key_id)

    def pause(self, key: Key) -> str:
        return self._post("key_pause", {}, key.key_id)

    def resume(self, key: Key) -> str:
        return self._post("key_resume", {}, key.key_id)

    def revoke(self, key: Key, reason: str = "") -> str:
        return self._post("key_revoke", {"reason": reason}, key.key_id)

    def open_channel(self, name: str, kind: str = "teams") -> str:
        return self._post("channel_create", {"name": name, "kind": kind})

    def edit_channel(self, channel: Channel, name: str, kind: str = "teams", version: int = 1) -> str:
        fields = {"name": name, "kind": kind, "version": version}
        return self._post("channel_edit", fields, channel.slug)

    def close_channel(self, channel: Channel) -> str:
        return self._post("channel_close", {}, channel.slug)


class Administration(Door):
    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.client = signed_in(UserFactory(name="Ines Varga", is_staff=True))

    def revoke(self, key: Key, reason: str = "") -> str:
        response = self.client.post(f"/admin/keys/key/{key.key_id}/revoke/", {"reason": reason})
        return OF_STATUS[response.status_code]

    def _channel(self, path: str, fields: dict[str, Any]) -> str:
        response = self.client.post(f"/admin/projects/channel/{path}/", fields)
        return OF_STATUS[response.status_code]

    def open_channel(self, name: str, kind: str = "teams") -> str:
        return self._channel("add", {"project": self.project.slug, "name": name, "kind": kind})

    def edit_channel(self, channel: Channel, name: str, kind: str = "teams", version: int = 1) -> str:
        fields = {"name": name, "kind": kind, "version": version}
        return self._channel(f"{self.project.slug}.{channel.slug}/rename", fields)

    def close_channel(self, channel: Channel) -> str:
        return self._channel(f"{self.project.slug}.{channel.slug}/close", {})


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

    def issue_agent(self, name: str, *scopes: str) -> str:
        return self._post("", {"name": name, "type": "agent", "scopes": scopes})

    def issue_channel(self, name: str, channel: str, holder: str) -> str:
        body = {"name": name, "type": "channel", "channel": channel, "holder": holder, "expires_at": None}
        return self._post("", body)

    def edit(self, key: Key, version: int = 1, **changes: str) -> str:
        lists = {"networks": [changes.pop("networks")]} if "networks" in changes else {}
        body = json.dumps({"version": version, **changes, **lists})
        path = f"/api/v1/keys/{key.key_id}"
        return OF_STATUS[self.client.patch(path, body, content_type="application/json").status_code]

    def renew(self, key: Key) -> str:
        return self._post(f"/{key.key_id}/renew", {"version": key.version})

    def rotate(self, key: Key, grace: str = "24h") -> str:
        return self._post(f"/{key.key_id}/rotate", {"grace": grace})

    def pause(self, key: Key) -> str:
        return self._post(f"/{key.key_id}/pause", {})

    def resume(self, key: Key) -> str:
        return self._post(f"/{key.key_id}/resume", {})

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

    def issue_agent(self, name: str, *scopes: str) -> str:
        picked = [word for scope in scopes for word in ("--scope", scope)]
        return self._run("issue", self.project.slug, name, "--type", "agent", *picked)

    def issue_channel(self, name: str, channel: str, holder: str) -> str:
        where = ["--channel", channel, "--holder", holder]
        return self._run("issue", self.project.slug, name, "--type", "channel", "--never", *where)

    def edit(self, key: Key, version: int = 1, **changes: str) -> str:
        changes = changes or {"name": key.name}
        options = {"networks": "--network", "rate": "--rate", "name": "--name", "note": "--note"}
        words = [word for name, value in changes.items() for word in (options[name], value)]
        return self._run("edit", self.project.slug, key.key_id, "--version", str(version), *words)

    def renew(self, key: Key) -> str:
        return self._run("renew", self.project.slug, key.key_id)

    def rotate(self, key: Key, grace: str = "24h") -> str:
        return self._run("rotate", self.project.slug, key.key_id, "--grace", grace)

    def pause(self, key: Key) -> str:
        return self._run("pause", self.project.slug, key.key_id)

    def resume(self, key: Key) -> str:
        return self._run("resume", self.project.slug, key.key_id)

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

    def channel_key(self, name: str = "Teams", holder: str = "Ward 3") -> Key:
        if not self.project.channels.exists():
            ChannelFactory(project=self.project, slug="support", name="Support bot")
        held = {"type": KeyType.CHANNEL, "channel": "support", "holder": holder}
        return self.key(name, **held).key

    def edited(self) -> Key:
        """A key that somebody has changed since it was read."""
        key, actor = self.key().key, Actor.system("Otis")
        changes = Edit(note="Otis was here.")
        lifecycle.edit(self.project, key.key_id, changes, actor=actor, at=self.at, version=1)
        return key

    def revoked(self) -> Key:
        key = self.key().key
        return lifecycle.revoke(self.project, key.key_id, actor=Actor.system("Otis"), at=self.at)

    def paused(self) -> Key:
        return lifecycle.pause(self.project, self.key().key.key_id, actor=Actor.system(), at=self.at)

    def rotated(self) -> Key:
        old, day = self.key().key, timedelta(days=1)
        lifecycle.rotate(self.project, old.key_id, grace=day, actor=Actor.system(), at=self.at)
        return old

    def channel(self, keys: int = 0, **fields: Any) -> Channel:
        channel = ChannelFactory(project=self.project, slug="support-bot", name="Support bot", **fields)
        for number in range(keys):
            held = {"type": KeyType.CHANNEL, "channel": channel.slug, "holder": f"Shop {number}"}
            self.key(f"Key {number}", **held)
        return channel

    def agent(self) -> Key:
        key: Key = IssuedFactory(
            project=self.project, name="Release agent", at=self.at, type=KeyType.AGENT
        ).key
        return key

    def automator(self) -> Key:
        return Key.objects.get(project=self.project, type=KeyType.SYSTEM)


ALL: Final = ("console", "admin", "json", "command line")
# Channels are for people to make and to end.
PEOPLE: Final = ("console", "admin")
MACHINES: Final = ("json", "command line")
EDITORS: Final = ("console", "json", "command line")


def _twice(door: Door, stage: Stage) -> str:
    nonce = uuid.uuid4().hex
    assert door.issue("Docs crawler", "sources:read", nonce=nonce) == DONE
    return door.issue("Docs crawler", "sources:read", nonce=nonce)


def _taken(door: Door, stage: Stage) -> str:
    stage.key("Docs crawler")
    return door.issue("docs CRAWLER", "sources:read")


def _channel(door: Door, stage: Stage, channel: str = "support", holder: str = "Ward 4") -> str:
    stage.channel_key()
    return door.issue_channel("Slack", channel, holder)


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
    "rotate": Scene(lambda door, stage: door.rotate(stage.key().key, "now"), DONE),
    "rotate what is paused": Scene(lambda door, stage: door.rotate(stage.paused(), "now"), DONE),
    "rotate what was rotated": Scene(lambda door, stage: door.rotate(stage.rotated()), CONFLICT),
    "rotate what is revoked": Scene(lambda door, stage: door.rotate(stage.revoked()), CONFLICT),
    "rotate the Automator Key": Scene(lambda door, stage: door.rotate(stage.automator()), CONFLICT),
    "pause": Scene(lambda door, stage: door.pause(stage.key().key), DONE),
    "pause what is paused": Scene(lambda door, stage: door.pause(stage.paused()), DONE),
    "pause what is revoked": Scene(lambda door, stage: door.pause(stage.revoked()), CONFLICT),
    "pause the Automator Key": Scene(lambda door, stage: door.pause(stage.automator()), CONFLICT),
    "resume": Scene(lambda door, stage: door.resume(stage.paused()), DONE),
    "resume what isn't paused": Scene(lambda door, stage: door.resume(stage.key().key), DONE),
    "resume what is revoked": Scene(lambda door, stage: door.resume(stage.revoked()), CONFLICT),
    "revoke what was rotated": Scene(lambda door, stage: door.revoke(stage.rotated()), DONE, ALL),
    "issue an agent key": Scene(lambda door, stage: door.issue_agent("Release agent"), DONE),
    "issue an agent key with a scope": Scene(
        lambda door, stage: door.issue_agent("Release agent", "sources:read"), DONE
    ),
    "issue an agent key without a name": Scene(lambda door, stage: door.issue_agent(" "), REFUSED),
    "issue an agent key with an unknown scope": Scene(
        lambda door, stage: door.issue_agent("Release agent", "sources:paint"), REFUSED
    ),
    "issue a channel key": Scene(_channel, DONE, MACHINES),
    "issue a channel key in no channel": Scene(
        lambda door, stage: _channel(door, stage, channel="nowhere"), REFUSED, MACHINES
    ),
    "issue a channel key to nobody": Scene(
        lambda door, stage: _channel(door, stage, holder=" "), REFUSED, MACHINES
    ),
    "issue a channel key to a holder twice": Scene(
        lambda door, stage: _channel(door, stage, holder="ward 3"), REFUSED, MACHINES
    ),
    "edit": Scene(
        lambda door, stage: door.edit(stage.key().key, name="Wiki crawler", note="New"), DONE, EDITORS
    ),
    "edit an agent key": Scene(
        lambda door, stage: door.edit(stage.agent(), name="Shipping agent"), DONE, EDITORS
    ),
    "edit a channel key": Scene(
        lambda door, stage: door.edit(stage.channel_key(), name="Teams, ward 3"), DONE, EDITORS
    ),
    "edit nothing": Scene(lambda door, stage: door.edit(stage.key().key), DONE, EDITORS),
    "edit the limits": Scene(
        lambda door, stage: door.edit(stage.key().key, networks="10.0.0.0/8", rate="100/minute"),
        DONE,
        EDITORS,
    ),
    "edit to a network that is none": Scene(
        lambda door, stage: door.edit(stage.key().key, networks="10.0.0.0/33"), REFUSED, EDITORS
    ),
    "edit to a name that is taken": Scene(
        lambda door, stage: door.edit(stage.key().key, name="automator KEY"), REFUSED, EDITORS
    ),
    "edit to a note that is a token": Scene(
        lambda door, stage: door.edit(stage.key().key, note=TOKEN_SHAPED), REFUSED, EDITORS
    ),
    "edit what was changed meanwhile": Scene(
        lambda door, stage: door.edit(stage.edited(), note="Late."), CONFLICT, EDITORS
    ),
    "edit what is revoked": Scene(
        lambda door, stage: door.edit(stage.revoked(), 2, note="Late."), CONFLICT, EDITORS
    ),
    "edit the Automator Key": Scene(
        lambda door, stage: door.edit(stage.automator(), name="Mine"),
        CONFLICT,
        EDITORS,
    ),
    "revoke an agent key": Scene(lambda door, stage: door.revoke(stage.agent(), "Done"), DONE, ALL),
    "revoke a channel key": Scene(lambda door, stage: door.revoke(stage.channel_key(), "Done"), DONE, ALL),
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
    "open_channel": Scene(lambda door, stage: door.open_channel("Support bot"), DONE, PEOPLE),
    "open a channel under a name that is taken": Scene(
        lambda door, stage: door.open_channel(stage.channel().name.upper()), REFUSED, PEOPLE
    ),
    "open a channel of an unknown kind": Scene(
        lambda door, stage: door.open_channel("Support bot", "fax"), REFUSED, PEOPLE
    ),
    "open a channel under a name that is a token": Scene(
        lambda door, stage: door.open_channel(TOKEN_SHAPED), REFUSED, PEOPLE
    ),
    "edit_channel": Scene(
        lambda door, stage: door.edit_channel(stage.channel(), "Help bot", "slack"), DONE, PEOPLE
    ),
    "edit a channel without a change": Scene(
        lambda door, stage: door.edit_channel(stage.channel(), "Support bot"), DONE, PEOPLE
    ),
    "edit a channel that was changed meanwhile": Scene(
        lambda door, stage: door.edit_channel(stage.channel(version=2), "Help bot"), CONFLICT, PEOPLE
    ),
    "edit a channel that is closed": Scene(
        lambda door, stage: door.edit_channel(stage.channel(closed_at=stage.at), "Help bot"),
        CONFLICT,
        PEOPLE,
    ),
    "close_channel": Scene(lambda door, stage: door.close_channel(stage.channel(keys=2)), DONE, PEOPLE),
    "close a channel that is closed": Scene(
        lambda door, stage: door.close_channel(stage.channel(closed_at=stage.at)), CONFLICT, PEOPLE
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


_OF_ITS_OWN: Final = {"successor", "predecessor", "ends_at"}
# What the first door left in the log for a scene; every other door must leave the same.
_EVENTS: Final[dict[tuple[str, str], list[tuple[str, str, dict[str, Any]]]]] = {}


def _events(project: Project) -> list[tuple[str, str, dict[str, Any]]]:
    """What the log says of keys and channels, without who, when and which; an agent key by its life."""
    kinds = ("key", "channel")
    events = AuditEvent.objects.filter(project_id=project.pk, object_kind__in=kinds).order_by("number")
    return [(event.verb, event.object_label, _alike(event)) for event in events]


def _alike(event: AuditEvent) -> dict[str, Any]:
    changes: dict[str, Any] = event.changes | dict.fromkeys(_OF_ITS_OWN & event.changes.keys())
    if changes.get("type") != KeyType.AGENT:
        return changes
    lives = datetime.fromisoformat(changes["expires_at"]) - event.at
    return changes | {"expires_at": f"after {lives}"}


def test_a_door_that_has_a_verb_is_in_its_scenes() -> None:
    """A verb that a door learns later must be played there too."""
    keys = ("issue", "issue_agent", "issue_channel", "edit", "renew", "rotate", "pause", "resume", "revoke")
    for verb in (*keys, "open_channel", "edit_channel", "close_channel"):
        having = {
            name
            for name, door in zip(ALL, (Console, Administration, Json, CommandLine), strict=True)
            if getattr(door, verb) is not getattr(Door, verb)
        }
        scene = {"issue_agent": "issue an agent key", "issue_channel": "issue a channel key"}.get(verb, verb)
        assert set(SCENES[scene].doors) == having


def test_a_key_is_of_one_kind_whatever_door_it_came_through(project: Project, doors: dict[str, Door]) -> None:
    for name in ("console", "json", "command line"):
        assert doors[name].issue(f"Key of the {name}", "sources:read") == DONE
    keys = Key.objects.filter(project=project, name__startswith="Key of the")
    assert {(key.type, key.scopes, key.environment) for key in keys} == {
        ("restricted", "sources:read", "live")
    }
    assert {key.name for key in keys if key.confirmed_at is None} == {"Key of the console"}
