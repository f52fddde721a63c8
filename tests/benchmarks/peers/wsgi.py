"""The WSGI application of the peers."""

from typing import Any


def application() -> Any:
    from django.core.handlers.wsgi import WSGIHandler

    return WSGIHandler()
