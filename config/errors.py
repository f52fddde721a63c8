"""The answers to what no view answers: a page of our own, and a problem document under /api/."""

from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.views.decorators.csrf import requires_csrf_token

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
    """Answer 500 with the request's id. Neither the database nor the session is asked: they may be why."""
    reference = getattr(request, "id", "")
    if request.path.startswith(_API):
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, f"Reference {reference}.")
    page = render_to_string("500.html", {"reference": reference, "stylesheets": _stylesheets()})
    return HttpResponse(page, status=HTTPStatus.INTERNAL_SERVER_ERROR)


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


def _problem(status: HTTPStatus, detail: str) -> HttpResponse:
    """A problem document (RFC 9457)."""
    body = {"type": "about:blank", "title": status.phrase, "status": status.value}
    return JsonResponse(
        body | ({"detail": detail} if detail else {}),
        status=status,
        content_type="application/problem+json",
        headers={"Cache-Control": "no-store"},
    )
