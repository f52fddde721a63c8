"""Keys, and the nonces that are spent on issuing them."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from keys import tokens
from keys.kinds import (
    EXPIRES_SOON,
    NEVER_EXPIRES,
    NEVER_USED,
    NOTE_LENGTH,
    PICKS_SCOPES,
    REASON_LENGTH,
    Environment,
    KeyType,
    Status,
)
from keys.querysets import KeyQuerySet, Shelf
from keys.scopes import Grant
from projects.models import Channel, Project
from projects.names import NAME_LENGTH, CodepointField
from projects.querysets import Quick


class Key(Quick):
    """One API key. Written by `keys.lifecycle` alone; its secret is kept as a hash."""

    # Most of the indexes below begin with it.
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="keys", db_index=False)
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
            *(
                models.Index(
                    fields=["project", column, "id"], condition=shelf.condition, name=f"{what}_by_{by}"
                )
                for shelf, what in ((Shelf.KEYS, "listed"), (Shelf.AGENTS, "agent"))
                for column, by in (
                    ("created_at", "creation"),
                    ("name_folded", "name"),
                    ("expires_at", "expiry"),
                )
            ),
            *(
                models.Index(
                    fields=["project", "revoked_at", "id"],
                    condition=shelf.condition,
                    name=f"{what}_by_revocation",
                )
                for shelf, what in ((Shelf.ENDED_KEYS, "key"), (Shelf.ENDED_AGENTS, "agent"))
            ),
            *(
                models.Index(fields=["project", "name_folded", "id"], condition=shelf.condition, name=name)
                for shelf, name in (
                    (Shelf.ENDED_KEYS, "ended_by_name"),
                    (Shelf.ENDED_AGENTS, "ended_agent_by_name"),
                )
            ),
            # One for each filter: what it leaves, newest first.
            *(
                models.Index(
                    fields=["project", column, "created_at", "id"],
                    condition=Q(revoked_at=None),
                    name=f"key_by_{by}",
                )
                for column, by in (("type", "type"), ("environment", "environment"), ("created_by", "maker"))
            ),
            # And for two states, with all that is asked of such a key: a thousand are counted without looking
            # at one of them.
            *(
                models.Index(
                    fields=["project", "created_at", "id", "type", "expires_at"],
                    condition=Q(revoked_at=None) & state,
                    name=f"key_{what}",
                )
                for state, what in (
                    (Q(paused_at__isnull=False), "paused"),
                    (Q(confirmed_at=None, paused_at=None), "unconfirmed"),
                )
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
