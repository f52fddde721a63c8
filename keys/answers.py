"""What a verdict becomes on the wire: status, headers and problem body, shared by every surface.

Problem details are RFC 9457's, `WWW-Authenticate` is RFC 6750's (section 3).
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import HttpResponse

from keys.verification import Outcome, Verdict

REALM: Final = 'Bearer realm="keyrack"'

_TITLES: Final = {
    Outcome.MALFORMED: "Not an API key",
    Outcome.UNKNOWN: "Unknown API key",
    Outcome.REVOKED: "API key revoked",
    Outcome.EXPIRED: "API key expired",
    Outcome.PAUSED: "API key paused",
    Outcome.WRONG_ENVIRONMENT: "Wrong environment",
    Outcome.SCOPE_MISSING: "Scope missing",
}
_DETAILS: Final = {
    Outcome.MALFORMED: "The token is malformed or mistyped.",
    Outcome.UNKNOWN: "No key with this token exists here.",
    Outcome.REVOKED: "The key was revoked.",
    Outcome.EXPIRED: "The key has expired.",
    Outcome.PAUSED: "The key is paused.",
    Outcome.WRONG_ENVIRONMENT: "The key belongs to another environment.",
    Outcome.SCOPE_MISSING: "The key doesn't have the scope that this needs.",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """An RFC 9457 problem: its type is `urn:keyrack:problem:<code>`, stable across deployments."""

    status: int
    code: str
    title: str
    detail: str
    headers: dict[str, str] = field(default_factory=dict)
    members: dict[str, Any] = field(default_factory=dict)

    def response(self) -> HttpResponse:
        body = {
            "type": f"urn:keyrack:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        return json_response(
            body, status=self.status, headers=self.headers, content_type="application/problem+json"
        )


NO_CREDENTIALS: Final = Problem(
    401, "no-credentials", "API key needed",
    "Present a key as `Authorization: Bearer …` or `X-API-Key: …`.",
    {"WWW-Authenticate": REALM},
)  # fmt: skip
TWO_CREDENTIALS: Final = Problem(
    400, "two-credentials", "Two different keys", "Present one key, not two different ones.",
    {"WWW-Authenticate": f'{REALM}, error="invalid_request"'},
)  # fmt: skip
TOKEN_IN_QUERY: Final = Problem(
    400, "token-in-query", "Key in the URL",
    "A key in a URL ends up in logs and histories: send it in a header, and revoke this one.",
    {"WWW-Authenticate": f'{REALM}, error="invalid_request"'},
)  # fmt: skip
UNAVAILABLE: Final = Problem(
    503, "unavailable", "Keyrack can't check keys now",
    "The database doesn't answer. Nothing was decided; try again.",
    {"Retry-After": "1"},
)  # fmt: skip


def problem_of(verdict: Verdict) -> Problem:
    """Return the problem that a refusal is answered with; not for a valid verdict."""
    outcome = verdict.outcome
    detail = _DETAILS[outcome]
    if outcome is Outcome.SCOPE_MISSING:
        challenge = f'{REALM}, error="insufficient_scope", scope="{verdict.missing}"'
        return Problem(
            403, outcome, _TITLES[outcome], detail, {"WWW-Authenticate": challenge},
            {"scope": verdict.missing},
        )  # fmt: skip
    challenge = f'{REALM}, error="invalid_token", error_description="{detail}"'
    return Problem(401, outcome, _TITLES[outcome], detail, {"WWW-Authenticate": challenge})


def json_response(
    body: dict[str, Any],
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    content_type: str = "application/json",
) -> HttpResponse:
    """Return `body` as JSON that no cache keeps."""
    response = HttpResponse(
        json.dumps(body, ensure_ascii=False).encode(), status=status, content_type=content_type
    )
    for name, value in (headers or {}).items():
        response[name] = value
    response["Cache-Control"] = "no-store"
    return response
