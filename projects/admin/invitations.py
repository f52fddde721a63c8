"""Invitations, for staff: read and revoked here, never made. Staff add members without one."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from config.fragments import see_other
from projects import invitations
from projects.admin.base import Act, Section, StaffAdmin, Tool, View, posted, staff
from projects.admin.cells import object_link, project_link, said, when
from projects.admin.events import events_section
from projects.admin.forms import ConfirmForm
from projects.admin.lists import Filter, ProjectFilter
from projects.models import Invitation, Role


class PendingFilter(Filter):
    title = "state"
    parameter_name = "state"
    options: ClassVar = [("waiting", "Waiting"), ("accepted", "Accepted"), ("revoked", "Revoked")]

    def matching(self, queryset: QuerySet[Invitation], value: str) -> QuerySet[Invitation]:
        if value == "waiting":
            return queryset.filter(accepted_at=None, revoked_at=None)
        return queryset.filter(**{f"{value}_at__isnull": False})


@admin.register(Invitation)
class InvitationAdmin(StaffAdmin):
    heading = "Invitations"
    lead = "Who was invited to which project, by whom. A link is shown once, to whoever made it."
    search_label = "Search by email address"
    searched: ClassVar = ("email",)
    list_filter = (ProjectFilter, PendingFilter)
    list_display = ("address", "in_project", "role_offered", "inviter", "state", "expires")
    facts: ClassVar = (
        "email", "in_project", "role_offered", "inviter", "state", "made", "expires", "accepted", "revoked",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invitation]:
        found: QuerySet[Invitation] = Invitation.objects.judged()
        return found

    def address_of(self, row: Invitation) -> str:
        return str(row.public_id)

    def at_address(self, address: str) -> Invitation | None:
        found: Invitation | None = Invitation.objects.judged().filter(public_id=address).first()
        return found

    def title_of(self, row: Invitation) -> str:
        return f"Invitation of {row.email}"

    # Cells

    @admin.display(description="Email address")
    def address(self, invitation: Invitation) -> str:
        return object_link("projects_invitation", invitation.public_id, invitation.email)

    @admin.display(description="Email address")
    def email(self, invitation: Invitation) -> str:
        return invitation.email

    @admin.display(description="Project")
    def in_project(self, invitation: Invitation) -> str:
        return project_link(invitation.project)

    @admin.display(description="Role")
    def role_offered(self, invitation: Invitation) -> str:
        return Role(invitation.role).label

    @admin.display(description="Invited by")
    def inviter(self, invitation: Invitation) -> str:
        return said(invitation.invited_by_label)

    @admin.display(description="State")
    def state(self, invitation: Invitation) -> str:
        return invitation.standing(timezone.now()).value

    @admin.display(description="Made")
    def made(self, invitation: Invitation) -> str:
        return when(invitation.created_at)

    @admin.display(description="Expires")
    def expires(self, invitation: Invitation) -> str:
        return when(invitation.expires_at)

    @admin.display(description="Accepted")
    def accepted(self, invitation: Invitation) -> str:
        return when(invitation.accepted_at)

    @admin.display(description="Revoked")
    def revoked(self, invitation: Invitation) -> str:
        return when(invitation.revoked_at)

    # What can be done

    def tools(self, request: HttpRequest, row: Invitation) -> list[Tool]:
        if row.accepted_at or row.revoked_at or row.project.deleted_at:
            return []
        return [Tool("Revoke", self.url("revoke", row), danger=True)]

    def sections(self, row: Invitation) -> list[Section]:
        return [events_section(row.project.slug, row.project_id, "invitation", row.public_id)]

    def verbs(self) -> dict[str, View]:
        return {"revoke": self.revoke}

    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        invitation = self.get_object(request, object_id)
        lead = ["Its link stops working at once. An owner of the project can invite the person again."]
        title = f"Revoke the invitation of {invitation.email}?"
        act = Act(title, "Revoke", lead, danger=True, sensitive=True)

        def run() -> HttpResponse:
            try:
                invitations.revoke_invitation(
                    invitation.project, invitation.public_id, actor=staff(request), at=timezone.now()
                )
            except invitations.Stale as stale:
                return self.refused(request, act, str(stale), invitation)
            said = f"The invitation of {invitation.email} was revoked."
            return see_other(request, self.url("change", invitation), said)

        return self.act(request, act, ConfirmForm(posted(request)), run, invitation)
