"""`manage.py serve`: prepare everything, then become the server."""

import errno
import hashlib
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import OperationalError, connection, connections

from config import metrics

# Any number that no other program takes as its advisory lock.
_START_LOCK: Final = 0x6B65797261636B


class Command(BaseCommand):
    help = "Migrate, set up on the first start, and serve the console on 127.0.0.1:$PORT (KEYRACK_LISTEN)."

    def handle(self, *_args: Any, **_options: Any) -> NoReturn:
        os.umask(0o077)
        require_free(settings.KEYRACK_LISTEN, settings.KEYRACK_PORT)
        require_database()
        with alone():
            call_command("migrate", interactive=False, verbosity=0)
            call_command("first_run", stdout=self.stdout)
        call_command("clearsessions")
        collect_static()
        self.stdout.write(f"Keyrack runs at {settings.KEYRACK_URL}/ (Ctrl+C stops it)")
        self.stdout.flush()
        connections.close_all()
        become_server()


def require_free(host: str, port: int) -> None:
    """Stop with one line where something listens on the port already, or the address isn't this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        # As the server will ask for it: a port whose last connections are just closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                stop(f"KEYRACK_LISTEN: {host} is no address of this machine.")
            stop(f"Port {port} can't be used: {error.strerror}. Choose another, such as PORT=8001.")


def require_database() -> None:
    """Stop with one line where the database doesn't answer."""
    try:
        connection.ensure_connection()
    except OperationalError as error:
        reason = " ".join(str(error).split())
        stop(f"The database can't be reached: {reason}")


@contextmanager
def alone() -> Iterator[None]:
    """Keep other machines that start on the same PostgreSQL from migrating at the same time."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_START_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_START_LOCK])


def collect_static() -> None:
    """Name and compress the static files, which takes seconds, unless none has changed since."""
    stamp = settings.STATIC_ROOT / ".collected"
    current = _fingerprint()
    if not stamp.exists() or stamp.read_text() != current:
        call_command("collectstatic", interactive=False, verbosity=0)
        stamp.write_text(current)


def _fingerprint() -> str:
    digest = hashlib.blake2b(digest_size=16)
    for finder in get_finders():
        for name, storage in finder.list([]):
            file = Path(storage.path(name)).stat()
            digest.update(f"{name} {file.st_size} {file.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def become_server() -> NoReturn:
    """Replace this process with the server's, so that signals go straight to it."""
    data = {
        "PORT": str(settings.KEYRACK_PORT),
        "KEYRACK_DATA": str(settings.KEYRACK_DATA),
        "KEYRACK_LISTEN": settings.KEYRACK_LISTEN,
        "KEYRACK_WORKERS": str(settings.KEYRACK_WORKERS),
        "KEYRACK_THREADS": str(settings.KEYRACK_THREADS),
    }
    if settings.KEYRACK_METRICS_TOKEN:
        # By port: two servers may share a data folder while one takes over from the other.
        folder = settings.KEYRACK_DATA / "metrics" / str(settings.KEYRACK_PORT)
        data[metrics.FOLDER_VARIABLE] = metrics.prepare_folder(folder)
    os.chdir(settings.BASE_DIR)
    environment = os.environ | data
    os.execve(sys.executable, [sys.executable, "-m", "config.server"], environment)  # noqa: S606


def stop(reason: str) -> NoReturn:
    sys.exit(f"Keyrack can't start. {reason}")
