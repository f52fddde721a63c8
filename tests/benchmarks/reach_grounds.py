"""Databases of many keys, each behind a server of its own as in production; kept between runs, if asked."""

import argparse
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests import services

ROOT: Final = Path(__file__).parents[2]
# Written into the folder of a database once all is in it: what was interrupted is made anew.
_FILLED: Final = "filled"


@dataclass(slots=True)
class Ground:
    """A database of so many keys: its folder, and the environment of whatever works with it."""

    keys: int
    folder: Path
    environment: dict[str, str]

    def child(self, task: str, *arguments: int) -> dict[str, Any]:
        """Return what a process that works with it answers."""
        printed = self.run("-m", "tests.benchmarks.reach_child", task, *map(str, arguments))
        answer: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
        return answer

    def run(self, *arguments: str) -> str:
        return subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=self.environment, stdout=subprocess.PIPE,
            text=True, check=True,
        ).stdout  # fmt: skip

    @contextmanager
    def copied(self) -> Iterator["Ground"]:
        """Yield a copy of a database in SQLite, to write into."""
        with tempfile.TemporaryDirectory(prefix="keyrack-reach-") as name:
            folder = Path(name) / "data"
            shutil.copytree(self.folder, folder)
            yield Ground(self.keys, folder, self.environment | {"KEYRACK_DATA": str(folder)})


@dataclass(slots=True)
class Server:
    """A server over one of them, and somebody signed in."""

    ground: Ground
    process: subprocess.Popen[bytes]
    connection: HTTPConnection
    facts: dict[str, Any]
    # The first process of PostgreSQL, where that is the database.
    database: int | None = None

    @property
    def keys(self) -> int:
        return self.ground.keys

    def page(self, url: str) -> bytes:
        """Return a page, which must be a good one."""
        return self._get(url, {"Cookie": f"keyrack_session={self.facts['cookie']}"})

    def rows(self, url: str) -> int:
        """Return how many rows the tables of a page have."""
        return gzip.decompress(self.page(url)).count(b'<th scope="row"')

    def check(self) -> bytes:
        url = "/api/v1/authorize?project=northwind&scope=sources:read"
        return self._get(url, {"Authorization": f"Bearer {self.facts['token']}"})

    def memory(self) -> int:
        """Return the most that any process of the server has used, in MB."""
        peaks = [Path(f"/proc/{pid}/status").read_text() for pid in _family(self.process.pid)]
        return max(int(text.split("VmHWM:")[1].split()[0]) for text in peaks) // 1024

    def processor(self) -> float:
        """Return the seconds that its processes have kept a processor busy, and those of PostgreSQL."""
        pids = _family(self.process.pid) + (_family(self.database) if self.database else [])
        spent = 0
        for pid in pids:
            for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                with suppress(OSError):
                    spent += int(task.read_text().split()[0])
        return spent / 1e9

    def _get(self, url: str, headers: Mapping[str, str]) -> bytes:
        self.connection.request("GET", url, headers={"Accept-Encoding": "gzip", **headers})
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise AssertionError(f"{url} answered {response.status}: {body[:200]!r}")
        return body


@contextmanager
def servers(kind: str, options: argparse.Namespace) -> Iterator[list[Server]]:
    """Fill the databases that aren't there yet, and run a server over each."""
    with ExitStack() as stack:
        folder = Path(
            options.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="keyrack-reach-"))
        )
        # PostgreSQL runs as another user where the benchmark runs as root.
        folder = folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        url = stack.enter_context(services.postgresql(folder / "cluster")) if kind == "postgresql" else ""
        first = int((folder / "cluster/data/postmaster.pid").read_text().split()[0]) if url else None
        grounds = [filled(kind, keys, folder / f"{kind}-{keys}", url, options) for keys in options.keys]
        yield [stack.enter_context(served(ground, first)) for ground in grounds]


def filled(kind: str, keys: int, folder: Path, url: str, options: argparse.Namespace) -> Ground:
    """Return a database with so many keys in one project, beside other projects. A million takes minutes."""
    name = f"reach_{keys}"
    ground = Ground(keys, folder, _environment(folder, _at(url, name)))
    made = f"{options.others}\n"
    if (folder / _FILLED).exists() and (folder / _FILLED).read_text() == made:
        ground.run("manage.py", "migrate", "-v0")
        return ground
    print(f"  making {keys:,} keys and {options.others:,} other projects", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    if url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
            connection.execute(f'CREATE DATABASE "{name}"')
    ground.run("manage.py", "migrate", "-v0")
    ground.run("manage.py", "collectstatic", "--noinput", "-v0")
    ground.child("fill", keys, options.others)
    if url:
        with psycopg.connect(_at(url, name), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
    (folder / _FILLED).write_text(made)
    return ground


@contextmanager
def served(ground: Ground, database: int | None) -> Iterator[Server]:
    """Run a server over a database, and have somebody visit it."""
    facts, port = ground.child("visit"), services.free_port()
    environment = ground.environment | {"PORT": str(port)}
    log = ground.folder / "log"
    with log.open("wb") as output, subprocess.Popen(
        [sys.executable, "manage.py", "serve"], cwd=ROOT, env=environment, stdout=output, stderr=output
    ) as process:  # fmt: skip
        try:
            yield Server(ground, process, _connected(port, log), facts, database)
        finally:
            process.send_signal(signal.SIGTERM)


def _family(pid: int) -> list[int]:
    """Return a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def _at(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}")) if url else ""


def _environment(folder: Path, url: str) -> dict[str, str]:
    dropped = ("KEYRACK_", "DATABASE_URL", "REDIS_URL", "PORT", "DJANGO_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    environment |= {
        "KEYRACK_DATA": str(folder),
        "KEYRACK_OWNER_PASSWORD": "not-a-secret-here",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    return environment | ({"DATABASE_URL": url} if url else {})


def _connected(port: int, log: Path) -> HTTPConnection:
    for _ in range(600):
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return connection
    raise AssertionError(f"The server doesn't answer:\n{log.read_text()[-2000:]}")
