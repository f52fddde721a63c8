"""The answers to what no view answers: a page of our own, and a problem document under /api/."""

import logging
import sys
from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.views.decorators.csrf import requires_csrf_token

from config.outages import RETRY_AFTER, is_outage, what_is_away

log = logging.getLogger("keyrack.outages")

_API: Final = "/api/"


@requires_csrf_token
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400. Nothing of the exception is shown: it may quote what was sent."""
    return _answer(request, HTTPStatus.BAD_REQUEST, "400.html")


@requires_csrf_token
def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403, with the exception's own sentence ("You can't do that in Acme.") where it has one."""
    return _answer(request, HTTPStatus.FORBIDDEN, "403.html", reason=str(exception))


@requires_csrf_token
def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404. The path isn't repeated: it may be a pasted key."""
    return _answer(request, HTTPStatus.NOT_FOUND, "404.html")


@requires_csrf_token
def too_many_requests(request: HttpRequest) -> HttpResponse:
    """Answer 429: django-allauth's limits of sign-in, password and re-authentication."""
    return _answer(request, HTTPStatus.TOO_MANY_REQUESTS, "429.html")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 with the request's id. Neither the database nor the session is asked: they may be why.

    503 where the error is that one of them is away: it comes back by itself.
    """
    error = sys.exc_info()[1]
    if error is not None and is_outage(error):
        return _unavailable(request, error)
    reference = getattr(request, "id", "")
    if request.path.startswith(_API):
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, f"Reference {reference}.")
    page = render_to_string("500.html", {"reference": reference, "stylesheets": _stylesheets()})
    return HttpResponse(page, status=HTTPStatus.INTERNAL_SERVER_ERROR)


def _unavailable(request: HttpRequest, error: BaseException) -> HttpResponse:
    away = what_is_away(error)
    log.error("The %s doesn't answer: %s", away, " ".join(str(error).split()) or type(error).__name__)
    response: HttpResponse
    if request.path.startswith(_API):
        # As keys.problems has it for the API's own calls.
        response = _problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Keyrack can't reach what it needs. Nothing was decided; try again.",
            kind="urn:keyrack:problem:unavailable",
        )
    else:
        page = render_to_string("503.html", {"stylesheets": _stylesheets()})
        response = HttpResponse(page, status=HTTPStatus.SERVICE_UNAVAILABLE)
    response["Retry-After"] = str(RETRY_AFTER)
    response["Cache-Control"] = "no-store"
    # One line is enough: Django would add a traceback for each request of an outage.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _answer(request: HttpRequest, status: HTTPStatus, template: str, *, reason: str = "") -> HttpResponse:
    if request.path.startswith(_API):
        return _problem(status, reason)
    return render(request, template, {"reason": reason}, status=status)


def _stylesheets() -> list[str]:
    try:
        return [static("css/tokens.css"), static("css/console.css")]
    except ValueError:
        # The static files weren't collected, which may be the very error.
        return []


def _problem(status: HTTPStatus, detail: str, *, kind: str = "about:blank") -> HttpResponse:
    """A problem document (RFC 9457)."""
    body = {"type": kind, "title": status.phrase, "status": status.value}
    return JsonResponse(
        body | ({"detail": detail} if detail else {}),
        status=status,
        content_type="application/problem+json",
        headers={"Cache-Control": "no-store"},
    )
