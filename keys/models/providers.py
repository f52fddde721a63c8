"""The keys of others: provider keys, and the upstreams that they authenticate to."""

from collections.abc import Sequence
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from keys import tokens
from keys.kinds import BASE_URL_LENGTH, HEADER_LENGTH, PREFIX_LENGTH, UPSTREAM_LENGTH, Provider
from projects.models import Project
from projects.names import NAME_LENGTH, CodepointField


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
