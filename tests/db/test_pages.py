"""Pages by cursor: every row once, in both directions, for every sort."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from keys.kinds import NEVER_EXPIRES, NEVER_USED, KeyType
from keys.models import Key, KeyActivity
from keys.querysets import LAST_REVOKED_FIRST, SORTS
from projects.models import Project
from projects.querysets import Order, page
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NAMES = [
    "a", "A'", "b", "B c", "b-c", "b_c", "ä", "z", "Z1", "é", "ß", "日本", "\N{KEY}", "10", "9", "~",
]  # fmt: skip


@pytest.fixture
def keys(project: Project, at: datetime) -> list[Key]:
    """Keys of which several have equal values in every sorted column (but the name, which is one's own)."""
    made = [
        Key(
            project=project, key_id=f"{number:012}", type=KeyType.VIEWER, name=name,
            name_folded=name.casefold(), secret_hash="x", last4="0000", created_by_label="x",
            created_at=at - (number // 5) * DAY,
            expires_at=NEVER_EXPIRES if number % 3 else at + (1 + number % 4) * DAY,
        )
        for number, name in enumerate(NAMES)
    ]  # fmt: skip
    Key.objects.bulk_create(made)
    KeyActivity.objects.bulk_create(
        KeyActivity(key=key, project=project, last_used_at=at - (n % 3) * DAY if n % 4 else NEVER_USED)
        for n, key in enumerate(made)
    )
    # Rows that must not come in from elsewhere.
    ProjectFactory()
    return list(Key.objects.of(project))


def _value(key: Key, order: Order) -> Any:
    return getattr(getattr(key, order.through) if order.through else key, order.column)


def _expected(keys: list[Key], order: Order) -> list[Key]:
    """The whole list sorted in Python, by code point and then by primary key."""
    return sorted(keys, key=lambda key: (_value(key, order), key.pk), reverse=order.descending)


@pytest.mark.parametrize("size", [1, 2, 5, 16, 17, 50])
@pytest.mark.parametrize("sort", SORTS)
def test_every_row_comes_once_in_both_directions(
    project: Project, keys: list[Key], sort: str, size: int
) -> None:
    order, queryset = SORTS[sort], Key.objects.of(project)
    expected = _expected(keys, order)
    shown = page(queryset, order, size=size)
    assert not shown.has_previous
    forth = [shown]
    while shown.has_next:
        shown = page(queryset, order, after=shown.rows[-1], size=size)
        assert shown.has_previous
        forth.append(shown)
    assert [key for each in forth for key in each.rows] == expected
    assert all(len(each.rows) == size for each in forth[:-1])
    back = [shown]
    while shown.has_previous:
        shown = page(queryset, order, before=shown.rows[0], size=size)
        assert shown.has_next
        if not shown.rows:
            break
        back.append(shown)
    assert [key for each in reversed(back) for key in each.rows] == expected


def test_the_revoked_come_last_revoked_first(project: Project, keys: list[Key], at: datetime) -> None:
    for number, key in enumerate(keys):
        if key.type != KeyType.SYSTEM and number % 5:
            Key.objects.filter(pk=key.pk).update(revoked_at=at - (number % 3) * DAY)
    revoked = Key.objects.of(project).revoked(at)
    seen: list[Key] = []
    shown = page(revoked, LAST_REVOKED_FIRST, size=3)
    seen += shown.rows
    while shown.has_next:
        shown = page(revoked, LAST_REVOKED_FIRST, after=shown.rows[-1], size=3)
        seen += shown.rows
    assert seen == _expected(list(revoked), LAST_REVOKED_FIRST)
    assert len(seen) == len(set(seen)) == revoked.count() > 10


@pytest.mark.parametrize("sort", SORTS)
def test_a_page_is_a_query_or_two_without_an_offset_or_a_count(
    project: Project, keys: list[Key], sort: str, django_assert_num_queries: Any
) -> None:
    order = SORTS[sort]
    for edges in ({}, {"after": keys[3]}, {"before": keys[12]}):
        # SQLite first asks for what shares the value of the edge.
        parts = 2 if edges and order.shared and connection.vendor == "sqlite" else 1
        with django_assert_num_queries(parts) as queries:
            page(Key.objects.of(project), order, size=5, **edges)
        for query in queries.captured_queries:
            assert "OFFSET" not in query["sql"]
            assert "COUNT" not in query["sql"].upper()
            assert " OR " not in query["sql"]


def test_a_row_that_was_added_or_left_meanwhile_moves_no_other(
    project: Project, keys: list[Key], at: datetime
) -> None:
    order, queryset = SORTS["-created"], Key.objects.of(project)
    first = page(queryset, order, size=5)
    Key.objects.filter(pk=first.rows[1].pk).update(revoked_at=at)
    rest = page(queryset.listed(at), order, after=first.rows[-1], size=50)
    assert [*first.rows, *rest.rows] == _expected(keys, order)


def test_an_edge_that_left_the_list_itself_still_marks_its_place(
    project: Project, keys: list[Key], at: datetime
) -> None:
    order = SORTS["name"]
    first = page(Key.objects.of(project), order, size=6)
    edge = first.rows[-1]
    assert edge.type != KeyType.SYSTEM
    Key.objects.filter(pk=edge.pk).update(revoked_at=at)
    rest = page(Key.objects.of(project).listed(at), order, after=edge, size=50)
    assert [*first.rows, *rest.rows] == _expected(keys, order)


def test_a_page_past_the_end_is_empty(project: Project, keys: list[Key]) -> None:
    order = SORTS["created"]
    last = _expected(keys, order)[-1]
    shown = page(Key.objects.of(project), order, after=last, size=5)
    assert (list(shown.rows), shown.has_previous, shown.has_next) == ([], True, False)
    first = _expected(keys, order)[0]
    shown = page(Key.objects.of(project), order, before=first, size=5)
    assert (list(shown.rows), shown.has_previous, shown.has_next) == ([], False, True)
