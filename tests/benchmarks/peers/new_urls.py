"""The one view of a new project, guarded by the default permission."""

from django.urls import path
from rest_framework.decorators import api_view

from tests.benchmarks.peers.plain import empty

urlpatterns = [path("api-key", api_view(["GET"])(lambda request: empty(request)))]
