"""The rules of one row (the model's) and of a set of rows (SQL's) are the same rules."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest

from keys.kinds import NEVER_EXPIRES, NEVER_USED, KeyType, Status
from keys.models import Key, KeyActivity
from keys.querysets import STATUSES
from keys.search import ByKey, ByName, Nothing, read
from projects.models import Project, User
from projects.names import fold
from tests.factories import IssuedFactory, ProjectFactory, acting

pytestmark = pytest.mark.django_db

DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
SOON = timedelta(days=14)


def _states(at: datetime) -> Iterator[dict[str, Any]]:
    """Every state that a key can be in at `at`, with each border and its two sides."""
    confirmed = [None, at - DAY]
    used = [NEVER_USED, at]
    paused = [None, at - DAY, at + DAY]
    # Revoked by somebody (whose clock may be ahead), or scheduled to end.
    revoked = [
        (None, ""), (at - TICK, ""), (at, ""), (at + TICK, ""), (at + DAY, ""),
        (at - DAY, "Mara"), (at, "Mara"), (at + DAY, "Mara"),
    ]  # fmt: skip
    expires = [
        at - TICK, at, at + TICK, at + SOON - TICK, at + SOON, at + SOON + TICK, NEVER_EXPIRES,
    ]  # fmt: skip
    for states in product(confirmed, used, paused, revoked, expires):
        yield {
            "confirmed_at": states[0], "used": states[1], "paused_at": states[2],
            "revoked_at": states[3][0], "revoked_by_label": states[3][1], "expires_at": states[4],
        }  # fmt: skip


@pytest.fixture
def grid(project: Project, at: datetime) -> list[Key]:
    """A key in each state, and the Automator Key in the states that it can be in."""
    keys, uses = [], []
    for number, state in enumerate(_states(at)):
        used = state.pop("used")
        key = Key(
            project=project, key_id=f"{number:012}", type=KeyType.VIEWER, name=f"Key {number}",
            name_folded=f"key {number}", secret_hash="x", last4="0000", created_by_label="x",
            created_at=at - 100 * DAY, **state,
        )  # fmt: skip
        keys.append(key)
        uses.append((key, used))
    Key.objects.bulk_create(keys)
    KeyActivity.objects.bulk_create(
        KeyActivity(key=key, project=project, last_used_at=used) for key, used in uses
    )
    return list(Key.objects.of(project))


def test_living_is_the_same_of_a_row_and_of_a_set(project: Project, grid: list[Key], at: datetime) -> None:
    living = set(Key.objects.of(project).living(at))
    assert living == {key for key in grid if key.is_living(at)}
    assert 0 < len(living) < len(grid)


def test_each_key_is_in_one_of_the_two_tables(project: Project, grid: list[Key], at: datetime) -> None:
    listed = set(Key.objects.of(project).listed(at))
    revoked = set(Key.objects.of(project).revoked(at))
    assert revoked == {key for key in grid if key.is_revoked(at)}
    assert listed == set(grid) - revoked
    assert listed
    assert revoked


def test_a_status_is_the_same_of_a_row_and_of_a_set(project: Project, grid: list[Key], at: datetime) -> None:
    listed = Key.objects.of(project).listed(at)
    by_label: dict[str, set[Key]] = {}
    for key in listed:
        by_label.setdefault(key.status(at), set()).add(key)
    for name, label in STATUSES.items():
        assert set(listed.with_status(name, at)) == by_label[label], name
    # Each of the others can be in the table, and has no filter.
    assert set(by_label) - set(STATUSES.values()) <= {Status.ROTATING}
    assert {key.status(at) for key in Key.objects.of(project).revoked(at)} == {Status.REVOKED}


def test_a_living_key_has_a_status_of_the_living(grid: list[Key], at: datetime) -> None:
    dead = {Status.REVOKED, Status.EXPIRED, Status.PAUSED}
    for key in grid:
        scheduled = key.revoked_at is not None and not key.is_revoked(at)
        if not scheduled:
            assert key.is_living(at) is (key.status(at) not in dead), key


def test_the_automator_key_is_active_though_nobody_confirmed_or_used_it(
    project: Project, at: datetime
) -> None:
    key = Key.objects.of(project).get()
    Key.objects.filter(pk=key.pk).update(confirmed_at=None)
    key = Key.objects.of(project).get()
    assert key.status(at) is Status.ACTIVE
    assert list(Key.objects.of(project).with_status("active", at)) == [key]
    assert not Key.objects.of(project).with_status("unconfirmed", at).exists()


# Search.


@pytest.fixture
def names(project: Project) -> dict[str, Key]:
    made = ["Docs crawler", "Billing 100%", "billing_sync", "Größe", "Σίσυφος", "back\\slash"]
    return {name: IssuedFactory(project=project, name=name).key for name in made}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bill", ["Billing 100%", "billing_sync"]),
        ("BILL", ["Billing 100%", "billing_sync"]),
        ("crawl", ["Docs crawler"]),
        ("c", ["Automator Key", "Docs crawler", "back\\slash", "billing_sync"]),
        ("%", ["Billing 100%"]),
        ("_", ["billing_sync"]),
        ("g_s", ["billing_sync"]),
        ("\\", ["back\\slash"]),
        ("GRÖSSE", ["Größe"]),
        ("ΣΊΣΥΦΟΣ", ["Σίσυφος"]),
        ("nothing like it", []),
        ("'; DROP TABLE keys_key; --", []),
    ],
)
def test_a_part_of_a_name_finds_keys_whatever_its_case(
    project: Project, names: dict[str, Key], text: str, found: list[str]
) -> None:
    sought = read(text)
    assert isinstance(sought, ByName)
    keys = Key.objects.of(project).sought(sought).filter(type=KeyType.RESTRICTED)
    expected = [name for name in found if name != "Automator Key"]
    assert sorted(key.name for key in keys) == sorted(expected)


def test_a_pasted_token_a_part_of_it_its_preview_and_its_key_id_find_its_key(
    project: Project, names: dict[str, Key]
) -> None:
    issued = IssuedFactory(project=project, name="Sought")
    key, token = issued.key, issued.token
    for text in (
        token, token[:-10], token[:20], token[8:], f"Bearer {token}", key.preview, key.key_id,
        f"kr_live_{key.key_id}",
    ):  # fmt: skip
        sought = read(text)
        assert sought is not None
        assert list(Key.objects.of(project).sought(sought)) == [key], text


def test_a_preview_tells_two_keys_apart_by_their_ends(project: Project) -> None:
    one, other = (IssuedFactory(project=project).key for _ in range(2))
    sought = ByKey(one.key_id[:4], other.last4)
    assert not Key.objects.of(project).sought(sought).exists()


def test_a_start_of_a_key_id_finds_by_code_point_and_not_by_the_cluster_s_locale(
    project: Project,
) -> None:
    for key_id in ("aaaa00000000", "AAAA00000000", "aaab00000000", "aaaz00000000", "aaa900000000"):
        Key(
            project=project, key_id=key_id, type=KeyType.VIEWER, name=key_id,
            name_folded=f"{key_id} {key_id.islower()}", secret_hash="x", created_by_label="x",
        ).save(force_insert=True)  # fmt: skip
    for start, found in {
        "aaaa": ["aaaa00000000"], "AAAA": ["AAAA00000000"], "aaaz": ["aaaz00000000"],
        "aaa9": ["aaa900000000"], "aaa900000000": ["aaa900000000"],
    }.items():  # fmt: skip
        keys = Key.objects.of(project).sought(ByKey(start))
        assert sorted(key.key_id for key in keys) == found


def test_nothing_finds_nothing(project: Project, names: dict[str, Key]) -> None:
    assert not Key.objects.of(project).sought(Nothing()).exists()
    assert not Key.objects.of(project).sought(ByName("\N{KEY}")).exists()


def test_a_search_finds_no_key_of_another_project(project: Project) -> None:
    other = IssuedFactory(name="Docs crawler")
    for text in ("docs", other.token, other.key.key_id, other.key.preview):
        sought = read(text)
        assert sought is not None
        assert not Key.objects.of(project).sought(sought).exists()


# The other filters.


def test_keys_made_by_me_are_mine_alone(project: Project, operator: User, owner: User) -> None:
    mine = IssuedFactory(project=project, actor=acting(operator, project)).key
    IssuedFactory(project=project, actor=acting(owner, project))
    assert list(Key.objects.of(project).made_by(operator)) == [mine]


def test_a_key_counts_as_unused_once_90_days_are_over(project: Project, at: datetime) -> None:
    def key(name: str, created: timedelta, used: timedelta | None) -> Key:
        made = IssuedFactory(project=project, name=name, at=at - created).key
        if used is not None:
            KeyActivity.objects.filter(key=made).update(last_used_at=at - used)
        return made

    old, limit = 200 * DAY, 90 * DAY
    unused = {
        key("never used", old, None),
        key("used long ago", old, limit + TICK),
        key("just old enough", limit + TICK, None),
    }
    key("used in time", old, limit)
    key("used today", old, timedelta(0))
    key("young", DAY, None)
    key("not old enough", limit, None)
    assert set(Key.objects.of(project).unused_since(at)) == unused


def test_a_project_s_keys_come_with_their_use_in_one_query(
    project: Project, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        IssuedFactory(project=project)
    ProjectFactory()
    with django_assert_num_queries(1):
        assert len([key.activity.last_used_at for key in Key.objects.of(project)]) == 4


def test_names_that_are_the_same_when_folded_are_the_same_in_the_database(
    project: Project,
) -> None:
    for name in ("ǅungla", "K\u0065lvin", "ﬀ"):
        key = IssuedFactory(project=project, name=name).key
        stored = Key.objects.get(pk=key.pk)
        assert stored.name_folded == fold(name)
        assert Key.objects.filter(name_folded=fold(name.upper())).get() == key
