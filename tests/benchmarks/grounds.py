"""Where it is measured: a database with all its keys, of Keyrack and of its peers, thrown away afterwards."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests import services
from tests.benchmarks.contestants import (
    API_KEY,
    API_KEY_NEW,
    DRF_TOKEN,
    EMPTY,
    KEYRACK,
    KNOX,
    STOCK,
    UNCOUNTED,
    Contestant,
)
from tests.benchmarks.measuring import Options

ROOT: Final = Path(__file__).parents[2]
_FILL_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Ground:
    """One kind of database, filled."""

    name: str
    folder: Path
    # The server's, where there is one; each project has a database of its own there.
    url: str = ""
    tokens: dict[str, list[str]] = field(default_factory=dict)

    def environment(self, contestant: Contestant) -> dict[str, str]:
        """Return the environment in which a process of the contestant runs."""
        dropped = ("KEYRACK_", "DATABASE_URL", "REDIS_URL", "PORT", "DJANGO_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        environment["KEYRACK_DATA"] = str(self.folder)
        environment["DJANGO_SETTINGS_MODULE"] = contestant.settings
        if self.url:
            environment["DATABASE_URL"] = self._database(contestant.database)
        return environment

    def _database(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def fill(self, options: Options) -> None:
        """Make the databases, and the keys of everybody. Takes about half a minute for 100,000 keys."""
        for contestant in (KEYRACK, API_KEY):
            if self.url:
                with psycopg.connect(self.url, autocommit=True) as connection:
                    connection.execute(f'CREATE DATABASE "{contestant.database}"')
            _run(["-m", "django", "migrate", "--verbosity", "0"], self.environment(contestant))
        for contestant in (KEYRACK, API_KEY, KNOX, DRF_TOKEN, EMPTY, STOCK):
            asked = [contestant.module, "seed", str(options.keys), str(options.chosen)]
            printed = _run(["-m", "tests.benchmarks.child", *asked], self.environment(contestant))
            self.tokens[contestant.name] = printed.split()
        self.tokens[UNCOUNTED.name] = self.tokens[KEYRACK.name]
        self.tokens[API_KEY_NEW.name] = self.tokens[API_KEY.name]
        self._tidy()

    def _tidy(self) -> None:
        """Let the databases know how much there is, as they would after a while."""
        if self.url:
            for name in (KEYRACK.database, API_KEY.database):
                with psycopg.connect(self._database(name), autocommit=True) as connection:
                    connection.execute("VACUUM ANALYZE")


def _run(arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment,
        stdout=subprocess.PIPE, text=True, check=True, timeout=_FILL_SECONDS,
    )  # fmt: skip
    return done.stdout


@contextmanager
def sqlite(options: Options) -> Iterator[Ground]:
    with _folder() as folder:
        ground = Ground("SQLite", folder)
        ground.fill(options)
        yield ground


@contextmanager
def postgresql(options: Options) -> Iterator[Ground]:
    services.require(["postgresql"])
    with _folder() as folder, services.postgresql() as url:
        ground = Ground("PostgreSQL", folder, url)
        ground.fill(options)
        yield ground


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="keyrack-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
