"""What happens to projects and their members: the verbs, each with its audit event.

Locks, in this order: the head of the site log (where it matters whose account is active), then the head of
the project's log. No verb takes the site log's after a project's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.dispatch import Signal

from projects import audit
from projects.models import FIRST_CATALOGUE, SITE_LOG, Membership, Project, Resource, Role, User
from projects.names import clean_name, free_slug
from projects.second_factor import has_second_factor

# Sent with `project` inside the transaction that makes it, after its catalogue: `keys` answers with the
# Automator Key. This module doesn't know of keys.
project_founded = Signal()

# Asked with `project` and `at` by whoever is about to delete a project. A receiver gives sentences about what
# stops with it: `keys` counts them.
project_ending = Signal()


class RoleChanged(Exception):
    """Somebody else has given the member another role since it was read; nothing was changed."""


# `new` is a page of its own under /projects/.
_RESERVED_SLUGS = frozenset({"new"})


def create_project(
    name: str,
    *,
    owner: User,
    at: datetime,
    slug: str = "",
    address: str | None = None,
    actor: audit.Actor | None = None,
) -> Project:
    """Return a new project with its Automator Key, and `owner` as its owner, in one transaction.

    Without `slug` one is made from the name; with it, ValidationError where it is taken, was ever
    taken, or is malformed. ValidationError as well for a name that breaks a rule. `actor` is who the
    log names, where somebody makes it for the owner.
    """
    name = _named(name)
    actor = actor or audit.Actor.person(owner, Role.OWNER, address)
    with transaction.atomic():
        project = _saved(name, slug, actor, at)
        membership = Membership(project=project, user=owner, role=Role.OWNER, created_at=at)
        membership.save(force_insert=True)
        with audit.log(project.pk, actor, at) as log:
            log.record("member.added", "person", str(owner.pk), owner.label, role=[None, Role.OWNER.label])
    return project


def _saved(name: str, slug: str, actor: audit.Actor, at: datetime) -> Project:
    """Return the project, saved. Who loses a race for a slug made from the name gets the next one."""
    while True:
        made = slug or free_slug(name, Project.objects.all(), otherwise="project", reserved=_RESERVED_SLUGS)
        project = Project(name=name, slug=made, created_at=at)
        project.full_clean(validate_unique=False)
        if slug and _is_taken(slug):
            raise _taken()
        try:
            with transaction.atomic():
                project.save(actor=actor)
        except IntegrityError:
            if not _is_taken(project.slug):
                raise
            if slug:
                raise _taken() from None
        else:
            return project


def found(project: Project, actor: audit.Actor | None) -> None:
    """Give a new project its scope catalogue, its first event and its Automator Key.

    Called by `Project.save` inside its transaction.
    """
    Resource.objects.bulk_create(
        Resource(project=project, name=name, label=name.capitalize(), actions=actions)
        for name, actions in FIRST_CATALOGUE.items()
    )
    with audit.log(project.pk, actor or audit.Actor.system(), project.created_at) as log:
        log.record("project.created", "project", project.slug, project.name)
    project_founded.send(sender=Project, project=project)


def _is_taken(slug: str) -> bool:
    return slug in _RESERVED_SLUGS or Project.objects.filter(slug=slug).exists()


def _taken() -> ValidationError:
    return ValidationError({"slug": "This address is taken, or was: addresses are never reused."})


def rename_project(project: Project, name: str, *, actor: audit.Actor, at: datetime) -> Project:
    """Give the project another name and return it; its slug stays.

    Raises ValidationError (name, or the project was deleted), PermissionDenied below owner.
    Locks the head of the project's log.
    """
    name = _named(name)
    with opened(project, actor, at) as (log, current):
        if name != current.name:
            before, current.name = current.name, name
            current.save(update_fields=["name"])
            log.record("project.renamed", "project", current.slug, name, name=[before, name])
    return current


def set_private_upstreams(project: Project, allowed: bool, *, actor: audit.Actor, at: datetime) -> Project:
    """Say whether the project's provider keys may lead to private addresses, and return the project.

    For staff and the system: what stands in the network around a gateway isn't a project's to decide.
    Raises ValidationError (the project was deleted), PermissionDenied. Locks the head of the project's log.
    """
    if actor.kind != "system" and not (actor.user and actor.user.is_staff):
        raise PermissionDenied("Ask staff to do that.")
    with opened(project, actor, at) as (log, current):
        before = current.private_upstreams
        if before is not allowed:
            current.private_upstreams = allowed
            current.save(update_fields=["private_upstreams"])
            changed = [before, allowed]
            log.record(
                "project.private_upstreams", "project", current.slug, current.name, private_upstreams=changed
            )
    return current


def delete_project(project: Project, *, actor: audit.Actor, at: datetime) -> Project:
    """End the project at once, for every check and every page, and return it.

    Its keys, members and catalogue stay until they are purged; its slug and its audit events for ever.
    Raises ValidationError where it was deleted before, PermissionDenied below owner.
    Locks the head of the project's log.
    """
    with opened(project, actor, at) as (log, current):
        current.deleted_at = at
        current.save(update_fields=["deleted_at"])
        log.record("project.deleted", "project", current.slug, current.name)
    return current


def require_second_factor(project: Project, on: bool, *, actor: audit.Actor, at: datetime) -> Project:
    """Let only members with a second factor into the project, or all of them again; return the project.

    Raises ValidationError (an owner who has none: the first to be shut out; the project was deleted),
    PermissionDenied below owner. Locks the head of the site log, as removing a second factor does, and the
    head of the project's.
    """
    with _members(project, actor, at) as (log, current):
        if current.require_second_factor is not on:
            if on and actor.user is not None and not has_second_factor(actor.user):
                raise ValidationError("Set up a second factor of your own first.", code="no_second_factor")
            current.require_second_factor = on
            current.save(update_fields=["require_second_factor"])
            changed = {"require_second_factor": [not on, on]}
            log.record("project.second_factor", "project", current.slug, current.name, **changed)
    return current


def what_stops(project: Project, at: datetime) -> list[str]:
    """Return sentences about what would stop if the project were deleted at `at`."""
    answers = project_ending.send(sender=Project, project=project, at=at)
    said: list[str] = [sentence for _, sentences in answers for sentence in sentences or ()]
    return said


def add_member(project: Project, user: User, role: int, *, actor: audit.Actor, at: datetime) -> Membership:
    """Make `user` a member and return the membership.

    Raises ValidationError (user: a member already, or not active; role; the project was deleted),
    PermissionDenied below owner. Locks the heads of the site log and of the project's.
    """
    wanted = known_role(role)
    with _members(project, actor, at) as (log, current):
        if not User.objects.filter(pk=user.pk, is_active=True).exists():
            raise ValidationError({"user": "This account isn't active."})
        if current.memberships.filter(user=user).exists():
            raise ValidationError({"user": "This person is a member already."})
        member = Membership(project=current, user=user, role=wanted, created_at=at)
        member.save(force_insert=True)
        log.record("member.added", "person", str(user.pk), user.label, role=[None, wanted.label])
    return member


def change_role(
    project: Project, user: User, role: int, *, actor: audit.Actor, at: datetime, was: int | None = None
) -> Membership:
    """Give a member another role and return the membership.

    `was` is the role that whoever decides has seen: RoleChanged where it is another one by now.
    Raises Membership.DoesNotExist, ValidationError (role; the last owner; the project was deleted),
    PermissionDenied below owner. Locks the heads of the site log and of the project's.
    """
    wanted = known_role(role)
    with _members(project, actor, at) as (log, current):
        member = Membership.objects.get(project=current, user=user)
        before = Role(member.role)
        if was is not None and was != before:
            raise RoleChanged(f"{user.label} is {before.label} by now: somebody else has changed the role.")
        if wanted != before:
            if before is Role.OWNER:
                _refuse_last_owner(current, user)
            member.role = wanted
            member.save(update_fields=["role"])
            labels = [before.label, wanted.label]
            log.record("member.role_changed", "person", str(user.pk), user.label, role=labels)
    return member


def remove_member(project: Project, user: User, *, actor: audit.Actor, at: datetime) -> None:
    """End somebody's membership. The keys that they made keep working.

    Raises Membership.DoesNotExist, ValidationError (the last owner; the project was deleted),
    PermissionDenied below owner. Locks the heads of the site log and of the project's.
    """
    with _members(project, actor, at) as (log, current):
        member = Membership.objects.get(project=current, user=user)
        before = Role(member.role)
        if before is Role.OWNER:
            _refuse_last_owner(current, user)
        member.delete()
        log.record("member.removed", "person", str(user.pk), user.label, role=[before.label, None])


def owned_alone(user: User) -> QuerySet[Project]:
    """The projects that would be without an owner who can sign in, were it not for `user`."""
    others = Membership.objects.filter(project=OuterRef("pk"), role=Role.OWNER, user__is_active=True)
    return (
        Project.objects.existing()
        .filter(memberships__user=user, memberships__role=Role.OWNER)
        .filter(~Exists(others.exclude(user=user)))
        .order_by("slug")
    )


@contextmanager
def opened(
    project: Project, actor: audit.Actor, at: datetime, *, least: Role = Role.OWNER
) -> Iterator[tuple[audit.Log, Project]]:
    """Lock the head of the project's log, and give the log and the project as it is now.

    What every verb on a project's own things begins with. Raises ValidationError where the project was
    deleted, PermissionDenied below `least` and for a key, whatever it may do.
    """
    _require(actor, least)
    with audit.log(project.pk, actor, at) as log:
        current = Project.objects.get(pk=project.pk)
        if current.deleted_at is not None:
            raise ValidationError("This project was deleted.", code="deleted")
        yield log, current


@contextmanager
def _members(project: Project, actor: audit.Actor, at: datetime) -> Iterator[tuple[audit.Log, Project]]:
    """Lock the site log before the project's.

    Else two owners could leave at once, or one leave while the other's account is deactivated: each
    would still see the other. `projects.people` locks the site log for an account.
    """
    with audit.log(SITE_LOG, actor, at), opened(project, actor, at) as held:
        yield held


def _require(actor: audit.Actor, role: Role) -> None:
    # What a key may do is a matter of its reach, and that is keys.
    if actor.kind == "key" or actor.role < role:
        raise PermissionDenied(f"Ask an {role.label.lower()} to do that.")


def _refuse_last_owner(project: Project, user: User) -> None:
    if owned_alone(user).filter(pk=project.pk).exists():
        raise ValidationError(
            f"{user.label} is the last owner of {project.name}. Make somebody else an owner first.",
            code="last_owner",
        )


def _named(name: str) -> str:
    try:
        return clean_name(name)
    except ValidationError as error:
        raise ValidationError({"name": error}) from None


def known_role(role: int) -> Role:
    """Return the role of this number. Raises ValidationError (role)."""
    try:
        return Role(role)
    except ValueError:
        raise ValidationError({"role": "Choose a role."}) from None
