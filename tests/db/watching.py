"""What the tests of the database look at: the log, all rows at once, and writes that fail."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from keys.models import IssueNonce, Key, KeyActivity, ProviderKey, Upstream
from projects.models import (
    AuditChain,
    AuditEvent,
    Channel,
    Invitation,
    Membership,
    Project,
    Resource,
)

_WRITES = ("INSERT", "UPDATE", "DELETE")


def events(project: Project) -> list[AuditEvent]:
    """The project's log, oldest first."""
    return list(AuditEvent.objects.filter(project_id=project.pk).order_by("number"))


def verbs(project: Project) -> list[str]:
    return [event.verb for event in events(project)]


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table that a verb writes."""
    tables = (
        Project, Resource, Membership, Invitation, Channel, Key, KeyActivity, IssueNonce, AuditChain,
        AuditEvent, ProviderKey, Upstream,
    )  # fmt: skip
    return {
        model.__name__: [_plain(row) for row in model._base_manager.order_by("pk").values_list()]
        for model in tables
    }


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    # PostgreSQL hands binary columns over as memoryviews, which compare by identity once released.
    return tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)


class DiskFull(Exception):
    """What `failing_at` raises in place of a write."""


@contextmanager
def failing_at(nth: int) -> Iterator[None]:
    """Have the nth statement that writes (counted from 0) fail."""
    writes = 0

    def fail(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        nonlocal writes
        if sql.startswith(_WRITES):
            writes += 1
            if writes > nth:
                raise DiskFull
        return execute(sql, *rest)

    with connection.execute_wrapper(fail):
        yield


def writes_of(verb: Callable[[], object]) -> int:
    """Run `verb` with each of its writes failing in turn; return how many there are.

    Each failure must come out of the verb, and must leave every row as it was. At the end the verb
    has succeeded.
    """
    before = everything()
    for nth in range(100):
        try:
            with failing_at(nth):
                verb()
        except DiskFull:
            assert everything() == before, f"write {nth} failed, and something was left behind"
        else:
            return nth
    raise AssertionError("It never stops writing.")
