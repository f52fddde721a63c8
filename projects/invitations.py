"""Invitations: a link that lets one person into one project, once. The verbs, each with its audit event.

There is no e-mail server: the link is shown to whoever invites, in the answer that made it, and handed over
by them. An invitation belongs to an e-mail address. Whoever has an account with that address accepts by
being signed in to it; for anybody else the link makes the account.

Locks, where an account matters: the head of the site log, then that of the project's log, then the row.
"""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.urls import reverse

from config.redaction import holds_token
from projects import audit
from projects.audit import Actor
from projects.lifecycle import known_role, opened
from projects.models import SITE_LOG, Invitation, Membership, Project, Role, Standing, User
from projects.names import clean_name
from projects.people import clean_address
from projects.public_ids import ALPHABET

LIFETIME: Final = timedelta(days=7)
# 43 characters of 62 are 256 bits.
_TOKEN_LENGTH: Final = 43


class NotOpen(Exception):
    """The invitation lets nobody in: `standing` says why. None: there is no such invitation."""

    def __init__(self, standing: Standing | None) -> None:
        super().__init__(standing)
        self.standing = standing


class Stale(Exception):
    """Somebody has ended the invitation or made a new link since it was read; nothing was changed."""


class HasAccount(Exception):
    """There is an account with the address by now: its owner signs in to accept."""


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation with its token, which exists in this answer and nowhere else."""

    invitation: Invitation
    token: str = field(repr=False)

    @property
    def link(self) -> str:
        return f"{settings.KEYRACK_URL}{reverse('invitation', args=[self.token])}"


# The verbs of owners


def invite(project: Project, email: str, role: int, *, actor: Actor, at: datetime) -> Invited:
    """Return a new invitation, good for 7 days, and its token, once.

    One that has expired or is void gives way to it. Raises ValidationError (email: malformed, a member
    already, an account that isn't active, invited already; role; the project was deleted), PermissionDenied
    for anybody but an owner. No role is above an owner's. Locks the head of the project's log.
    """
    address, wanted = clean_address(email), known_role(role)
    with _inviting(project, actor, at) as (log, current):
        _refuse_account(current, address)
        _make_room(current, address, log, at)
        invitation = Invitation(project=current, email=address, role=wanted, created_at=at)
        token = _linked(invitation, actor, at)
        invitation.save(force_insert=True)
        _record(log, "member.invited", invitation, role=[None, wanted.label])
    return Invited(invitation, token)


def make_new_link(project: Project, public_id: str, *, version: int, actor: Actor, at: datetime) -> Invited:
    """Return the invitation with another token and 7 days from now; the link before it stops working.

    Whoever makes the link is its inviter from now on. Raises Invitation.DoesNotExist, Stale (ended, or
    another link was made: `version`), ValidationError (the person is a member by now, or their account isn't
    active; the project was deleted), PermissionDenied for anybody but an owner.
    Locks the head of the project's log.
    """
    with _inviting(project, actor, at) as (log, current):
        invitation = _pending(current, public_id)
        if invitation.version != version:
            raise Stale("Somebody has made a new link for this invitation. That one works, yours wouldn't.")
        _refuse_account(current, invitation.email)
        token = _linked(invitation, actor, at)
        invitation.version += 1
        invitation.save(
            update_fields=["token_hash", "invited_by", "invited_by_label", "expires_at", "version"]
        )
        _record(log, "invitation.renewed", invitation)
    return Invited(invitation, token)


def revoke_invitation(project: Project, public_id: str, *, actor: Actor, at: datetime) -> Invitation:
    """End an invitation that nobody has accepted, and return it: its link opens nothing from now on.

    Raises Invitation.DoesNotExist, Stale (ended before), ValidationError (the project was deleted),
    PermissionDenied below owner. Locks the head of the project's log.
    """
    with opened(project, actor, at) as (log, current):
        invitation = _pending(current, public_id)
        _end(invitation, log, at)
    return invitation


# The verbs of whoever is invited


def opened_by(token: str, at: datetime) -> Invitation:
    """Return the open invitation of a link. Changes nothing. Raises NotOpen. One query."""
    return _open(Invitation.objects.judged().filter(token_hash=_hash(token)).first(), at)


def waiting_for(user: User, public_id: str, at: datetime) -> Invitation:
    """Return the open invitation of this id to the address of `user`. Raises NotOpen. One query."""
    mine = Invitation.objects.judged().filter(public_id=public_id, email=user.email)
    return _open(mine.first(), at)


def account_for(invitation: Invitation) -> User | None:
    """Return the account with the invitation's address, or None where there is none yet. One query.

    Raises NotOpen for one that isn't active: nobody can sign in to it.
    """
    person = User.objects.filter(email=invitation.email).first()
    if person is not None and not person.is_active:
        raise NotOpen(Standing.VOID)
    return person


def accept(invitation: Invitation, user: User, *, at: datetime, address: str | None = None) -> Membership:
    """Make `user` a member, and return the membership. It happens once.

    Raises NotOpen, ValidationError (a member already), PermissionDenied for an account with another
    address, or one that isn't active. Locks the heads of the site log and of the project's.
    """
    with _reopened(invitation, at) as current:
        account = account_for(current)
        if account is None or account.pk != user.pk:
            raise PermissionDenied("This invitation is for somebody else.")
        return _admit(current, account, at, address)


def join(
    invitation: Invitation, *, name: str, password: str, at: datetime, address: str | None = None
) -> Membership:
    """Make an account with the invitation's address and its membership, and return that. It happens once.

    Raises NotOpen, HasAccount, ValidationError (name, password). Locks as `accept`.
    """
    person = User(email=invitation.email, name=_name(name), date_joined=at)
    person.password = _hashed(person, password)  # Before the locks: it takes its time on purpose.
    with _reopened(invitation, at) as current:
        if account_for(current) is not None:
            raise HasAccount
        person.save(force_insert=True)
        with audit.log(SITE_LOG, Actor.person(person, Role(current.role), address), at) as log:
            given = {"email": person.email, "name": person.name, "is_staff": False}
            log.record("person.created", "person", str(person.pk), person.label, **given)
        return _admit(current, person, at, address)


def _admit(invitation: Invitation, user: User, at: datetime, address: str | None) -> Membership:
    project, role = invitation.project, Role(invitation.role)
    if project.memberships.filter(user=user).exists():
        raise ValidationError(f"You are a member of {project.name} already.", code="member")
    with audit.log(project.pk, Actor.person(user, role, address), at) as log:
        invitation.accepted_at = at
        invitation.save(update_fields=["accepted_at"])
        member = Membership(project=project, user=user, role=role, created_at=at)
        member.save(force_insert=True)
        _record(log, "invitation.accepted", invitation)
        changes = {"role": [None, role.label], "invited_by": [None, invitation.invited_by_label]}
        log.record("member.added", "person", str(user.pk), user.label, **changes)
    return member


@contextmanager
def _inviting(project: Project, actor: Actor, at: datetime) -> Iterator[tuple[audit.Log, Project]]:
    """Lock the project's log for somebody who is an owner at this moment, and not only was a page ago.

    Nobody else's invitation would be good: staff add members by themselves.
    """
    with opened(project, actor, at) as (log, current):
        owners = current.memberships.filter(role=Role.OWNER, user__is_active=True)
        if actor.user is None or not owners.filter(user=actor.user).exists():
            raise PermissionDenied("Ask an owner to do that.")
        yield log, current


@contextmanager
def _reopened(invitation: Invitation, at: datetime) -> Iterator[Invitation]:
    """Lock an invitation and all that it hangs on, and give it as it is now. Raises NotOpen.

    The site log's head stands before whether its inviter's account is active, the project's before their
    role: neither changes until the membership stands.
    """
    system = Actor.system()
    with audit.log(SITE_LOG, system, at), audit.log(invitation.project_id, system, at):
        found = Invitation.objects.judged().select_for_update(of=("self",)).filter(pk=invitation.pk)
        current = _open(found.first(), at)
        # A link that was replaced since it was opened is no link any more.
        if current.token_hash != invitation.token_hash:
            raise NotOpen(None)
        yield current


def _open(found: Invitation | None, at: datetime) -> Invitation:
    if found is None:
        raise NotOpen(None)
    standing = found.standing(at)
    if standing is not Standing.OPEN:
        raise NotOpen(standing)
    return found


def _pending(project: Project, public_id: str) -> Invitation:
    invitation = project.invitations.select_for_update().get(public_id=public_id)
    if invitation.accepted_at is not None:
        raise Stale(f"{invitation.email} has accepted this invitation already.")
    if invitation.revoked_at is not None:
        raise Stale(f"The invitation of {invitation.email} was revoked already.")
    return invitation


def _refuse_account(project: Project, email: str) -> None:
    account = User.objects.filter(email=email).first()
    if account is None:
        return
    if project.memberships.filter(user=account).exists():
        raise ValidationError({"email": "This person is a member already."})
    if not account.is_active:
        raise ValidationError(
            {"email": "Their account isn't active. Ask somebody of staff to reactivate it."}
        )


def _make_room(project: Project, email: str, log: audit.Log, at: datetime) -> None:
    """Refuse a second open invitation; end one that opens nothing any more."""
    before = project.invitations.judged().pending().filter(email=email).first()
    if before is None:
        return
    if before.standing(at) is Standing.OPEN:
        raise ValidationError({"email": "This address is invited already."}, code="invited")
    _end(before, log, at)


def _end(invitation: Invitation, log: audit.Log, at: datetime) -> None:
    invitation.revoked_at = at
    invitation.save(update_fields=["revoked_at"])
    _record(log, "invitation.revoked", invitation)


def _linked(invitation: Invitation, actor: Actor, at: datetime) -> str:
    """Give the invitation a fresh token, its inviter and its end; return the token."""
    token = _new_token()
    invitation.token_hash = _hash(token)
    invitation.invited_by, invitation.invited_by_label = actor.user, actor.label
    invitation.expires_at = at + LIFETIME
    return token


def _new_token() -> str:
    # Of the shape that is noticed wherever it is pasted: it mixes small letters, capitals and digits.
    while True:
        token = "".join(secrets.choice(ALPHABET) for _ in range(_TOKEN_LENGTH))
        if holds_token(token):
            return token


def _hash(token: str) -> str:
    # No slow hash: nobody guesses 256 random bits, however fast.
    return hashlib.sha256(token.encode()).hexdigest()


def _record(log: audit.Log, verb: str, invitation: Invitation, **changes: object) -> None:
    log.record(verb, "invitation", invitation.public_id, invitation.email, **changes)


def _name(name: str) -> str:
    try:
        return clean_name(name)
    except ValidationError as error:
        raise ValidationError({"name": error}) from None


def _hashed(person: User, password: str) -> str:
    try:
        person.set_password(get_adapter().clean_password(password, person))
    except ValidationError as error:
        raise ValidationError({"password": error}) from None
    return person.password
