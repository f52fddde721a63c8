"""The verbs on a key, and the only writer of Key.

Each verb checks the rules, locks the head of the project's audit log and then the key, changes it and
writes its event, all in one transaction. Console, admin, JSON API and command line call the same verb
and translate its answer: ValidationError (bad input), PermissionDenied (this actor may not), Conflict
(not any more, or not twice).
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction

from keys import scopes, tokens
from keys.kinds import (
    AUTOMATOR_NAME,
    NEVER_EXPIRES,
    NOTE_LENGTH,
    REASON_LENGTH,
    Environment,
    KeyType,
)
from keys.models import IssueNonce, Key, KeyActivity
from keys.sealing import Keyring
from projects import audit
from projects.audit import Actor
from projects.models import Project, Role
from projects.names import clean_name, clean_text, fold

T = TypeVar("T")

ISSUABLE: Final = (KeyType.PRIVILEGED, KeyType.VIEWER, KeyType.RESTRICTED)


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
class Draft:
    """What somebody wants a new key to be."""

    name: str
    type: str = KeyType.RESTRICTED
    scopes: Sequence[str] = ()
    environment: str = Environment.LIVE
    expires_at: datetime = NEVER_EXPIRES
    note: str = ""


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
    may_issue(actor, draft.type, draft.scopes)
    if draft.type not in ISSUABLE:
        raise ValidationError({"type": "Choose a type of key."})
    key = _drafted(project, draft, at)
    key.created_by = actor.user
    key.created_by_label = actor.label
    key.confirmed_at = at if confirmed else None
    with audit.log(project.pk, actor, at) as log:
        _refuse_spent(project, actor, nonce)
        # After the nonce: a retry would find the name taken by the key that it made itself.
        _refuse_taken_name(key)
        token = _fresh_secret(key)
        _insert(key)
        if nonce:
            IssueNonce.objects.create(project=project, digest=_digest(actor, nonce), key=key, created_at=at)
        _record(log, "key.issued", key, **_described(key))
    return Issued(key, token.text)


def confirm(project: Project, key_id: str, *, actor: Actor, at: datetime) -> Key:
    """Note that the secret was stored, and return the key; a second time changes nothing.

    Raises Key.DoesNotExist, PermissionDenied (somebody else's key, for an operator), AlreadyRevoked.
    """
    with _locked(project, key_id, actor, at) as (log, key):
        _refuse_revoked(key, at)
        may_handle(actor, key)
        if key.confirmed_at is None and not key.is_protected:
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
        _refuse_revoked(key, at)
        may_renew(actor, key)
        if not key.is_protected and not key.is_unconfirmed():
            raise NotRenewable("This key is in use. Its secret can't be replaced.", key)
        if key.is_expired(at):
            raise NotRenewable("This key has expired.", key)
        if key.version != version:
            raise Stale("This key was already given a new secret. It can't be shown again.", key)
        token = _fresh_secret(key)
        key.confirmed_at = at if confirmed else None
        _save(key, "secret_hash", "last4", "sealed", "confirmed_at")
        _record(log, "key.renewed", key)
    return Issued(key, token.text)


def revoke(project: Project, key_id: str, *, actor: Actor, at: datetime, reason: str = "") -> Key:
    """End the key at once and for good, and return it. Its sealed copy is destroyed.

    Any operator may revoke anybody's key: whoever is on call must be able to stop a leak.
    Raises Key.DoesNotExist, PermissionDenied, Protected, AlreadyRevoked, ValidationError (reason).
    """
    reason = _cleaned("reason", clean_text, reason, REASON_LENGTH)
    with _locked(project, key_id, actor, at) as (log, key):
        _require(actor, Role.OPERATOR)
        refuse_revoking(key, at)
        key.revoked_at, key.revoked_by_label, key.revoked_reason = at, actor.label, reason
        key.sealed = None
        _save(key, "revoked_at", "revoked_by_label", "revoked_reason", "sealed")
        _record(log, "key.revoked", key, reason=reason)
    return key


def refuse_revoking(key: Key, at: datetime) -> None:
    """Raise Protected for the Automator Key, AlreadyRevoked for a key that has ended."""
    if key.is_protected:
        raise Protected("The Automator Key can't be revoked. Renew it to stop a leak.", key)
    _refuse_revoked(key, at)


def found_automator(project: Project, at: datetime) -> Key:
    """Make the project's system key, sealed, and return it; part of making the project."""
    actor = Actor.system()
    key = _drafted(project, Draft(AUTOMATOR_NAME, KeyType.SYSTEM), at)
    key.created_by_label = actor.label
    key.confirmed_at = at
    with audit.log(project.pk, actor, at) as log:
        _fresh_secret(key)
        _insert(key)
        _record(log, "key.issued", key, **_described(key))
    return key


# Who may. The role comes from the door (projects/access.py); what it may do with a key is said here,
# for every surface alike.


def issuable_types(role: Role) -> list[KeyType]:
    """Return the types of key that a person of this role may issue."""
    if role < Role.OPERATOR:
        return []
    return [kind for kind in ISSUABLE if kind != KeyType.PRIVILEGED or role >= Role.ADMIN]


def may_issue(actor: Actor, key_type: str, picked: Sequence[str] = ()) -> None:
    """Raise PermissionDenied unless the actor may issue such a key."""
    _require(actor, Role.OPERATOR)
    wide = key_type == KeyType.PRIVILEGED or any(scopes.above_operators(s) for s in picked)
    if wide:
        _require(actor, Role.ADMIN)


def may_handle(actor: Actor, key: Key) -> None:
    """Raise PermissionDenied unless the key is the actor's own, or the actor is an admin."""
    own = actor.user is not None and key.created_by_id == actor.user.pk
    _require(actor, Role.OPERATOR if own else Role.ADMIN)


def may_renew(actor: Actor, key: Key) -> None:
    """Raise PermissionDenied unless the actor may issue such a key, and this one is theirs to handle."""
    if key.is_protected:
        _require(actor, Role.ADMIN)
        return
    may_handle(actor, key)
    may_issue(actor, key.type, key.scopes.split())


def _require(actor: Actor, role: Role) -> None:
    if actor.role < role:
        raise PermissionDenied(f"Ask an {role.label.lower()} to do that.")


# How.


@contextmanager
def _locked(project: Project, key_id: str, actor: Actor, at: datetime) -> Iterator[tuple[audit.Log, Key]]:
    with audit.log(project.pk, actor, at) as log:
        keys = Key.objects.of(project).select_for_update(of=("self",))
        yield log, keys.get(key_id=key_id)


def _drafted(project: Project, draft: Draft, at: datetime) -> Key:
    """Return an unsaved key, every rule checked that needs no secret.

    Raises ValidationError with all that is wrong, by field. Checked here and not in a ModelForm, which
    would skip a constraint on a column that it doesn't show.
    """
    errors = _Errors()
    name = errors.gather(lambda: _cleaned("name", clean_name, draft.name))
    key = Key(
        project=project,
        type=draft.type,
        environment=draft.environment,
        name=name or "",
        name_folded=fold(name or ""),
        note=errors.gather(lambda: _cleaned("note", clean_text, draft.note, NOTE_LENGTH)) or "",
        scopes=errors.gather(lambda: _picked(project, draft)) or "",
        created_at=at,
        expires_at=draft.expires_at,
    )
    if draft.expires_at <= at:
        errors.add({"expires_at": "Choose a date after today."})
    if draft.environment not in Environment.values:
        errors.add({"environment": "Choose Live or Test."})
    errors.gather(lambda: _refuse_taken_name(key))
    errors.raise_any()
    return key


class _Errors:
    """Gathers what is wrong with a draft, so that all of it is said at once."""

    def __init__(self) -> None:
        self._by_field: dict[str, list[str]] = {}

    def gather(self, rule: Callable[[], T]) -> T | None:
        """Return what the rule gives; None where it raises a ValidationError, which is kept."""
        try:
            return rule()
        except ValidationError as error:
            self.add(error.message_dict)
            return None

    def add(self, messages: Mapping[str, str | list[str]]) -> None:
        for name, texts in messages.items():
            self._by_field.setdefault(name, []).extend([texts] if isinstance(texts, str) else texts)

    def raise_any(self) -> None:
        if self._by_field:
            raise ValidationError(self._by_field)


def _picked(project: Project, draft: Draft) -> str:
    if draft.type != KeyType.RESTRICTED:
        if draft.scopes:
            raise ValidationError({"scopes": "Only a restricted key has scopes of its own."})
        return ""
    known = {scope for resource in project.catalogue() for scope in resource.scopes()}
    if unknown := sorted(set(draft.scopes) - known):
        raise ValidationError({"scopes": f"This project has no scope called “{unknown[0][:60]}”."})
    if not draft.scopes:
        raise ValidationError({"scopes": "Pick at least one scope."})
    return scopes.join(draft.scopes)


def _cleaned(name: str, clean: Callable[[str], str], text: str, most: int | None = None) -> str:
    """Return the cleaned text. Raises ValidationError under the field's name."""
    try:
        cleaned = clean(text)
    except ValidationError as error:
        raise ValidationError({name: error}) from None
    if most and len(cleaned) > most:
        raise ValidationError({name: f"Use {most:,} characters or fewer."})
    return cleaned


def _refuse_taken_name(key: Key) -> None:
    # Here and not in a ModelForm, which would skip a constraint on a column it doesn't show.
    others = Key.objects.filter(project=key.project, name_folded=key.name_folded, revoked_at=None)
    if other := others.first():
        raise ValidationError({"name": f"Another key is called “{other.name}”."})


def _insert(key: Key) -> None:
    """Insert the key with its activity. A race for the name ends as the same ValidationError."""
    try:
        with transaction.atomic():
            key.save(force_insert=True)
    except IntegrityError:
        _refuse_taken_name(key)
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
    # `update_fields`: a late write of one column must not resurrect another.
    key.version += 1
    key.save(update_fields=[*columns, "version"])


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


def _described(key: Key) -> dict[str, object]:
    return {
        "type": key.type,
        "environment": key.environment,
        "scopes": key.scopes.split(),
        "expires_at": None if key.never_expires else key.expires_at.isoformat(),
    }
