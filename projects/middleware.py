"""Where a member is led who needs a second factor and has none."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django_htmx.http import HttpResponseClientRedirect

from config.fragments import is_fragment, way_back
from projects.access import SecondFactorMissing

GetResponse = Callable[[HttpRequest], HttpResponse]


class SecondFactorMiddleware:
    """Leads to the page where a second factor is set up, whichever page of the project was asked for.

    The door (`projects.access`) says when. A fragment isn't answered with that page, which would be swapped
    into a dialog or a table: htmx leaves for it.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, SecondFactorMissing):
            return None
        url = f"{reverse('second_factor')}?{urlencode({'next': way_back(request)})}"
        if is_fragment(request):
            return HttpResponseClientRedirect(url)
        return HttpResponseRedirect(url, status=303 if request.method == "POST" else 302)
