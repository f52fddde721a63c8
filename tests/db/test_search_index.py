"""The search index says what the table of keys says, whatever becomes of a key, and whatever is typed."""

from datetime import datetime, timedelta
from typing import Final

import pytest
from django.db import connection

from keys import lifecycle, purging, search_index
from keys.drafts import Edit
from keys.kinds import KeyType
from keys.models import Key, KeyActivity
from keys.querysets import Shelf
from keys.search_index import found, is_prefix
from projects.audit import Actor
from projects.models import Project
from projects.names import fold
from tests.factories import IssuedFactory, ProjectFactory

pytestmark = pytest.mark.django_db

SYSTEM: Final = Actor.system()


def names(project: Project, shelf: Shelf, text: str) -> list[str]:
    pks = found(Key.objects.of(project), project.pk, shelf, fold(text), 1001)
    return sorted(key.name for key in Key.objects.filter(pk__in=pks))


def test_it_follows_a_key_through_its_life(project: Project, at: datetime) -> None:
    key = IssuedFactory(project=project, name="Docs crawler", at=at).key
    IssuedFactory(project=project, name="Docs agent", type=KeyType.AGENT, at=at)
    IssuedFactory(name="Docs crawler")
    assert names(project, Shelf.KEYS, "docs") == ["Docs crawler"]
    assert names(project, Shelf.AGENTS, "DOCS") == ["Docs agent"]
    lifecycle.edit(project, key.key_id, Edit(name="Größe"), actor=SYSTEM, at=at, version=key.version)
    assert names(project, Shelf.KEYS, "crawl") == []
    assert names(project, Shelf.KEYS, "GRÖSSE") == ["Größe"]
    lifecycle.rotate(project, key.key_id, grace=timedelta(days=1), actor=SYSTEM, at=at)
    assert names(project, Shelf.KEYS, "röss") == ["Größe"]
    assert names(project, Shelf.ENDED_KEYS, "röss") == ["Größe"]
    successor = Key.objects.get(predecessor=key)
    lifecycle.revoke(project, successor.key_id, actor=SYSTEM, at=at)
    assert names(project, Shelf.KEYS, "röss") == []
    assert names(project, Shelf.ENDED_KEYS, "röss") == ["Größe", "Größe"]


@pytest.mark.parametrize("ended", [False, True])
def test_of_a_common_word_the_newest_are_found(
    project: Project, at: datetime, ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL looks at the newest names where the first of them have it; here at four, however few."""
    monkeypatch.setattr(search_index, "_SAMPLE", 4)
    monkeypatch.setattr(search_index, "_COMMON", -1000)
    named = ["Zebra", "Docs 0", "Docs_1", "Docs 2", "Docs 3", "100% zebra", "Docs 4"]
    keys = [
        IssuedFactory(project=project, name=name, at=at + timedelta(seconds=number)).key
        for number, name in enumerate(named)
    ]
    for number, key in enumerate(keys if ended else []):
        lifecycle.revoke(project, key.key_id, actor=SYSTEM, at=at + timedelta(hours=1, seconds=number))
    shelf = Shelf.ENDED_KEYS if ended else Shelf.KEYS

    def numbers(term: str, most: int) -> list[int]:
        return found(Key.objects.of(project), project.pk, shelf, term, most)

    assert numbers("docs", 3) == [keys[place].pk for place in (6, 4, 3)]
    # Fewer than were asked for, so none is left out, however old.
    assert sorted(numbers("docs", 6)) == [keys[place].pk for place in (1, 2, 3, 4, 6)]
    assert sorted(numbers("zebra", 6)) == [keys[0].pk, keys[5].pk]
    assert numbers("cs_1", 1) == [keys[2].pk]
    assert numbers("00%", 1) == [keys[5].pk]
    assert numbers("cs%", 1) == []


def test_it_forgets_what_is_purged(at: datetime) -> None:
    project = ProjectFactory()
    IssuedFactory(project=project, name="Docs crawler")
    Project.objects.filter(pk=project.pk).update(deleted_at=at - timedelta(days=40))
    project.refresh_from_db()
    assert sum(purging.purge(project, actor=SYSTEM, at=at))
    assert names(project, Shelf.KEYS, "docs") == []
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM keys_search WHERE keys_search MATCH '\"docs\"'")
            assert cursor.fetchone() == (0,)


def test_it_follows_whoever_writes_past_the_verbs(project: Project) -> None:
    key = IssuedFactory(project=project, name="Docs crawler").key
    Key.objects.filter(pk=key.pk).update(name="Zebra", name_folded="zebra")
    assert names(project, Shelf.KEYS, "zebra") == ["Zebra"]
    assert names(project, Shelf.KEYS, "docs") == []
    assert KeyActivity.objects.filter(key=key).exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"', []), ('say "hi"', ['Say "hi" - or NEAR(it)']), ("*", []), ("doc*", []),
        ("NEAR(it)", ['Say "hi" - or NEAR(it)']),
        ("NEAR(docs crawler)", []), ('" - or', ['Say "hi" - or NEAR(it)']), ("-docs", []),
        ("docs OR zebra", []),
        ("name:docs", []), ("^docs", []), ("{name} : docs", []), ("%%%", []), ("___", []),
        ("100%", ["100% sure_ly"]),
        ("e_l", ["100% sure_ly"]), ("%e%", []), ("\\", []), ("a" * 100, []), ("D", ["Docs crawler"]),
        ("oc", []),
        ("docs  crawler", []), ("cs cr", ["Docs crawler"]), ("'; --", []), ("\U0001f511", []),
    ],
)  # fmt: skip
def test_whatever_is_typed_is_looked_for_as_it_is(project: Project, text: str, expected: list[str]) -> None:
    for name in ("Docs crawler", 'Say "hi" - or NEAR(it)', "100% sure_ly"):
        IssuedFactory(project=project, name=name)
    assert names(project, Shelf.KEYS, text) == expected


def test_punctuation_alone_is_looked_for_at_the_start() -> None:
    """PostgreSQL has nothing of it in its index, and would look at every name."""
    assert all(is_prefix(text) for text in ("", "a", "ab", "---", "%%%", "___", "a--"))
    assert not any(is_prefix(text) for text in ("abc", "a-b", "観測所", "x 1", "größe"))
