"""What nobody needs any more: the rows of projects that were deleted long ago, nonces long spent, old counts.

A project's own row stays, so that its slug is never used again, and so do its audit events. All work goes in
small batches, each a transaction of its own: whoever else writes waits for a moment only, a run that is
stopped loses nothing, and the next one goes on where it stood.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from django.db import transaction
from django.db.models import ForeignObjectRel, Model, QuerySet

from keys.models import DayCount, HourCount, IssueNonce, ScopeUse, SourceUse, StrayCount
from projects import audit
from projects.audit import Actor
from projects.models import Project

PROJECTS_KEPT: Final = timedelta(days=30)
# How long a retry finds the key that it made: longer than any client goes on retrying, or leaves a form open.
NONCES_KEPT: Final = timedelta(days=7)
# Each check is counted in its hour and in its day at once, so an hour may go as soon as nobody asks for it.
HOURS_KEPT: Final = timedelta(days=2)
DAYS_KEPT: Final = timedelta(days=400)
# Addresses are personal data, in some countries by law: no longer than they help.
SOURCES_KEPT: Final = timedelta(days=90)
BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Table:
    """A table with rows of projects, and the relation that leads from such a row to its project."""

    model: type[Model]
    path: str

    @property
    def refers_to_itself(self) -> bool:
        return any(field.related_model is self.model for field in self.model._meta.fields)

    def rows(self, project: Project) -> QuerySet[Any]:
        return self.model._base_manager.filter(**{self.path: project.pk})


@cache
def tables() -> tuple[Table, ...]:
    """Return every table that belongs to projects; whichever holds a reference comes before what it names.

    Read from the models, so that a table that is added later is purged as well.
    """
    found: dict[type[Model], str] = {}
    _gather(Project, "", found)
    left, ordered = dict(found), []
    while left:
        free = [model for model in left if not any(holder in left for holder in _holders(model))]
        if not free:
            raise RuntimeError(f"These tables refer to each other in a circle: {sorted(map(str, left))}")
        ordered += [Table(model, left.pop(model)) for model in free]
    return tuple(ordered)


def _gather(model: type[Model], path: str, found: dict[type[Model], str]) -> None:
    for holder, field in _references(model):
        to_project = f"{field}__{path}" if path else field
        if holder not in found:
            found[holder] = to_project
            _gather(holder, to_project, found)
        elif to_project.count("__") < found[holder].count("__"):
            found[holder] = to_project


def _references(model: type[Model]) -> Iterator[tuple[type[Model], str]]:
    """Yield the tables that refer to this one, and by which field; not the table itself."""
    for relation in model._meta.get_fields(include_hidden=True):
        if isinstance(relation, ForeignObjectRel) and relation.auto_created and not relation.concrete:
            holder: Any = relation.related_model
            if holder is not model and not relation.many_to_many:
                yield holder, relation.field.name


def _holders(model: type[Model]) -> list[type[Model]]:
    return [holder for holder, _ in _references(model)]


def due(at: datetime, kept: timedelta) -> list[Project]:
    """Return the projects that were deleted at least so long ago and have rows left, the oldest first."""
    gone = Project.objects.filter(deleted_at__lte=at - kept).order_by("deleted_at", "pk")
    return [project for project in gone if any(table.rows(project).exists() for table in tables())]


def rows_of(project: Project) -> int:
    """Return how many rows the project still has. It reads all of them."""
    return sum(table.rows(project).count() for table in tables())


def purge(project: Project, *, actor: Actor, at: datetime, size: int = BATCH) -> Iterator[int]:
    """Delete the rows of a deleted project, and yield after each batch how many it took.

    The last batch writes the event `project.purged`. Raises ValueError for a project that wasn't deleted.
    Each batch locks the head of the project's log: of two runs at once one waits, and both get on.
    """
    if project.deleted_at is None or project.deleted_at > at:
        raise ValueError(f"{project.slug} wasn't deleted.")
    while taken := _batch(project, actor, at, size):
        yield taken


def _batch(project: Project, actor: Actor, at: datetime, size: int) -> int:
    with audit.log(project.pk, actor, at) as log:
        taken = next(filter(None, (_take(table, project, size) for table in tables())), 0)
        if taken and not any(table.rows(project).exists() for table in tables()):
            log.record("project.purged", "project", project.slug, project.name)
    return taken


def _take(table: Table, project: Project, size: int) -> int:
    """Delete some rows and return how many."""
    rows = table.rows(project)
    if table.refers_to_itself:
        # The newest first: a key goes before the one that made it, or that it took the place of.
        rows = rows.order_by("-pk")
    chosen = list(rows.values_list("pk", flat=True)[:size])
    # Raw, because Django's own would look for rows that refer to these, and change them: there are none.
    return table.model._base_manager.filter(pk__in=chosen)._raw_delete(rows.db)


def forget_nonces(at: datetime, *, kept: timedelta = NONCES_KEPT, size: int = BATCH) -> Iterator[int]:
    """Delete nonces that were spent so long ago, and yield after each batch how many it took."""
    return _forget(IssueNonce.objects.filter(created_at__lt=at - kept), size)


def forget_counts(at: datetime, *, size: int = BATCH) -> Iterator[int]:
    """Delete counts of hours and days, scopes and places that are too old; yield how many each batch took.

    By age alone, so that what was counted of a key while it was purged goes as well.
    """
    day = (at - DAYS_KEPT).astimezone(UTC).date()
    yield from _forget(HourCount.objects.filter(hour__lt=at - HOURS_KEPT), size)
    yield from _forget(DayCount.objects.filter(day__lt=day), size)
    yield from _forget(StrayCount.objects.filter(day__lt=day), size)
    yield from _forget(ScopeUse.objects.filter(last_used_on__lt=day), size)
    yield from _forget(SourceUse.objects.filter(last_used_at__lt=at - SOURCES_KEPT), size)


def _forget(old: QuerySet[Any], size: int) -> Iterator[int]:
    """Delete rows, a batch in each transaction.

    It waits for no row that somebody else has: that one is being deleted by another run, or it is in use
    again and no longer old. And it holds what it chose, or a row that is used meanwhile would go as well.
    """
    while True:
        with transaction.atomic():
            chosen = list(old.select_for_update(skip_locked=True).values_list("pk", flat=True)[:size])
            taken = old.model._base_manager.filter(pk__in=chosen)._raw_delete(old.db)
        if not taken:
            return
        yield taken
