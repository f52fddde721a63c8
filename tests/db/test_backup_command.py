"""`manage.py backup`: the SQLite database as one file, taken while others write."""

import io
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from projects.models import Project

pytestmark = pytest.mark.django_db(transaction=True)


def back_up(file: Path) -> str:
    output = io.StringIO()
    call_command("backup", str(file), stdout=output)
    return output.getvalue()


def test_it_copies_all_that_was_committed(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "a copy.sqlite3"
    if connection.vendor == "postgresql":
        with pytest.raises(CommandError, match="pg_dump"):
            back_up(file)
        assert list(tmp_path.iterdir()) == []
        return
    assert back_up(file) == f"{file}: {file.stat().st_size:,} bytes\n"
    # Whole in this one file, and for its owner alone.
    assert list(tmp_path.iterdir()) == [file]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as copy, connection.cursor() as here:
        for (table,) in copy.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE TABLE%'"):
            here.execute(f'SELECT count(*) FROM "{table}"')
            assert copy.execute(f'SELECT count(*) FROM "{table}"').fetchone() == here.fetchone(), table
        guards = copy.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()
        here.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'")
        assert guards == here.fetchone()


def test_it_replaces_nothing(tmp_path: Path) -> None:
    if connection.vendor == "postgresql":
        return
    file = tmp_path / "kept"
    file.write_text("an older one")
    with pytest.raises(CommandError, match="is there already"):
        back_up(file)
    with pytest.raises(CommandError, match="can't be written"):
        back_up(tmp_path / "nowhere" / "copy")
    assert file.read_text() == "an older one"
    assert list(tmp_path.iterdir()) == [file]


def test_an_empty_database_makes_no_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor == "postgresql":
        return
    empty = tmp_path / "keyrack.sqlite3"
    # As settings make it in a data folder that is new.
    empty.touch()
    monkeypatch.setitem(connection.settings_dict, "NAME", str(empty))
    with pytest.raises(CommandError, match=r"nothing in .*keyrack.sqlite3 to back up. Is KEYRACK_DATA right"):
        back_up(tmp_path / "copy")
    assert list(tmp_path.iterdir()) == [empty]


def test_a_damaged_database_makes_no_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor == "postgresql":
        return
    damaged = tmp_path / "damaged.sqlite3"
    with closing(sqlite3.connect(damaged)) as made:
        made.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        made.executemany("INSERT INTO t (b) VALUES (?)", [("x" * 500,)] * 100)
        made.commit()
    content = bytearray(damaged.read_bytes())
    content[5 * 4096 : 6 * 4096] = b"\xff" * 4096
    damaged.write_bytes(content)
    monkeypatch.setitem(connection.settings_dict, "NAME", str(damaged))
    with pytest.raises(CommandError, match="damaged"):
        back_up(tmp_path / "copy")
    assert list(tmp_path.iterdir()) == [damaged]
