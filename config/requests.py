"""Requests as Keyrack reads them, and Django's handler that makes them."""

from collections.abc import Mapping
from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters


class Request(WSGIRequest):
    """A request whose text is UTF-8, whatever its Content-Type declares.

    Django would read forms with any codec of Python's (`charset=hex` among them), and already reads the query
    where the request is made, which is before anything answers an error: a client could cause a 500.
    """

    def _set_content_type_params(self, meta: Mapping[str, Any]) -> None:
        kind = str(meta.get("CONTENT_TYPE", ""))
        self.content_type, self.content_params = parse_header_parameters(kind)


class Handler(WSGIHandler):
    """Django as a WSGI application, with these requests."""

    request_class = Request
