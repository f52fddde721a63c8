"""What a verdict becomes on the wire: status, headers and problem body, shared by every surface.

Problem details are RFC 9457's, `WWW-Authenticate` is RFC 6750's (section 3).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.http import HttpResponse

from keys import problems
from keys.problems import ProblemType
from keys.throttles import Window
from keys.verification import Outcome, Verdict

PROBLEM_JSON: Final = "application/problem+json"
REALM: Final = 'Bearer realm="keyrack"'

# More than these help nobody, and a body can have thousands of unknown members.
_ERRORS_TOLD: Final = 20

_OF_OUTCOME: Final = {
    Outcome.MALFORMED: problems.MALFORMED,
    Outcome.UNKNOWN: problems.UNKNOWN,
    Outcome.REVOKED: problems.REVOKED,
    Outcome.EXPIRED: problems.EXPIRED,
    Outcome.PAUSED: problems.PAUSED,
    Outcome.WRONG_ENVIRONMENT: problems.WRONG_ENVIRONMENT,
    Outcome.NETWORK_NOT_ALLOWED: problems.NETWORK_NOT_ALLOWED,
    Outcome.WRONG_CHANNEL: problems.WRONG_CHANNEL,
    Outcome.RATE_LIMITED: problems.RATE_LIMITED,
    Outcome.SCOPE_MISSING: problems.SCOPE_MISSING,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """An RFC 9457 problem of one of the types in `keys.problems`."""

    type: ProblemType
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str:
        return self.type.code

    @property
    def status(self) -> int:
        return self.type.status

    def document(self) -> dict[str, Any]:
        """Return the problem document."""
        about = {"type": self.type.urn, "title": self.type.title, "status": self.status}
        return {**about, "detail": self.detail, **self.members}

    def response(self) -> HttpResponse:
        return json_response(
            self.document(), status=self.status, headers=self.headers, content_type=PROBLEM_JSON
        )

    def wire(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body, for an answer without Django."""
        headers = {**self.headers, "Content-Type": PROBLEM_JSON, "Cache-Control": "no-store"}
        return self.status, headers, json.dumps(self.document(), ensure_ascii=False).encode()


def problem(
    kind: ProblemType, *, headers: Mapping[str, str] | None = None, members: Mapping[str, Any] | None = None
) -> Problem:
    """Return the problem of a type whose `detail` is always the same."""
    return Problem(kind, kind.says, headers or {}, members or {})


_INVALID_REQUEST: Final = {"WWW-Authenticate": f'{REALM}, error="invalid_request"'}

NO_CREDENTIALS: Final = problem(problems.NO_CREDENTIALS, headers={"WWW-Authenticate": REALM})
TWO_CREDENTIALS: Final = problem(problems.TWO_CREDENTIALS, headers=_INVALID_REQUEST)
TOKEN_IN_QUERY: Final = problem(problems.TOKEN_IN_QUERY, headers=_INVALID_REQUEST)
_RETRY: Final = {"Retry-After": "1"}
UNAVAILABLE: Final = problem(problems.UNAVAILABLE, headers=_RETRY)
UNCOUNTED: Final = Problem(
    problems.UNAVAILABLE, "The key has a rate limit, which can't be counted now. Try again.", _RETRY
)
UPSTREAM_UNUSABLE: Final = problem(problems.UPSTREAM_UNUSABLE)
NO_SUCH_KEY: Final = problem(problems.NOT_FOUND)
LENGTH_REQUIRED: Final = problem(problems.LENGTH_REQUIRED)
TOO_LARGE: Final = problem(problems.TOO_LARGE)


def method_not_allowed(allowed: str) -> Problem:
    return Problem(problems.METHOD_NOT_ALLOWED, f"Use {allowed}.", {"Allow": allowed})


def unsupported_type(content_type: str) -> Problem:
    return Problem(problems.UNSUPPORTED_TYPE, f"Send {content_type}.")


def ambiguous(detail: str) -> Problem:
    """A client's request that two servers could read in two ways."""
    return Problem(problems.AMBIGUOUS, detail)


def gateway_needed(why: str = "") -> Problem:
    """An upstream that is asked for by somebody who isn't known to be a gateway."""
    detail = f"{problems.GATEWAY_NEEDED.says} {why}" if why else problems.GATEWAY_NEEDED.says
    return Problem(problems.GATEWAY_NEEDED, detail)


def bad_body(detail: str) -> Problem:
    return Problem(problems.BAD_BODY, detail)


def invalid_request(description: str) -> Problem:
    """A form that can't be understood, with the `error` that OAuth clients read (RFC 6749, 5.2)."""
    return _oauth(problems.INVALID_REQUEST, description)


def unsupported_token(description: str) -> Problem:
    """A token that can't be revoked this way (RFC 7009, section 2.2.1)."""
    return _oauth(problems.UNSUPPORTED_TOKEN_TYPE, description)


def _oauth(kind: ProblemType, description: str) -> Problem:
    members = {"error": kind.code.replace("-", "_"), "error_description": description}
    return Problem(kind, description, members=members)


def invalid(error: ValidationError) -> Problem:
    """A verb's refusal of what was asked, by member."""
    by_member = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    return invalid_members([(name, text) for name, texts in by_member.items() for text in texts])


def invalid_members(wrong: Sequence[tuple[str, str]]) -> Problem:
    """A body whose members are wrong; each is named, with what is wrong."""
    return _named(problems.INVALID, wrong)


def invalid_parameters(wrong: Sequence[tuple[str, str]]) -> Problem:
    """A query or header that is wrong; each parameter is named, with what is wrong."""
    return _named(problems.INVALID_PARAMETER, wrong)


def _named(kind: ProblemType, wrong: Sequence[tuple[str, str]]) -> Problem:
    told = wrong[:_ERRORS_TOLD]
    detail = " ".join(f"{name}: {text}" if name else text for name, text in told)
    return Problem(
        kind, detail, members={"errors": [{"member": name, "detail": text} for name, text in told]}
    )


def beyond_bounds(detail: str) -> Problem:
    """A key that asks for more than it has."""
    return Problem(problems.BEYOND_BOUNDS, detail)


def problem_of(verdict: Verdict) -> Problem:
    """Return the problem that a refusal is answered with; not for a valid verdict."""
    kind = _OF_OUTCOME[verdict.outcome]
    if kind is problems.SCOPE_MISSING:
        challenge = f'{REALM}, error="insufficient_scope", scope="{verdict.missing}"'
        return problem(kind, headers={"WWW-Authenticate": challenge}, members={"scope": verdict.missing})
    if kind is problems.RATE_LIMITED:
        return problem(kind, headers=_rate_headers(verdict.window))
    if kind.status == 403:
        return problem(kind)
    challenge = f'{REALM}, error="invalid_token", error_description="{kind.says}"'
    return problem(kind, headers={"WWW-Authenticate": challenge})


def _rate_headers(window: Window | None) -> Mapping[str, str]:
    """Return what tells a client how often it may come (draft-ietf-httpapi-ratelimit-headers)."""
    if window is None:
        return {"Retry-After": "1"}
    return {
        "Retry-After": str(window.resets_in),
        "RateLimit-Policy": f'"default";q={window.rate.count};w={window.rate.seconds}',
        "RateLimit": f'"default";r={window.remaining};t={window.resets_in}',
    }


def json_response(
    body: Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
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
