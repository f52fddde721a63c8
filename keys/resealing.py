"""Moving every sealed value to the newest sealing key, so that the older ones can go.

In batches, each a transaction of its own: a run that is killed has moved what it has moved, and the next one
goes on from there. It runs beside servers, and beside another of its kind: a row is locked while it is moved,
and only rows, by their number, never the head of a log. What was moved meanwhile, or replaced, is left alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from keys.models import Key, ProviderKey
from keys.sealing import Keyring, SealingError
from projects import audit
from projects.audit import Actor
from projects.models import SITE_LOG

_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Column:
    """A column of sealed values. Its rows have `sealed`, `seal_place`, a `name` and a `project`."""

    kind: str
    rows: Callable[[], QuerySet[Any]]
    public_id: Callable[[Any], str]

    def sealed(self) -> QuerySet[Any]:
        return self.rows().filter(sealed__isnull=False).order_by("pk")


COLUMNS: Final = (
    Column("key", Key.objects.all, lambda key: str(key.key_id)),
    Column("provider key", ProviderKey.objects.all, lambda key: str(key.public_id)),
)


@dataclass(frozen=True, slots=True)
class Unopened:
    """A row whose value doesn't open, and why."""

    project: str
    kind: str
    name: str
    public_id: str
    reason: str

    def __str__(self) -> str:
        return f"{self.project}: {self.kind} “{self.name}” ({self.public_id}): {self.reason}"


@dataclass(slots=True)
class Resealed:
    """What a run has done: how many it moved, how many were under the newest key, and those left behind."""

    moved: int = 0
    kept: int = 0
    unopened: list[Unopened] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.moved + self.kept + len(self.unopened)


def count(columns: Sequence[Column] = COLUMNS) -> int:
    """Return how many sealed values there are. One query a column."""
    return sum(column.sealed().count() for column in columns)


def reseal(
    *,
    actor: Actor,
    at: datetime,
    went_on: Callable[[int], None] = lambda _: None,
    columns: Sequence[Column] = COLUMNS,
) -> Resealed:
    """Seal every value with the newest sealing key, and return what was done.

    Each value is opened, those under the newest key as well: where none is left behind, the older keys are
    needed no more. One that doesn't open stays as it is. `went_on` is told of each batch. A run that has
    moved anything is an event of the site log. Locks the rows of a batch, by number.
    """
    ring, done = Keyring(settings.KEYRACK_SEALING_KEYS), Resealed()
    for column in columns:
        for pks in _batches(column):
            _reseal(ring, column, pks, done)
            went_on(len(pks))
    if done.moved:
        with audit.log(SITE_LOG, actor, at) as log:
            counts = {"moved": done.moved, "unopened": len(done.unopened)}
            log.record("sealing.moved", "sealing_key", ring.newest_id, ring.newest_id, **counts)
    return done


def _batches(column: Column) -> Iterator[list[int]]:
    """Yield the numbers of the rows, in their order, a batch at a time."""
    after = 0
    while pks := list(column.sealed().filter(pk__gt=after).values_list("pk", flat=True)[:_BATCH]):
        yield pks
        after = pks[-1]


def _reseal(ring: Keyring, column: Column, pks: Sequence[int], done: Resealed) -> None:
    """Deal with the rows of a batch. Those under the newest key are only read, and lock nobody out."""
    old = []
    for row in column.sealed().filter(pk__in=pks).select_related("project"):
        if ring.is_newest(row.sealed):
            done.kept += _opens(ring, column, row, done)
        else:
            old.append(row.pk)
    if old:
        _move(ring, column, old, done)


def _move(ring: Keyring, column: Column, pks: Sequence[int], done: Resealed) -> None:
    moved = Resealed()
    with transaction.atomic():
        rows = column.sealed().filter(pk__in=pks).select_related("project")
        for row in rows.select_for_update(of=("self",)):
            if not _opens(ring, column, row, moved):
                continue
            if ring.is_newest(row.sealed):
                moved.kept += 1
                continue
            row.sealed = ring.seal(ring.open(row.sealed, row.seal_place), row.seal_place)
            # `update_fields`: nothing else of the row is this run's to write.
            row.save(update_fields=["sealed"])
            moved.moved += 1
    # Only now: a transaction that was undone has moved nothing.
    done.moved += moved.moved
    done.kept += moved.kept
    done.unopened += moved.unopened


def _opens(ring: Keyring, column: Column, row: Any, done: Resealed) -> bool:
    """Say whether the row's value opens; if not, note the row."""
    try:
        ring.open(row.sealed, row.seal_place)
    except SealingError as error:
        named = (row.project.slug, column.kind, row.name, column.public_id(row))
        done.unopened.append(Unopened(*named, str(error)))
        return False
    return True
