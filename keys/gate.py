"""The hot surfaces as a WSGI application in front of Django's: what gateways and services ask all the time.

Behind all middleware the same answer costs several times as much. What middleware does for these two is done
here: the Host check, the request's id, the client's address and the line in the log. Nothing of a session, a
cookie or a page is concerned. Everything else goes on to Django.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.http.request import split_domain_port, validate_host

from config.addresses import client_address
from config.errors import server_error
from config.logs import access_line, request_id
from config.requests import Request
from keys import answers
from keys.api.tokens import introspect_view
from keys.authorization import Reply, authorize, reply_of
from keys.reading import own_connection
from keys.throttles import ThrottleUnavailable

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
Answer = Callable[[Environ, str, str | None], Reply]

log = logging.getLogger("django.request")

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
        method = environ["REQUEST_METHOD"].upper()
        # An id has to be another each time, not to be secret: no call to the system for it.
        mark = request_id.set(f"{random.getrandbits(64):016x}")
        try:
            address = client_address(environ, settings.KEYRACK_TRUSTED_PROXIES)
            reply = _decided(answer, environ, method, address)
            headers = [
                *reply.headers,
                ("Content-Length", str(len(reply.body))),
                ("X-Request-Id", request_id.get()),
            ]
            seconds = time.perf_counter() - started
            access_line(method, environ["PATH_INFO"], reply.status, seconds, address)
            start_response(_REASONS[reply.status], headers)
            return [] if method == "HEAD" else [reply.body]
        finally:
            request_id.reset(mark)


def _decided(answer: Answer, environ: Environ, method: str, address: str | None) -> Reply:
    """Answer. Whatever goes wrong on the way, it is a refusal: nothing passes that wasn't decided.

    No signal of a request runs here that would have Django look after its connection. One that turns out to
    be broken is closed, and a new one is tried at once; where there was none yet, the database itself doesn't
    answer, and the client isn't kept waiting twice.
    """
    database = own_connection()
    had_connection = database.connection is not None
    reply = _attempted(answer, environ, method, address)
    if had_connection and database.connection is None:
        reply = _attempted(answer, environ, method, address)
    return reply


def _attempted(answer: Answer, environ: Environ, method: str, address: str | None) -> Reply:
    try:
        return answer(environ, method, address)
    except (OperationalError, InterfaceError):
        own_connection().close()
        return reply_of(answers.UNAVAILABLE)
    except ThrottleUnavailable:
        return reply_of(answers.UNCOUNTED)
    except Exception:
        # As Django does: a mistake of ours is logged with its traceback, and answered with the reference.
        log.exception("Internal Server Error: %s", environ["PATH_INFO"])
        return _reply_of(server_error(_request(environ)))


def _authorize(environ: Environ, method: str, address: str | None) -> Reply:
    if method not in ("GET", "HEAD"):
        return reply_of(answers.method_not_allowed("GET, HEAD"))
    return authorize(environ, address, datetime.now(UTC))


def _introspect(environ: Environ, _method: str, address: str | None) -> Reply:
    """Call Django's own view, without what stands before it."""
    request = _request(environ)
    request.client_address = address  # type: ignore[attr-defined]
    return _reply_of(introspect_view(request))


def _request(environ: Environ) -> Request:
    """Return the one request of this environment: its body can be read only once."""
    known: Request | None = environ.get("keyrack.request")
    if known is None:
        known = environ["keyrack.request"] = Request(environ)
        known.id = request_id.get()  # type: ignore[attr-defined]
    return known


def _reply_of(response: HttpResponse) -> Reply:
    return Reply(response.status_code, list(response.items()), response.content)


_ANSWERS: Final[dict[str, Answer]] = {
    AUTHORIZE: _authorize,
    INTROSPECT: _introspect,
}


def _host_is_ours(environ: Environ) -> bool:
    # As Django takes it: a Host that is there and empty is a Host.
    host = str(environ.get("HTTP_HOST", environ.get("SERVER_NAME", "")))
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
