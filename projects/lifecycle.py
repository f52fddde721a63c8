"""What happens to projects and their members: the verbs, each with its audit event."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.dispatch import Signal
from django.utils.text import slugify

from projects import audit
from projects.models import FIRST_CATALOGUE, Membership, Project, Resource, Role, User
from projects.names import clean_name

# Sent with `project` inside the transaction that makes it, after its catalogue: `keys` answers with the
# Automator Key. This module doesn't know of keys.
project_founded = Signal()

# `new` is a page of its own under /projects/.
_RESERVED_SLUGS = frozenset({"new"})


def create_project(
    name: str, *, owner: User, at: datetime, slug: str = "", address: str | None = None
) -> Project:
    """Return a new project with its Automator Key, and `owner` as its owner, in one transaction.

    Without `slug` one is made from the name; with it, ValidationError where it is taken, was ever
    taken, or is malformed. ValidationError as well for a name that breaks a rule.
    """
    try:
        name = clean_name(name)
    except ValidationError as error:
        raise ValidationError({"name": error}) from None
    actor = audit.Actor.person(owner, Role.OWNER, address)
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
        project = Project(name=name, slug=slug or _free_slug(name), created_at=at)
        _check(project)
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


def _check(project: Project) -> None:
    project.full_clean(validate_unique=False)
    if _is_taken(project.slug):
        raise _taken()


def _is_taken(slug: str) -> bool:
    return slug in _RESERVED_SLUGS or Project.objects.filter(slug=slug).exists()


def _taken() -> ValidationError:
    return ValidationError({"slug": "This address is taken, or was: addresses are never reused."})


def _free_slug(name: str) -> str:
    """Return the first unused of `acme`, `acme-2`, `acme-3`, … A deleted project keeps its slug."""
    stem = slugify(name)[:40].strip("-_").replace("_", "-") or "project"
    taken = set(Project.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
    taken |= _RESERVED_SLUGS
    number, slug = 1, stem
    while slug in taken:
        number += 1
        slug = f"{stem}-{number}"
    return slug
