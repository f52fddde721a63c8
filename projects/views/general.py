"""General settings of a project: its name, its scope catalogue, its end."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from config.fragments import answer, current_path, is_fragment, then
from projects import catalogue, lifecycle
from projects.access import Access, project_for
from projects.forms import QuietForm
from projects.general_forms import DeleteForm, EditScopesForm, NewScopesForm, RenameForm, actions_of
from projects.models import Resource, Role
from projects.moments import Moment
from projects.views import pages
from projects.views.pages import GetOrPost


@require_safe
def project_general(request: HttpRequest, slug: str) -> HttpResponse:
    return render(request, "projects/project_general.html", _context(project_for(request.user, slug)))


@GetOrPost
def project_rename(request: HttpRequest, slug: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OWNER)
    form = RenameForm(pages.posted(request), initial={"name": access.project.name})
    if request.method == "POST" and form.is_valid():
        named, by = form.cleaned_data["name"], _by(request, access)
        try:
            project = lifecycle.rename_project(access.project, named, **by)
        except ValidationError as error:
            form.take(error)
        else:
            return pages.leave(request, _home(access), f"The project is called {project.name} now.")
    return _dialog(request, access, "project_rename", form)


@GetOrPost
def project_delete(request: HttpRequest, slug: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OWNER)
    form = DeleteForm(pages.posted(request), project=access.project, request=request)
    if request.method == "POST" and form.is_valid():
        try:
            project = lifecycle.delete_project(access.project, **_by(request, access))
        except ValidationError as error:
            form.take(error)
        else:
            gone = f"{project.name} was deleted. Its keys stopped working."
            return pages.leave(request, reverse("project_list"), gone)
    stops = lifecycle.what_stops(access.project, timezone.now())
    return _dialog(request, access, "project_delete", form, stops=stops)


@GetOrPost
def resource_create(request: HttpRequest, slug: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.ADMIN)
    form = NewScopesForm(pages.posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            added = catalogue.add_resource(access.project, **form.cleaned_data, **_by(request, access))
        except ValidationError as error:
            form.take(error)
        else:
            return _back(request, access, f"{added.label} was added.", focus=f"#edit-{added.name}")
    return _dialog(request, access, "resource_create", form)


@GetOrPost
def resource_edit(request: HttpRequest, slug: str, resource: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.ADMIN)
    found, status = _resource(access, resource), 0
    actions = actions_of(found)
    initial = {"label": found.label, "actions": actions, "seen": actions}
    form = EditScopesForm(pages.posted(request), initial=initial)
    if request.method == "POST" and form.is_valid():
        given, by = form.cleaned_data, _by(request, access)
        try:
            saved = catalogue.edit_resource(access.project, resource, **given, **by)
        except ValidationError as error:
            form.take(error)
        except catalogue.Changed as conflict:
            form, status = form.anew(conflict.resource), 409
        except Resource.DoesNotExist:
            raise Http404 from None
        else:
            return _back(request, access, f"{saved.label} was saved.", focus=f"#edit-{saved.name}")
    return _dialog(request, access, "resource_edit", form, resource=found, status=status)


@GetOrPost
def resource_remove(request: HttpRequest, slug: str, resource: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.ADMIN)
    found = _resource(access, resource)
    form = QuietForm(pages.posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            catalogue.remove_resource(access.project, resource, **_by(request, access))
        except ValidationError as error:
            form.take(error)
        except Resource.DoesNotExist:
            raise Http404 from None
        else:
            return _back(request, access, f"{found.label} was removed.", focus="#scopes-title")
    return _dialog(request, access, "resource_remove", form, resource=found, scopes=found.scopes())


def _context(access: Access, **more: Any) -> dict[str, Any]:
    created, resources = Moment.of(access.project.created_at), access.project.catalogue()
    return pages.context(access, "general", created=created, catalogue=resources, **more)


def _resource(access: Access, name: str) -> Resource:
    found = access.project.resources.filter(name=name).first()
    if found is None:
        raise Http404
    return found


def _by(request: HttpRequest, access: Access) -> dict[str, Any]:
    """Return who does it, and when, as every verb takes them."""
    return {"actor": access.actor(request), "at": timezone.now()}


def _dialog(request: HttpRequest, access: Access, name: str, form: Any, **more: Any) -> HttpResponse:
    return pages.dialog(request, access, "general", f"projects/{name}.html", form, **more)


def _home(access: Access) -> str:
    return reverse("project_general", args=[access.project.slug])


def _back(request: HttpRequest, access: Access, message: str, *, focus: str) -> HttpResponse:
    """Answer a verb on the catalogue: the table as it is now, with a message, and the dialog closed."""
    if not is_fragment(request) or current_path(request) not in ("", _home(access)):
        return pages.leave(request, _home(access), message)
    messages.success(request, message)
    response = answer(request, "projects/project_general.html", _context(access), partial="scopes")
    response["HX-Retarget"], response["HX-Reswap"] = "#scopes", "outerHTML"
    return then(response, close={}, focus={"target": focus})
