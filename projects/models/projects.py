"""The tables of projects, of who belongs to which, and of the scope catalogue."""

from collections.abc import Iterable
from typing import Any, ClassVar, Final, NoReturn

from django.core.validators import RegexValidator
from django.db import models, transaction
from django.utils import timezone

from projects.models.people import Role, User
from projects.names import NAME_LENGTH
from projects.statements import Select

SLUG_LENGTH: Final = 50


class ProjectQuerySet(models.QuerySet["Project"]):
    def existing(self) -> "ProjectQuerySet":
        """Projects that haven't been deleted."""
        return self.filter(deleted_at=None)

    def of(self, user: User) -> "ProjectQuerySet":
        """The projects that `user` is a member of, by name."""
        return self.existing().filter(memberships__user=user).order_by("name", "pk")

    def bulk_create(self, objs: Iterable["Project"], *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: it sends no signal, and a project without its Automator Key must not exist."""
        raise TypeError("Create projects one by one: each needs its Automator Key.")


class Project(models.Model):
    """What keys belong to. Its row stays for ever, so that its slug is never used again."""

    name = models.CharField(max_length=NAME_LENGTH)
    slug = models.CharField(
        max_length=SLUG_LENGTH,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9-]*\Z", "Use small letters, digits and hyphens.")],
    )
    created_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    recoverable_keys = models.BooleanField(default=False)
    # Whether provider keys may lead to hosts of a private network; for staff to say.
    private_upstreams = models.BooleanField(default=False)
    # Whether members come in only with a second factor (`projects.access`).
    require_second_factor = models.BooleanField(default=False)

    objects = ProjectQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, actor: Any = None, **kwargs: Any) -> None:
        """Save in one transaction with what a new project needs (`projects.lifecycle.found`).

        `post_save` alone runs outside any transaction: the catalogue and the Automator Key are made
        with the project or not at all, whoever makes it. `actor` is who the audit log names.
        """
        from projects.lifecycle import found

        new = self._state.adding
        with transaction.atomic():
            super().save(*args, **kwargs)
            if new:
                found(self, actor)

    def catalogue(self) -> list["Resource"]:
        """The resources of this project in the order in which they were added. One query."""
        return list(self.resources.all())

    def scopes(self) -> list[str]:
        """Every scope of the catalogue, as `resource:action`. One query."""
        return [f"{name}:{action}" for name, actions in _CATALOGUE.rows(self.pk) for action in actions]


FIRST_CATALOGUE: Final[dict[str, list[str]]] = {
    "sources": ["read", "write", "delete"],
    "agents": ["read", "write", "delete", "run"],
    "workflows": ["read", "write", "delete"],
    "chat": ["read", "send"],
    "settings": ["read", "write"],
    "keys": ["read", "write"],
    "providers": ["use"],
    "gateway": ["use"],
}


class Membership(models.Model):
    """One person's role in one project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.PositiveSmallIntegerField(choices=Role.choices)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["project", "user"],
                name="membership_once",
                violation_error_message="This person is a member already.",
            ),
            models.CheckConstraint(name="membership_role_known", condition=models.Q(role__in=Role.values)),
        ]
        indexes: ClassVar = [
            models.Index(fields=["project", "role", "id"], name="membership_by_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.project}"


class Resource(models.Model):
    """One resource of a project's scope catalogue, with the actions that keys can be granted."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="resources")
    name = models.CharField(max_length=40)
    label = models.CharField(max_length=60)
    actions = models.JSONField(default=list)

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "name"], name="resource_name_unique"),
        ]

    def __str__(self) -> str:
        return self.label

    def scopes(self) -> list[str]:
        """The scopes of this resource, as `resource:action`."""
        return [f"{self.name}:{action}" for action in self.actions]


_CATALOGUE: Final = Select(lambda pk: Resource.objects.filter(project=pk).values_list("name", "actions"))
