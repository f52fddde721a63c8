"""What orchestrators and Prometheus ask: /healthz, /readyz and /metrics, in front of everything else.

They ask by the address of a machine or a container, over plain HTTP, again and again. So there is no Host
check here (an answer holds no link and is the same for everybody), no redirect to HTTPS, no sign-in, and no
line in the log: a change of readiness is a line, of its own. Nothing secret is in any answer.
"""

import hmac
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings

from config.metrics import METRICS_TYPE, exposition
from projects.readiness import FINE, readiness

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
Headers = list[tuple[str, str]]

_TEXT: Final = "text/plain; charset=utf-8"
_REALM: Final = 'Bearer realm="keyrack metrics"'


class Probes:
    """Answers the probes itself, and leaves the rest to `application`."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        probe = _PROBES.get(environ.get("PATH_INFO", ""))
        if probe is None or (probe is _metrics and not settings.KEYRACK_METRICS_TOKEN):
            return self._application(environ, start_response)
        method = environ["REQUEST_METHOD"].upper()
        status, headers, body = probe(environ) if method in ("GET", "HEAD") else _not_allowed()
        headers += [
            ("Cache-Control", "no-store"),
            ("Content-Length", str(len(body))),
            ("X-Content-Type-Options", "nosniff"),
        ]
        start_response(f"{status.value} {status.phrase}", headers)
        return [] if method == "HEAD" else [body]


def _plain(status: HTTPStatus, text: str, *more: tuple[str, str]) -> tuple[HTTPStatus, Headers, bytes]:
    return status, [("Content-Type", _TEXT), *more], f"{text}\n".encode()


def _not_allowed() -> tuple[HTTPStatus, Headers, bytes]:
    return _plain(HTTPStatus.METHOD_NOT_ALLOWED, "Use GET or HEAD.", ("Allow", "GET, HEAD"))


def _health(_environ: Environ) -> tuple[HTTPStatus, Headers, bytes]:
    """The process answers. Nothing else is asked: a database that is away is no reason to end a process."""
    return _plain(HTTPStatus.OK, FINE)


def _readiness(_environ: Environ) -> tuple[HTTPStatus, Headers, bytes]:
    report = readiness.report()
    lines = ["ready" if report.is_ready else "not ready"]
    lines += [f"{name}: {text}" for name, text in report.parts.items()]
    status = HTTPStatus.OK if report.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return _plain(status, "\n".join(lines))


def _metrics(environ: Environ) -> tuple[HTTPStatus, Headers, bytes]:
    """For whoever has the token, from anywhere: behind a proxy every request comes from the loopback."""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    given = token.strip().encode("latin-1", "replace")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given, settings.KEYRACK_METRICS_TOKEN.encode()):
        return _plain(HTTPStatus.UNAUTHORIZED, "Send the metrics token.", ("WWW-Authenticate", _REALM))
    return HTTPStatus.OK, [("Content-Type", METRICS_TYPE)], exposition()


_PROBES: Final[dict[str, Callable[[Environ], tuple[HTTPStatus, Headers, bytes]]]] = {
    "/healthz": _health,
    "/readyz": _readiness,
    "/metrics": _metrics,
}
