"""Names by any part of them: three letters and more from the search index, fewer from their start.

SQLite has a full-text index of every three letters (FTS5), in which a key's number begins with its project
and shelf: a search reads that range of it alone, the newest first. PostgreSQL has its trigrams (`pg_trgm`) in
one index with the project. Both are made by the migration `0008_search`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connection, transaction

from keys.querysets import KeyQuerySet, Shelf

# A key's number in SQLite's index is its own, after those of its project and shelf (`projects.triggers`).
_ROOM: Final = 1 << 38
# Where PostgreSQL finds three letters to look for; it leaves punctuation out.
_LETTERS: Final = re.compile(r"[^\W_]{3}|[\W_][^\W_]|[^\W_]{2}[\W_]")
_DOWN: Final = (
    "SELECT rowid FROM keys_search WHERE keys_search MATCH %s AND rowid BETWEEN %s AND %s "
    "ORDER BY rowid DESC LIMIT %s"
)
_ANYWHERE: Final = "SELECT rowid FROM keys_search WHERE keys_search MATCH %s LIMIT %s"
_UP: Final = _DOWN.replace("DESC", "ASC")
_LAST: Final = "\U0010ffff"


def is_prefix(term: str) -> bool:
    """Say whether a folded term is too short for the index (or punctuation): names must begin with it."""
    return len(term) < 3 or not _LETTERS.search(term)


def walked(keys: KeyQuerySet, term: str) -> KeyQuerySet:
    """Return the keys that a folded term means, for looking at each of them in another order than by name."""
    # LIKE, not a range: SQLite would take a range to an index, and sort all that is in it.
    return keys.filter(**{"name_folded__startswith" if is_prefix(term) else "name_folded__contains": term})


def found(
    keys: KeyQuerySet,
    project_id: int,
    shelf: Shelf,
    term: str,
    most: int,
    *,
    beyond: int = 0,
    up: bool = False,
) -> list[int]:
    """Return the primary keys of at most so many keys of a shelf that a folded term means. One query.

    On SQLite these are the newest, or those before (`up`: after) the key `beyond`; on PostgreSQL any.
    """
    if is_prefix(term):
        start = keys.on(shelf).filter(name_folded__gte=term, name_folded__lt=term + _LAST)
        return list(start.order_by("name_folded", "pk").values_list("pk", flat=True)[:most])
    if connection.vendor == "sqlite":
        return _from_fts(project_id, shelf, term, most, beyond, up)
    with planned("indexscan", "indexonlyscan", "seqscan"):
        # By the index alone: where a term is common elsewhere, the planner would look at every key here.
        bare = keys.model._default_manager.filter(project_id=project_id)
        rows = walked(bare.on(shelf), term).order_by().values_list("pk", flat=True)[:most]
        return list(rows)


def found_anywhere(keys: KeyQuerySet, term: str, most: int) -> list[int]:
    """Return the primary keys of at most so many keys, of any project, whose name holds a folded term.

    For staff. A query, on PostgreSQL one for each shelf. Raises ValueError for a term that is too short.
    """
    if is_prefix(term):
        raise ValueError("A term of one or two letters is looked for in one project.")
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(_ANYWHERE, [_phrase(term), most])
            return [rowid % _ROOM for (rowid,) in cursor.fetchall()]
    pks: list[int] = []
    bare = keys.model._default_manager.all()
    with planned("indexscan", "indexonlyscan", "seqscan"):
        for shelf in Shelf:
            rows = walked(bare.on(shelf), term).order_by().values_list("pk", flat=True)
            pks += rows[: most - len(pks)] if len(pks) < most else []
    return pks


def _phrase(term: str) -> str:
    """Return the term as one phrase in quotation marks: whatever else it holds is no query of FTS5's."""
    return '"' + term.replace('"', '""') + '"'


def _from_fts(project_id: int, shelf: Shelf, term: str, most: int, beyond: int, up: bool) -> list[int]:
    first = (project_id * 4 + shelf) * _ROOM
    last = first + _ROOM - 1
    if beyond:
        first, last = (first + beyond + 1, last) if up else (first, first + beyond - 1)
    with connection.cursor() as cursor:
        cursor.execute(_UP if up else _DOWN, [_phrase(term), first, last, most])
        return [rowid % _ROOM for (rowid,) in cursor.fetchall()]


@contextmanager
def planned(*without: str) -> Iterator[None]:
    """Let PostgreSQL plan the queries inside without these ways; on SQLite nothing."""
    if connection.vendor != "postgresql" or not without:
        yield
        return
    # Without JIT: such a plan has an endless cost, for which PostgreSQL would compile each query anew.
    ways = ("jit", *(f"enable_{way}" for way in without))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET LOCAL {way} = off" for way in ways))
        yield
        cursor.execute("; ".join(f"SET LOCAL {way} = on" for way in ways))
