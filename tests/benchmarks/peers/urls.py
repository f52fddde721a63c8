"""A view for each peer: whoever has a key is answered 200 and nothing."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path
from knox.auth import TokenAuthentication as KnoxAuthentication
from rest_framework.authentication import TokenAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework_api_key.permissions import HasAPIKey

from tests.benchmarks.peers.plain import empty


def _guarded(permission: Any, *authentication: Any) -> Any:
    def view(request: HttpRequest) -> HttpResponse:
        return empty(request)

    return api_view(["GET"])(permission_classes([permission])(authentication_classes(authentication)(view)))


urlpatterns = [
    path("empty", empty),
    path("api-key", _guarded(HasAPIKey)),
    path("knox", _guarded(IsAuthenticated, KnoxAuthentication)),
    path("drf-token", _guarded(IsAuthenticated, TokenAuthentication)),
]
