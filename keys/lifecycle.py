"""The verbs on a key, and the only writer of Key.

Each verb checks the rules, locks the head of the project's audit log and then the key, changes it and
writes its event, all in one transaction. Console, admin, JSON API and command line call the same verb
and translate its answer: ValidationError (bad input), PermissionDenied (this actor may not), Conflict
(not any more, or not twice).
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.core.exceptions import ValidationError

from keys import tokens, writing
from keys.conflicts import (
    AlreadyIssued,
    Stale,
    refuse_editing,
    refuse_pausing,
    refuse_renewing,
    refuse_revoked,
    refuse_revoking,
    refuse_rotating,
)
from keys.drafts import (
    Draft,
    Edit,
    cleaned,
    drafted,
    edited,
    settled,
)
from keys.kinds import AUTOMATOR_NAME, GRACES, REASON_LENGTH, KeyType
from keys.models import IssueNonce, Key
from keys.permissions import (
    ISSUABLE,
    KeyActor,
    Reach,
    may_edit,
    may_handle,
    may_issue,
    may_pause,
    may_renew,
    may_revoke,
)
from projects import audit
from projects.audit import Actor
from projects.models import Channel, Project
from projects.names import clean_text

LONGEST_GRACE: Final = max(GRACES.values())


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
        if nonce:
            _refuse_spent(project, actor, nonce)
        key = drafted(project, draft, at)
        token = _issue(key, actor, at, confirmed)
        if nonce:
            IssueNonce.objects.create(project=project, digest=_digest(actor, nonce), key=key, created_at=at)
        writing.record(log, "key.issued", key, **writing.described(key))
    return Issued(key, token.text)


def confirm(project: Project, key_id: str, *, actor: Actor, at: datetime, version: int | None = None) -> Key:
    """Note that the secret was stored, and return the key; a second time changes nothing.

    `version` is that of the secret which was stored: Stale where the key was given another meanwhile.
    Raises Key.DoesNotExist, PermissionDenied (somebody else's key, for an operator), AlreadyRevoked.
    """
    with writing.locked(project, key_id, actor, at) as (log, key):
        may_handle(actor, key)
        refuse_revoked(key, at)
        if key.confirmed_at is not None or key.is_protected:
            return key
        if version not in (None, key.version):
            raise Stale("This key was given a new secret meanwhile. The one you stored is dead.", key)
        key.confirmed_at = at
        writing.save(key, "confirmed_at")
        writing.record(log, "key.confirmed", key)
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
    with writing.locked(project, key_id, actor, at) as (log, key):
        may_renew(actor, key)
        refuse_renewing(key, at)
        if key.version != version:
            raise Stale("This key was already given a new secret. It can't be shown again.", key)
        token = writing.fresh_secret(key)
        key.confirmed_at = at if confirmed else None
        writing.save(key, "secret_hash", "last4", "sealed", "confirmed_at")
        writing.record(log, "key.renewed", key)
    return Issued(key, token.text)


def edit(project: Project, key_id: str, changes: Edit, *, actor: Actor, at: datetime, version: int) -> Key:
    """Change what a key is called, may do and how long it lives, and return it; its secret stays.

    `version` is the one that the actor saw: Stale where it is another by now, so that nobody's change is
    lost. An edit that changes nothing writes nothing. The event has each value before and after.
    Raises Key.DoesNotExist, PermissionDenied (also for more than the actor may grant), Protected,
    AlreadyRevoked, Stale, ValidationError (by member).
    """
    with writing.locked(project, key_id, actor, at) as (log, key):
        may_edit(actor, key)
        refuse_editing(key, at)
        if key.version != version:
            raise Stale("This key was changed meanwhile.", key)
        before = writing.editable(key)
        edited(key, changes, at)
        may_issue(actor, Reach.of(key))
        after = writing.editable(key)
        changed = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
        if changed:
            writing.save(key, "name", "name_folded", "note", "scopes", "expires_at", "networks", "rate")
            writing.record(log, "key.edited", key, **changed)
    return key


def pause(project: Project, key_id: str, *, actor: Actor, at: datetime) -> Key:
    """Refuse the key until it is resumed, and return it; a second time changes nothing.

    Any operator may pause anybody's key, as they may revoke it.
    Raises Key.DoesNotExist, PermissionDenied, Protected, AlreadyRevoked.
    """
    with writing.locked(project, key_id, actor, at) as (log, key):
        may_pause(actor, key)
        refuse_pausing(key, at)
        if key.paused_at is None:
            key.paused_at = at
            writing.save(key, "paused_at")
            writing.record(log, "key.paused", key)
    return key


def resume(project: Project, key_id: str, *, actor: Actor, at: datetime) -> Key:
    """Let a paused key pass again, and return it; one that isn't paused stays as it is.

    Only for whoever may edit the key: a pause that an admin has set is not an operator's to end, nor may
    they bring back a key that they couldn't issue.
    Raises Key.DoesNotExist, PermissionDenied, AlreadyRevoked.
    """
    with writing.locked(project, key_id, actor, at) as (log, key):
        may_edit(actor, key)
        refuse_revoked(key, at)
        if key.paused_at is not None:
            key.paused_at = None
            writing.save(key, "paused_at")
            writing.record(log, "key.resumed", key)
    return key


def rotate(
    project: Project,
    key_id: str,
    *,
    grace: timedelta,
    actor: Actor,
    at: datetime,
    confirmed: bool = False,
) -> Issued:
    """Return a new key that takes the place of this one, and its token, once.

    It has the same name and settings, the same lifetime counted from now, and is paused if this one is. The
    old key is scheduled to be revoked when the grace is over, never later than its own end; at once without
    a grace, or where it has expired.
    A second time raises AlreadyRotated with the successor: no other key is made, and no token shown again.
    Raises Key.DoesNotExist, PermissionDenied (also for more than the actor may grant), Protected,
    AlreadyRevoked, ValidationError (a scope that the catalogue has lost).
    """
    with writing.locked(project, key_id, actor, at) as (log, old):
        may_handle(actor, old)
        refuse_rotating(old, at)
        draft = settled(project, _same_again(old, at), at)
        may_issue(actor, Reach.of(draft))
        _leave(old, actor, at, grace)
        key = drafted(project, draft, at)
        key.predecessor, key.paused_at = old, old.paused_at
        token = _issue(key, actor, at, confirmed)
        ends_at = old.revoked_at.isoformat() if old.revoked_at else None
        writing.record(log, "key.rotated", old, successor=key.key_id, ends_at=ends_at)
        writing.record(log, "key.issued", key, **writing.described(key), predecessor=old.key_id)
    return Issued(key, token.text)


def revoke(project: Project, key_id: str, *, actor: Actor, at: datetime, reason: str = "") -> Key:
    """End the key at once and for good, and return it. Its sealed copy is destroyed.

    The keys that it replaced and that are still in their grace end with it.
    Any operator may revoke anybody's key: whoever is on call must be able to stop a leak.
    Raises Key.DoesNotExist, PermissionDenied, Protected, AlreadyRevoked, ValidationError (reason).
    """
    reason = cleaned("reason", clean_text, reason, REASON_LENGTH)
    with writing.locked(project, key_id, actor, at) as (log, key):
        may_revoke(actor, key)
        refuse_revoking(key, at)
        writing.end(log, key, actor, at, reason)
        for before in predecessors_in_grace(key, at):
            writing.end(log, before, actor, at, f"Replaced by {key.preview}, which was revoked.")
    return key


def predecessors_in_grace(key: Key, at: datetime) -> list[Key]:
    """Return the keys that this one replaced, near and far, that still work.

    A query for each rotation of the last days: what was replaced before is over by now.
    """
    found: list[Key] = []
    while key.predecessor_id is not None and key.created_at + LONGEST_GRACE > at:
        key = Key.objects.get(pk=key.predecessor_id)
        if not key.is_revoked(at):
            found.append(key)
    return found


def revoke_all_of(channel: Channel, log: audit.Log, *, actor: Actor, at: datetime, reason: str) -> int:
    """End every key of a channel that hasn't ended, and return how many; part of closing the channel.

    `log` is the project's, its head locked. The keys are locked by id, after it.
    """
    keys = Key.objects.filter(channel=channel).listed(at).select_for_update().order_by("pk")
    ended = list(keys)
    for key in ended:
        writing.end(log, key, actor, at, reason)
    return len(ended)


def found_automator(project: Project, at: datetime) -> Key:
    """Make the project's system key, sealed, and return it; part of making the project."""
    actor = Actor.system()
    key = drafted(project, Draft(AUTOMATOR_NAME, KeyType.SYSTEM), at)
    key.created_by_label = actor.label
    key.confirmed_at = at
    with audit.log(project.pk, actor, at) as log:
        writing.fresh_secret(key)
        writing.insert(key)
        writing.record(log, "key.issued", key, **writing.described(key))
    return key


def _issue(key: Key, actor: Actor, at: datetime, confirmed: bool) -> tokens.Token:
    """Insert the drafted key as the actor's, with its first secret, and return its token."""
    key.created_by = actor.user
    key.created_by_key_id = actor.key_pk if isinstance(actor, KeyActor) else None
    key.created_by_label = actor.label
    key.confirmed_at = at if confirmed else None
    token = writing.fresh_secret(key)
    writing.insert(key)
    return token


def _same_again(key: Key, at: datetime) -> Draft:
    """Return the draft of a key that is as this one, with its lifetime counted from now."""
    lives = key.type != KeyType.AGENT and not key.never_expires
    return Draft(
        name=key.name,
        type=key.type,
        scopes=key.scopes.split(),
        environment=key.environment,
        expires_at=at + (key.expires_at - key.created_at) if lives else None,
        note=key.note,
        channel=key.channel.slug if key.channel else "",
        holder=key.holder,
        networks=key.networks.split(),
        rate=key.rate,
    )


def _leave(key: Key, actor: Actor, at: datetime, grace: timedelta) -> None:
    """Schedule the end of a key that is being replaced: its name is free from now on.

    Without anybody's label an end is only scheduled (`Key.is_revoked`). Its sealed copy is destroyed now:
    nobody comes by when the time is over.
    """
    reason = f"Rotated by {actor.label}"[:REASON_LENGTH]
    over = not grace or key.is_expired(at)
    key.revoked_at, key.revoked_reason = (at if over else min(at + grace, key.expires_at)), reason
    key.revoked_by_label, key.sealed = (actor.label if over else ""), None
    writing.save(key, "revoked_at", "revoked_by_label", "revoked_reason", "sealed")


def _refuse_spent(project: Project, actor: Actor, nonce: str) -> None:
    """Raise AlreadyIssued for a spent nonce. The log's head is locked: no other request is between."""
    spent = IssueNonce.objects.select_related("key").filter(project=project, digest=_digest(actor, nonce))
    if first := spent.first():
        raise AlreadyIssued("This key was already created. Its secret can't be shown again.", first.key)


def _digest(actor: Actor, nonce: str) -> str:
    return hashlib.sha256(f"{actor.kind}\0{actor.id}\0{nonce}".encode()).hexdigest()
