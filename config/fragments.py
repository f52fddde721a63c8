"""Pages and their fragments: the one place that knows htmx.

Every URL works alone: without htmx it answers a page, with htmx a partial of that same page, rendered
with the same context. `Vary: HX-Request` stands wherever the two differ.
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from django.contrib import messages
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect

from config.redaction import holds_token


def is_fragment(request: HttpRequest) -> bool:
    """Say whether htmx asks for a part of the page (and not for a whole one, as it restores history)."""
    return (
        request.headers.get("HX-Request") == "true"
        and request.headers.get("HX-Boosted") != "true"
        and request.headers.get("HX-History-Restore-Request") != "true"
    )


def answer(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    partial: str,
    status: int = 200,
) -> HttpResponse:
    """Return the page `template`, or with htmx its partial alone."""
    fragment = is_fragment(request)
    name = f"{template}#{partial}" if fragment else template
    response = render(request, name, {**context, "fragment": fragment}, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def see_other(request: HttpRequest, url: str, message: str = "") -> HttpResponse:
    """Return a redirect after a POST (303), with a message that the next page shows."""
    if message:
        messages.success(request, message)
    return HttpResponseRedirect(url, status=303)


def into(response: HttpResponse, target: str) -> HttpResponse:
    """Have htmx put a fragment into `target` (a CSS selector), whatever the link or form asked for."""
    response["HX-Retarget"] = target
    response["HX-Reswap"] = "innerHTML"
    return response


def then(response: HttpResponse, **events: dict[str, str]) -> HttpResponse:
    """Have the page receive `keyrack:<event>` once htmx has settled the fragment."""
    response["HX-Trigger-After-Settle"] = json.dumps(
        {f"keyrack:{name}": detail for name, detail in events.items()}
    )
    return response


def current_query(request: HttpRequest, path: str) -> str:
    """Return the query of the page that htmx asks from, where that page is `path`; else nothing."""
    return urlsplit(request.headers.get("HX-Current-URL", "")).query if current_path(request) == path else ""


def current_path(request: HttpRequest) -> str:
    """Return the path of the page that htmx asks from; "" where it doesn't say."""
    return urlsplit(request.headers.get("HX-Current-URL", "")).path


def go_to(request: HttpRequest, url: str, message: str = "") -> HttpResponse:
    """Have htmx leave for a whole page, which shows the message; an open dialog closes before."""
    if message:
        messages.success(request, message)
    response: HttpResponse = HttpResponseClientRedirect(url)
    response["HX-Trigger"] = json.dumps({"keyrack:close": {}})
    return response


def way_back(request: HttpRequest) -> str:
    """Return the address to come back to: after the sign-in, or after what else must be done first.

    It enters the address of the page in between, which is no place for a pasted key or an invitation's
    token; and what was posted can't be asked for by GET. For a fragment it is the page that asks for it.
    """
    if is_fragment(request):
        address = current_path(request)
    else:
        address = request.get_full_path() if request.method in ("GET", "HEAD") else ""
    return "/" if holds_token(unquote(address)) else address or "/"


class SignedInMiddleware(LoginRequiredMiddleware):
    """Every view needs a person signed in, unless it is marked `login_not_required`.

    A fragment is never answered with the sign-in page: it would be swapped into a dialog or a table.
    """

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        # Before who is signed in is asked for: the session isn't read for a call of the API, and its answer
        # doesn't vary by cookie.
        if not getattr(view_func, "login_required", True):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponse:
        if not is_fragment(request):
            return redirect_to_login(way_back(request))
        response = render(request, "partials/signed_out.html", status=401)
        patch_vary_headers(response, ["HX-Request"])
        return into(response, "#dialog-notice")
