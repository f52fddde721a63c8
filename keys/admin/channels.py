"""Channels for staff: to be found and read, made, renamed and closed. Whatever changes one is a verb."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from config.fragments import see_other
from keys import channels
from keys.channel_lists import count_keys
from keys.forms_channels import ChannelForm, EditChannelForm
from projects.admin.base import Act, Section, StaffAdmin, Tool, View, asked, in_console, posted, staff
from projects.admin.cells import code, list_url, object_link, project_link, said, when
from projects.admin.events import events_section
from projects.admin.forms import ConfirmForm, project_at
from projects.admin.lists import Filter, ProjectFilter, choice_filter
from projects.models import Channel, ChannelKind, Project
from projects.querysets import Order


class AddChannelForm(ChannelForm):
    """A new channel, for staff, who may make one in any project."""

    project = forms.CharField(label="Project", required=False, help_text="Its address, such as acme.")
    field_order = ("project", "name", "kind")

    def clean_project(self) -> Project:
        return project_at(self.cleaned_data["project"])


class StateFilter(Filter):
    title = "state"
    parameter_name = "state"
    options: ClassVar = [("open", "Open"), ("closed", "Closed")]

    def matching(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(closed_at__isnull=value == "open")


@admin.register(Channel)
class ChannelAdmin(StaffAdmin):
    heading = "Channels"
    lead = "Where bots talk, in every project. A closed channel stays listed: its slug is never used again."
    search_label = "Search by name or slug"
    searched: ClassVar = ("name", "slug")
    list_filter = (ProjectFilter, choice_filter("kind", ChannelKind.choices), StateFilter)
    list_display = ("named", "slug", "kind", "state", "in_project", "created")
    facts: ClassVar = ("slug", "kind", "state", "in_project", "keys", "created", "made_by", "closed")
    order = Order("id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        return Channel.objects.select_related("project")

    def address_of(self, row: Channel) -> str:
        return channel_address(row)

    def at_address(self, address: str) -> Channel | None:
        return channel_at(address)

    def title_of(self, row: Channel) -> str:
        return f"{row.name} in {row.project.name}"

    # Cells

    @admin.display(description="Name")
    def named(self, channel: Channel) -> str:
        return object_link("projects_channel", channel_address(channel), channel.name)

    @admin.display(description="Slug")
    def slug(self, channel: Channel) -> str:
        return code(channel.slug)

    @admin.display(description="Kind")
    def kind(self, channel: Channel) -> str:
        return channel.get_kind_display()

    @admin.display(description="State")
    def state(self, channel: Channel) -> str:
        return "Closed" if channel.closed_at else "Open"

    @admin.display(description="Project")
    def in_project(self, channel: Channel) -> str:
        return project_link(channel.project)

    @admin.display(description="Keys")
    def keys(self, channel: Channel) -> str:
        return f"{count_keys(channel, timezone.now()):,}"

    @admin.display(description="Created")
    def created(self, channel: Channel) -> str:
        return when(channel.created_at)

    @admin.display(description="Created by")
    def made_by(self, channel: Channel) -> str:
        return said(channel.created_by_label)

    @admin.display(description="Closed")
    def closed(self, channel: Channel) -> str:
        return when(channel.closed_at)

    # What can be done

    def list_tools(self, request: HttpRequest) -> list[Tool]:
        return [Tool("Add channel", reverse("admin:projects_channel_add"))]

    def tools(self, request: HttpRequest, row: Channel) -> list[Tool]:
        keys = Tool("Keys", list_url("keys_key", channel=channel_address(row)))
        if row.closed_at or row.project.deleted_at:
            return [keys]
        console = reverse("channel_keys", args=[row.project.slug, row.slug])
        return [
            keys,
            *in_console(request, row.project, console),
            Tool("Rename", self.url("rename", row)),
            Tool("Close", self.url("close", row), danger=True),
        ]

    def sections(self, row: Channel) -> list[Section]:
        return [events_section(row.project.slug, row.project_id, "channel", row.slug)]

    def list_verbs(self) -> dict[str, View]:
        return {"add": self.add}

    def verbs(self) -> dict[str, View]:
        return {"rename": self.rename, "close": self.close}

    def add(self, request: HttpRequest) -> HttpResponse:
        form = AddChannelForm(posted(request), initial={"project": asked(request, "project")})

        def run() -> HttpResponse:
            actor, at = staff(request), timezone.now()
            made = channels.create_channel(**form.cleaned_data, actor=actor, at=at)
            return self._done(request, made, f"{made.name} was created.")

        lead = ["Its keys are generated in the console."]
        return self.act(request, Act("Add channel", "Add channel", lead), form, run)

    def rename(self, request: HttpRequest, object_id: str) -> HttpResponse:
        channel = self.get_object(request, object_id)
        act = Act(f"Rename {self.title_of(channel)}", "Save", [f"Its slug stays {channel.slug}."])
        initial = {"name": channel.name, "kind": channel.kind, "version": channel.version}
        form = EditChannelForm(posted(request), initial=initial)

        def run() -> HttpResponse:
            given, actor, at = form.cleaned_data, staff(request), timezone.now()
            edited = channels.edit_channel(channel.project, channel.slug, **given, actor=actor, at=at)
            return self._done(request, edited, f"{edited.name} was saved.")

        return self._unless_late(request, act, form, run, channel)

    def close(self, request: HttpRequest, object_id: str) -> HttpResponse:
        channel = self.get_object(request, object_id)
        count = count_keys(channel, timezone.now())
        lead = [
            "1 key stops with it." if count == 1 else f"{count:,} keys stop with it.",
            "Requests with its keys fail from the moment you close the channel. This can't be undone.",
        ]
        act = Act(f"Close {self.title_of(channel)}?", "Close channel", lead, danger=True)

        def run() -> HttpResponse:
            actor, at = staff(request), timezone.now()
            channels.close_channel(channel.project, channel.slug, actor=actor, at=at)
            return self._done(request, channel, f"{channel.name} was closed.")

        return self._unless_late(request, act, ConfirmForm(posted(request)), run, channel)

    def _unless_late(
        self, request: HttpRequest, act: Act, form: Any, run: Any, channel: Channel
    ) -> HttpResponse:
        """Answer the page of a verb; 409 where the channel is closed, or was changed meanwhile."""
        try:
            channels.refuse_closed(channel)
            return self.act(request, act, form, run, channel)
        except channels.Conflict as conflict:
            return self.refused(request, act, str(conflict), channel)

    def _done(self, request: HttpRequest, channel: Channel, message: str) -> HttpResponse:
        return see_other(request, self.url("change", channel), message)


def channel_address(channel: Channel) -> str:
    """Return what stands for a channel in an address: its project's slug and its own."""
    return f"{channel.project.slug}.{channel.slug}"


def channel_at(address: str) -> Channel | None:
    """Return the channel at an address, closed or not; None where there is none. One query."""
    project, _, slug = address.rpartition(".")
    return Channel.objects.select_related("project").filter(project__slug=project, slug=slug).first()
