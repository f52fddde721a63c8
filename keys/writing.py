"""How a key is written: locked, inserted, changed, ended, each with its event. For `keys.lifecycle` alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction

from keys import tokens
from keys.drafts import refuse_taken_holder, refuse_taken_name
from keys.models import Key, KeyActivity
from keys.sealing import Keyring
from projects import audit, statements
from projects.audit import Actor
from projects.models import Project
from projects.statements import Select

_RECOVERABLE: Final = Select(lambda pk: Project.objects.filter(pk=pk).values_list("recoverable_keys"))


@contextmanager
def locked(project: Project, key_id: str, actor: Actor, at: datetime) -> Iterator[tuple[audit.Log, Key]]:
    """Open a transaction, lock the head of the project's log and then the key. Raises Key.DoesNotExist."""
    with audit.log(project.pk, actor, at) as log:
        keys = Key.objects.of(project).select_for_update(of=("self",))
        yield log, keys.get(key_id=key_id)


def insert(key: Key) -> None:
    """Insert the key with its activity. A race for name or holder ends as the same ValidationError."""
    try:
        with transaction.atomic():
            statements.insert(key)
    except IntegrityError:
        refuse_taken_name(key)
        refuse_taken_holder(key)
        raise
    statements.insert(KeyActivity(key=key, project_id=key.project_id))


def fresh_secret(key: Key) -> tokens.Token:
    """Give the key a new secret and return the token; only its hash stays on the key.

    The Automator Key's token is also kept sealed, since nobody sees it when it is made; every key's is while
    the project keeps its keys recoverable. One query for that: the log's head is locked, so it can't change.
    """
    token = tokens.generate(key.environment, key.key_id or None)
    key.key_id, key.last4 = token.key_id, token.last4
    key.secret_hash = tokens.hash_secret(token.secret)
    if key.is_protected or any(recoverable for (recoverable,) in _RECOVERABLE.rows(key.project_id)):
        key.sealed = Keyring(settings.KEYRACK_SEALING_KEYS).seal(token.text, key.seal_place)
    return token


def save(key: Key, *columns: str) -> None:
    """Write the columns. A race for the name ends as the ValidationError that names it."""
    key.version += 1
    try:
        with transaction.atomic():
            # `update_fields`: a late write of one column must not resurrect another.
            key.save(update_fields=[*columns, "version"])
    except IntegrityError:
        refuse_taken_name(key)
        raise


def end(log: audit.Log, key: Key, actor: Actor, at: datetime, reason: str) -> None:
    """Revoke the key at once, and destroy its sealed copy."""
    key.revoked_at, key.revoked_by_label, key.revoked_reason = at, actor.label, reason
    key.sealed = None
    save(key, "revoked_at", "revoked_by_label", "revoked_reason", "sealed")
    record(log, "key.revoked", key, reason=reason)


def record(log: audit.Log, verb: str, key: Key, **changes: object) -> None:
    """Write the event of a verb on the key."""
    log.record(verb, "key", key.key_id, key.name, **changes)


def editable(key: Key) -> dict[str, object]:
    """Return what *edit* may change, as events say it."""
    whole = described(key)
    limits = {"networks": key.networks.split(), "rate": key.rate}
    same = {name: whole[name] for name in ("scopes", "expires_at")}
    return {"name": key.name, "note": key.note} | same | limits


def described(key: Key) -> dict[str, object]:
    """Return what a new key is, as events say it."""
    return {
        "type": key.type,
        "environment": key.environment,
        **({"channel": key.channel.slug, "holder": key.holder} if key.channel else {}),
        "scopes": key.scopes.split(),
        "expires_at": None if key.never_expires else key.expires_at.isoformat(),
        **({"networks": key.networks.split()} if key.networks else {}),
        **({"rate": key.rate} if key.rate else {}),
    }
