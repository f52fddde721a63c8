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
from django.db.models import Model, QuerySet

from keys.models import Key, ProviderKey
from keys.sealing import Keyring, SealingError
from projects import audit, factor_sealing
from projects.audit import Actor
from projects.models import SITE_LOG

_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Column:
    """A kind of sealed value: the rows that have one, how it is read, where it belongs, how it is written.

    `named` says to whoever has lost a sealing key which row it is.
    """

    rows: Callable[[], QuerySet[Any]]
    sealed: Callable[[Any], bytes]
    place: Callable[[Any], Sequence[str]]
    put: Callable[[Any, bytes], None]
    named: Callable[[Any], str]


def column_of(model: type[Model], kind: str, public_id: str) -> Column:
    """Return the column `sealed` of a table whose rows have a `seal_place`, a `name` and a `project`."""

    def put(row: Any, sealed: bytes) -> None:
        row.sealed = sealed
        # `update_fields`: nothing else of the row is this run's to write.
        row.save(update_fields=["sealed"])

    return Column(
        rows=lambda: model._default_manager.filter(sealed__isnull=False).select_related("project"),
        sealed=lambda row: bytes(row.sealed),
        place=lambda row: tuple(row.seal_place),
        put=put,
        named=lambda row: f"{row.project.slug}: {kind} “{row.name}” ({getattr(row, public_id)})",
    )


COLUMNS: Final = (
    column_of(Key, "key", "key_id"),
    column_of(ProviderKey, "provider key", "public_id"),
    Column(
        rows=factor_sealing.sealed_factors,
        sealed=factor_sealing.sealed_of,
        place=lambda factor: factor_sealing.place_of(factor.user_id, factor.type),
        put=factor_sealing.put_sealed,
        named=factor_sealing.named,
    ),
)


@dataclass(slots=True)
class Resealed:
    """What a run has done: how many it moved, how many were under the newest key, and those left behind."""

    moved: int = 0
    kept: int = 0
    # A line for each row: which it is, and why its value doesn't open.
    unopened: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.moved + self.kept + len(self.unopened)


def count(columns: Sequence[Column] = COLUMNS) -> int:
    """Return how many sealed values there are. One query a column."""
    return sum(column.rows().count() for column in columns)


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
    rows = column.rows().order_by("pk")
    while pks := list(rows.filter(pk__gt=after).values_list("pk", flat=True)[:_BATCH]):
        yield pks
        after = pks[-1]


def _reseal(ring: Keyring, column: Column, pks: Sequence[int], done: Resealed) -> None:
    """Deal with the rows of a batch. Those under the newest key are only read, and lock nobody out."""
    old = []
    for row in column.rows().filter(pk__in=pks).order_by("pk"):
        if ring.is_newest(column.sealed(row)):
            done.kept += _opened(ring, column, row, done) is not None
        else:
            old.append(row.pk)
    if old:
        _move(ring, column, old, done)


def _move(ring: Keyring, column: Column, pks: Sequence[int], done: Resealed) -> None:
    moved = Resealed()
    with transaction.atomic():
        rows = column.rows().filter(pk__in=pks).order_by("pk")
        for row in rows.select_for_update(of=("self",)):
            plaintext = _opened(ring, column, row, moved)
            if plaintext is None:
                continue
            if ring.is_newest(column.sealed(row)):
                moved.kept += 1
                continue
            column.put(row, ring.seal(plaintext, column.place(row)))
            moved.moved += 1
    # Only now: a transaction that was undone has moved nothing.
    done.moved += moved.moved
    done.kept += moved.kept
    done.unopened += moved.unopened


def _opened(ring: Keyring, column: Column, row: Any, done: Resealed) -> str | None:
    """Return the row's value; None where it doesn't open, which is noted."""
    try:
        return ring.open(column.sealed(row), column.place(row))
    except SealingError as error:
        done.unopened.append(f"{column.named(row)}: {error}")
        return None
