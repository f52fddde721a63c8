"""Names by any part of them: three letters and more from the search index, fewer from their start.

SQLite has a full-text index of every three letters (FTS5), in which a key's number begins with its project
and shelf: a search reads that range of it alone, the newest first. PostgreSQL has its trigrams (`pg_trgm`) in
one index with the project. Both are made by the migration `0008_search`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from django.db import connection, transaction

from keys.querysets import KeyQuerySet, Shelf

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from keys.models import Key

# A key's number in SQLite's index is its own, after those of its project and shelf (`projects.triggers`).
_ROOM: Final = 1 << 38
# Where PostgreSQL finds three letters to look for; it leaves punctuation out.
_LETTERS: Final = re.compile(r"[^\W_]{3}|[\W_][^\W_]|[^\W_]{2}[\W_]")
_DOWN: Final = (
    "SELECT rowid FROM keys_search WHERE keys_search MATCH %s AND rowid BETWEEN %s AND %s "
    "ORDER BY rowid DESC LIMIT %s"
)
_ANYWHERE: Final = "SELECT rowid FROM keys_search WHERE keys_search MATCH %s LIMIT %s"
_SHARE: Final = (
    "WITH newest AS ({}) SELECT avg((name_folded::text LIKE %s)::int)::float, "
    "(SELECT reltuples FROM pg_class WHERE oid = %s::regclass) FROM newest"
)
# Not a SELECT that has the condition itself: it would look for so many that have the name.
_WHICH: Final = "WITH newest AS ({}) SELECT pk FROM newest WHERE name_folded::text LIKE %s LIMIT %s"
# A word is common that this share of the newest keys have, and so many keys of the shelf.
_SAMPLE: Final = 200
_COMMON_SHARE: Final = 0.05
_COMMON: Final = 10_000
# The thousand of it are among so many.
_WALKED_AT_MOST: Final = 40_000
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

    On SQLite these are the newest, or those before (`up`: after) the key `beyond`; on PostgreSQL any, and it
    takes another query (`_common`).
    """
    if is_prefix(term):
        start = keys.on(shelf).filter(name_folded__gte=term, name_folded__lt=term + _LAST)
        return list(start.order_by("name_folded", "pk").values_list("pk", flat=True)[:most])
    if connection.vendor == "sqlite":
        return _from_fts(project_id, shelf, term, most, beyond, up)
    bare = keys.model._default_manager.filter(project_id=project_id).on(shelf)
    if common := _common(bare, shelf, term, most):
        return common
    with planned("indexscan", "indexonlyscan", "seqscan"):
        # By the index alone: where a term is common elsewhere, the planner would look at every key here.
        return list(walked(bare, term).order_by().values_list("pk", flat=True)[:most])


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


def _common(keys: KeyQuerySet, shelf: Shelf, term: str, most: int) -> list[int]:
    """Return so many of the newest keys of a shelf that a common word means; nothing where it isn't one.

    PostgreSQL's index of trigrams finds every key that a word means before it gives the first: of a million
    names a common one takes ten times as long as looking at the newest names, one after the other. How common
    it is, the first two hundred say, and its statistics how many keys there are. One query, two for a common
    word.
    """
    column = "revoked_at" if shelf & Shelf.ENDED_KEYS else "created_at"
    newest = keys.order_by(f"-{column}", "-pk").values("pk", "name_folded")
    like = f"%{connection.ops.prep_for_like_query(term)}%"
    with planned("bitmapscan", "seqscan", "sort"):
        ((share, keys_there_are),) = _among(_SHARE, newest[:_SAMPLE], like, shelf.index(column))
        if (share or 0) < _COMMON_SHARE or share * keys_there_are < _COMMON:
            return []
        found = [pk for (pk,) in _among(_WHICH, newest[:_WALKED_AT_MOST], like, most)]
        return found if len(found) == most else []


def _among(asked: str, newest: "QuerySet[Key, Any]", *parameters: Any) -> list[tuple[Any, ...]]:
    """Ask something of these keys. One query."""
    sql, own = newest.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(asked.format(sql), [*own, *parameters])
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


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
