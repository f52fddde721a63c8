"""Projects, for staff: made, renamed, ended."""

from typing import Any, ClassVar, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from config.fragments import see_other
from projects import lifecycle
from projects.admin.base import Act, Section, StaffAdmin, Tool, View, in_console, posted, staff
from projects.admin.cells import code, list_url, object_link, said, when
from projects.admin.events import events_section
from projects.admin.forms import DeleteProjectForm, NewProjectForm, PrivateForm
from projects.admin.lists import Filter
from projects.admin.members import member_row
from projects.general_forms import RenameForm, actions_of
from projects.models import Project, Resource
from projects.querysets import Order

_MEMBERS_SHOWN: Final = 20

_ALLOW: Final = (
    "Provider keys of this project may then lead to http addresses, and to hosts of your own network.",
    "Keyrack never calls them, but your gateway does: a member could have it call what only it can reach.",
)
_FORBID: Final = ("Provider keys that lead to private addresses can't be used from then on.",)


class StateFilter(Filter):
    title = "state"
    parameter_name = "state"
    options: ClassVar = [("active", "Active"), ("deleted", "Deleted")]

    def matching(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(deleted_at__isnull=value == "active")


@admin.register(Project)
class ProjectAdmin(StaffAdmin):
    heading = "Projects"
    lead = "What keys belong to. A deleted project stays listed: its address is never used again."
    search_label = "Search by name or address"
    searched: ClassVar = ("name", "slug")
    list_filter = (StateFilter,)
    list_display = ("named", "address", "state", "created")
    facts: ClassVar = ("address", "state", "created", "deleted", "recoverable", "private")
    # By address, which has an index; a name has none.
    order = Order("slug", descending=False)

    def address_of(self, row: Project) -> str:
        return row.slug

    def at_address(self, address: str) -> Project | None:
        return Project.objects.filter(slug=address).first()

    # Cells

    @admin.display(description="Name")
    def named(self, project: Project) -> str:
        return object_link("projects_project", project.slug, project.name)

    @admin.display(description="Address")
    def address(self, project: Project) -> str:
        return code(project.slug)

    @admin.display(description="State")
    def state(self, project: Project) -> str:
        return "Deleted" if project.deleted_at else "Active"

    @admin.display(description="Created")
    def created(self, project: Project) -> str:
        return when(project.created_at)

    @admin.display(description="Deleted")
    def deleted(self, project: Project) -> str:
        return when(project.deleted_at)

    @admin.display(description="Recoverable keys")
    def recoverable(self, project: Project) -> str:
        return "On" if project.recoverable_keys else "Off"

    @admin.display(description="Private addresses for provider keys")
    def private(self, project: Project) -> str:
        return "Allowed" if project.private_upstreams else "Not allowed"

    # What belongs to a project

    def list_tools(self, request: HttpRequest) -> list[Tool]:
        return [Tool("Add project", reverse("admin:projects_project_add"))]

    def tools(self, request: HttpRequest, row: Project) -> list[Tool]:
        own = [
            Tool("Keys", list_url("keys_key", project=row.slug)),
            Tool("Channels", list_url("projects_channel", project=row.slug)),
        ]
        if row.deleted_at:
            return own
        return [
            *own,
            *in_console(request, row, reverse("key_list", args=[row.slug])),
            Tool("Rename", self.url("rename", row)),
            Tool("Private addresses", self.url("private", row)),
            Tool("Delete", self.url("delete", row), danger=True),
        ]

    def sections(self, row: Project) -> list[Section]:
        return [_members(row), _catalogue(row), events_section(row.slug, row.pk)]

    # Verbs

    def list_verbs(self) -> dict[str, View]:
        return {"add": self.create}

    def verbs(self) -> dict[str, View]:
        return {"rename": self.rename, "private": self.allow_private, "delete": self.delete}

    def create(self, request: HttpRequest) -> HttpResponse:
        lead = ["It starts with its Automator Key, the first scope catalogue, and the owner that you name."]
        form = NewProjectForm(posted(request))

        def run() -> HttpResponse:
            actor, at = staff(request), timezone.now()
            project = lifecycle.create_project(**form.cleaned_data, actor=actor, at=at)
            return self._done(request, project, f"{project.name} was created, with its Automator Key.")

        return self.act(request, Act("Add project", "Add project", lead, sensitive=True), form, run)

    def rename(self, request: HttpRequest, object_id: str) -> HttpResponse:
        project = self.get_object(request, object_id)
        act = Act(f"Rename {project.name}", "Rename", [f"Its address stays {project.slug}."])
        form = RenameForm(posted(request), initial={"name": project.name})

        def run() -> HttpResponse:
            actor, at = staff(request), timezone.now()
            renamed = lifecycle.rename_project(project, form.cleaned_data["name"], actor=actor, at=at)
            return self._done(request, renamed, f"The project is called {renamed.name} now.")

        return self.act(request, act, form, run, project)

    def allow_private(self, request: HttpRequest, object_id: str) -> HttpResponse:
        project = self.get_object(request, object_id)
        allowed = project.private_upstreams
        lead = _FORBID if allowed else _ALLOW
        verb = "Forbid private addresses" if allowed else "Allow private addresses"
        # The page says what it would do; a second click, or a page from before, must not do the contrary.
        form = PrivateForm(posted(request), initial={"allow": "" if allowed else "1"})

        def run() -> HttpResponse:
            wanted = form.cleaned_data["allow"] == "1"
            actor, at = staff(request), timezone.now()
            lifecycle.set_private_upstreams(project, wanted, actor=actor, at=at)
            now = "may" if wanted else "may not"
            said = f"Provider keys of {project.name} {now} lead to private addresses."
            return self._done(request, project, said)

        act = Act(f"{verb} in {project.name}?", verb, lead, danger=not allowed, sensitive=True)
        return self.act(request, act, form, run, project)

    def delete(self, request: HttpRequest, object_id: str) -> HttpResponse:
        project = self.get_object(request, object_id)
        lead = [
            "Every key of it fails from the moment you delete it, and its pages are gone for its members.",
            "This can't be undone. Its audit events stay, and its address is never used again.",
        ]
        act = Act(f"Delete {project.name}?", "Delete project", lead, danger=True, sensitive=True)
        form = DeleteProjectForm(posted(request), project=project)

        def run() -> HttpResponse:
            lifecycle.delete_project(project, actor=staff(request), at=timezone.now())
            return self._done(request, project, f"{project.name} was deleted.")

        return self.act(request, act, form, run, project)

    def _done(self, request: HttpRequest, project: Project, message: str) -> HttpResponse:
        return see_other(request, self.url("change", project), message)


def _members(project: Project) -> Section:
    members = project.memberships.select_related("user", "project").order_by("-role", "pk")
    add = Tool("Add member", f"{reverse('admin:projects_membership_add')}?project={project.slug}")
    return Section(
        "Members",
        ("Person", "Role", "Since"),
        [member_row(member) for member in members[:_MEMBERS_SHOWN]],
        "No members.",
        [Tool("All members", list_url("projects_membership", project=project.slug)), *_living(project, add)],
    )


def _catalogue(project: Project) -> Section:
    add = Tool("Add resource", f"{reverse('admin:projects_resource_add')}?project={project.slug}")
    return Section(
        "Scope catalogue",
        ("Resource", "Label", "Actions"),
        [_resource_row(project, resource) for resource in project.catalogue()],
        "No resources.",
        _living(project, add),
    )


def _resource_row(project: Project, resource: Resource) -> list[str]:
    page = object_link("projects_resource", f"{project.slug}.{resource.name}", resource.name)
    return [page, said(resource.label), code(actions_of(resource))]


def _living(project: Project, tool: Tool) -> list[Tool]:
    return [] if project.deleted_at else [tool]
