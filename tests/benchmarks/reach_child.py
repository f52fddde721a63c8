"""`python -m tests.benchmarks.reach_child TASK …`: what the reach benchmark asks of one database.

It prints JSON in its last line.
"""

import cProfile
import io
import json
import logging
import pstats
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count, islice
from statistics import median
from typing import Any, Final

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib import admin  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402

from config.urls import urlpatterns as console  # noqa: E402
from keys import lifecycle  # noqa: E402
from keys.drafts import Draft  # noqa: E402
from keys.management.commands import seed  # noqa: E402
from keys.models import Key  # noqa: E402
from projects import triggers  # noqa: E402
from projects.audit import Actor  # noqa: E402
from projects.models import Project, User  # noqa: E402
from tests.benchmarks.alike import AlikeInventor  # noqa: E402

SLUG: Final = "northwind"
PAGE: Final = f"/projects/{SLUG}/settings/keys/"
# Fifty rows, and no others: no revoked key is called so. Else it has fifty of those as well.
FIFTY: Final = f"{PAGE}?rq=zzyzx"
_ISSUED: Final = 200
_ROUNDS: Final = 8
_PARTS: Final = {
    "/django/db/": "the database and the ORM",
    "/django/template": "Django's templates",
    "/django/": "the rest of Django",
    "/site-packages/": "other libraries",
    **{f"{settings.BASE_DIR}/{part}/": "Keyrack" for part in ("config", "keys", "projects")},
}


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


logging.disable(logging.INFO)


def fill(keys: int, others: int) -> dict[str, Any]:
    """Make so many keys in one project, beside so many other projects."""

    class Seed(seed.Command):
        inventor = AlikeInventor

    history = min(keys, 100_000)
    call_command(Seed(), keys=keys, project="Northwind", history=history, stdout=sys.stderr)
    for number in range(others):
        Project(name=f"Other {number}", slug=f"other-{number}").save()
    return {}


def visit() -> dict[str, Any]:
    """Return what a visitor needs: a session, a token, and where the last pages begin.

    It is one of the invented people, who has made keys. The kept database of an earlier run has a probe.
    """
    project, at = Project.objects.get(slug=SLUG), timezone.now()
    draft = Draft(f"Reach probe of {at:%Y-%m-%d %H:%M:%S}", scopes=["sources:read"])
    issued = lifecycle.issue(project, draft, actor=Actor.system(), at=at, confirmed=True)
    keys = Key.objects.filter(project=project)
    listed = keys.filter(revoked_at=None).exclude(type="agent")
    over = keys.exclude(revoked_at=None).exclude(type="agent")
    visitor = User.objects.filter(memberships__project=project, is_superuser=False).order_by("pk")[0]
    return {
        "cookie": _client(visitor).cookies["keyrack_session"].value,
        "token": issued.token,
        "person": visitor.public_id,
        "after": listed.order_by("created_at", "pk")[50].key_id,
        "after_name": listed.order_by("-name_folded", "-pk")[50].key_id,
        "after_revoked": over.order_by("revoked_at", "pk")[50].key_id,
    }


def page_against_admin(pairs: int) -> dict[str, Any]:
    """Return the CPU seconds of a page of 50 rows here and in Django's admin, pair by pair; and a profile.

    `whole` is the page with fifty revoked keys below.
    """
    client = _client()
    measured: dict[str, Any] = {"ours": [], "theirs": [], "whole": []}
    for _ in range(pairs):
        measured["ours"].append(_cpu(lambda: _get(client, FIFTY), 10))
        measured["whole"].append(_cpu(lambda: _get(client, PAGE), 10))
        with override_settings(ROOT_URLCONF="tests.benchmarks.reach_child", TEMPLATES=_STOCK):
            measured["theirs"].append(_cpu(lambda: _get(client, "/stock/keys/key/"), 10))
    return measured | {"profile": _profile(lambda: _get(client, FIFTY))}


def issue() -> dict[str, Any]:
    """Return how many keys a second the verb issues, with the search index and without; and a profile.

    Now with it and now without, so that what else the machine does meets both alike. Wall-clock time: what
    reaches the disk is waited for.
    """
    project = Project.objects.get(slug=SLUG)
    seconds: dict[str, list[float]] = {"with": [], "without": []}
    numbers = count()
    _issue(project, numbers, 50)
    for _ in range(_ROUNDS):
        for name, taken in seconds.items():
            with _without_search_index() if name == "without" else nullcontext():
                began = time.perf_counter()
                _issue(project, numbers, _ISSUED)
                taken.append(time.perf_counter() - began)
    rates = {name: _ISSUED / median(taken) for name, taken in seconds.items()}
    return {**rates, "profile": _profile(lambda: _issue(project, numbers, 10))}


def _issue(project: Project, numbers: Iterator[int], many: int) -> None:
    for number in islice(numbers, many):
        draft = Draft(f"Issued in a row {number}", scopes=["sources:read"])
        lifecycle.issue(project, draft, actor=Actor.system(), at=timezone.now())


@contextmanager
def _without_search_index() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER keyrack_search_enter")
    try:
        yield
    finally:
        triggers.install(connection)


def _client(user: User | None = None) -> Client:
    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(user or User.objects.filter(is_superuser=True).order_by("pk")[0])
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
    shares = _shares(pstats.Stats(profile))
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(12)
    return [shares, *[line for line in text.getvalue().splitlines() if line.strip()][-12:]]


def _shares(stats: Any) -> str:
    """Return whose code the time is spent in: what Python's own functions take is their callers'."""
    spent: Counter[str] = Counter()
    for (file, _, name), (_, _, own, _, callers) in stats.stats.items():
        if file == "~" and "sqlite3" not in name:
            for (caller, _, _), (_, _, taken, _) in callers.items():
                spent[_whose(caller)] += taken
        else:
            spent[_whose(file if file != "~" else "/django/db/")] += own
    return ", ".join(f"{share / spent.total():.0%} {whose}" for whose, share in spent.most_common())


def _whose(file: str) -> str:
    return next((whose for part, whose in _PARTS.items() if part in file), "Python's library")


urlpatterns = [path("stock/", _site.urls), *console]

if __name__ == "__main__":
    tasks: dict[str, Callable[..., dict[str, Any]]] = {
        "fill": fill, "visit": visit, "page": page_against_admin, "issue": issue,
    }  # fmt: skip
    print(json.dumps(tasks[sys.argv[1]](*map(int, sys.argv[2:]))))
