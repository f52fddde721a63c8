"""`manage.py reseal` as a process of its own, which can be killed."""

import base64
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection

from keys.models import Key, ProviderKey
from keys.sealing import Keyring
from projects.models import Project

pytestmark = pytest.mark.django_db(transaction=True)

ROOT: Final = Path(__file__).parents[2]
OLD, NEW = b"o" * 32, b"n" * 32
ROWS: Final = 6000


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables with which another process works on the database of this test, under both keys."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    name = connection.settings_dict["NAME"]
    for secret in ("secret.key", "audit.key"):
        (data / secret).symlink_to(settings.KEYRACK_DATA / secret)
    own = {"KEYRACK_DATA": str(data), "KEYRACK_SEALING_KEYS": ",".join(map(_text, (NEW, OLD)))}
    if url := os.environ.get("DATABASE_URL"):
        own["DATABASE_URL"] = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    else:
        (data / "keyrack.sqlite3").symlink_to(name)
    foreign = ("KEYRACK_", "DATABASE_URL", "REDIS_URL", "PORT", "DJANGO_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | own


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


@pytest.fixture
def many(project: Project) -> Project:
    Key.objects.update(sealed=None)
    ring, rows = Keyring((OLD,)), []
    for number in range(ROWS):
        row = ProviderKey(
            project=project, public_id=f"{number:012}", name=f"Key {number}", name_folded=f"key {number}",
            provider="openai", base_url="https://api.openai.com/v1", header="Authorization",
        )  # fmt: skip
        row.sealed = ring.seal(f"secret-{number}", row.seal_place)
        rows.append(row)
    ProviderKey.objects.bulk_create(rows)
    return project


def moved() -> int:
    ring, values = Keyring((NEW,)), ProviderKey.objects.values_list("sealed", flat=True)
    return sum(ring.is_newest(bytes(sealed)) for sealed in values)


def reseal(environment: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "reseal"], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_killed_in_the_middle_it_is_taken_up_by_the_next_run(
    many: Project, environment: dict[str, str]
) -> None:
    deadline = time.monotonic() + 180
    with reseal(environment) as process:
        while not moved():
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGKILL)
    before = moved()
    assert 0 < before < ROWS
    # The Automator Key has no copy here: whole batches of 100.
    assert before % 100 == 0
    with reseal(environment) as process:
        out, err = process.communicate(timeout=180)
    said = f"{ROWS - before:,} moved to the newest sealing key, {before:,} under it already"
    assert (process.returncode, out) == (0, f"6,000 sealed values: {said}.\n"), err
    ring = Keyring((NEW,))
    for row in ProviderKey.objects.order_by("pk"):
        assert ring.open(bytes(row.sealed), row.seal_place) == f"secret-{int(row.public_id)}"


def test_a_lost_key_ends_it_with_1_and_the_rows_on_standard_error(
    many: Project, environment: dict[str, str]
) -> None:
    ProviderKey.objects.filter(public_id__gte=f"{2:012}").delete()
    with reseal(environment | {"KEYRACK_SEALING_KEYS": _text(NEW)}) as process:
        out, err = process.communicate(timeout=180)
    assert process.returncode == 1
    assert out == "2 sealed values: 0 moved to the newest sealing key, 0 under it already.\n"
    missing = f"The sealing key {Keyring((OLD,)).newest_id} is missing."
    assert err.splitlines() == [
        f"acme: provider key “Key 0” (000000000000): {missing}",
        f"acme: provider key “Key 1” (000000000001): {missing}",
        "CommandError: 2 values don't open: nothing of them was changed.",
    ]
