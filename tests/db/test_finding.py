"""A list of keys: the right ones in the right order, from indexes alone, however many there are."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keys import finding
from keys.finding import LIVING, Found, Wanted, find
from keys.kinds import NEVER_EXPIRES, NEVER_USED, KeyType
from keys.models import Key, KeyActivity
from keys.querysets import LAST_REVOKED_FIRST, SORTS, Shelf
from keys.search import ByKey, ByName, Nothing
from keys.search_index import planned
from projects import audit
from projects.audit import Actor
from projects.models import Project, Role, User
from projects.names import fold
from projects.querysets import Order
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db

DAY: Final = timedelta(days=1)
KEYS: Final = 80
NAMES: Final = (
    "Docs crawler",
    "Billing sync",
    "docs (old)",
    "Größe",
    '100% "real"',
    "do_not-use",
    "日本語 bot",
)
# What the console and the API ask for, one of each kind; and two at once.
WANTED: Final[dict[str, dict[str, Any]]] = {
    "everything": {},
    "type": {"narrow": lambda keys: keys.filter(type="viewer")},
    "environment": {"narrow": lambda keys: keys.filter(environment="test")},
    "mine": {"narrow": "mine"},
    "unused": {"narrow": "unused"},
    "type and environment": {"narrow": lambda keys: keys.filter(type="viewer", environment="test")},
    **{state: {"status": state} for state in ("active", "unconfirmed", "expires_soon", "paused", "expired")},
    "by": {"by": True},
    "a part of a name": {"sought": ByName("CRAWL")},
    "the start of a name": {"sought": ByName("D")},
    "a part that few have": {"sought": ByName("rösse")},
    "a part that none has": {"sought": ByName("zebra")},
    "a part and a state": {"sought": ByName("docs"), "status": "active"},
    "a part of a foreign name": {"sought": ByName("日本語")},
    "a key": {"sought": ByKey("000000000011")},
    "no key": {"sought": Nothing()},
    "revoked": {"revoked": True},
    "revoked, by a part": {"revoked": True, "sought": ByName("crawl")},
    "revoked, by the start": {"revoked": True, "sought": ByName("bi")},
}  # fmt: skip
SHELVES: Final = {"keys": (Shelf.KEYS,), "both": LIVING}


@pytest.fixture
def keys(project: Project, owner: User, operator: User, at: datetime) -> list[Key]:
    """Keys of every kind, state and age, with equal values in every column; and another project's."""
    made = [_key(project, number, [owner, operator][number % 2], at) for number in range(KEYS)]
    made += [_key(ProjectFactory(), KEYS + number, None, at) for number in range(7)]
    Key.objects.bulk_create(made)
    KeyActivity.objects.bulk_create(
        KeyActivity(
            key=key, project_id=key.project_id,
            last_used_at=at - (number % 5) * 40 * DAY if number % 3 else NEVER_USED,
        )
        for number, key in enumerate(made)
    )  # fmt: skip
    actor = Actor.person(owner, Role.OWNER)
    with audit.log(project.pk, actor, at) as log:
        for key in made[:KEYS:6]:
            log.record("key.revealed", "key", key.key_id, key.name)
    return list(Key.objects.of(project))


def _key(project: Project, number: int, maker: User | None, at: datetime) -> Key:
    name = f"{NAMES[number % len(NAMES)]} {number}"
    ended = {0: at - DAY, 1: at - DAY, 2: at + DAY}.get(number % 9)
    return Key(
        project=project, key_id=f"{number:012}", type=KeyType.AGENT if number % 4 == 0 else KeyType.VIEWER,
        scopes="agents:run" if number % 4 == 0 else "", environment="test" if number % 5 == 0 else "live",
        name=name, name_folded=fold(name), secret_hash="x", last4="0000", created_by=maker,
        created_by_label="x", created_at=at - (KEYS + 40 - number // 4) * DAY,
        expires_at=[at - DAY, at + 5 * DAY, NEVER_EXPIRES][number % 3],
        confirmed_at=None if number % 7 == 0 else at, paused_at=at if number % 11 == 0 else None,
        revoked_at=ended, revoked_by_label="Mara" if number % 9 == 0 else "",
    )  # fmt: skip


def wanted(project: Project, owner: User, at: datetime, given: dict[str, Any], shelves: Any) -> Wanted:
    narrow = given.get("narrow")
    if narrow == "mine":
        narrow = lambda keys: keys.made_by(owner)  # noqa: E731
    elif narrow == "unused":
        narrow = lambda keys: keys.unused_since(at)  # noqa: E731
    by = owner if given.get("by") else None
    asked = Wanted(project, at, shelves=shelves)
    return replace(asked, **{**given, "narrow": narrow, "by": by})


def expected(asked: Wanted, project: Project) -> set[int]:
    """Return the keys that are wanted, by the rules of one queryset and of Python."""
    agents = {shelf is Shelf.AGENTS for shelf in asked.shelves}
    keys = asked.base.revoked(asked.at) if asked.revoked else asked.base.listed(asked.at)
    if asked.status:
        keys = keys.with_status(asked.status, asked.at)
    if asked.narrow:
        keys = asked.narrow(keys)
    if asked.by:
        keys = keys.known_to(asked.by, project)
    return {key.pk for key in keys if (key.type == KeyType.AGENT) in agents and _means(asked.sought, key)}


def _means(sought: Any, key: Key) -> bool:
    if isinstance(sought, ByName):
        term = fold(sought.text)
        return key.name_folded.startswith(term) if len(term) < 3 else term in key.name_folded
    return sought is None or (isinstance(sought, ByKey) and key.key_id.startswith(sought.start))


def pages(asked: Wanted, order: Order, size: int) -> Iterator[Found]:
    """Yield the pages to the last one; and check that the way back shows the same."""
    shown = [find(asked, order, size=size)]
    while shown[-1].page.has_next:
        shown.append(find(asked, order, after=shown[-1].page.rows[-1], size=size))
    yield from shown
    back = shown[-1]
    for each in reversed(shown[:-1]):
        assert back.page.has_previous
        back = find(asked, order, before=back.page.rows[0], size=size)
        assert list(back.page.rows) == list(each.page.rows)
    assert not back.page.has_previous or len(shown) > 1


@pytest.mark.parametrize("most", [3, 1000])
@pytest.mark.parametrize("which", WANTED)
def test_every_wanted_key_comes_once_in_order_and_back(
    project: Project, keys: list[Key], owner: User, at: datetime, which: str, most: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """As few, and as if they were very many."""
    monkeypatch.setattr(finding, "COUNTED_AT_MOST", most)
    monkeypatch.setattr(finding, "_AT_ONCE", 8)
    for name, shelves in SHELVES.items():
        asked = wanted(project, owner, at, WANTED[which], shelves)
        everything = expected(asked, project)
        for sort in ("-revoked",) if asked.revoked else ("-created", "name", "used"):
            order = LAST_REVOKED_FIRST if asked.revoked else SORTS[sort]
            shown = list(pages(asked, order, 11))
            rows = [key for each in shown for key in each.page.rows]
            assert {key.pk for key in rows} == everything, (name, sort)
            assert len(rows) == len(everything), (name, sort)
            order = shown[0].order
            places = [order.place(key) for key in rows]
            assert places == sorted(places, reverse=order.descending), (name, sort)
            if asked.is_narrowed and not asked.revoked:
                both = asked.is_filtered and asked.sought is not None
                count = min(11 if both and len(rows) > most else most, len(rows))
                assert (shown[0].count, shown[0].capped) == (count, len(rows) > count)


def test_very_many_come_in_an_order_that_an_index_has(
    project: Project, keys: list[Key], owner: User, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "COUNTED_AT_MOST", 3)
    for which, sort, shown in (
        ("a part of a name", "name", "-created"),
        ("expired", "-created", "-expires"),
        ("expired", "name", "name"),
        ("expires_soon", "used", "expires"),
        ("type", "expires", "expires"),
    ):
        asked = wanted(project, owner, at, WANTED[which], LIVING)
        assert find(asked, SORTS[sort]).order == SORTS[shown], which


def plans(captured: CaptureQueriesContext) -> list[tuple[str, list[str]]]:
    """Return each query that reads keys, with the database's plan, which may not look at whole tables."""
    found = []
    # The tables here are so small that PostgreSQL would; and only here, so that what comes after is quick.
    with planned("seqscan", "bitmapscan", "sort"), connection.cursor() as cursor:
        for query in captured.captured_queries:
            sql = query["sql"]
            if "FROM" in sql and '"keys_key"' in sql:
                sqlite = connection.vendor == "sqlite"
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}" if sqlite else f"EXPLAIN {sql}")
                found.append((sql, [str(row[3] if sqlite else row[0]) for row in cursor.fetchall()]))
    return found


@pytest.mark.parametrize("most", [3, 1000])
@pytest.mark.parametrize("which", WANTED)
def test_no_page_looks_at_every_key_or_sorts_them(
    project: Project, keys: list[Key], owner: User, at: datetime, which: str, most: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(finding, "COUNTED_AT_MOST", most)
    for shelves in SHELVES.values():
        asked = wanted(project, owner, at, WANTED[which], shelves)
        for order in [LAST_REVOKED_FIRST] if asked.revoked else SORTS.values():
            edge = find(asked, order, size=2).page.rows
            with CaptureQueriesContext(connection) as captured:
                find(asked, order, after=edge[0] if edge else keys[5], size=5)
            for sql, plan in plans(captured):
                assert "OFFSET" not in sql
                assert "COUNT(" not in sql.upper()
                assert not [step for step in plan if _is_scan(step)], (sql, plan)
                few = 'AND "keys_key"."revoked_at" > ' in sql and not asked.revoked
                nothing = any("One-Time Filter: false" in step for step in plan)
                if not few and not nothing and '"id" IN (' not in sql:
                    # The few that are being replaced are sorted, and what was found by its numbers.
                    assert not [step for step in plan if _is_sort(step)], (sql, plan)


def _is_scan(step: str) -> bool:
    return step.startswith("SCAN") or "Seq Scan" in step


def _is_sort(step: str) -> bool:
    return "TEMP B-TREE FOR ORDER BY" in step or "Sort" in step
