"""Provider keys and upstreams for staff: to be read. No value is among it, nor even fetched."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join

from keys.kinds import Provider
from keys.models import ProviderKey, Upstream
from projects.admin.base import Section, StaffAdmin, Tool, in_console
from projects.admin.cells import NONE, code, object_link, over, project_link, said, when
from projects.admin.events import events_section
from projects.admin.lists import ProjectFilter, choice_filter
from projects.names import fold
from projects.querysets import Order

_USERS_SHOWN = 20


@admin.register(ProviderKey)
class ProviderKeyAdmin(StaffAdmin):
    heading = "Provider keys"
    lead = "Other services' keys, project by project. They are stored, changed and deleted in the console."
    search_label = "Search by name"
    list_filter = (ProjectFilter, choice_filter("provider", Provider.choices))
    list_display = ("named", "whose", "mask", "in_project", "address", "updated")
    facts: ClassVar = ("whose", "mask", "in_project", "address", "header", "used", "created", "updated")
    order = Order("id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderKey]:
        return _readable()

    def address_of(self, row: ProviderKey) -> str:
        return str(row.public_id)

    def at_address(self, address: str) -> ProviderKey | None:
        return _readable().filter(public_id=address).first()

    def sought(self, request: HttpRequest, text: str, kept: dict[str, str]) -> str:
        # A value can't be told from a word by its looks: only what is in a name becomes an address.
        text = text[:100]
        if text and not _readable().filter(name_folded__contains=fold(text)).exists():
            messages.warning(request, "No provider key has that in its name.")
            text = ""
        return super().sought(request, text, kept)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return queryset.filter(name_folded__contains=fold(search_term)), False

    # Cells

    @admin.display(description="Name")
    def named(self, key: ProviderKey) -> str:
        return object_link("keys_providerkey", key.public_id, key.name)

    @admin.display(description="Provider")
    def whose(self, key: ProviderKey) -> str:
        return key.get_provider_display()

    @admin.display(description="Value")
    def mask(self, key: ProviderKey) -> str:
        return code(key.mask) if key.mask else "Hidden"

    @admin.display(description="Project")
    def in_project(self, key: ProviderKey) -> str:
        return project_link(key.project)

    @admin.display(description="Base URL")
    def address(self, key: ProviderKey) -> str:
        return said(key.base_url)

    @admin.display(description="Header")
    def header(self, key: ProviderKey) -> str:
        return code(f"{key.header}: {key.prefix} …" if key.prefix else f"{key.header}: …")

    @admin.display(description="Used by")
    def used(self, key: ProviderKey) -> str:
        rows = list(key.upstreams.order_by("slug")[: _USERS_SHOWN + 1])
        links = [(_upstream_link(key, row),) for row in rows[:_USERS_SHOWN]]
        more = [("…",)] if len(rows) > _USERS_SHOWN else []
        return format_html_join(", ", "{}", links + more) or "Nothing"

    @admin.display(description="Created")
    def created(self, key: ProviderKey) -> str:
        return over(when(key.created_at), key.created_by_label)

    @admin.display(description="Updated")
    def updated(self, key: ProviderKey) -> str:
        return when(key.updated_at)

    # What belongs to it

    def tools(self, request: HttpRequest, row: ProviderKey) -> list[Tool]:
        return in_console(request, row.project, reverse("provider_key_list", args=[row.project.slug]))

    def sections(self, row: ProviderKey) -> list[Section]:
        return [events_section(row.project.slug, row.project_id, "provider_key", row.public_id)]


@admin.register(Upstream)
class UpstreamAdmin(StaffAdmin):
    heading = "Upstreams"
    lead = "Providers and models by name, and the provider key that each is called with."
    search_label = "Search by name"
    searched: ClassVar = ("slug",)
    list_filter = (ProjectFilter,)
    list_display = ("named", "key", "in_project", "created")
    facts: ClassVar = ("key", "in_project", "created")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Upstream]:
        return Upstream.objects.select_related("project", "provider_key").defer("provider_key__sealed")

    def address_of(self, row: Upstream) -> str:
        return f"{row.project.slug}.{row.slug}"

    def at_address(self, address: str) -> Upstream | None:
        # A project's slug has no dots; those of an upstream's may.
        project, _, slug = address.partition(".")
        found = Upstream.objects.select_related("project", "provider_key").defer("provider_key__sealed")
        return found.filter(project__slug=project, slug=slug).first()

    def title_of(self, row: Upstream) -> str:
        return f"{row.slug} in {row.project.name}"

    # Cells

    @admin.display(description="Name")
    def named(self, upstream: Upstream) -> str:
        return object_link("keys_upstream", self.address_of(upstream), upstream.slug)

    @admin.display(description="Provider key")
    def key(self, upstream: Upstream) -> str:
        key = upstream.provider_key
        return object_link("keys_providerkey", key.public_id, key.name) if key else NONE

    @admin.display(description="Project")
    def in_project(self, upstream: Upstream) -> str:
        return project_link(upstream.project)

    @admin.display(description="Created")
    def created(self, upstream: Upstream) -> str:
        return when(upstream.created_at)

    # What belongs to it

    def tools(self, request: HttpRequest, row: Upstream) -> list[Tool]:
        return in_console(request, row.project, reverse("provider_key_list", args=[row.project.slug]))

    def sections(self, row: Upstream) -> list[Section]:
        return [events_section(row.project.slug, row.project_id, "upstream", row.slug)]


def _readable() -> QuerySet[ProviderKey]:
    """Provider keys without what nobody may see: it isn't even fetched."""
    return ProviderKey.objects.select_related("project").defer("sealed")


def _upstream_link(key: ProviderKey, upstream: Upstream) -> str:
    return object_link("keys_upstream", f"{key.project.slug}.{upstream.slug}", upstream.slug)
