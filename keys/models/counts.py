"""What is known of the use of keys: the last one, and counts.

These rows are written all the time, so no reference has an index that a constraint or another index holds
already.
"""

from typing import ClassVar

from django.db import models

from keys.kinds import NEVER_USED
from keys.models.keys import Key
from projects.models import Project
from projects.querysets import Quick


class KeyActivity(Quick):
    """When a key was last used, and by whom: a row of its own, so that noting a use never writes Key.

    `project` is copied from the key, for the index that sorts a project's keys by their last use.
    """

    key = models.OneToOneField(Key, on_delete=models.CASCADE, primary_key=True, related_name="activity")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+", db_index=False)
    last_used_at = models.DateTimeField(default=NEVER_USED)
    last_used_address = models.CharField(max_length=45, blank=True)
    last_used_client = models.CharField(max_length=60, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["project", "last_used_at", "key"], name="activity_by_last_use"),
        ]

    def __str__(self) -> str:
        return f"use of key {self.key_id}"


class HourCount(models.Model):
    """How many checks of a key came to one outcome in an hour (its beginning, UTC).

    No foreign key in the database: a key that is purged while its last checks are being written must not
    take the counts of the others with it.
    """

    key = models.ForeignKey(
        Key, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    hour = models.DateTimeField()
    outcome = models.CharField(max_length=20)
    count = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key", "hour", "outcome"], name="hour_counted_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["hour"], name="hour_by_age")]

    def __str__(self) -> str:
        return f"{self.count} {self.outcome}"


class DayCount(models.Model):
    """How many checks of a key came to one outcome on a day (UTC)."""

    key = models.ForeignKey(
        Key, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    day = models.DateField()
    outcome = models.CharField(max_length=20)
    count = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key", "day", "outcome"], name="day_counted_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["day"], name="day_by_age")]

    def __str__(self) -> str:
        return f"{self.count} {self.outcome}"


class StrayCount(models.Model):
    """How many tokens were presented on a day that no key is known by: one counter for each outcome."""

    day = models.DateField()
    outcome = models.CharField(max_length=20)
    count = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["day", "outcome"], name="stray_counted_once"),
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.outcome}"


class ScopeUse(models.Model):
    """The last day (UTC) on which a scope of a key was asked for, and the key passed."""

    key = models.ForeignKey(
        Key, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    scope = models.CharField(max_length=100)
    last_used_on = models.DateField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key", "scope"], name="scope_use_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["last_used_on"], name="scope_use_by_age")]

    def __str__(self) -> str:
        return str(self.scope)


class SourceUse(models.Model):
    """How often a key was used from one address by one client, and between when.

    Without both, in the row of all places beyond the first hundred of a day: whoever changes their address
    with every call must not fill the disk.
    """

    key = models.ForeignKey(
        Key, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    address = models.CharField(max_length=45, blank=True)
    client = models.CharField(max_length=60, blank=True)
    count = models.BigIntegerField()
    first_used_at = models.DateTimeField()
    last_used_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key", "address", "client"], name="source_use_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["last_used_at"], name="source_use_by_age")]

    def __str__(self) -> str:
        return " · ".join(filter(None, [self.client, self.address]))
