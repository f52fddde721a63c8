"""People, projects, who belongs to which or is invited, the scope catalogue, channels and the audit log."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, NoReturn

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Lower
from django.utils import timezone

from projects.names import NAME_LENGTH, CodepointField, clean_name
from projects.public_ids import PUBLIC_ID_LENGTH, new_public_id
from projects.querysets import Topic
from projects.statements import Select

SLUG_LENGTH: Final = 50


class Role(models.IntegerChoices):
    """What a member may do; a higher number may all that a lower one may."""

    VIEWER = 10, "Viewer"
    OPERATOR = 20, "Operator"
    ADMIN = 30, "Admin"
    OWNER = 40, "Owner"


class UserManager(BaseUserManager["User"]):
    """Makes accounts; an e-mail address is kept in lower case, as django-allauth compares it."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person. The e-mail address is the account's name; there is no other."""

    # Stands in addresses, where a number would tell how many people there are.
    public_id = CodepointField(
        max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id, editable=False
    )
    email = models.EmailField("email address", unique=True)
    name = models.CharField(max_length=NAME_LENGTH, blank=True)
    is_staff = models.BooleanField("staff", default=False)
    is_active = models.BooleanField("active", default=True)
    must_change_password = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=timezone.now)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_folded_unique",
                violation_error_message="Another account has this e-mail address.",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """The person's name, or the e-mail address of somebody who has given none."""
        return self.name or self.email

    def clean(self) -> None:
        super().clean()
        self.email = self.email.lower()
        if self.name:
            self.name = clean_name(self.name)


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


class Standing(StrEnum):
    """What an invitation is good for: a link opens nothing unless its invitation is open."""

    OPEN = "Open"
    ACCEPTED = "Accepted"
    REVOKED = "Revoked"
    EXPIRED = "Expired"
    VOID = "Void"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def judged(self) -> "InvitationQuerySet":
        """Invitations with all that `Invitation.standing` asks for: one query for any number of them."""
        inviter = Membership.objects.filter(
            project=models.OuterRef("project"),
            user=models.OuterRef("invited_by"),
            user__is_active=True,
            role=Role.OWNER,
        )
        return self.select_related("project").annotate(inviter_may=models.Exists(inviter))

    def pending(self) -> "InvitationQuerySet":
        """Invitations that nobody has accepted or revoked, those that have expired or are void too."""
        return self.filter(accepted_at=None, revoked_at=None)


class Invitation(models.Model):
    """A place in a project that waits for whoever has an e-mail address. Written by `projects.invitations`.

    Of the token in its link only a hash is kept: a stolen dump lets nobody in.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    public_id = CodepointField(
        max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id, editable=False
    )
    email = models.CharField(max_length=254)
    role = models.PositiveSmallIntegerField(choices=Role.choices)
    token_hash = CodepointField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    invited_by_label = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    version = models.PositiveIntegerField(default=1)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["project", "email"],
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitation_once_while_pending",
                violation_error_message="This address is invited already.",
            ),
            models.CheckConstraint(name="invitation_role_known", condition=models.Q(role__in=Role.values)),
            models.CheckConstraint(
                name="invitation_ends_one_way",
                condition=models.Q(accepted_at=None) | models.Q(revoked_at=None),
                violation_error_message="An invitation is accepted or revoked, not both.",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["project", "created_at", "id"],
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitation_pending",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.project}"

    def standing(self, at: datetime) -> Standing:
        """Return what the invitation is good for at `at`. No query after `InvitationQuerySet.judged`.

        It is void while its inviter couldn't invite, and where the project was deleted.
        """
        if self.accepted_at is not None:
            return Standing.ACCEPTED
        if self.revoked_at is not None:
            return Standing.REVOKED
        # KeyError for a row that doesn't come from `judged`: nobody is let in by what wasn't asked.
        if not vars(self)["inviter_may"] or self.project.deleted_at is not None:
            return Standing.VOID
        return Standing.EXPIRED if self.expires_at <= at else Standing.OPEN


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


class ChannelKind(models.TextChoices):
    """Where a bot talks."""

    TEAMS = "teams", "Teams"
    SLACK = "slack", "Slack"
    WEB_WIDGET = "web-widget", "Web widget"
    WHATSAPP = "whatsapp", "WhatsApp"
    EMAIL = "email", "E-mail"
    CUSTOM = "custom", "Custom"


class ChannelQuerySet(models.QuerySet["Channel"]):
    def of(self, project: Project) -> "ChannelQuerySet":
        """The project's channels that haven't been closed."""
        return self.filter(project=project, closed_at=None)


class Channel(models.Model):
    """A place where a bot talks; it has keys of its own.

    A closed channel keeps its row, and with it its slug: a gateway that still asks for it must never be
    answered for another channel.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="channels")
    slug = CodepointField(
        max_length=SLUG_LENGTH,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9-]*\Z", "Use small letters, digits and hyphens.")],
    )
    name = models.CharField(max_length=NAME_LENGTH)
    name_folded = CodepointField(max_length=3 * NAME_LENGTH, editable=False)
    kind = models.CharField(max_length=12, choices=ChannelKind.choices)
    created_at = models.DateTimeField(default=timezone.now)
    created_by_label = models.CharField(max_length=254)
    closed_at = models.DateTimeField(null=True, editable=False)
    version = models.PositiveIntegerField(default=1)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "slug"], name="channel_slug_unique"),
            models.UniqueConstraint(
                fields=["project", "name_folded"],
                condition=models.Q(closed_at=None),
                name="channel_name_unique_while_open",
                violation_error_message="Another channel has this name.",
            ),
            models.CheckConstraint(
                name="channel_kind_known", condition=models.Q(kind__in=ChannelKind.values)
            ),
        ]

    def __str__(self) -> str:
        return self.name


SITE_LOG: Final = 0


class AuditChain(models.Model):
    """The head of one project's log, or of the site's (project id 0): its last number and MAC.

    Whoever writes an event locks this row first: that makes the numbers gapless, and it is the first
    lock everywhere.
    """

    project_id = models.BigIntegerField(primary_key=True)
    number = models.BigIntegerField(default=0)
    mac = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"log {self.project_id} at {self.number}"


class AuditEvent(models.Model):
    """One thing that happened. Append-only: triggers refuse any change.

    It holds plain ids and labels, no foreign keys: it outlives what it speaks of.
    """

    project_id = models.BigIntegerField()
    number = models.BigIntegerField()
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=40, blank=True)
    actor_label = models.CharField(max_length=254, blank=True)
    verb = models.CharField(max_length=40)
    object_kind = models.CharField(max_length=20, blank=True)
    object_id = CodepointField(max_length=64, blank=True)
    object_label = models.CharField(max_length=254, blank=True)
    changes = models.JSONField(default=dict)
    address = models.CharField(max_length=45, blank=True)
    mac = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project_id", "number"], name="audit_number_unique"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["project_id", "object_kind", "object_id", "number"], name="audit_object"),
            # One for each filter of the audit log: it finds the events and gives their order.
            models.Index(fields=["project_id", "at", "number"], name="audit_by_time"),
            models.Index(
                fields=["project_id", "object_kind", "object_id", "at", "number"], name="audit_by_object"
            ),
            models.Index(fields=["project_id", "verb", "at", "number"], name="audit_by_verb"),
            models.Index(F("project_id"), Topic("verb"), F("at"), F("number"), name="audit_by_topic"),
            models.Index(fields=["project_id", "actor_label", "at", "number"], name="audit_by_actor"),
            models.Index(
                fields=["project_id", "actor_id", "at", "number"],
                condition=models.Q(actor_kind="key"),
                name="audit_by_key",
            ),
            # Whose secrets somebody has seen (`keys.querysets`).
            models.Index(
                fields=["project_id", "actor_id", "object_id"],
                condition=models.Q(
                    actor_kind="person", object_kind="key", verb__in=("key.renewed", "key.revealed")
                ),
                name="audit_by_beholder",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project_id}/{self.number} {self.verb}"
