"""Metrics for Prometheus: checks by verdict; requests by surface and status, and how long they took.

Off unless KEYRACK_METRICS_TOKEN is set; then prometheus_client isn't even loaded. The worker processes of a
machine count in files of one folder (its multiprocess mode), so whichever of them is asked answers for all.
No label holds anything of a request but which surface it is, and nothing of a key or a project.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

# Where the worker processes count; prometheus_client reads it when it is loaded.
FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# From a check on SQLite to what nobody wants to wait for, in seconds.
_BUCKETS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
)  # fmt: skip
_HOT: Final = {"/api/v1/authorize": "authorize", "/api/v1/introspect": "introspect"}


class _Kept:
    """The metrics of this process, once they are on."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self.registry: CollectorRegistry = CollectorRegistry()
        self._checks: Counter = Counter(
            "keyrack_checks", "Checks of a presented token, on every surface.", ["verdict"],
            registry=self.registry,
        )  # fmt: skip
        self._requests: Counter = Counter(
            "keyrack_requests", "Answered requests.", ["surface", "status"], registry=self.registry
        )
        self._seconds: Histogram = Histogram(
            "keyrack_request_seconds", "From a request to the beginning of its answer.", ["surface"],
            buckets=_BUCKETS, registry=self.registry,
        )  # fmt: skip
        # `labels()` takes a lock and builds a key at every call.
        self._check_of: dict[str, Counter] = {}
        self._request_of: dict[tuple[str, str], Counter] = {}
        self._seconds_of: dict[str, Histogram] = {}

    def check(self, verdict: str) -> None:
        counter = self._check_of.get(verdict)
        if counter is None:
            counter = self._check_of[verdict] = self._checks.labels(verdict)
        counter.inc()

    def request(self, surface: str, status: str, seconds: float) -> None:
        place = surface, status
        if place not in self._request_of:
            self._request_of[place] = self._requests.labels(surface, status)
            self._seconds_of[surface] = self._seconds.labels(surface)
        self._request_of[place].inc()
        self._seconds_of[surface].observe(seconds)


class _State:
    kept: _Kept | None = None


def switch_on() -> None:
    """Begin to count in this process. Idempotent."""
    if _State.kept is None:
        _State.kept = _Kept()


def switch_off() -> None:
    """Stop counting in this process."""
    _State.kept = None


def count_check(verdict: str) -> None:
    """Count a check, where metrics are on."""
    if _State.kept is not None:
        _State.kept.check(verdict)


class Measured:
    """Counts and times every request to `application`."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if (kept := _State.kept) is None:
            return self._application(environ, start_response)
        started = time.perf_counter()
        status = "500"

        def starting(line: str, *arguments: Any) -> Any:
            nonlocal status
            status = line[:3]
            return start_response(line, *arguments)

        try:
            return self._application(environ, starting)
        finally:
            kept.request(_surface(environ.get("PATH_INFO", "")), status, time.perf_counter() - started)


def _surface(path: str) -> str:
    hot = _HOT.get(path)
    if hot:
        return hot
    if path.startswith("/api/"):
        return "api"
    return "static" if path.startswith("/static/") else "console"


def exposition() -> bytes:
    """Return the metrics of all worker processes in Prometheus's text format; nothing while they are off."""
    if _State.kept is None:
        return b""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = _State.kept.registry
    if FOLDER_VARIABLE in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def prepare_folder(folder: Path) -> str:
    """Make the folder in which worker processes count, without what an earlier run left; return its path.

    What ended processes counted stays in it while the server runs: a counter must not go backwards.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return str(folder)
