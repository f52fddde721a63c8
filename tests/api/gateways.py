"""nginx and Caddy in front of an echo, as the docs configure them, asking a Keyrack that is really served."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections

from projects import triggers
from tests import services

FILES: Final = Path(__file__).parents[2] / "templates" / "docs" / "gateways"

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Heard:
    """What came back through a gateway; names of headers are in small letters.

    `seen` is what reached the service behind it, None for nothing.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    seen: "Seen | None"


@dataclass(frozen=True)
class Seen:
    """A request, as it reached the echo."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: str

    def header(self, name: str) -> str | None:
        """The one value of a header in any spelling, as WSGI folds them; None where it wasn't sent."""
        folded = name.lower().replace("_", "-")
        values = [value for given, value in self.headers if given.lower().replace("_", "-") == folded]
        assert len(values) <= 1, values
        return values[0] if values else None


class Echo:
    """A service behind a gateway that remembers what reached it."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        echo = self

        class Handler(BaseHTTPRequestHandler):
            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self._answer
                raise AttributeError(name)

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                echo.seen.append(Seen(self.command, self.path, list(self.headers.items()), body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]

    @contextmanager
    def listening(self) -> Iterator["Echo"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()


class Behind:
    """A gateway, and the echo behind it."""

    def __init__(self, gateway: services.Gateway, echo: Echo) -> None:
        self.gateway, self.echo = gateway, echo

    def __call__(self, method: str, path: str, headers: Headers = (), body: bytes = b"") -> Heard:
        """Send a request as it is given: no header is added but Host and the length of a body."""
        self.echo.seen.clear()
        wire = HTTPConnection("127.0.0.1", self.gateway.port, timeout=60)
        wire.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            wire.putheader(name, value)
        if body:
            wire.putheader("Content-Length", str(len(body)))
        wire.endheaders(body or None)
        answer = wire.getresponse()
        content = answer.read()
        wire.close()
        seen = self.echo.seen
        assert len(seen) <= 1
        given = {name.lower(): value for name, value in answer.headers.items()}
        return Heard(answer.status, given, content, seen[0] if seen else None)


Start = Callable[[int, int, str], AbstractContextManager[services.Gateway]]


def nginx(keyrack: int, service: int, gateway_key: str) -> AbstractContextManager[services.Gateway]:
    """Start nginx as its file in the docs says, with the lines changed that it marks."""

    def configured(folder: Path, port: int) -> str:
        key = folder / "keyrack-gateway.conf"
        key.touch(mode=0o600)
        key.write_text(f'map "" $keyrack_gateway {{ default "{gateway_key}"; }}\n')
        text = (FILES / "nginx.conf").read_text()
        for shown, here in {
            "server 127.0.0.1:8000;": f"server 127.0.0.1:{keyrack};",
            "server 127.0.0.1:9000;": f"server 127.0.0.1:{service};",
            "listen 8080;": f"listen 127.0.0.1:{port};",
            "/etc/nginx/keyrack-gateway.conf": str(key),
            "/var/log/nginx/keyrack.log": f"{folder}/access.log",
        }.items():
            assert text.count(shown) == 1, shown
            text = text.replace(shown, here)
        return text

    return services.nginx(configured)


def caddy(keyrack: int, service: int, gateway_key: str) -> AbstractContextManager[services.Gateway]:
    """Start Caddy with the very file of the docs."""
    environment = {
        "KEYRACK": f"127.0.0.1:{keyrack}",
        "SERVICE": f"127.0.0.1:{service}",
        "KEYRACK_GATEWAY_KEY": gateway_key,
    }
    return services.caddy(FILES / "Caddyfile", environment)


STARTS: Final[Mapping[str, Start]] = {"nginx": nginx, "Caddy": caddy}


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """Serve Keyrack over the database of the tests, behind one proxy; the value is its port."""
    with serving(folder, 1, KEYRACK_TRUSTED_PROXIES="1") as ports:
        yield ports[0]


@contextmanager
def serving(folder: Path, processes: int, **environment: str) -> Iterator[list[int]]:
    """Serve Keyrack over the database of the tests, by so many servers; the value is their ports.

    Each logs to a file of its own in `folder`.
    """
    ports = [services.free_port() for _ in range(processes)]
    with ExitStack() as stack:
        servers = [stack.enter_context(_started(folder, port, environment)) for port in ports]
        for port, server in zip(ports, servers, strict=True):
            _wait_for(port, server, folder / f"{port}.log")
        yield ports


@contextmanager
def _started(folder: Path, port: int, more: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}
    environment |= {
        "KEYRACK_DATA": str(settings.KEYRACK_DATA),
        "TESTS_DATABASE": str(connection.settings_dict["NAME"]),
    }
    with (folder / f"{port}.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.api.served", str(port)],
            env=environment | dict(more), stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def flush() -> None:
    """Empty the database, for tests whose rows were committed for other processes."""
    with triggers.lifted(connections["default"]):
        call_command("flush", interactive=False, verbosity=0, allow_cascade=True)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(1800):
        if process.poll() is not None:
            break
        try:
            wire = HTTPConnection("127.0.0.1", port, timeout=30)
            wire.request("GET", "/api/v1/whoami")
            wire.getresponse().read()
            wire.close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise services.ServiceError(f"Keyrack isn't served:\n{log.read_text()}")
