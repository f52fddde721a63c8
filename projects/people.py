"""What happens to people's accounts: the verbs of staff, each with its event in the site log.

Every verb locks the head of the site log first. An account is never deleted: it is deactivated, so that
whoever made a key or wrote an event stays known.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import validate_email

from config.redaction import holds_token
from projects import audit, second_factor
from projects.audit import Actor
from projects.lifecycle import owned_alone
from projects.management.commands.passwordlink import password_link
from projects.models import SITE_LOG, Project, User
from projects.names import clean_name

_EMAIL_LENGTH: Final = 254


def create_person(email: str, *, name: str = "", is_staff: bool = False, actor: Actor, at: datetime) -> User:
    """Return a new account without a password; a link from `make_password_link` lets its owner set one.

    Raises ValidationError (email, name), PermissionDenied for whoever isn't staff.
    """
    person = User(email=clean_address(email), name=_name(name), is_staff=is_staff, date_joined=at)
    person.set_unusable_password()
    with _opened(actor, at) as log:
        _refuse_taken(person.email)
        person.save(force_insert=True)
        given = {"email": person.email, "name": person.name, "is_staff": is_staff}
        log.record("person.created", "person", str(person.pk), person.label, **given)
    return person


def edit_person(person: User, *, email: str, name: str, is_staff: bool, actor: Actor, at: datetime) -> User:
    """Change the address, the name or the staff flag of an account, and return it.

    Raises ValidationError (email, name, is_staff: the last active account of staff, or one's own),
    PermissionDenied for whoever isn't staff. An edit that changes nothing writes nothing.
    """
    address = clean_address(email)
    wanted: dict[str, Any] = {"email": address, "name": _name(name), "is_staff": is_staff}
    with _opened(actor, at) as log:
        current = User.objects.get(pk=person.pk)
        changed = {
            field: [getattr(current, field), value]
            for field, value in wanted.items()
            if getattr(current, field) != value
        }
        if "email" in changed:
            _refuse_taken(address)
        if "is_staff" in changed and not is_staff:
            _refuse_last_staff(current, actor, "is_staff")
        if changed:
            _write(current, **{field: value for field, (_, value) in changed.items()})
            log.record("person.edited", "person", str(current.pk), current.label, **changed)
    return current


def deactivate_person(person: User, *, actor: Actor, at: datetime) -> User:
    """Shut an account and return it: its sessions end at once, and nobody signs in with it.

    Memberships and keys stay. Refused for the last owner of a project, as leaving it would be: a project
    never is without an owner who can sign in. Whoever must be kept out before another owner is found
    gets a password link with `lock`, which ends the sessions and the password and touches no project.
    Raises ValidationError (the last owner, the last of staff, oneself), PermissionDenied.
    """
    with _opened(actor, at) as log:
        current = User.objects.get(pk=person.pk)
        if current.is_active:
            if current.is_staff:
                _refuse_last_staff(current, actor)
            _refuse_last_owner(current)
            _write(current, is_active=False)
            log.record("person.deactivated", "person", str(current.pk), current.label)
    return current


def reactivate_person(person: User, *, actor: Actor, at: datetime) -> User:
    """Open an account again, and return it. Raises PermissionDenied for whoever isn't staff."""
    with _opened(actor, at) as log:
        current = User.objects.get(pk=person.pk)
        if not current.is_active:
            _write(current, is_active=True)
            log.record("person.reactivated", "person", str(current.pk), current.label)
    return current


def make_password_link(person: User, *, lock: bool = False, actor: Actor, at: datetime) -> str:
    """Return an address at which the person sets a new password, once, within a day.

    `lock` ends the old password, and with it every session, at once.
    Raises ValidationError for an account that isn't active, PermissionDenied for whoever isn't staff.
    """
    with _opened(actor, at) as log:
        current = User.objects.get(pk=person.pk)
        if not current.is_active:
            raise ValidationError("This account isn't active. Reactivate it first.")
        if lock:
            current.set_unusable_password()
            current.save(update_fields=["password"])
        log.record("person.password_link_made", "person", str(current.pk), current.label, locked=lock)
        return password_link(current)


def remove_second_factor(person: User, *, actor: Actor, at: datetime) -> None:
    """Take away the second factor of somebody who lost it: their password alone signs them in again.

    Their sessions go on: whoever lost a phone lost no session. Raises ValidationError where there is none,
    PermissionDenied for whoever isn't staff.
    """
    with _opened(actor, at):
        try:
            second_factor.turn_off(person, actor=actor, at=at)
        except second_factor.NoSecondFactor:
            raise ValidationError(f"{person.label} has no second factor.") from None


@contextmanager
def _opened(actor: Actor, at: datetime) -> Iterator[audit.Log]:
    """Lock the site log for somebody of staff, or for the command line."""
    with audit.log(SITE_LOG, actor, at) as log:
        # Asked inside the lock: the flag may have been taken away a moment ago.
        if actor.kind != "system" and not _is_staff(actor):
            raise PermissionDenied("Ask somebody of staff to do that.")
        yield log


def _is_staff(actor: Actor) -> bool:
    user = actor.user
    return user is not None and User.objects.filter(pk=user.pk, is_staff=True, is_active=True).exists()


def _write(person: User, **values: Any) -> None:
    for field, value in values.items():
        setattr(person, field, value)
    person.save(update_fields=list(values))


def _refuse_taken(email: str) -> None:
    # The lock lets nobody in between: asking before is enough.
    if User.objects.filter(email=email).exists():
        raise ValidationError({"email": "Another account has this e-mail address."})


def _refuse_last_staff(person: User, actor: Actor, field: str = "__all__") -> None:
    if actor.user is not None and actor.user.pk == person.pk:
        raise ValidationError({field: "Ask somebody else of staff: nobody shuts themselves out."})
    others = User.objects.filter(is_staff=True, is_active=True).exclude(pk=person.pk)
    if not others.exists():
        raise ValidationError({field: f"{person.label} is the last active account of staff."})


def _refuse_last_owner(person: User) -> None:
    projects = list(owned_alone(person)[:4])
    if projects:
        raise ValidationError(
            f"{person.label} is the last owner of {_listed(projects)}. Make somebody else an owner first.",
            code="last_owner",
        )


def _listed(projects: list[Project]) -> str:
    names = [project.name for project in projects]
    return ", ".join(names) if len(names) < 4 else f"{', '.join(names[:3])} and more"


def clean_address(email: str) -> str:
    """Return an e-mail address in small letters, as accounts have it. Raises ValidationError (email)."""
    cleaned = email.strip().lower()
    try:
        validate_email(cleaned)
    except ValidationError:
        cleaned = ""
    if not cleaned or len(cleaned) > _EMAIL_LENGTH or holds_token(cleaned):
        raise ValidationError({"email": "Enter an e-mail address, such as mara@example.org."})
    return cleaned


def _name(name: str) -> str:
    """Return a name; nobody has to give one."""
    if not name.strip():
        return ""
    try:
        return clean_name(name)
    except ValidationError as error:
        raise ValidationError({"name": error}) from None
