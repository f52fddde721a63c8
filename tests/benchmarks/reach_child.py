"""`python -m tests.benchmarks.reach_child TASK …`: what the reach benchmark asks of one database.

It prints JSON in its last line.
"""

import cProfile
import io
import json
import pstats
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib import admin  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402

from config.urls import urlpatterns as console  # noqa: E402
from keys import lifecycle  # noqa: E402
from keys.drafts import Draft  # noqa: E402
from keys.models import Key  # noqa: E402
from projects.audit import Actor  # noqa: E402
from projects.models import Project, User  # noqa: E402

SLUG: Final = "northwind"
PAGE: Final = f"/projects/{SLUG}/settings/keys/"
_ISSUED: Final = 600


class StockAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Django's own list of the same rows, with the columns of the console's page and one query for them."""

    list_display = (
        "name",
        "type",
        "key_id",
        "used",
        "created_at",
        "created_by_label",
        "expires_at",
        "revoked_at",
    )
    list_select_related = ("activity", "channel")
    list_per_page = 50
    ordering = ("-created_at", "-id")
    search_fields = ("name",)
    list_filter = ("type", "environment")

    def used(self, key: Key) -> Any:
        return key.activity.last_used_at

    def has_view_permission(self, request: Any, obj: Any = None) -> bool:
        return True

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).filter(project__slug=SLUG, revoked_at=None).exclude(type="agent")


_site = admin.AdminSite("stock")
_site.register(Key, StockAdmin)
# Django's own templates, and not the console's in their place.
_STOCK: Final = [{**settings.TEMPLATES[0], "DIRS": []}]


def enter(others: int) -> dict[str, Any]:
    """Make so many other projects, and return what a visitor needs: a session, a token, the last page."""
    for number in range(others):
        Project(name=f"Other {number}", slug=f"other-{number}").save()
    project = Project.objects.get(slug=SLUG)
    draft = Draft("Reach probe", scopes=["sources:read"])
    issued = lifecycle.issue(project, draft, actor=Actor.system(), at=timezone.now(), confirmed=True)
    listed = Key.objects.filter(project=project, revoked_at=None).exclude(type="agent")
    oldest = listed.order_by("created_at", "pk")[50]
    return {
        "cookie": _client().cookies["keyrack_session"].value,
        "token": issued.token,
        "after": oldest.key_id,
    }


def page_against_admin(pairs: int) -> dict[str, Any]:
    """Return the CPU seconds of a page of 50 rows here and in Django's admin, pair by pair; and a profile."""
    client = _client()
    measured: dict[str, Any] = {"ours": [], "theirs": []}
    for _ in range(pairs):
        measured["ours"].append(_cpu(lambda: _get(client, PAGE), 10))
        with override_settings(ROOT_URLCONF="tests.benchmarks.reach_child", TEMPLATES=_STOCK):
            measured["theirs"].append(_cpu(lambda: _get(client, "/stock/keys/key/"), 10))
    return measured | {"profile": _profile(lambda: _get(client, PAGE))}


def issue() -> dict[str, Any]:
    """Return how many keys a second the verb issues, with the search index and without."""
    project, rates = Project.objects.get(slug=SLUG), {}
    for name, numbers in (("with", range(_ISSUED)), ("without", range(_ISSUED, 2 * _ISSUED))):
        if name == "without":
            with connection.cursor() as cursor:
                cursor.execute("DROP TRIGGER keyrack_search_enter")
        began = time.perf_counter()
        for number in numbers:
            draft = Draft(f"Issued in a row {number}", scopes=["sources:read"])
            lifecycle.issue(project, draft, actor=Actor.system(), at=timezone.now())
        rates[name] = _ISSUED / (time.perf_counter() - began)
    return rates


def _client() -> Client:
    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(User.objects.filter(is_superuser=True).order_by("pk")[0])
    return client


def _get(client: Client, url: str) -> None:
    response = client.get(url)
    if response.status_code != 200:
        raise AssertionError(f"{url} answered {response.status_code}")


def _cpu(work: Callable[[], None], times: int) -> float:
    work()
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times


def _profile(work: Callable[[], None]) -> list[str]:
    work()
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(20):
        work()
    profile.disable()
    text = io.StringIO()
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(12)
    return [line for line in text.getvalue().splitlines() if line.strip()][-12:]


urlpatterns = [path("stock/", _site.urls), *console]

if __name__ == "__main__":
    tasks: dict[str, Callable[..., dict[str, Any]]] = {
        "enter": enter, "page": page_against_admin, "issue": issue,
    }  # fmt: skip
    print(json.dumps(tasks[sys.argv[1]](*map(int, sys.argv[2:]))))
