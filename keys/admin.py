"""Keys for staff: to be read, not written. Whatever changes a key is a verb of `keys.lifecycle`."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from keys.models import Key


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows; adds, changes and deletes none."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Key)
class KeyAdmin(ReadOnly):
    list_display = ("name", "preview", "project", "type", "created_at", "revoked_at")
    list_select_related = ("project",)
    # Neither the hash nor a sealed copy is shown to anybody.
    fields = (
        "name", "preview", "project", "type", "environment", "scopes", "note", "created_at",
        "created_by_label", "confirmed_at", "expires_at", "paused_at", "revoked_at",
        "revoked_by_label", "revoked_reason",
    )  # fmt: skip
    readonly_fields = ("preview",)
    show_full_result_count = False
