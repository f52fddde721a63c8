"""What the filters of the audit log find, in which order, and that an index finds it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from django.db import connection

from keys import lifecycle
from keys.drafts import Draft
from keys.kinds import KeyType
from keys.permissions import KeyActor
from keys.search_index import planned
from projects.audit import Actor, log
from projects.events import NEWEST_FIRST, BadCursor, Events, events_of, newest_first, table
from projects.models import AuditEvent, Project, User
from projects.querysets import PAGE_SIZE, page
from tests.factories import IssuedFactory, ProjectFactory, acting

pytestmark = pytest.mark.django_db

MANY: Final = 20_000
START: Final = datetime(2026, 1, 1, tzinfo=UTC)


def numbers(found: Events) -> list[int]:
    return [event.number for event in NEWEST_FIRST.applied(found)]


def verbs(project: Project, **given: str) -> list[str]:
    return [event.verb for event in NEWEST_FIRST.applied(events_of(project, given))]


def add(project: Project, rows: int, *, first: int, at: datetime, **values: object) -> None:
    """Write so many events past the chain, a minute apart: a filter doesn't ask for it."""
    given = {"actor_kind": "person", "actor_id": "7", "actor_label": "Mara", "verb": "key.issued"} | values
    AuditEvent.objects.bulk_create(
        AuditEvent(
            project_id=project.pk, number=first + n, at=at + timedelta(minutes=n), mac="0" * 64,
            object_kind="key", object_id=f"{first + n:012}", object_label=f"Key {n}", **given,
        )
        for n in range(rows)
    )  # fmt: skip


# What is found


@pytest.fixture
def lived(project: Project, owner: User, operator: User, at: datetime) -> dict[str, str]:
    """A log with what two people, a key and the system have done, and the ids of two keys."""
    mara, otis = acting(owner, project), acting(operator, project)
    boss = IssuedFactory(project=project, actor=mara, at=at, name="Boss", type=KeyType.PRIVILEGED).key
    key = lifecycle.issue(
        project, Draft("Deploy", scopes=["sources:read"]), actor=KeyActor.acting(boss), at=at
    ).key
    lifecycle.revoke(project, key.key_id, actor=otis, at=at + timedelta(days=1))
    IssuedFactory(name="Elsewhere", at=at)
    return {"boss": boss.key_id, "key": key.key_id}


def test_everything_is_the_project_s_alone(project: Project, lived: dict[str, str]) -> None:
    assert verbs(project) == ["key.revoked", "key.issued", "key.issued", "key.issued", "project.created"]


def test_who_is_a_name_as_the_log_shows_it(project: Project, lived: dict[str, str]) -> None:
    assert verbs(project, who="Otis Brandt") == ["key.revoked"]
    assert verbs(project, who="Mara Lindqvist") == ["key.issued"]
    assert verbs(project, who="system") == ["key.issued", "project.created"]
    assert verbs(project, who="Boss") == ["key.issued"]
    assert verbs(project, who="otis") == []


def test_who_is_the_id_of_a_key_whatever_it_was_called(
    project: Project, lived: dict[str, str], owner: User, at: datetime
) -> None:
    assert verbs(project, who=lived["boss"]) == ["key.issued"]
    # It has done nothing itself.
    assert verbs(project, who=lived["key"]) == []


def test_a_name_of_twelve_letters_is_a_name(project: Project, at: datetime) -> None:
    with log(project.pk, Actor.system("Bartholomews"), at) as written:
        written.record("project.renamed", "project", "acme", "Acme")
    assert verbs(project, who="Bartholomews") == ["project.renamed"]


def test_what_is_a_verb_or_all_of_a_topic(project: Project, lived: dict[str, str]) -> None:
    assert verbs(project, what="key.revoked") == ["key.revoked"]
    assert len(verbs(project, what="key")) == 4
    assert verbs(project, what="project") == ["project.created"]
    # `key` is no beginning of `key_` something.
    assert verbs(project, what="ke") == verbs(project, what="provider_key") == []


def test_a_key_is_found_by_its_id(project: Project, lived: dict[str, str]) -> None:
    assert verbs(project, key=lived["key"]) == ["key.revoked", "key.issued"]
    assert verbs(project, key="A" * 12) == []


def test_days_are_whole_ones_in_utc(project: Project) -> None:
    first = datetime(2026, 3, 1, tzinfo=UTC)
    last = datetime(2026, 3, 2, 23, 59, 59, 999_999, tzinfo=UTC)
    add(project, 1, first=101, at=first - timedelta(microseconds=1))
    add(project, 1, first=102, at=first)
    add(project, 1, first=103, at=last)
    add(project, 1, first=104, at=last + timedelta(microseconds=1))
    found = events_of(project, {"since": "2026-03-01", "until": "2026-03-02"})
    assert numbers(found) == [103, 102]
    assert numbers(events_of(project, {"until": "2026-03-01"})) == [102, 101]
    assert numbers(events_of(project, {"since": "0001-01-01", "until": "9999-12-31"}))[-1] == 101


def test_filters_narrow_each_other(project: Project, lived: dict[str, str], at: datetime) -> None:
    day = (at + timedelta(days=1)).astimezone(UTC).date().isoformat()
    given = {"who": "Otis Brandt", "what": "key", "key": lived["key"], "since": day, "until": day}
    assert verbs(project, **given) == ["key.revoked"]
    assert verbs(project, **{**given, "who": "Mara Lindqvist"}) == []


# In which order


@pytest.mark.parametrize("size", [1, 3, 50])
def test_every_event_comes_once_newest_first(project: Project, at: datetime, size: int) -> None:
    """Also where clocks jumped, so that the numbers and the times don't agree."""
    for n, minutes in enumerate([5, 5, 3, 9, 9, 9, 1]):
        add(project, 1, first=100 + n, at=START + timedelta(minutes=minutes))
    found = events_of(project, {"who": "Mara"})
    expected = [105, 104, 103, 101, 100, 102, 106]
    shown = page(found, NEWEST_FIRST, size=size)
    seen = [event.number for event in shown.rows]
    while shown.has_next:
        shown = page(found, NEWEST_FIRST, after=shown.rows[-1], size=size)
        seen += [event.number for event in shown.rows]
    assert seen == expected
    back = [event.number for event in shown.rows]
    while shown.has_previous:
        shown = page(found, NEWEST_FIRST, before=shown.rows[0], size=size)
        back = [event.number for event in shown.rows] + back
    assert back == expected
    assert [event.number for event in newest_first(found)] == expected


def test_a_page_names_its_neighbours_by_number(project: Project) -> None:
    add(project, 2 * PAGE_SIZE, first=100, at=START)
    given = {"who": "Mara"}
    first = table(project, given, {})
    assert (first.previous, first.next) == ("", "who=Mara&after=150")
    second = table(project, given, {"after": "150"})
    assert (second.previous, second.next) == ("who=Mara&before=149", "")
    assert [row.number for row in second.rows] == list(range(149, 99, -1))
    assert table(project, given, {"before": "149"}).rows[0].number == 199


@pytest.mark.parametrize("number", ["0", "-1", "99999", "1e3", "٣", "9" * 30, "x"])
def test_a_number_that_the_log_does_not_have_is_no_place(project: Project, number: str) -> None:
    add(ProjectFactory(), 1, first=99_999, at=START)
    with pytest.raises(BadCursor):
        table(project, {}, {"after": number})


def test_the_whole_log_is_read_in_pieces_of_a_thousand(
    project: Project, django_assert_num_queries: object
) -> None:
    add(project, 2500, first=100, at=START)
    found = events_of(project, {"who": "Mara"})
    with django_assert_num_queries(3):  # type: ignore[operator]
        read = [event.number for event in newest_first(found)]
    assert read == list(range(2599, 99, -1))


def test_what_is_added_while_it_is_read_does_not_make_it_longer(project: Project) -> None:
    add(project, 1500, first=100, at=START)
    reading = newest_first(events_of(project, {"who": "Mara"}))
    read = [next(reading).number]
    add(project, 10, first=5000, at=START + timedelta(days=9))
    assert [*read, *(event.number for event in reading)] == list(range(1599, 99, -1))


# What finds it


@pytest.fixture
def long(project: Project) -> Project:
    """A long log, in which almost everything is Mara's; another one beside it."""
    add(project, MANY, first=100, at=START)
    rare = {"actor_label": "Otis", "verb": "member.removed"}
    add(project, 3, first=100_000, at=START, **rare)
    add(project, 3, first=100_010, at=START, actor_kind="key", actor_id="B" * 12, actor_label="Boss")
    add(ProjectFactory(), 2000, first=100, at=START)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE projects_auditevent")
    return project


def plans(project: Project, given: dict[str, str]) -> Iterator[str]:
    """Yield how the first page, and one in the middle, is found.

    To sort the two events of a key costs PostgreSQL next to nothing, so it is told not to.
    """
    found = events_of(project, given)
    edge = AuditEvent.objects.get(project_id=project.pk, number=100 + MANY // 2)
    for events in (found, found.filter(NEWEST_FIRST.past(edge))):
        with planned("sort"):
            plan = NEWEST_FIRST.applied(events)[: PAGE_SIZE + 1].explain()
        yield plan


INDEXES: Final[list[tuple[dict[str, str], str]]] = [
    ({}, "audit_by_time"),
    ({"who": "Otis"}, "audit_by_actor"),
    ({"who": "Mara"}, "audit_by_"),
    ({"who": "B" * 12}, "audit_by_key"),
    ({"what": "member.removed"}, "audit_by_verb"),
    ({"what": "member"}, "audit_by_topic"),
    ({"what": "key"}, "audit_by_"),
    ({"since": "2026-01-02", "until": "2026-01-03"}, "audit_by_time"),
    ({"until": "2026-01-03"}, "audit_by_time"),
    ({"key": f"{150:012}"}, "audit_by_object"),
    ({"who": "Otis", "since": "2026-01-01", "until": "2026-01-02"}, "audit_by_"),
]


# One test: the log takes longer to write than all of them to ask.
def test_an_index_finds_the_events_and_gives_their_order(long: Project, subtests: pytest.Subtests) -> None:
    for given, index in INDEXES:
        with subtests.test(given=given):
            assert_found(long, given, index)


def assert_found(long: Project, given: dict[str, str], index: str) -> None:
    for plan in plans(long, given):
        assert index in plan, plan
        assert "TEMP B-TREE" not in plan, plan
        assert "Seq Scan" not in plan, plan
        assert "SCAN projects_auditevent" not in plan, plan
        assert "Sort" not in plan, plan
