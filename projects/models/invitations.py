"""The table of places in projects that wait for somebody."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from django.db import models
from django.utils import timezone

from projects.models.people import Role, User
from projects.models.projects import Membership, Project
from projects.names import CodepointField
from projects.public_ids import PUBLIC_ID_LENGTH, new_public_id


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
