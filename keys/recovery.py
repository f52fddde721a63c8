"""Recoverable keys: a project may keep the tokens of its keys sealed, to be shown again. Off by default.

The copies are made with the secrets (`keys.writing`), die with the keys, and all at once with the setting.
"""

from datetime import datetime

from django.conf import settings
from django.core.exceptions import PermissionDenied

from keys import writing
from keys.conflicts import Conflict, refuse_revoked
from keys.kinds import KeyType
from keys.models import Key
from keys.permissions import may_reveal
from keys.querysets import KeyQuerySet
from keys.sealing import Keyring
from projects import audit
from projects.audit import Actor
from projects.models import Project, Role


class NotKept(Conflict):
    """There is no sealed copy of this key's token."""


def reveal(project: Project, key_id: str, *, actor: Actor, at: datetime) -> str:
    """Return the token of a key that is kept sealed; each time with an event.

    Own keys, and any for admins and owners; never the Automator Key's, which is renewed instead.
    Raises Key.DoesNotExist, PermissionDenied, AlreadyRevoked, NotKept, SealingError (a lost sealing key).
    Locks the head of the project's log and the key.
    """
    with writing.locked(project, key_id, actor, at) as (log, key):
        may_reveal(actor, key)
        refuse_revealing(key, at)
        token = Keyring(settings.KEYRACK_SEALING_KEYS).open(bytes(key.sealed or b""), key.seal_place)
        writing.record(log, "key.revealed", key)
    return token


def refuse_revealing(key: Key, at: datetime) -> None:
    """Raise AlreadyRevoked, or NotKept, unless the key's token can be shown again."""
    refuse_revoked(key, at)
    if key.is_protected:
        raise NotKept("The Automator Key isn't shown. Renew it: you get a new secret, once.", key)
    if key.sealed is None:
        raise NotKept("This key was made while keys weren't recoverable: nothing of it is kept.", key)


def sealed_copies(project: Project) -> int:
    """Return how many tokens would be destroyed with the setting. One query."""
    return _copies(project).count()


def set_recoverable(project: Project, on: bool, *, actor: Actor, at: datetime) -> int:
    """Turn the setting on for keys that are made from now on, or off; return how many copies that destroyed.

    Raises PermissionDenied below owner, and for keys. Locks the head of the project's log: no key is issued
    meanwhile, so that none is left sealed.
    """
    if actor.kind == "key" or actor.role < Role.OWNER:
        raise PermissionDenied("Ask an owner to do that.")
    with audit.log(project.pk, actor, at) as log:
        current = Project.objects.get(pk=project.pk)
        if current.recoverable_keys is on:
            return 0
        current.recoverable_keys = on
        current.save(update_fields=["recoverable_keys"])
        destroyed = 0 if on else _copies(project).update(sealed=None)
        log.record(
            "project.recoverable_keys", "project", project.slug, project.name,
            recoverable_keys=[not on, on], destroyed=destroyed,
        )  # fmt: skip
    return destroyed


def _copies(project: Project) -> KeyQuerySet:
    """The keys whose token is kept because of the setting: the Automator Key's is kept in any case."""
    return Key.objects.filter(project=project, sealed__isnull=False).exclude(type=KeyType.SYSTEM)
