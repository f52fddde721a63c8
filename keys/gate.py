"""The hot surfaces as a WSGI application in front of Django's: what gateways and services ask all the time.

Behind all middleware the same answer costs several times as much. What middleware does for these two is done
here: the Host check, the request's id, the client's address and the line in the log. Nothing of a session, a
cookie or a page is concerned. Everything else goes on to Django.
"""

import random
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpResponse
from django.http.request import split_domain_port, validate_host

from config.addresses import client_address
from config.logs import access_line, request_id
from keys import answers
from keys.api.tokens import introspect_view
from keys.authorization import Reply, authorize, reply_of
from keys.throttles import ThrottleUnavailable

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

AUTHORIZE: Final = "/api/v1/authorize"
INTROSPECT: Final = "/api/v1/introspect"

_REASONS: Final = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class Gate:
    """Answers `authorize` and `introspect` itself, and leaves the rest to `application`."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        answer = _ANSWERS.get(environ.get("PATH_INFO", ""))
        if answer is None or not _host_is_ours(environ):
            # A Host that isn't ours is refused there, as on every other address.
            return self._application(environ, start_response)
        started = time.perf_counter()
        # An id has to be another each time, not to be secret: no call to the system for it.
        mark = request_id.set(f"{random.getrandbits(64):016x}")
        try:
            address = client_address(environ, settings.KEYRACK_TRUSTED_PROXIES)
            reply = _with_retry(answer, environ, address)
            headers = [
                *reply.headers,
                ("Content-Length", str(len(reply.body))),
                ("X-Request-Id", request_id.get()),
            ]
            seconds = time.perf_counter() - started
            access_line(environ["REQUEST_METHOD"], environ["PATH_INFO"], reply.status, seconds, address)
            start_response(_REASONS[reply.status], headers)
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [reply.body]
        finally:
            request_id.reset(mark)


def _with_retry(answer: Callable[..., Reply], environ: Environ, address: str | None) -> Reply:
    """Answer; where the connection to the database is broken, once more on a new one, else 503.

    No signal of a request runs here that would have Django look after its connection.
    """
    for _ in range(2):
        try:
            return answer(environ, address)
        except (OperationalError, InterfaceError):
            connection.close()
        except ThrottleUnavailable:
            break
    return reply_of(answers.UNAVAILABLE)


def _authorize(environ: Environ, address: str | None) -> Reply:
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return reply_of(answers.method_not_allowed("GET, HEAD"))
    return authorize(environ, address, datetime.now(UTC))


def _introspect(environ: Environ, address: str | None) -> Reply:
    """Call Django's own view, without what stands before it."""
    request = WSGIRequest(environ)
    request.client_address = address  # type: ignore[attr-defined]
    response: HttpResponse = introspect_view(request)
    return Reply(response.status_code, list(response.items()), response.content)


_ANSWERS: Final[dict[str, Callable[[Environ, str | None], Reply]]] = {
    AUTHORIZE: _authorize,
    INTROSPECT: _introspect,
}


def _host_is_ours(environ: Environ) -> bool:
    host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    known = _hosts_seen.get(host)
    if known is None:
        domain, _ = split_domain_port(host)
        known = bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)
        if known and len(_hosts_seen) < _MOST_HOSTS:
            _hosts_seen[host] = True
    return known


# Hosts that are ours, as they were sent, port and all.
_hosts_seen: Final[dict[str, bool]] = {}
_MOST_HOSTS: Final = 100
