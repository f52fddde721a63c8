"""The view that does nothing."""

from django.http import HttpRequest, HttpResponse
from django.urls import path


def empty(_request: HttpRequest) -> HttpResponse:
    # Django's own answer: the framework's would be rendered first.
    return HttpResponse(b"")


urlpatterns = [path("empty", empty)]
