"""What happens to every request before Django's own middleware, and to whoever must change a password."""

import secrets
import time
from collections.abc import Callable
from typing import Any, Final, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django_htmx.http import HttpResponseClientRedirect

from config.addresses import client_address, comes_from_proxy
from config.fragments import way_back
from config.logs import access_line, request_id
from config.redaction import holds_token

GetResponse = Callable[[HttpRequest], HttpResponse]

# Where somebody may go who must first change the password. The JSON API knows keys, not people.
_OPEN_VIEWS: Final = frozenset({"account_change_password", "account_logout"})


class KeyrackRequest(HttpRequest):
    """The attributes that the outermost middleware sets, for type checking."""

    id: str
    client_address: str | None


class RequestMiddleware:
    """Gives each request an id and the client's address, and writes one line about it to the log.

    The line has the path without the query string, where people paste things. An id that the client
    sends is ignored: it could be anything, and would be written to the log.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        known = _identify(request)
        mark = request_id.set(known.id)
        try:
            response = self.get_response(request)
            response["X-Request-Id"] = known.id
            _keep_address(known, response)
            seconds = time.perf_counter() - started
            access_line(known.method, known.path, response.status_code, seconds, known.client_address)
            return response
        finally:
            request_id.reset(mark)


def _identify(request: HttpRequest) -> KeyrackRequest:
    proxies = settings.KEYRACK_TRUSTED_PROXIES
    known = cast("KeyrackRequest", request)
    known.id = secrets.token_hex(8)
    known.client_address = client_address(request.META, proxies)
    if not comes_from_proxy(request.META, proxies):
        # Else whoever reaches Keyrack directly could pass off plain HTTP as HTTPS.
        request.META.pop("HTTP_X_FORWARDED_PROTO", None)
    return known


def _keep_address(request: HttpRequest, response: HttpResponse) -> None:
    """Where the address holds a secret (an invitation's), have no browser repeat it as a Referer.

    Not even to Keyrack, as the policy of all other pages allows: a proxy in between may log it. What is left
    is the origin, which Django's check of forms needs. Error pages too, so no view can see to it.
    """
    if holds_token(request.path):
        response["Referrer-Policy"] = "strict-origin"


class MustChangePasswordMiddleware:
    """Leads whoever signed in with an invented password to the page where it is changed."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, _view: Any, _args: Any, _kwargs: Any) -> HttpResponse | None:
        if not _must_change(request):
            return None
        url = reverse("account_change_password")
        if getattr(request, "htmx", False):
            return HttpResponseClientRedirect(url)
        if request.method == "GET":
            url += "?" + urlencode({"next": way_back(request)})
        return HttpResponseRedirect(url)


def _must_change(request: HttpRequest) -> bool:
    match = request.resolver_match
    if match is None or match.view_name in _OPEN_VIEWS or request.path.startswith("/api/"):
        return False
    # Without the cookie nobody is signed in; asking would open the session for nothing.
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return False
    return bool(getattr(request.user, "must_change_password", False))
