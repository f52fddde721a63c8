"""The audit log of a project: read by its members, as a page and as a file."""

from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from config.fragments import answer, is_fragment, see_other, then
from projects.access import Access, project_for
from projects.events import (
    BadCursor,
    EventsForm,
    events_of,
    holds_secret,
    newest_first,
    table,
    without_secrets,
)
from projects.exports import csv_lines
from projects.models import User
from projects.views import pages

_NOT_HERE: Final = "This link asks for something that isn't here."
_MOVED: Final = "This page of the log isn't there. Here is its beginning."


@require_safe
def audit_log(request: HttpRequest, slug: str) -> HttpResponse:
    access = project_for(request.user, slug)
    if holds_secret(request.GET):
        return see_other(request, _address(access, without_secrets(request.GET)))
    form = EventsForm(request.GET)
    if not form.is_valid():
        return _log(request, access, EventsForm(), problem=_NOT_HERE, status=400)
    return _log(request, access, form)


@require_POST
def audit_filter(request: HttpRequest, slug: str) -> HttpResponse:
    """The filters are posted, and the server chooses the address: a pasted key never becomes one."""
    access = project_for(request.user, slug)
    form = EventsForm(request.POST)
    if not form.is_valid():
        return _log(request, access, form, status=422)
    url = _address(access, urlencode(form.given()))
    if not is_fragment(request):
        return see_other(request, url)
    if holds_secret(request.POST):
        # The field still shows what was pasted into it. The page comes anew, without it.
        return pages.leave(request, url, "")
    response = _log(request, access, form)
    response["HX-Push-Url"] = url
    return response


@require_safe
@never_cache
def audit_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    """What the filters show, as a file that is written while it is read."""
    access = project_for(request.user, slug)
    form = EventsForm(request.GET)
    if holds_secret(request.GET) or not form.is_valid():
        return audit_log(request, slug)
    events = newest_first(events_of(access.project, form.given()))
    # To HEAD nothing is read.
    lines = csv_lines(events if request.method == "GET" else ())
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8; header=present")
    filename = f"{access.project.slug}-audit-log-{timezone.now():%Y-%m-%d}.csv"
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _log(
    request: HttpRequest, access: Access, form: EventsForm, *, problem: str = "", status: int = 200
) -> HttpResponse:
    given = form.given() if form.is_bound and form.is_valid() else {}
    params = request.GET if status == 200 else {}
    try:
        shown = table(access.project, given, params)
    except BadCursor:
        problem, status, params = _MOVED, 400, {}
        shown = table(access.project, given, params)
    context = pages.context(access, "audit", form=form, table=shown, problem=problem, actors=_actors(access))
    response = answer(request, "projects/audit_log.html", context, partial="listing", status=status)
    if is_fragment(request) and ("after" in params or "before" in params):
        then(response, focus={"target": "#events"})
    return response


def _actors(access: Access) -> Any:
    """Return the members, whom the field *Who* suggests. One query, once the page asks for them."""
    return User.objects.filter(memberships__project=access.project).order_by("name", "email")[:100]


def _address(access: Access, query: str) -> str:
    url = reverse("audit_log", args=[access.project.slug])
    return f"{url}?{query}" if query else url
