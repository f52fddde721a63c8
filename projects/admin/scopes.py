"""The scope catalogues, for staff: a team's own API has scopes of its own."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join

from config.fragments import see_other
from projects import catalogue
from projects.admin.base import Act, StaffAdmin, Tool, View, asked, posted, staff
from projects.admin.cells import code, object_link, project_link, said
from projects.admin.forms import ConfirmForm, ResourceForm
from projects.admin.lists import ProjectFilter
from projects.general_forms import ScopesForm, actions_of
from projects.models import Project, Resource


@admin.register(Resource)
class ResourceAdmin(StaffAdmin):
    heading = "Scope catalogue"
    lead = "The resources of each project, and what keys can be allowed to do with them."
    search_label = "Search by resource"
    searched: ClassVar = ("name", "label")
    list_filter = (ProjectFilter,)
    list_display = ("named", "label", "scopes", "in_project")
    facts: ClassVar = ("label", "scopes", "in_project")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Resource]:
        return Resource.objects.select_related("project")

    def address_of(self, row: Resource) -> str:
        return f"{row.project.slug}.{row.name}"

    def at_address(self, address: str) -> Resource | None:
        slug, _, name = address.rpartition(".")
        mine = Q(project__slug=slug, name=name)
        return Resource.objects.select_related("project").filter(mine).first()

    def title_of(self, row: Resource) -> str:
        return f"{row.name} in {row.project.name}"

    # Cells

    @admin.display(description="Resource")
    def named(self, resource: Resource) -> str:
        return object_link("projects_resource", self.address_of(resource), resource.name)

    @admin.display(description="Label")
    def label(self, resource: Resource) -> str:
        return said(resource.label)

    @admin.display(description="Scopes")
    def scopes(self, resource: Resource) -> str:
        return format_html_join(", ", "{}", ((code(scope),) for scope in resource.scopes()))

    @admin.display(description="Project")
    def in_project(self, resource: Resource) -> str:
        return project_link(resource.project)

    # What can be done

    def list_tools(self, request: HttpRequest) -> list[Tool]:
        return [Tool("Add resource", reverse("admin:projects_resource_add"))]

    def tools(self, request: HttpRequest, row: Resource) -> list[Tool]:
        if row.project.deleted_at:
            return []
        return [
            Tool("Edit", self.url("edit", row)),
            Tool("Remove", self.url("remove", row), danger=True),
        ]

    def list_verbs(self) -> dict[str, View]:
        return {"add": self.add}

    def verbs(self) -> dict[str, View]:
        return {"edit": self.edit, "remove": self.remove}

    def add(self, request: HttpRequest) -> HttpResponse:
        lead = [
            "Privileged keys have its scopes at once, and viewer keys those that read.",
            "Other keys have them where somebody picks them.",
        ]
        form = ResourceForm(posted(request), initial={"project": asked(request, "project")})

        def run() -> HttpResponse:
            given = form.cleaned_data
            project = given.pop("project")
            resource = catalogue.add_resource(project, **given, actor=staff(request), at=timezone.now())
            return _to_project(request, project, f"{resource.name} was added.")

        return self.act(request, Act("Add resource", "Add resource", lead), form, run)

    def edit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        resource = self.get_object(request, object_id)
        project = resource.project
        lead = ["An action that a living key holds can't be taken away."]
        initial = {"label": resource.label, "actions": actions_of(resource)}
        form = ScopesForm(posted(request), initial=initial)

        def run() -> HttpResponse:
            actor, at = staff(request), timezone.now()
            catalogue.edit_resource(project, resource.name, **form.cleaned_data, actor=actor, at=at)
            return _to_project(request, project, f"{resource.name} was saved.")

        act = Act(f"Edit {self.title_of(resource)}", "Save", lead)
        return self.act(request, act, form, run, resource)

    def remove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        resource = self.get_object(request, object_id)
        project = resource.project
        lead = ["No new key can be given its scopes. Refused while a living key holds one of them."]

        def run() -> HttpResponse:
            catalogue.remove_resource(project, resource.name, actor=staff(request), at=timezone.now())
            return _to_project(request, project, f"{resource.name} was removed.")

        act = Act(f"Remove {self.title_of(resource)}?", "Remove", lead, danger=True)
        return self.act(request, act, ConfirmForm(posted(request)), run, resource)


def _to_project(request: HttpRequest, project: Project, message: str) -> HttpResponse:
    return see_other(request, reverse("admin:projects_project_change", args=[project.slug]), message)
