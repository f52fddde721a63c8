"""The two ways to `authorize` and `introspect`: the gate in front of Django, and Django's own view."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from config.requests import Handler
from keys.gate import Gate

AUTHORIZE: Final = "/api/v1/authorize"


@dataclass(frozen=True)
class Heard:
    """What a WSGI application answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> tuple[int, bytes, dict[str, str]]:
        """What must be the same whichever way it came: not the request's id, nor what is for browsers."""
        told = {name: value for name, value in self.headers.items() if name not in _NOT_TOLD}
        return self.status, self.body, told


_NOT_TOLD: Final = frozenset(
    {
        "X-Request-Id", "Content-Security-Policy", "Cross-Origin-Opener-Policy", "Referrer-Policy", "Vary",
        "Set-Cookie", "X-Content-Type-Options", "X-Frame-Options",
    }
)  # fmt: skip

Ask = Callable[..., Heard]


def asking(application: Any) -> Ask:
    """Return a function that asks a WSGI application, as a server would."""

    def ask(
        path: str = AUTHORIZE,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        body: bytes = b"",
        peer: str = "127.0.0.1",
        host: str = "localhost",
        length: str | None = None,
    ) -> Heard:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "REMOTE_ADDR": peer,
            "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": host,
            "wsgi.input": io.BytesIO(body), "wsgi.url_scheme": "http", "wsgi.version": (1, 0),
            "wsgi.errors": io.StringIO(), "wsgi.multithread": True, "wsgi.multiprocess": False,
            "wsgi.run_once": False, "CONTENT_LENGTH": length or (str(len(body)) if body else ""),
        }  # fmt: skip
        for name, value in (headers or {}).items():
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        heard: list[Any] = []
        answer = application(environ, lambda status, given, exc_info=None: heard.extend((status, given)))
        # No server sends what follows the headers of an answer to HEAD.
        content = b"" if method.upper() == "HEAD" else b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        status, given = heard
        return Heard(int(status.split()[0]), dict(given), content)

    return ask


def slow() -> Ask:
    """Django alone, with all its middleware."""
    return asking(Handler())


def fast() -> Ask:
    """The gate, behind which Django must not be asked."""

    def nobody(environ: Any, start_response: Any) -> Any:
        raise AssertionError(f"{environ['PATH_INFO']} went on to Django")

    return asking(Gate(nobody))
