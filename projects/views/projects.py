"""Pages about projects themselves."""

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from config.fragments import see_other
from config.redaction import holds_token
from projects.forms import ProjectForm
from projects.lifecycle import create_project
from projects.models import Project, User
from projects.names import fold


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Lead to the keys of somebody's one project, or to the list of projects."""
    projects = list(Project.objects.of(_person(request))[:2])
    if len(projects) == 1:
        return redirect("key_list", slug=projects[0].slug)
    return redirect("project_list")


@require_safe
def project_list(request: HttpRequest) -> HttpResponse:
    """The projects of whoever is signed in, by name; `q` finds a part of a name."""
    if holds_token(request.GET.get("q", "")):
        return redirect("project_list")
    projects = list(Project.objects.of(_person(request)))
    term = request.GET.get("q", "").strip()[:100]
    found = [project for project in projects if fold(term) in fold(project.name)]
    context = {"projects": found, "term": term, "total": len(projects)}
    return render(request, "projects/project_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def project_create(request: HttpRequest) -> HttpResponse:
    form = ProjectForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            project = create_project(
                form.cleaned_data["name"],
                slug=form.cleaned_data["slug"],
                owner=_person(request),
                at=timezone.now(),
                address=getattr(request, "client_address", None),
            )
        except ValidationError as error:
            form.take(error)
        else:
            url = reverse("key_list", args=[project.slug])
            return see_other(request, url, f"{project.name} was created, with its Automator Key.")
    status = 422 if form.errors else 200
    return render(request, "projects/project_create.html", {"form": form}, status=status)


def _person(request: HttpRequest) -> User:
    """Return who is signed in; SignedInMiddleware lets nobody else come this far."""
    if not isinstance(request.user, User):
        raise TypeError("Nobody is signed in.")
    return request.user
