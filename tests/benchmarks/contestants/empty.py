"""A Django view that answers 200 and nothing, without middleware: what Django itself costs."""

import io
from collections.abc import Callable, Sequence

from tests.benchmarks.peers.wsgi import application

__all__ = ["application", "checking", "seed"]


def seed(_keys: int, chosen: int) -> Sequence[str]:
    return ["none"] * chosen


def checking() -> Callable[[str], object]:
    django = application()
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/empty", "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
    }  # fmt: skip

    def check(_token: str) -> None:
        answer = django(dict(environ), lambda *_: None)
        if answer.status_code != 200:
            raise AssertionError(answer.status_code)
        answer.close()

    return check
