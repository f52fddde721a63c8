"""`manage.py backup`: a copy of the SQLite database, taken while the server runs."""

import contextlib
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection


class NothingThere(Exception):
    """The database is empty: most likely it isn't the one that was meant."""


class Command(BaseCommand):
    help = (
        "Copy the SQLite database to FILE while the server runs. The secrets are not in it: back them up "
        "apart. PostgreSQL is backed up by pg_dump."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="where to; there must be none yet")

    def handle(self, *_args: Any, file: Path, **_options: Any) -> None:
        if connection.vendor != "sqlite":
            raise CommandError("The database is PostgreSQL: back it up with pg_dump.")
        try:
            size = back_up(Path(connection.settings_dict["NAME"]), file)
        except FileExistsError:
            raise CommandError(f"{file} is there already; a backup replaces none.") from None
        except NothingThere as nothing:
            raise CommandError(str(nothing)) from None
        except (OSError, sqlite3.Error) as error:
            raise CommandError(f"{file} can't be written: {error}") from None
        self.stdout.write(f"{file}: {size:,} bytes")


def back_up(database: Path, file: Path) -> int:
    """Copy the database to a new file of mode 0600, whole or not at all; return its size in bytes.

    SQLite's own backup, in one go: one state of all that was committed, the write-ahead log included, while
    others write on. The copy is checked before it gets its name.
    Raises FileExistsError, NothingThere, OSError or sqlite3.Error.
    """
    if file.exists():
        raise FileExistsError(file)
    handle, name = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}.")
    os.close(handle)
    aside = Path(name)
    try:
        _copy(database, aside)
        # A link, not a renaming: that would replace a file that came in between.
        os.link(aside, file)
    finally:
        aside.unlink()
    return file.stat().st_size


def _copy(database: Path, aside: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(aside)) as copy,
    ):
        source.backup(copy)
        if not copy.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall():
            # Else a timer that lacks KEYRACK_DATA would keep nothing, every night, and say that all is well.
            raise NothingThere(f"There is nothing in {database} to back up. Is KEYRACK_DATA right?")
        # One file, without a write-ahead log beside it; the server switches it on again.
        copy.execute("PRAGMA journal_mode=DELETE")
        ((found,),) = copy.execute("PRAGMA quick_check(1)").fetchall()
        if found != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged ({found})")
    with aside.open("rb") as written:
        os.fsync(written.fileno())
