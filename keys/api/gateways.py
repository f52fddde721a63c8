"""`GET /api/v1/authorize`: forward authorisation, for gateways that ask before they let a request through."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from pydantic import BaseModel, ConfigDict, Field

from keys import problems
from keys.api.operations import About, Operation
from keys.api.requests import self_reliant
from keys.authorization import authorize as answer


class AuthorizeQuery(BaseModel):
    """What the gateway asks. `keys.authorization` reads it: this is for the document alone."""

    model_config = ConfigDict(extra="forbid")

    project: str = Field(description="The slug of the project whose keys may pass.", examples=["acme"])
    resource: str = Field(
        default="", description="With `action`, or the method, a scope.", examples=["sources"]
    )
    action: str = Field(
        default="", description="Left out, it follows the method: read, write or delete.", examples=["read"]
    )
    method: str = Field(
        default="",
        description="The method of the request in question, where the gateway can write it here; else"
        " `X-Original-Method` or `X-Forwarded-Method` tells it.",
        examples=["GET"],
    )
    scope: list[str] = Field(
        default=[],
        description="A further scope that the key must have; once for each.",
        examples=[["chat:send"]],
    )
    channel: str = Field(
        default="", description="The slug of the channel that is guarded.", examples=["support"]
    )
    environment: str = Field(default="live", description="`live` or `test`.", examples=["live"])
    upstream: str = Field(
        default="",
        description="The name of an upstream: the answer brings what to call it with. The key needs"
        " `providers:use`, and the gateway one of its own in `X-Keyrack-Gateway`.",
        examples=["openai"],
    )
    throttle: str = Field(
        default="",
        description="`403` to be answered so where a rate is exceeded, and not 429.",
        examples=["403"],
    )


def authorize(request: HttpRequest) -> HttpResponse:
    reply = answer(request.META, getattr(request, "client_address", None), timezone.now())
    response = HttpResponse(reply.body, status=reply.status)
    del response["Content-Type"]
    for name, value in reply.headers:
        response[name] = value
    return response


IDENTITY: tuple[str, ...] = (
    "X-Keyrack-Key-Id", "X-Keyrack-Key-Name", "X-Keyrack-Type", "X-Keyrack-Project",
    "X-Keyrack-Environment", "X-Keyrack-Scopes", "X-Keyrack-Channel",
)  # fmt: skip
UPSTREAM: tuple[str, ...] = (
    "X-Keyrack-Upstream-Url", "X-Keyrack-Upstream-Authorization", "X-Keyrack-Upstream-X-Api-Key",
    "X-Keyrack-Upstream-X-Goog-Api-Key", "X-Keyrack-Upstream-Api-Key",
)  # fmt: skip

_AUTHORIZE = About(
    "authorize", "Ask whether a request may pass (forward authorisation)",
    "For nginx, Caddy, Traefik and their like. The gateway sends the client's headers along, and lets the"
    " request through where the answer is 200; its headers say whose key it was. A gateway that asks wrongly"
    " gets 400; what its client causes is 401, 403 or 429 alone.",
    Any, "The request may pass. With `upstream`, what to call it with; a header that its provider doesn't use"
    " is empty.",
    query=AuthorizeQuery, takes=("X-Original-Method", "X-Forwarded-Method", "X-Keyrack-Gateway"),
    gives=IDENTITY, may_give=UPSTREAM, empty=True, any_key=True,
    problems=(
        problems.WRONG_ENVIRONMENT, problems.WRONG_CHANNEL, problems.SCOPE_MISSING, problems.AMBIGUOUS,
        problems.GATEWAY_NEEDED, problems.DENIED, problems.UPSTREAM_UNUSABLE,
    ),
    # Two keys are the client's doing here.
    never=(problems.TWO_CREDENTIALS,),
)  # fmt: skip

authorize_view = self_reliant(GET=Operation(authorize, _AUTHORIZE))
