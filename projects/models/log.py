"""The tables of the audit log. They name nothing of the others by a foreign key."""

from typing import ClassVar, Final

from django.db import models
from django.db.models import F

from projects.names import CodepointField
from projects.querysets import Topic

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
