"""A contestant behind granian as in production, and wrk, which asks it as fast as it answers.

wrk is one thread of C with a fixed number of connections: it waits for answers and never piles up requests,
and takes a small part of a core where the server takes a whole one.
"""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from tests import services
from tests.benchmarks.contestants import Contestant
from tests.benchmarks.grounds import ROOT, Ground

CONNECTIONS: Final = 16
_SCRIPT: Final = Path(__file__).with_name("load.lua")
_START_SECONDS: Final = 30

services.PACKAGES["wrk"] = lambda: shutil.which("wrk")


class Failed(Exception):
    """A server doesn't start, or answers otherwise than it must: what was measured is worth nothing."""


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs, with the file of requests that it is asked."""

    contestant: Contestant
    port: int
    requests: Path

    def rate(self, seconds: float) -> float:
        """Return how many good requests it answers in a second."""
        return heard(self.asked(seconds), refused=False)

    @contextmanager
    def flooded(self, tokens: Sequence[str], connections: int, seconds: float) -> Iterator[list[float]]:
        """Have wrong secrets come in meanwhile; the value has the rate of them, once it is over."""
        with _file(self.contestant, tokens) as requests:
            flood = _wrk(self.port, requests, connections, seconds)
            rates: list[float] = []
            try:
                yield rates
                rates.append(heard(_finished(flood), refused=True))
            finally:
                flood.kill()
                flood.wait()

    def asked(self, seconds: float) -> dict[str, Any]:
        return _finished(_wrk(self.port, self.requests, CONNECTIONS, seconds))


def heard(said: dict[str, Any], *, refused: bool) -> float:
    """Return the rate. Raises Failed where anything was answered otherwise, or not at all."""
    expected = said["requests"] if refused else 0
    if said["failed"] or said["refused"] != expected or not said["requests"]:
        raise Failed(f"wrk heard {said}")
    return float(said["requests"] / said["seconds"])


@contextmanager
def served(contestant: Contestant, ground: Ground) -> Iterator[Served]:
    """Run the contestant's server while the block runs."""
    services.require(["wrk"])
    port = services.free_port()
    command = [sys.executable, "-m", "tests.benchmarks.child", contestant.module, "serve", str(port)]
    command.append(str(contestant.threads[0 if ground.url else 1]))
    log = ground.folder / f"log-{port}"
    with _file(contestant, ground.tokens[contestant.name]) as requests, log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=ground.environment(contestant), stdout=output, stderr=output
        )
        try:
            _wait(process, port, contestant, log)
            running = Served(contestant, port, requests)
            running.rate(0.5)
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, contestant: Contestant, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", contestant.path)
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()
    raise Failed(f"{contestant.name} doesn't answer:\n{log.read_text()[-2000:]}")


@contextmanager
def _file(contestant: Contestant, tokens: Sequence[str]) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile("w", prefix="keyrack-bench-", suffix=".txt") as file:
        values = [contestant.scheme + token for token in tokens]
        file.write("\n".join([contestant.path, contestant.header, *values]) + "\n")
        file.flush()
        yield Path(file.name)


def _wrk(port: int, requests: Path, connections: int, seconds: float) -> subprocess.Popen[str]:
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--latency"]
    # wrk takes whole seconds only.
    command += ["--duration", f"{max(1, round(seconds))}s", "--timeout", "10s", "--script", str(_SCRIPT)]
    command += [f"http://127.0.0.1:{port}/", "--", str(requests)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _finished(wrk: subprocess.Popen[str]) -> dict[str, Any]:
    printed, _ = wrk.communicate(timeout=120)
    if wrk.returncode:
        raise Failed(f"wrk failed: {printed}")
    said: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    return said
