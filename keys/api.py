"""The JSON API. A session opens none of it: a key does."""

from datetime import datetime

from django.contrib.auth.decorators import login_not_required
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from config.redaction import holds_token
from keys import answers
from keys.verification import Facts, check
from projects.models import Resource


@csrf_exempt
@login_not_required
def whoami(request: HttpRequest) -> HttpResponse:
    """`GET /api/v1/whoami`: what the presented key is and may do, in whatever environment."""
    if request.method not in ("GET", "HEAD"):
        return _method_not_allowed("GET, HEAD")
    if any(holds_token(value) for values in request.GET.lists() for value in values[1]):
        return answers.TOKEN_IN_QUERY.response()
    try:
        presented = presented_token(request)
    except TwoTokens:
        return answers.TWO_CREDENTIALS.response()
    if presented is None:
        return answers.NO_CREDENTIALS.response()
    try:
        return _whoami(presented, timezone.now())
    except (OperationalError, InterfaceError):
        connection.close()
        return answers.UNAVAILABLE.response()


class TwoTokens(Exception):
    """A request that presents two different tokens; which one is meant can't be told."""


def presented_token(request: HttpRequest) -> str | None:
    """Return the token that a request presents, None where it presents none.

    `Authorization: Bearer …` (RFC 6750, section 2.1; the scheme in any case) or `X-API-Key: …`.
    Raises TwoTokens for two that differ.
    """
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    tokens = {bearer.strip()} if scheme.lower() == "bearer" else set()
    tokens.add(request.headers.get("X-API-Key", "").strip())
    tokens.discard("")
    if len(tokens) > 1:
        raise TwoTokens
    return tokens.pop() if tokens else None


def _whoami(presented: str, at: datetime) -> HttpResponse:
    verdict = check(presented, at=at, environment=None)
    if not verdict.is_valid or verdict.facts is None:
        return answers.problem_of(verdict).response()
    return answers.json_response(_described(verdict.facts))


def _described(facts: Facts) -> dict[str, object]:
    resources = Resource.objects.filter(project_id=facts.project_id)
    catalogue = [scope for resource in resources for scope in resource.scopes()]
    return {
        "key_id": facts.key_id,
        "name": facts.name,
        "type": facts.type,
        "environment": facts.environment,
        "project": facts.project,
        "scopes": facts.grant.listed(catalogue),
        "created_at": _timestamp(facts.created_at),
        "expires_at": _timestamp(facts.expires) if facts.expires else None,
    }


def _timestamp(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _method_not_allowed(allowed: str) -> HttpResponse:
    return answers.Problem(
        405, "method-not-allowed", "Method not allowed", f"Use {allowed}.", {"Allow": allowed}
    ).response()
