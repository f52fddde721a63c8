"""The audit log, to be read. Nothing here writes, and the database refuses whoever tries."""

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from projects import sentences
from projects.admin.base import Section, StaffAdmin, Tool
from projects.admin.cells import NONE, SITE, code, is_number, link, list_url, object_link, said, when
from projects.admin.lists import LinkedFilter
from projects.models import SITE_LOG, AuditEvent, Project
from projects.querysets import Order

_SHOWN: Final = 20
_PAGES: Final = {
    "key": "keys_key",
    "person": "projects_user",
    "project": "projects_project",
    "invitation": "projects_invitation",
}


class LogFilter(LinkedFilter):
    """Whose log it is: a project's, by its slug, or the site's."""

    title = "log"
    parameter_name = "project"

    def named(self, value: str) -> str:
        if value == SITE:
            return "Site log"
        project = Project.objects.filter(slug=value).first()
        return project.name if project else ""

    def matching(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        project_id = log_at(value)
        return queryset.none() if project_id is None else queryset.filter(project_id=project_id)


class ObjectFilter(LinkedFilter):
    """What the events speak of, as `key:7Fq2aB3dE5gH`, within one log: that is how they are indexed."""

    title = "about"
    parameter_name = "object"

    def named(self, value: str) -> str:
        return value.replace(":", " ", 1)

    def matching(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        kind, _, object_id = value.partition(":")
        if not self.request.GET.get("project"):
            return queryset.none()
        return queryset.filter(object_kind=kind, object_id=object_id)


@admin.register(AuditEvent)
class EventAdmin(StaffAdmin):
    heading = "Audit log"
    lead = "What was done, by whom, and from where. It is append-only: manage.py audit verify proves it."
    search_label = "Search by a project's address"
    list_filter = (LogFilter, ObjectFilter)
    list_display = ("happened", "who", "what", "which", "changed", "log")
    facts: ClassVar = ("happened", "who", "what", "which", "changed", "log", "origin")

    # One log is in the order of its numbers, which is also that of its index.
    def order_of(self, request: HttpRequest) -> Order:
        return Order("number" if request.GET.get("project") else "id")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        # A search leads to `project=`; this is an address that somebody typed.
        return (queryset.none() if search_term else queryset), False

    def sought(self, request: HttpRequest, text: str, kept: dict[str, str]) -> str:
        project = Project.objects.filter(slug=text[:50].lower()).first()
        if project:
            return self.list_address({"project": project.slug})
        if text:
            messages.warning(request, "No project has this address.")
        return self.list_address(kept)

    def address_of(self, row: AuditEvent) -> str:
        return f"{_slug(row)}.{row.number}"

    def at_address(self, address: str) -> AuditEvent | None:
        slug, _, number = address.rpartition(".")
        project_id = log_at(slug)
        if project_id is None or not is_number(number):
            return None
        return AuditEvent.objects.filter(project_id=project_id, number=int(number)).first()

    def prepare(self, rows: list[Any]) -> None:
        slugs = _logs(rows)
        for row in rows:
            row.slug = slugs.get(row.project_id, SITE)

    def title_of(self, row: AuditEvent) -> str:
        return f"Event {row.number}"

    def list_tools(self, request: HttpRequest) -> list[Tool]:
        return [Tool("Site log", list_url("projects_auditevent", project=SITE))]

    # Cells

    @admin.display(description="When")
    def happened(self, event: AuditEvent) -> str:
        url = reverse("admin:projects_auditevent_change", args=[self.address_of(event)])
        return format_html('<a href="{}">{}</a>', url, when(event.at))

    @admin.display(description="Who")
    def who(self, event: AuditEvent) -> str:
        return actor_of(event)

    @admin.display(description="What")
    def what(self, event: AuditEvent) -> str:
        return code(event.verb)

    @admin.display(description="Which")
    def which(self, event: AuditEvent) -> str:
        return subject_of(event)

    @admin.display(description="Changed")
    def changed(self, event: AuditEvent) -> str:
        return changes_of(event)

    @admin.display(description="Log")
    def log(self, event: AuditEvent) -> str:
        slug = _slug(event)
        return link(list_url("projects_auditevent", project=slug), "Site log" if slug == SITE else slug)

    @admin.display(description="From")
    def origin(self, event: AuditEvent) -> str:
        return event.address or NONE


def events_section(slug: str, project_id: int, kind: str = "", object_id: str = "") -> Section:
    """Return the latest events of a log, or those about one thing. One query."""
    events = AuditEvent.objects.filter(project_id=project_id)
    query = {"project": slug}
    if kind:
        events = events.filter(object_kind=kind, object_id=object_id)
        query["object"] = f"{kind}:{object_id}"
    return Section(
        "Latest events",
        ("When", "Who", "What", "Which", "Changed"),
        [_told(event) for event in events.order_by("-number")[:_SHOWN]],
        "Nothing has happened yet.",
        [Tool("All events", list_url("projects_auditevent", **query))],
    )


def log_at(slug: str) -> int | None:
    """Return the number of the log that a slug (or `-`, for the site's) names; None where there is none."""
    if slug == SITE:
        return SITE_LOG
    return Project.objects.filter(slug=slug).values_list("pk", flat=True).first()


def actor_of(event: AuditEvent) -> str:
    label = event.actor_label or event.actor_kind
    if event.actor_kind == "person" and event.actor_id:
        return object_link("projects_user", event.actor_id, label)
    if event.actor_kind == "key":
        return object_link("keys_key", event.actor_id, label)
    return said(label)


def subject_of(event: AuditEvent) -> str:
    if event.object_kind in _PAGES and event.object_id:
        return object_link(_PAGES[event.object_kind], event.object_id, event.object_label)
    return said(event.object_label)


def changes_of(event: AuditEvent) -> str:
    """Return what an event changed, as `role: Viewer → Admin`."""
    told = "; ".join(change.text for change in sentences.changes_of(event))
    return format_html('<span class="changes" dir="auto">{}</span>', told or NONE)


def _told(event: AuditEvent) -> list[str]:
    return [when(event.at), actor_of(event), code(event.verb), subject_of(event), changes_of(event)]


def _logs(events: Iterable[AuditEvent]) -> dict[int, str]:
    ids = {event.project_id for event in events}
    return dict(Project.objects.filter(pk__in=ids).values_list("pk", "slug"))


def _slug(event: Any) -> str:
    slug: str | None = getattr(event, "slug", None)
    return slug or _logs([event]).get(event.project_id, SITE)
