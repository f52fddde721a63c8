"""Calls of the JSON API. Each answer is held to what is true of every answer."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from django.test import Client

from keys import problems

TOKEN: Final = re.compile(r"kr_(live|test)_[0-9A-Za-z]{13,}")
FORM: Final = "application/x-www-form-urlencoded"
KEYS: Final = "/api/v1/keys"

_TYPES: Final = {kind.urn: kind for kind in problems.ALL}


@dataclass(frozen=True)
class Answer:
    """What the API answered: held to the promises when it comes in."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> str:
        """The code of the problem, "" where it is none."""
        kind: str = self.body.get("type", "") if self.status >= 400 else ""
        return kind.removeprefix(problems.URN)

    @property
    def wrong(self) -> dict[str, str]:
        """What is wrong, by member."""
        return {each["member"]: each["detail"] for each in self.body["errors"]}


@dataclass(frozen=True)
class Api:
    """The API with one key, or with none."""

    token: str = ""
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def get(self, path: str, query: dict[str, Any] | None = None, **headers: str) -> Answer:
        return self._answer(self.client.get(path, query, headers=self._headers(headers)))

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.send("POST", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.send("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Answer:
        return self.send("DELETE", path, **headers)

    def form(self, path: str, data: str | bytes = "", **headers: str) -> Answer:
        return self.send("POST", path, data, content_type=FORM, **headers)

    def send(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", **headers: str
    ) -> Answer:
        """Send what isn't text or bytes already as JSON."""
        raw = body if isinstance(body, str | bytes) else "" if body is None else json.dumps(body)
        response = self.client.generic(
            method, path, raw, content_type=content_type, headers=self._headers(headers)
        )
        return self._answer(response)

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        own = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return own | {name.replace("_", "-"): value for name, value in more.items()}

    def _answer(self, response: Any) -> Answer:
        text = response.content.decode()
        answer = Answer(response.status_code, dict(response.headers), json.loads(text) if text else None)
        _hold(answer, text)
        return answer


def _hold(answer: Answer, text: str) -> None:
    """Assert what every answer promises: no cache keeps it, no token is echoed, a problem is a known one."""
    assert answer.status < 500 or answer.code == "unavailable", text
    assert answer.headers["Cache-Control"] == "no-store"
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-Id"])
    said = answer.body
    if answer.status < 400:
        # A gateway is answered by headers alone, as HEAD is.
        kinds = {"application/json"} if text else {"application/json", None}
        assert answer.headers.get("Content-Type") in kinds
        said = {name: value for name, value in (said or {}).items() if name != "token"}
    elif said is not None:
        _hold_problem(answer)
    assert not TOKEN.search(json.dumps(said))
    assert not TOKEN.search(json.dumps(answer.headers))


def _hold_problem(answer: Answer) -> None:
    assert answer.headers["Content-Type"] == "application/problem+json"
    kind = _TYPES[answer.body["type"]]
    assert (answer.status, answer.body["status"]) == (kind.status, kind.status)
    assert answer.body["title"] == kind.title
    assert answer.body["detail"]
    challenged = "WWW-Authenticate" in answer.headers
    assert challenged or answer.status != 401
