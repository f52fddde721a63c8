"""What every call of the JSON API goes through: method, credentials, body; and how a verb's no is said.

A session opens none of it: a key does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied, SuspiciousOperation, ValidationError
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.request import RawPostDataException, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from config.redaction import holds_token
from keys import answers, problems
from keys.answers import Problem
from keys.api.operations import Operation, View
from keys.conflicts import (
    AlreadyIssued,
    AlreadyRevoked,
    AlreadyRotated,
    Conflict,
    NotRenewable,
    Protected,
    Stale,
)
from keys.models import Key
from keys.permissions import KeyActor
from keys.search import is_key_id
from keys.sources import Source, source_of
from keys.throttles import ThrottleUnavailable
from keys.verification import check
from projects.models import Project

BODY_LENGTH: Final = 64 * 1024

T = TypeVar("T")


class Refused(Exception):
    """A call that ends here, with this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Call:
    """A request with the key that makes it: in its bounds, in its project, at one time."""

    request: HttpRequest
    actor: KeyActor
    key: Key
    project: Project
    at: datetime

    def visible(self) -> Any:
        """The keys that the caller may see: a test key sees test keys only."""
        keys = Key.objects.of(self.project)
        return keys.filter(environment="test") if self.key.environment == "test" else keys

    def called(self, key_id: str) -> Key:
        """Return the key of this id. Raises Key.DoesNotExist. No query for what is no key id."""
        if not is_key_id(key_id):
            raise Key.DoesNotExist
        key: Key = self.visible().get(key_id=key_id)
        return key


def keyed(**operations: Operation) -> View:
    """Return the view of a URL that a key opens, with an operation for each method."""
    acts = {method: _authenticated(operation) for method, operation in operations.items()}
    return _view(operations, acts)


def public(**operations: Operation) -> View:
    """Return the view of a URL that asks for no key, or looks after it itself."""
    acts = {method: operation.act for method, operation in operations.items()}
    return _view(operations, {method: _without_token(act) for method, act in acts.items()})


def self_reliant(**operations: Operation) -> View:
    """Return the view of a URL that looks after key and query itself."""
    return _view(operations, {method: operation.act for method, operation in operations.items()})


def _without_token(act: View) -> View:
    def handler(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
        refuse_token_in_query(request)
        return act(request, *args, **kwargs)

    return handler


def answered(ask: Callable[[], HttpResponse]) -> HttpResponse:
    """Return the answer, or the problem that is raised instead; 503 where nothing can be decided now."""
    try:
        return decided(ask)
    except Refused as refused:
        return refused.problem.response()


def decided(ask: Callable[[], T]) -> T:
    """Return what `ask` does. Raises Refused as it does, and with 503 where nothing can be decided now.

    A connection to the database that broke is closed: the next request opens another.
    """
    try:
        return ask()
    except (OperationalError, InterfaceError):
        connection.close()
        raise Refused(answers.UNAVAILABLE) from None
    except ThrottleUnavailable:
        raise Refused(answers.UNCOUNTED) from None


def _view(operations: Mapping[str, Operation], handlers: dict[str, View]) -> View:
    """Return the view that calls the handler of a request's method."""
    if "GET" in handlers:
        handlers["HEAD"] = handlers["GET"]
    allowed = ", ".join(sorted(handlers))

    @csrf_exempt
    @login_not_required
    def view(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
        handler = handlers.get(request.method or "")
        if handler is None:
            return answers.method_not_allowed(allowed).response()
        return answered(lambda: handler(request, *args, **kwargs))

    # The OpenAPI document is made from what stands on the views of the URLs.
    view.operations = operations  # type: ignore[attr-defined]
    return view


def _authenticated(operation: Operation) -> View:
    def handler(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
        refuse_token_in_query(request)
        call = authenticate(request, operation.scope, timezone.now())
        try:
            return operation.act(call, *args, **kwargs)
        except Key.DoesNotExist:
            return answers.NO_SUCH_KEY.response()
        except ValidationError as error:
            return answers.invalid(error).response()
        except PermissionDenied as error:
            return answers.beyond_bounds(str(error)).response()
        except Conflict as conflict:
            return conflict_problem(conflict).response()

    return handler


def authenticate(request: HttpRequest, scope: str, at: datetime) -> Call:
    """Return the call of the key that the request presents. Two queries.

    Raises Refused where it presents none, or one that doesn't pass or lacks `scope`.
    """
    presented = presented_token(request)
    if presented is None:
        raise Refused(answers.NO_CREDENTIALS)
    source = called_from(request)
    verdict = check(presented, at=at, environment=None, channel=None, scopes=(scope,), source=source)
    if not verdict.is_valid or verdict.facts is None:
        raise Refused(answers.problem_of(verdict))
    key = Key.objects.select_related("project", "channel").get(key_id=verdict.facts.key_id)
    actor = KeyActor.acting(key, getattr(request, "client_address", None))
    return Call(request, actor, key, key.project, at)


def called_from(request: HttpRequest) -> Source:
    """Return where a call comes from, for the counters and for keys that are bound to networks."""
    return source_of(request.META, getattr(request, "client_address", None))


def presented_token(request: HttpRequest) -> str | None:
    """Return the token that a request presents, None where it presents none.

    `Authorization: Bearer …` (RFC 6750, section 2.1; the scheme in any case) or `X-API-Key: …`.
    Raises Refused for two that differ.
    """
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    tokens = {bearer.strip()} if scheme.lower() == "bearer" else set()
    tokens.add(request.headers.get("X-API-Key", "").strip())
    tokens.discard("")
    if len(tokens) > 1:
        raise Refused(answers.TWO_CREDENTIALS)
    return tokens.pop() if tokens else None


def refuse_token_in_query(request: HttpRequest) -> None:
    """Raise Refused for a token in the URL, wherever in the query, and for a query that is too long."""
    try:
        query = request.GET
    except SuspiciousOperation:
        raise Refused(answers.invalid_parameters([("", "The query has too many parameters.")])) from None
    if any(holds_token(text) for name, values in query.lists() for text in (name, *values)):
        raise Refused(answers.TOKEN_IN_QUERY)


def body_of(request: HttpRequest, content_type: str, *, optional: bool = False) -> bytes | None:
    """Return the body, of at most 64 KiB; None for one that is empty where it may be.

    Raises Refused: 411 for one of unknown length, 415, 413, or 400 for one that broke off.
    """
    length = _content_length(request)
    if optional and not length:
        return None
    if request.content_type != content_type:
        raise Refused(answers.unsupported_type(content_type))
    if length > BODY_LENGTH:
        raise Refused(answers.TOO_LARGE)
    try:
        return request.body
    except (UnreadablePostError, RawPostDataException):
        raise Refused(answers.bad_body("The body broke off.")) from None


def _content_length(request: HttpRequest) -> int:
    """Return the length of the body. Raises Refused (411): WSGI would read chunks as an empty body."""
    given = str(request.META.get("CONTENT_LENGTH") or "0")
    if request.headers.get("Transfer-Encoding") or not (given.isascii() and given.isdigit()):
        raise Refused(answers.LENGTH_REQUIRED)
    return int(given) if len(given) < 20 else BODY_LENGTH + 1


def form_of(request: HttpRequest) -> Mapping[str, str]:
    """Return the members of a form body (RFC 6749, appendix B). Raises Refused for a repeated one."""
    nothing = not request.content_type
    body = body_of(request, "application/x-www-form-urlencoded", optional=nothing) or b""
    try:
        form = QueryDict(body.decode("utf-8"))
    except (UnicodeDecodeError, SuspiciousOperation):
        raise Refused(answers.invalid_request("The body isn't a form in UTF-8.")) from None
    if any(len(values) > 1 for _, values in form.lists()):
        raise Refused(answers.invalid_request("A parameter is given twice."))
    return {name: str(value) for name, value in form.items()}


_CONFLICTS: Final = {
    AlreadyIssued: problems.ALREADY_ISSUED,
    AlreadyRevoked: problems.ALREADY_REVOKED,
    AlreadyRotated: problems.ALREADY_ROTATED,
    Protected: problems.PROTECTED,
    Stale: problems.STALE,
    NotRenewable: problems.NOT_RENEWABLE,
}


def conflict_problem(conflict: Conflict) -> Problem:
    """Return the 409 of a verb that came too late or a second time; it names the key as it is now."""
    members = {"key_id": conflict.key.key_id, "version": conflict.key.version}
    return Problem(_CONFLICTS[type(conflict)], str(conflict), members=members)
