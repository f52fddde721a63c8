"""The verbs on a key, and the only writer of Key.

Each verb checks the rules, locks the head of the project's audit log and then the key, changes it and
writes its event, all in one transaction. Console, admin, JSON API and command line call the same verb
and translate its answer: ValidationError (bad input), PermissionDenied (this actor may not), Conflict
(not any more, or not twice).
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from keys import tokens
from keys.drafts import (
    Draft,
    Edit,
    cleaned,
    drafted,
    edited,
    refuse_taken_holder,
    refuse_taken_name,
    settled,
)
from keys.kinds import AUTOMATOR_NAME, REASON_LENGTH, KeyType
from keys.models import IssueNonce, Key, KeyActivity
from keys.permissions import (
    ISSUABLE,
    KeyActor,
    Reach,
    may_edit,
    may_handle,
    may_issue,
    may_renew,
    may_revoke,
)
from keys.sealing import Keyring
from projects import audit
from projects.audit import Actor
from projects.models import Channel, Project
from projects.names import clean_text


class Conflict(Exception):
    """The verb came too late or a second time; nothing was changed."""

    def __init__(self, message: str, key: Key) -> None:
        super().__init__(message)
        self.key = key


class AlreadyIssued(Conflict):
    """The nonce of this request has made `key` before; its secret can't be shown again."""


class AlreadyRevoked(Conflict):
    """The key was revoked before."""


class Protected(Conflict):
    """The Automator Key knows one verb: renew."""


class Stale(Conflict):
    """The key was changed since it was read: its `version` is another one now."""


class NotRenewable(Conflict):
    """The key is in use, or at its end: it can only be rotated or revoked."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A key with its token, which exists in this answer and nowhere else."""

    key: Key
    token: str = field(repr=False)


def issue(
    project: Project,
    draft: Draft,
    *,
    actor: Actor,
    at: datetime,
    nonce: str = "",
    confirmed: bool = False,
) -> Issued:
    """Return a new key and its token, once.

    `nonce` makes it happen once: AlreadyIssued, with the first key, for a nonce that was spent.
    `confirmed` is for callers that get the token as data (JSON, command line).
    Raises ValidationError (by field) for a draft that breaks a rule, PermissionDenied where the actor's
    role doesn't reach. Locks the head of the project's log.
    """
    if draft.type not in ISSUABLE:
        raise ValidationError({"type": "Choose a type of key."})
    draft = settled(project, draft, at)
    may_issue(actor, Reach.of(draft))
    with audit.log(project.pk, actor, at) as log:
        # Before the draft: a retry would find its name taken, by the key that it made itself.
        _refuse_spent(project, actor, nonce)
        key = drafted(project, draft, at)
        key.created_by = actor.user
        key.created_by_key_id = actor.key_pk if isinstance(actor, KeyActor) else None
        key.created_by_label = actor.label
        key.confirmed_at = at if confirmed else None
        token = _fresh_secret(key)
        _insert(key)
        if nonce:
            IssueNonce.objects.create(project=project, digest=_digest(actor, nonce), key=key, created_at=at)
        _record(log, "key.issued", key, **_described(key))
    return Issued(key, token.text)


def confirm(project: Project, key_id: str, *, actor: Actor, at: datetime, version: int | None = None) -> Key:
    """Note that the secret was stored, and return the key; a second time changes nothing.

    `version` is that of the secret which was stored: Stale where the key was given another meanwhile.
    Raises Key.DoesNotExist, PermissionDenied (somebody else's key, for an operator), AlreadyRevoked.
    """
    with _locked(project, key_id, actor, at) as (log, key):
        may_handle(actor, key)
        _refuse_revoked(key, at)
        if key.confirmed_at is not None or key.is_protected:
            return key
        if version not in (None, key.version):
            raise Stale("This key was given a new secret meanwhile. The one you stored is dead.", key)
        key.confirmed_at = at
        _save(key, "confirmed_at")
        _record(log, "key.confirmed", key)
    return key


def renew(
    project: Project,
    key_id: str,
    *,
    actor: Actor,
    at: datetime,
    version: int,
    confirmed: bool = False,
) -> Issued:
    """Return the same key with a fresh secret; the old one stops at once.

    For a key that nobody has confirmed or used, and for the Automator Key (admins and owners).
    `version` is the one that the actor saw: Stale where it is another by now, so that a refresh of the
    answer doesn't kill the secret that was just copied.
    Raises Key.DoesNotExist, PermissionDenied, AlreadyRevoked, NotRenewable, Stale.
    """
    with _locked(project, key_id, actor, at) as (log, key):
        may_renew(actor, key)
        refuse_renewing(key, at)
        if key.version != version:
            raise Stale("This key was already given a new secret. It can't be shown again.", key)
        token = _fresh_secret(key)
        key.confirmed_at = at if confirmed else None
        _save(key, "secret_hash", "last4", "sealed", "confirmed_at")
        _record(log, "key.renewed", key)
    return Issued(key, token.text)


def edit(project: Project, key_id: str, changes: Edit, *, actor: Actor, at: datetime, version: int) -> Key:
    """Change what a key is called, may do and how long it lives, and return it; its secret stays.

    `version` is the one that the actor saw: Stale where it is another by now, so that nobody's change is
    lost. An edit that changes nothing writes nothing. The event has each value before and after.
    Raises Key.DoesNotExist, PermissionDenied (also for more than the actor may grant), Protected,
    AlreadyRevoked, Stale, ValidationError (by member).
    """
    with _locked(project, key_id, actor, at) as (log, key):
        may_edit(actor, key)
        refuse_editing(key, at)
        if key.version != version:
            raise Stale("This key was changed meanwhile.", key)
        before = _editable(key)
        edited(key, changes, at)
        may_issue(actor, Reach.of(key))
        after = _editable(key)
        changed = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
        if changed:
            _save(key, "name", "name_folded", "note", "scopes", "expires_at")
            _record(log, "key.edited", key, **changed)
    return key


def revoke(project: Project, key_id: str, *, actor: Actor, at: datetime, reason: str = "") -> Key:
    """End the key at once and for good, and return it. Its sealed copy is destroyed.

    Any operator may revoke anybody's key: whoever is on call must be able to stop a leak.
    Raises Key.DoesNotExist, PermissionDenied, Protected, AlreadyRevoked, ValidationError (reason).
    """
    reason = cleaned("reason", clean_text, reason, REASON_LENGTH)
    with _locked(project, key_id, actor, at) as (log, key):
        may_revoke(actor, key)
        refuse_revoking(key, at)
        _end(log, key, actor, at, reason)
    return key


def revoke_all_of(channel: Channel, log: audit.Log, *, actor: Actor, at: datetime, reason: str) -> int:
    """End every key of a channel that hasn't ended, and return how many; part of closing the channel.

    `log` is the project's, its head locked. The keys are locked by id, after it.
    """
    keys = Key.objects.filter(channel=channel).listed(at).select_for_update().order_by("pk")
    ended = list(keys)
    for key in ended:
        _end(log, key, actor, at, reason)
    return len(ended)


def refuse_revoking(key: Key, at: datetime) -> None:
    """Raise Protected for the Automator Key, AlreadyRevoked for a key that has ended."""
    if key.is_protected:
        raise Protected("The Automator Key can't be revoked. Renew it to stop a leak.", key)
    _refuse_revoked(key, at)


def refuse_editing(key: Key, at: datetime) -> None:
    """Raise Protected for the Automator Key, AlreadyRevoked for a key that has ended."""
    if key.is_protected:
        raise Protected("The Automator Key can't be edited.", key)
    _refuse_revoked(key, at)


def refuse_renewing(key: Key, at: datetime) -> None:
    """Raise AlreadyRevoked or NotRenewable unless the key's secret may be replaced.

    Once somebody has stored or used a secret, replacing it would break what uses it.
    """
    _refuse_revoked(key, at)
    if key.is_expired(at):
        raise NotRenewable("This key has expired.", key)
    if not key.is_protected and not key.is_unconfirmed():
        raise NotRenewable("This key's secret was stored or used, so it can't be replaced.", key)


def found_automator(project: Project, at: datetime) -> Key:
    """Make the project's system key, sealed, and return it; part of making the project."""
    actor = Actor.system()
    key = drafted(project, Draft(AUTOMATOR_NAME, KeyType.SYSTEM), at)
    key.created_by_label = actor.label
    key.confirmed_at = at
    with audit.log(project.pk, actor, at) as log:
        _fresh_secret(key)
        _insert(key)
        _record(log, "key.issued", key, **_described(key))
    return key


@contextmanager
def _locked(project: Project, key_id: str, actor: Actor, at: datetime) -> Iterator[tuple[audit.Log, Key]]:
    with audit.log(project.pk, actor, at) as log:
        keys = Key.objects.of(project).select_for_update(of=("self",))
        yield log, keys.get(key_id=key_id)


def _end(log: audit.Log, key: Key, actor: Actor, at: datetime, reason: str) -> None:
    key.revoked_at, key.revoked_by_label, key.revoked_reason = at, actor.label, reason
    key.sealed = None
    _save(key, "revoked_at", "revoked_by_label", "revoked_reason", "sealed")
    _record(log, "key.revoked", key, reason=reason)


def _insert(key: Key) -> None:
    """Insert the key with its activity. A race for name or holder ends as the same ValidationError."""
    try:
        with transaction.atomic():
            key.save(force_insert=True)
    except IntegrityError:
        refuse_taken_name(key)
        refuse_taken_holder(key)
        raise
    KeyActivity.objects.create(key=key, project_id=key.project_id)


def _fresh_secret(key: Key) -> tokens.Token:
    """Give the key a new secret and return the token; only its hash stays on the key.

    The Automator Key's token is also kept sealed, since nobody sees it when it is made.
    """
    token = tokens.generate(key.environment, key.key_id or None)
    key.key_id, key.last4 = token.key_id, token.last4
    key.secret_hash = tokens.hash_secret(token.secret)
    if key.is_protected:
        key.sealed = Keyring(settings.KEYRACK_SEALING_KEYS).seal(token.text, key.seal_place)
    return token


def _save(key: Key, *columns: str) -> None:
    """Write the columns. A race for the name ends as the ValidationError that names it."""
    key.version += 1
    try:
        with transaction.atomic():
            # `update_fields`: a late write of one column must not resurrect another.
            key.save(update_fields=[*columns, "version"])
    except IntegrityError:
        refuse_taken_name(key)
        raise


def _refuse_revoked(key: Key, at: datetime) -> None:
    if key.is_revoked(at):
        raise AlreadyRevoked(f"{key.revoked_by_label} already revoked this key.", key)


def _refuse_spent(project: Project, actor: Actor, nonce: str) -> None:
    """Raise AlreadyIssued for a spent nonce. The log's head is locked: no other request is between."""
    spent = IssueNonce.objects.select_related("key").filter(project=project, digest=_digest(actor, nonce))
    if nonce and (first := spent.first()):
        raise AlreadyIssued("This key was already created. Its secret can't be shown again.", first.key)


def _digest(actor: Actor, nonce: str) -> str:
    return hashlib.sha256(f"{actor.kind}\0{actor.id}\0{nonce}".encode()).hexdigest()


def _record(log: audit.Log, verb: str, key: Key, **changes: object) -> None:
    log.record(verb, "key", key.key_id, key.name, **changes)


def _editable(key: Key) -> dict[str, object]:
    described = _described(key)
    return {"name": key.name, "note": key.note} | {name: described[name] for name in ("scopes", "expires_at")}


def _described(key: Key) -> dict[str, object]:
    return {
        "type": key.type,
        "environment": key.environment,
        **({"channel": key.channel.slug, "holder": key.holder} if key.channel else {}),
        "scopes": key.scopes.split(),
        "expires_at": None if key.never_expires else key.expires_at.isoformat(),
    }
