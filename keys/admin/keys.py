"""Keys for staff: to be found, read and revoked. Whatever changes a key is a verb of `keys.lifecycle`."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from config.fragments import see_other
from keys import conflicts, lifecycle
from keys.admin.channels import channel_address, channel_at
from keys.admin.pages import KeyChanges
from keys.forms_life import RevokeForm
from keys.kinds import NEVER_USED, Environment, KeyType
from keys.models import Key
from keys.querysets import STATUSES, KeyQuerySet
from keys.rows import access_of, in_use, limits_of
from keys.search import ByKey, ByName, is_key_id, read
from projects.admin.base import Act, Section, StaffAdmin, Tool, View, in_console, posted, staff
from projects.admin.cells import NONE, code, day, is_number, object_link, over, project_link, said, when
from projects.admin.events import events_section
from projects.admin.lists import Filter, LinkedFilter, ProjectFilter, choice_filter
from projects.models import User
from projects.querysets import Order

_NOTHING = "No key matches what you pasted."


class StateFilter(Filter):
    title = "state"
    parameter_name = "state"
    options: ClassVar = [*STATUSES.items(), ("revoked", "Revoked")]

    def matching(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        assert isinstance(queryset, KeyQuerySet)
        at = timezone.now()
        return queryset.revoked(at) if value == "revoked" else queryset.listed(at).with_status(value, at)


class PersonFilter(LinkedFilter):
    """Who made the key."""

    title = "made by"
    parameter_name = "person"

    def named(self, value: str) -> str:
        person = User.objects.filter(pk=int(value)).first() if is_number(value) else None
        return person.label if person else ""

    def matching(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(created_by_id=int(value)) if is_number(value) else queryset.none()


class ChannelFilter(LinkedFilter):
    """The channel that the key is of."""

    title = "channel"
    parameter_name = "channel"

    def named(self, value: str) -> str:
        channel = channel_at(value)
        return channel.name if channel else ""

    def matching(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        channel = channel_at(value)
        return queryset.filter(channel=channel) if channel else queryset.none()


@admin.register(Key)
class KeyAdmin(StaffAdmin):
    heading = "Keys"
    lead = "Every key of every project. Keys are issued in the console; here they are found and revoked."
    search_label = "Search by name or key"
    search_hint = "Paste a full key to find its row. It is never stored or logged."
    list_filter = (
        ProjectFilter,
        PersonFilter,
        ChannelFilter,
        choice_filter("type", KeyType.choices),
        choice_filter("environment", Environment.choices),
        StateFilter,
    )
    list_display = ("named", "preview", "in_project", "kind", "state", "used", "created", "expires")
    facts: ClassVar = (
        "preview", "key_id", "in_project", "kind", "access", "channel", "holder", "environment", "state",
        "limits", "note", "created", "confirmed", "expires", "paused", "used", "revoked",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Key]:
        return _readable()

    def order_of(self, request: HttpRequest) -> Order:
        # Newest first. Within a project there is an index for it; over all of them only the primary key.
        return Order("created_at" if request.GET.get("project") else "id")

    def address_of(self, row: Key) -> str:
        return str(row.key_id)

    def at_address(self, address: str) -> Key | None:
        return _readable().filter(key_id=address).first() if is_key_id(address) else None

    def title_of(self, row: Key) -> str:
        return row.name

    # Search: a pasted key goes on as its public id alone

    def sought(self, request: HttpRequest, text: str, kept: dict[str, str]) -> str:
        sought = read(text)
        if sought is None:
            return self.list_address(kept)
        if isinstance(sought, ByName):
            return self.list_address(kept, sought.text)
        found = list(_readable().sought(sought)[:2])
        if len(found) == 1:
            return self.url("change", found[0])
        if found and isinstance(sought, ByKey):
            return self.list_address(kept, f"kr_live_{sought.start}")
        messages.warning(request, _NOTHING)
        return self.list_address(kept)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return queryset, False  # `KeyChanges` looks for it.

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:
        return KeyChanges

    # Cells. Neither the hash nor a sealed copy is among them, nor even read from the database.

    @admin.display(description="Name")
    def named(self, key: Key) -> str:
        return object_link("keys_key", key.key_id, key.name)

    @admin.display(description="Key")
    def preview(self, key: Key) -> str:
        return code(key.preview)

    @admin.display(description="Key ID")
    def key_id(self, key: Key) -> str:
        return code(key.key_id)

    @admin.display(description="Project")
    def in_project(self, key: Key) -> str:
        return project_link(key.project)

    @admin.display(description="Type")
    def kind(self, key: Key) -> str:
        return format_html('<span class="tag tag-{}">{}</span>', key.type, key.get_type_display())

    @admin.display(description="Access")
    def access(self, key: Key) -> str:
        return code(key.scopes) if key.scopes else access_of(key)

    @admin.display(description="Channel")
    def channel(self, key: Key) -> str:
        if key.channel is None:
            return NONE
        page = object_link("projects_channel", channel_address(key.channel), key.channel.name)
        return over(page, "closed") if key.channel.closed_at else page

    @admin.display(description="Held by")
    def holder(self, key: Key) -> str:
        return said(key.holder) if key.holder else NONE

    @admin.display(description="Environment")
    def environment(self, key: Key) -> str:
        return key.get_environment_display()

    @admin.display(description="State")
    def state(self, key: Key) -> str:
        if key.project.deleted_at:
            return "Project deleted"
        return str(key.status(timezone.now()))

    @admin.display(description="Limits")
    def limits(self, key: Key) -> str:
        return said("; ".join(limits_of(key)))

    @admin.display(description="Note")
    def note(self, key: Key) -> str:
        return said(key.note)

    @admin.display(description="Created")
    def created(self, key: Key) -> str:
        return over(when(key.created_at), key.created_by_label)

    @admin.display(description="Confirmed")
    def confirmed(self, key: Key) -> str:
        return when(key.confirmed_at)

    @admin.display(description="Expires")
    def expires(self, key: Key) -> str:
        return "never" if key.never_expires else day(key.expires_at)

    @admin.display(description="Paused")
    def paused(self, key: Key) -> str:
        return when(key.paused_at)

    @admin.display(description="Last used")
    def used(self, key: Key) -> str:
        use = key.activity
        if use.last_used_at == NEVER_USED:
            return "Never used"
        source = " · ".join(filter(None, [use.last_used_client, use.last_used_address]))
        return over(when(use.last_used_at), source)

    @admin.display(description="Revoked")
    def revoked(self, key: Key) -> str:
        if key.revoked_at is None:
            return NONE
        return over(when(key.revoked_at), ": ".join(filter(None, [key.revoked_by_label, key.revoked_reason])))

    # What can be done

    def tools(self, request: HttpRequest, row: Key) -> list[Tool]:
        project = row.project
        console = in_console(request, project, reverse("key_detail", args=[project.slug, row.key_id]))
        if row.is_protected or project.deleted_at or row.is_revoked(timezone.now()):
            return console
        return [*console, Tool("Revoke", self.url("revoke", row), danger=True)]

    def sections(self, row: Key) -> list[Section]:
        return [events_section(row.project.slug, row.project_id, "key", row.key_id)]

    def verbs(self) -> dict[str, View]:
        return {"revoke": self.revoke}

    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key, at = self.get_object(request, object_id), timezone.now()
        lead = ["Requests with this key fail from the moment you revoke it. This can't be undone."]
        act = Act(f"Revoke {key.name}?", "Revoke key", [code(key.preview), *lead], danger=True)
        form = RevokeForm(posted(request), key=key, in_use=in_use(key, at))

        def run() -> HttpResponse:
            reason, actor = form.cleaned_data["reason"], staff(request)
            lifecycle.revoke(key.project, key.key_id, actor=actor, at=at, reason=reason)
            return see_other(request, self.url("change", key), f"{key.name} was revoked.")

        try:
            conflicts.refuse_revoking(key, at)
            return self.act(request, act, form, run, key)
        except conflicts.Conflict as conflict:
            return self.refused(request, act, str(conflict), key)


def _readable() -> KeyQuerySet:
    """Keys without what nobody may see: it isn't even fetched."""
    return Key.objects.select_related("project", "activity", "channel__project").defer(
        "secret_hash", "sealed"
    )
