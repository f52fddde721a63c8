"""Who belongs to which project, for staff."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from config.fragments import see_other
from projects import lifecycle
from projects.admin.base import Act, StaffAdmin, Tool, View, asked, posted, staff
from projects.admin.cells import is_number, list_url, object_link, project_link, when
from projects.admin.forms import ConfirmForm, MemberForm, RoleForm
from projects.admin.lists import ProjectFilter, choice_filter
from projects.models import Membership, Project, Role


@admin.register(Membership)
class MemberAdmin(StaffAdmin):
    heading = "Members"
    lead = "Who belongs to which project, and as what. The last owner of a project stays."
    search_label = "Search by person"
    searched: ClassVar = ("user__email", "user__name")
    list_filter = (
        ProjectFilter,
        choice_filter("role", [(str(role.value), role.label) for role in Role]),
    )
    list_display = ("person", "in_project", "role_held", "since")
    facts: ClassVar = ("person", "address", "in_project", "role_held", "since")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return Membership.objects.select_related("user", "project")

    def address_of(self, row: Membership) -> str:
        return f"{row.project.slug}.{row.user_id}"

    def at_address(self, address: str) -> Membership | None:
        slug, _, person = address.rpartition(".")
        if not is_number(person):
            return None
        mine = Q(project__slug=slug, user_id=int(person))
        return Membership.objects.select_related("user", "project").filter(mine).first()

    def title_of(self, row: Membership) -> str:
        return f"{row.user.label} in {row.project.name}"

    # Cells

    @admin.display(description="Person")
    def person(self, member: Membership) -> str:
        return object_link("projects_user", str(member.user_id), member.user.label)

    @admin.display(description="Email address")
    def address(self, member: Membership) -> str:
        return member.user.email

    @admin.display(description="Project")
    def in_project(self, member: Membership) -> str:
        return project_link(member.project)

    @admin.display(description="Role")
    def role_held(self, member: Membership) -> str:
        return role_link(member)

    @admin.display(description="Since")
    def since(self, member: Membership) -> str:
        return when(member.created_at)

    # What can be done

    def list_tools(self, request: HttpRequest) -> list[Tool]:
        return [
            Tool("Add member", reverse("admin:projects_membership_add")),
            Tool("Invitations", list_url("projects_invitation", state="waiting")),
        ]

    def tools(self, request: HttpRequest, row: Membership) -> list[Tool]:
        if row.project.deleted_at:
            return []
        return [
            Tool("Change role", self.url("role", row)),
            Tool("Remove", self.url("remove", row), danger=True),
        ]

    def list_verbs(self) -> dict[str, View]:
        return {"add": self.add}

    def verbs(self) -> dict[str, View]:
        return {"role": self.change_role, "remove": self.remove}

    def add(self, request: HttpRequest) -> HttpResponse:
        act = Act("Add member", "Add member", sensitive=True)
        form = MemberForm(posted(request), initial={"project": asked(request, "project")})

        def run() -> HttpResponse:
            project, user, role = (form.cleaned_data[name] for name in ("project", "email", "role"))
            lifecycle.add_member(project, user, role, actor=staff(request), at=timezone.now())
            return _to_project(request, project, f"{user.label} is now a member of {project.name}.")

        return self.act(request, act, form, run)

    def change_role(self, request: HttpRequest, object_id: str) -> HttpResponse:
        member = self.get_object(request, object_id)
        user, project = member.user, member.project
        act = Act(f"Role of {self.title_of(member)}", "Change role", sensitive=True)
        form = RoleForm(posted(request), initial={"role": member.role})

        def run() -> HttpResponse:
            role = Role(form.cleaned_data["role"])
            lifecycle.change_role(project, user, role, actor=staff(request), at=timezone.now())
            return _to_project(request, project, f"{user.label} is now {role.label} in {project.name}.")

        return self.act(request, act, form, run, member)

    def remove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        member = self.get_object(request, object_id)
        user, project = member.user, member.project
        lead = [
            "The project is gone for them at once.",
            "The keys that they made keep working: look through them, and revoke what nobody needs.",
        ]
        act = Act(f"Remove {user.label} from {project.name}?", "Remove", lead, danger=True, sensitive=True)

        def run() -> HttpResponse:
            lifecycle.remove_member(project, user, actor=staff(request), at=timezone.now())
            return _to_project(request, project, f"{user.label} was removed from {project.name}.")

        return self.act(request, act, ConfirmForm(posted(request)), run, member)


def member_row(member: Membership) -> list[str]:
    """Return a member as a row of the project's page."""
    person = object_link("projects_user", str(member.user_id), member.user.label)
    return [person, role_link(member), when(member.created_at)]


def role_link(member: Membership) -> str:
    """Return the role, linked to the page where it is changed."""
    address = f"{member.project.slug}.{member.user_id}"
    return object_link("projects_membership", address, Role(member.role).label)


def _to_project(request: HttpRequest, project: Project, message: str) -> HttpResponse:
    return see_other(request, reverse("admin:projects_project_change", args=[project.slug]), message)
