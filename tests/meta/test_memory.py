"""What is written page by page takes as much memory for ten times as many rows."""

import gc
import logging
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

import pytest
from django.test import Client

from keys.kinds import KeyType
from keys.models import Key, KeyActivity
from projects import events
from projects.models import AuditEvent, Project, User
from tests.api.calls import KEYS, Api
from tests.factories import IssuedFactory
from tests.web.pages import signed_in, url_of

pytestmark = pytest.mark.django_db

FEW: Final = 200
MANY: Final = 2_000


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many pieces as a long file has, of fewer rows each."""
    monkeypatch.setattr(events, "_CHUNK", 100)


@pytest.fixture(autouse=True)
def _nothing_else_is_kept() -> Iterator[None]:
    """No line of the log, which pytest would show; and collecting garbage doesn't look at what was before."""
    logging.disable()
    gc.freeze()
    yield
    gc.unfreeze()
    logging.disable(logging.NOTSET)


def peak(work: Callable[[], object]) -> int:
    """Return how much memory was taken at once, in bytes; the second time, when nothing is new any more."""
    work()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def drained(pieces: Iterator[bytes]) -> int:
    return sum(len(piece) for piece in pieces)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_the_audit_log_as_a_file(project: Project, viewer: User, at: datetime, encoding: str) -> None:
    client = signed_in(viewer)

    def download() -> int:
        response = client.get(url_of("audit_csv"), headers={"Accept-Encoding": encoding})
        return drained(iter(response.streaming_content))  # type: ignore[attr-defined]

    record(project, at, range(100, 100 + FEW))
    few = peak(download)
    record(project, at, range(100 + FEW, 100 + MANY))
    assert download() > (3 if encoding == "gzip" else 9) * FEW
    assert peak(download) < 1.2 * few


def record(project: Project, at: datetime, numbers: range) -> None:
    AuditEvent.objects.bulk_create(
        AuditEvent(
            project_id=project.pk, number=number, at=at - timedelta(minutes=number), mac="0" * 64,
            actor_kind="system", actor_label="system", verb="key.issued", object_kind="key",
            object_id=f"{number:012}", object_label="x" * 50, changes={"note": ["", "y" * 200]},
        )
        for number in numbers
    )  # fmt: skip


def test_the_keys_of_the_json_api(project: Project, at: datetime) -> None:
    boss = IssuedFactory(project=project, at=at, type=KeyType.PRIVILEGED)
    api = Api(boss.token, Client())

    def walk() -> int:
        seen, cursor = 0, None
        while True:
            page = api.get(KEYS, {"limit": 100} | ({"cursor": cursor} if cursor else {})).body
            seen, cursor = seen + len(page["keys"]), page["next_cursor"]
            # What the test's client leaves in circles isn't the answer's.
            gc.collect()
            if cursor is None:
                return seen

    issue(project, at, range(FEW))
    few = peak(walk)
    issue(project, at, range(FEW, MANY))
    assert walk() == MANY + 2
    assert peak(walk) < 1.2 * few


def issue(project: Project, at: datetime, numbers: range) -> None:
    keys = Key.objects.bulk_create(
        Key(
            project=project, key_id=f"{number:012}", type=KeyType.RESTRICTED, scopes="sources:read",
            name=f"Row {number}", name_folded=f"row {number}", secret_hash="x", last4="0000",
            created_by_label="x", created_at=at,
        )
        for number in numbers
    )  # fmt: skip
    KeyActivity.objects.bulk_create(KeyActivity(key=key, project=project) for key in keys)
