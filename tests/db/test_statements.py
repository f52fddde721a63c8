"""Statements that are built once give what the ORM gives, for whatever values they run."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from keys.kinds import KeyType
from keys.models import Key
from keys.querysets import SORTS, Shelf
from projects.backend import Backend
from projects.models import Membership, Project, Resource, User
from projects.querysets import Built, following
from projects.statements import Select
from tests.factories import ChannelFactory, IssuedFactory, MembershipFactory

pytestmark = pytest.mark.django_db

_KEYS = Select(lambda project: Key.objects.of(project).order_by("pk"))
_MEMBERS = Select(
    lambda project, role: Membership.objects.select_related("user", "project").filter(
        project=project, role__gte=role
    ),
    values=2,
)
_CATALOGUE = Select(lambda project: Resource.objects.filter(project=project).values_list("name", "actions"))


def told(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


@pytest.fixture
def filled(project: Project, at: datetime) -> Project:
    ChannelFactory(project=project, slug="bot")
    IssuedFactory(project=project, type=KeyType.CHANNEL, channel="bot", holder="Nora", at=at)
    for number in range(4):
        # Some at the same time: ties are broken as the ORM breaks them.
        IssuedFactory(project=project, at=at - timedelta(days=number // 2), name=f"Stated {number}")
    return project


def test_objects_are_those_of_the_orm_with_what_is_selected_along(filled: Project) -> None:
    found, expected = _KEYS.objects(filled.pk), list(Key.objects.of(filled).order_by("pk"))
    assert [told(key) for key in found] == [told(key) for key in expected]
    assert [key._state.adding for key in found] == [False] * len(found)
    for key, other in zip(found, expected, strict=True):
        assert told(key.activity) == told(other.activity)
        assert key.activity.key is key
        assert (key.channel and told(key.channel)) == (other.channel and told(other.channel))
    assert {key.channel is None for key in found} == {True, False}


def test_nothing_that_was_selected_is_asked_for_again(
    filled: Project, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        assert {(key.activity.pk, key.channel and key.channel.name) for key in _KEYS.objects(filled.pk)}


def test_each_run_has_its_own_values(filled: Project, owner: User, viewer: User) -> None:
    other = MembershipFactory(user=owner).project
    assert {key.project_id for key in _KEYS.objects(filled.pk)} == {filled.pk}
    assert {key.project_id for key in _KEYS.objects(other.pk)} == {other.pk}
    assert {member.user for member in _MEMBERS.objects(filled.pk, 40)} == {owner}
    assert viewer in {member.user for member in _MEMBERS.objects(filled.pk, 10)}
    assert _MEMBERS.first(filled.pk, 50) is None


def test_rows_are_as_python_has_them(project: Project) -> None:
    expected = Resource.objects.filter(project=project).values_list("name", "actions")
    assert [tuple(row) for row in _CATALOGUE.rows(project.pk)] == list(expected)


def test_what_is_sorted_by_the_number_of_a_column_is_refused() -> None:
    """On SQLite alone: there the column becomes an expression, which no index has."""
    by_number = Select(
        lambda pk: Key.objects.filter(project=pk).order_by("created_at").values_list("created_at")
    )
    if connection.vendor != "sqlite":
        assert by_number.rows(0) == []
        return
    with pytest.raises(RuntimeError, match="without the types"):
        by_number.rows(0)


@pytest.mark.parametrize("sort", [name for name, order in SORTS.items() if not order.through])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_built_set_is_read_from_any_place_as_a_queryset_is(
    filled: Project, sort: str, reverse: bool
) -> None:
    order, keys = SORTS[sort], Key.objects.of(filled).on(Shelf.KEYS)
    built = Built(_living, (filled.pk,))
    for edge in [None, *keys]:
        expected = following(keys, order, edge, 3, reverse)
        assert following(built, order, edge, 3, reverse) == expected


def _living(project: Any) -> Any:
    return Key.objects.of(project).on(Shelf.KEYS)


def test_a_field_that_was_left_out_is_read_when_it_is_asked_for(filled: Project) -> None:
    key = Key.objects.only("name").order_by("pk")[0]
    assert key.get_deferred_fields() >= {"secret_hash", "created_at"}
    assert key.secret_hash == Key.objects.get(pk=key.pk).secret_hash
    key.refresh_from_db()
    assert key == Key.objects.annotate(twice=F("version") * 2).get(pk=key.pk)


def test_whoever_is_not_active_belongs_to_no_session(owner: User) -> None:
    assert Backend().get_user(owner.pk) == owner
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert Backend().get_user(owner.pk) is None
    assert Backend().get_user(0) is None
