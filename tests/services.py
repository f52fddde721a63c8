"""The servers that the tests need: found or installed, started for one run, and stopped after it."""

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import redis

START_SECONDS: Final = 90
# More than a cluster takes while tests run, its write-ahead log included.
ROOM: Final = 4 << 30


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs on loopback: its port, and the folder where its logs are."""

    port: int
    folder: Path

    @property
    def logged(self) -> str:
        """All that it has written."""
        return "".join(each.read_text() for each in self.folder.glob("*log"))


class ServiceError(Exception):
    """A server is missing or doesn't start; the message says what to do."""


def postgres_binary(name: str) -> str | None:
    """Return the path of a program of PostgreSQL; Debian keeps them out of the PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=_version)
    return str(installed[-1]) if installed else shutil.which(name)


def _version(path: Path) -> float:
    return float(path.parent.parent.name)


def _has_libatomic() -> bool:
    return any(Path("/usr/lib").glob("*/libatomic.so.1"))


PACKAGES: Final[dict[str, Callable[[], object]]] = {
    "postgresql": lambda: postgres_binary("initdb"),
    "redis-server": lambda: shutil.which("redis-server"),
    "curl": lambda: shutil.which("curl"),
    "nginx": lambda: shutil.which("nginx"),
    "caddy": lambda: shutil.which("caddy"),
    "chromium": lambda: shutil.which("chromium"),
    "chromium-headless-shell": lambda: shutil.which("chromium-headless-shell"),
    # Playwright's driver is a Node that links to it; a bare Debian lacks it.
    "libatomic1": _has_libatomic,
}


def require(packages: list[str]) -> None:
    """Install those of the Debian packages that are missing. Raises ServiceError where it may not."""
    missing = [package for package in packages if not PACKAGES[package]()]
    if not missing:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ServiceError(f"The tests need packages that are missing. Run: {' '.join(command)}")
    print(f"Installing {', '.join(missing)}", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "--quiet"], check=True, env=environment)
    subprocess.run(command, check=True, env=environment)
    if still := [package for package in missing if not PACKAGES[package]()]:
        raise ServiceError(f"Installed, but not found: {', '.join(still)}")


class Postgresql:
    """A private cluster, made and not started yet; `cluster()` makes one."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self._folder, self._user, self._port = folder, user, free_port()
        self.url = f"postgres://keyrack@127.0.0.1:{self._port}/postgres"
        options = ["-U", "keyrack", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        if (folder / "data").exists():
            return
        _run([_program("initdb"), "-D", str(folder / "data"), *options], folder, user)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it; again with the same data and at the same address, where it ran before."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "port": self._port,
            # Nothing here outlives the run, so nothing has to reach the disk.
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
        }
        command = [_program("postgres"), "-D", str(self._folder / "data")]
        command += [f"--{name}={value}" for name, value in settings.items()]
        # SIGINT is PostgreSQL's fast shutdown: it doesn't wait for its clients.
        with _server(command, self._folder, self._user, stop_with=signal.SIGINT) as check:
            _wait(lambda: psycopg.connect(self.url).close(), psycopg.OperationalError, check)
            yield


@contextmanager
def cluster(kept: Path | None = None, parent: Path = Path("/tmp")) -> Iterator[Postgresql]:
    """Make a private cluster, which whoever asks for it starts and stops; or take the one in `kept`."""
    user = _server_user()
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
        if user:
            shutil.chown(kept, user)
        yield Postgresql(kept, user)
        return
    with _folder("postgresql", user, parent) as folder:
        yield Postgresql(folder, user)


@contextmanager
def postgresql(kept: Path | None = None, parent: Path = Path("/tmp")) -> Iterator[str]:
    """Make and start a private cluster; the value is the DATABASE_URL of its first database."""
    with cluster(kept, parent) as made, made.running():
        yield made.url


@contextmanager
def redis_server(port: int = 0) -> Iterator[str]:
    """Start a private Redis that keeps nothing, at `port` where one is given; the value is its REDIS_URL."""
    with _folder("redis", None) as folder:
        port = port or free_port()
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port)]
        command += ["--save", "", "--appendonly", "no", "--dir", str(folder), "--databases", "256"]
        url = f"redis://127.0.0.1:{port}/0"
        with _server(command, folder, None, stop_with=signal.SIGTERM) as check:
            client = redis.Redis.from_url(url)
            _wait(client.ping, redis.exceptions.ConnectionError, check)
            client.close()
            yield url


@contextmanager
def nginx(configure: Callable[[Path, int], str]) -> Iterator[Gateway]:
    """Start nginx with what `configure` makes of its folder and port: what stands inside of `http`."""
    with _folder("nginx", None) as folder:
        port = free_port()
        # As whoever runs the tests, and with all that it writes in its folder.
        paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{name}_temp_path {folder}/{name};\n" for name in paths)
        user = "user root;\n" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"{user}daemon off;\npid {folder}/pid;\nworker_processes 1;\nerror_log {folder}/log;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{configure(folder, port)}}}\n"
        )
        command = ["nginx", "-p", str(folder), "-e", str(folder / "log"), "-c", str(folder / "nginx.conf")]
        with _server(command, folder, None, stop_with=signal.SIGTERM) as check:
            _wait(lambda: _connect(port), OSError, check)
            yield Gateway(port, folder)


@contextmanager
def caddy(file: Path, environment: Mapping[str, str]) -> Iterator[Gateway]:
    """Start Caddy with a Caddyfile that listens at GATEWAY_SITE and reads the rest of the environment."""
    with _folder("caddy", None) as folder:
        port = free_port()
        own = {"XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder), "HOME": str(folder)}
        own |= {"CADDY_ADMIN": f"127.0.0.1:{free_port()}", "GATEWAY_SITE": f"http://127.0.0.1:{port}"}
        command = ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]
        with _server(
            command, folder, None, stop_with=signal.SIGTERM, environment=os.environ | own | dict(environment)
        ) as check:
            _wait(lambda: _connect(port), OSError, check)
            yield Gateway(port, folder)


def _connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=1).close()


def free_port() -> int:
    """Return a port that is free now, below those that the kernel hands to outgoing connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root; Debian's package brings a user for it."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def memory() -> Path:
    """Return a folder whose files never reach a disk, or /tmp where there isn't room enough in it."""
    shared = Path("/dev/shm")
    has_room = os.access(shared, os.W_OK) and shutil.disk_usage(shared).free >= ROOM
    return shared if has_room else Path("/tmp")


@contextmanager
def _folder(name: str, user: str | None, parent: Path = Path("/tmp")) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"keyrack-{name}-", dir=parent))
    try:
        if user:
            shutil.chown(folder, user)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _server(
    command: list[str],
    folder: Path,
    user: str | None,
    *,
    stop_with: signal.Signals,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Callable[[], None]]:
    """Run a server; the value is a function that raises ServiceError once it has died."""
    log = folder / "log"
    with log.open("wb") as output:
        # A session of its own: Ctrl+C is for the tests, which need their server to the end.
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environment,
            **_as(user),
        )

    def check() -> None:
        if process.poll() is not None:
            raise ServiceError(f"{command[0]} doesn't start:\n{log.read_text()}")

    try:
        yield check
    finally:
        process.send_signal(stop_with)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(attempt: Callable[[], object], failure: type[Exception], check: Callable[[], None]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        check()
        try:
            attempt()
        except failure:
            if time.monotonic() > deadline:
                raise ServiceError(f"No answer within {START_SECONDS} seconds") from None
            time.sleep(0.05)
        else:
            return


def _run(command: list[str], folder: Path, user: str | None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, **_as(user))
    if done.returncode:
        raise ServiceError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def _as(user: str | None) -> dict[str, Any]:
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}


def _program(name: str) -> str:
    path = postgres_binary(name)
    if path is None:
        raise ServiceError(f"PostgreSQL's {name} is missing")
    return path
