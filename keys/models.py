"""Keys, what is known of their use, spent nonces; and the keys of others: provider keys and upstreams."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from keys import tokens
from keys.kinds import (
    BASE_URL_LENGTH,
    EXPIRES_SOON,
    HEADER_LENGTH,
    NEVER_EXPIRES,
    NEVER_USED,
    NOTE_LENGTH,
    PICKS_SCOPES,
    PREFIX_LENGTH,
    REASON_LENGTH,
    UPSTREAM_LENGTH,
    Environment,
    KeyType,
    Provider,
    Status,
)
from keys.querysets import KeyQuerySet
from keys.scopes import Grant
from projects.models import Channel, Project
from projects.names import NAME_LENGTH, CodepointField


class Key(models.Model):
    """One API key. Written by `keys.lifecycle` alone; its secret is kept as a hash."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="keys")
    key_id = CodepointField(max_length=tokens.KEY_ID_LENGTH, unique=True)
    type = models.CharField(max_length=10, choices=KeyType.choices)
    environment = models.CharField(max_length=4, choices=Environment.choices, default=Environment.LIVE)
    name = models.CharField(max_length=NAME_LENGTH)
    name_folded = CodepointField(max_length=3 * NAME_LENGTH, editable=False)
    note = models.TextField(max_length=NOTE_LENGTH, blank=True)
    scopes = models.TextField(blank=True)
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, null=True, related_name="keys")
    holder = models.CharField(max_length=NAME_LENGTH, blank=True)
    holder_folded = CodepointField(max_length=3 * NAME_LENGTH, blank=True, editable=False)
    # As `keys.networks` and `keys.rates` write them; nothing is no limit.
    networks = models.TextField(blank=True)
    rate = models.CharField(max_length=20, blank=True)

    secret_hash = models.CharField(max_length=255)
    last4 = models.CharField(max_length=4)
    sealed = models.BinaryField(null=True, editable=False)

    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_by_key = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, related_name="issued_keys"
    )
    created_by_label = models.CharField(max_length=254)
    # The key that this one replaces: one-to-one, so that a repeated rotation finds its successor.
    predecessor = models.OneToOneField("self", on_delete=models.SET_NULL, null=True, related_name="successor")
    confirmed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(default=NEVER_EXPIRES)
    paused_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revoked_by_label = models.CharField(max_length=254, blank=True)
    revoked_reason = models.CharField(max_length=REASON_LENGTH, blank=True)
    version = models.PositiveIntegerField(default=1)

    objects = KeyQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["project", "name_folded"],
                condition=Q(revoked_at=None),
                name="key_name_unique_while_living",
                violation_error_message="Another key has this name.",
            ),
            models.UniqueConstraint(
                fields=["project"],
                condition=Q(type=KeyType.SYSTEM),
                name="key_one_system_per_project",
                violation_error_message="A project has one Automator Key.",
            ),
            models.CheckConstraint(
                name="key_system_is_protected",
                condition=~Q(type=KeyType.SYSTEM)
                | Q(revoked_at=None, paused_at=None, expires_at=NEVER_EXPIRES),
                violation_error_message="The Automator Key can't be revoked, paused or expired.",
            ),
            models.CheckConstraint(
                name="key_expires_after_creation",
                condition=Q(expires_at__gt=F("created_at")),
                violation_error_message="A key expires after it was created.",
            ),
            models.CheckConstraint(name="key_type_known", condition=Q(type__in=KeyType.values)),
            models.CheckConstraint(
                name="key_environment_known", condition=Q(environment__in=Environment.values)
            ),
            models.CheckConstraint(
                name="key_picks_scopes_where_it_must",
                condition=Q(Q(type__in=PICKS_SCOPES), ~Q(scopes=""))
                | Q(~Q(type__in=PICKS_SCOPES), scopes=""),
                violation_error_message="Pick at least one scope.",
            ),
            models.CheckConstraint(
                name="key_of_a_channel_has_a_holder",
                condition=Q(~Q(holder=""), type=KeyType.CHANNEL, channel__isnull=False)
                | Q(~Q(type=KeyType.CHANNEL), channel=None, holder=""),
                violation_error_message="A channel key belongs to a channel, and somebody holds it.",
            ),
            models.UniqueConstraint(
                fields=["channel", "holder_folded"],
                condition=Q(revoked_at=None, type=KeyType.CHANNEL),
                name="key_holder_once_per_channel",
                violation_error_message="This holder has a key of this channel already.",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["project", "created_at", "id"], name="key_by_creation"),
            models.Index(fields=["project", "name_folded", "id"], name="key_by_name"),
            models.Index(fields=["project", "expires_at", "id"], name="key_by_expiry"),
            models.Index(
                fields=["project", "revoked_at", "id"],
                condition=Q(revoked_at__isnull=False),
                name="key_by_revocation",
            ),
            models.Index(
                fields=["channel", "created_at", "id"],
                condition=Q(channel__isnull=False),
                name="key_by_channel",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.preview})"

    @property
    def preview(self) -> str:
        return tokens.preview(self.environment, self.key_id, self.last4)

    @property
    def grant(self) -> Grant:
        return Grant.of(self.type, self.scopes)

    @property
    def is_protected(self) -> bool:
        """Whether this is the project's Automator Key, which only *renew* may touch."""
        return self.type == KeyType.SYSTEM

    @property
    def never_expires(self) -> bool:
        return self.expires_at == NEVER_EXPIRES

    @property
    def seal_place(self) -> Sequence[str]:
        """Where a sealed copy of this key's token belongs; it opens nowhere else."""
        return ("keys_key", "sealed", str(self.project_id), self.key_id)

    def is_revoked(self, at: datetime) -> bool:
        """Whether somebody has revoked the key, or its scheduled end has come.

        Who revokes ends it whatever the clock says: the machine that wrote `revoked_at` may be ahead of
        this one. An end that is only scheduled has no `revoked_by_label`.
        """
        ended = self.revoked_by_label != ""
        return self.revoked_at is not None and (ended or self.revoked_at <= at)

    def is_expired(self, at: datetime) -> bool:
        return self.expires_at <= at

    def is_living(self, at: datetime) -> bool:
        """Whether the key may pass at `at`; `KeyQuerySet.living` says the same in SQL."""
        return not self.is_revoked(at) and not self.is_expired(at) and self.paused_at is None

    def is_unconfirmed(self) -> bool:
        """Whether nobody has said that they stored the secret, and nobody has used it."""
        used = self.activity.last_used_at != NEVER_USED
        return self.confirmed_at is None and not used and not self.is_protected

    def status(self, at: datetime) -> Status:
        """Return the state that matters most at `at`."""
        if self.is_revoked(at):
            return Status.REVOKED
        if self.is_expired(at):
            return Status.EXPIRED
        if self.revoked_at is not None:
            return Status.ROTATING
        if self.paused_at is not None:
            return Status.PAUSED
        if self.is_unconfirmed():
            return Status.UNCONFIRMED
        soon = self.expires_at - at <= EXPIRES_SOON
        return Status.EXPIRES_SOON if soon else Status.ACTIVE


class KeyActivity(models.Model):
    """When a key was last used, and by whom: a row of its own, so that noting a use never writes Key.

    `project` is copied from the key, for the index that sorts a project's keys by their last use.
    """

    key = models.OneToOneField(Key, on_delete=models.CASCADE, primary_key=True, related_name="activity")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+")
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

    key = models.ForeignKey(Key, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
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

    key = models.ForeignKey(Key, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
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

    key = models.ForeignKey(Key, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
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

    key = models.ForeignKey(Key, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
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


class IssueNonce(models.Model):
    """A spent nonce: the request that carried it made `key`, and never makes another.

    Kept as a digest: an `Idempotency-Key` is whatever a client sent.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)
    key = models.ForeignKey(Key, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "digest"], name="nonce_spent_once"),
        ]

    def __str__(self) -> str:
        return f"nonce of key {self.key_id}"


class ProviderKey(models.Model):
    """Somebody else's API key, sealed. Written by `keys.providers` alone; its value is never shown again.

    `mask` is what lists show of the value: its first and last three characters, nothing of a short one.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="provider_keys")
    public_id = CodepointField(max_length=tokens.KEY_ID_LENGTH, unique=True)
    name = models.CharField(max_length=NAME_LENGTH)
    name_folded = CodepointField(max_length=3 * NAME_LENGTH, editable=False)
    provider = models.CharField(max_length=12, choices=Provider.choices)
    base_url = models.CharField(max_length=BASE_URL_LENGTH)
    header = models.CharField(max_length=HEADER_LENGTH)
    prefix = models.CharField(max_length=PREFIX_LENGTH, blank=True)
    sealed = models.BinaryField(editable=False)
    mask = models.CharField(max_length=10, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by_label = models.CharField(max_length=254)
    updated_at = models.DateTimeField(default=timezone.now)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["project", "name_folded"],
                name="provider_key_name_unique",
                violation_error_message="Another provider key has this name.",
            ),
            models.CheckConstraint(
                name="provider_key_provider_known", condition=Q(provider__in=Provider.values)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def seal_place(self) -> Sequence[str]:
        """Where the sealed value belongs: in this row, for this address and header, and nowhere else."""
        row = (str(self.project_id), self.public_id)
        return ("keys_providerkey", "sealed", *row, self.base_url, self.header, self.prefix)


class Upstream(models.Model):
    """A provider or a model by its slug, and the provider key that authenticates to it, if there is one."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="upstreams")
    slug = CodepointField(max_length=UPSTREAM_LENGTH)
    provider_key = models.ForeignKey(
        ProviderKey, on_delete=models.SET_NULL, null=True, related_name="upstreams"
    )
    created_at = models.DateTimeField(default=timezone.now)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["project", "slug"],
                name="upstream_slug_unique",
                violation_error_message="There is an upstream of this name already.",
            ),
        ]

    def __str__(self) -> str:
        return str(self.slug)
