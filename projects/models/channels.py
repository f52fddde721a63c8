"""The table of channels."""

from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from projects.models.projects import SLUG_LENGTH, Project
from projects.names import NAME_LENGTH, CodepointField


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
