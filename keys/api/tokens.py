"""What can be asked of a token: what it is (whoami, introspection), and to end it (revocation)."""

from datetime import datetime
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from config.addresses import NO_PROXIES, client_address
from keys import answers, conflicts, lifecycle, problems
from keys.api.operations import About, Operation
from keys.api.parsing import form
from keys.api.requests import Call, Refused, called_from, keyed, presented_token, public
from keys.api.schemas import IntrospectedToken, PresentedToken
from keys.bodies import Active, Empty, Identity, Inactive
from keys.descriptions import identity
from keys.models import Key
from keys.permissions import KeyActor
from keys.sources import Source
from keys.verification import Facts, check
from projects.models import Project

_REVOKED_BY_HOLDER: Final = "Revoked by whoever held it."


def whoami(request: HttpRequest) -> HttpResponse:
    """`GET /api/v1/whoami`: what the presented key is and may do, in whatever environment."""
    presented = presented_token(request)
    if presented is None:
        return answers.NO_CREDENTIALS.response()
    source = called_from(request)
    verdict = check(presented, at=timezone.now(), environment=None, channel=None, source=source)
    if not verdict.is_valid or verdict.facts is None:
        return answers.problem_of(verdict).response()
    return answers.json_response(identity(verdict.facts))


def introspect(call: Call) -> HttpResponse:
    """`POST /api/v1/introspect` (RFC 7662): what a token is, for a service that was presented it.

    A token that isn't good, or not of the caller's project, is `{"active": false}` and nothing more
    (section 2.2); a test key learns nothing of live ones. `token_type_hint` binds nothing (2.1).
    """
    asked = form(call.request, IntrospectedToken)
    # Without `client_ip` it isn't known where the client of the one who asks is.
    source = Source(_address(asked.client_ip))
    verdict = check(
        asked.token, at=call.at, project=call.project.slug, environment=None, channel=None, source=source
    )
    facts = verdict.facts
    blind = facts is not None and call.key.environment == "test" != facts.environment
    if not verdict.is_valid or facts is None or blind:
        return answers.json_response(Inactive(active=False))
    return answers.json_response(_introspected(facts, call.project))


def revoke(request: HttpRequest) -> HttpResponse:
    """`POST /api/v1/revoke` (RFC 7009): whoever holds a token can end it.

    200 whether the token was known or not (section 2.2). The Automator Key is refused, so that nobody
    thinks it dead.
    """
    token, at = form(request, PresentedToken).token, timezone.now()
    # No use of the key: one that was used too often, or that can't be counted now, ends as well.
    verdict = check(token, at=at, environment=None, channel=None, counted=False, throttled=False)
    if verdict.facts is None:
        return answers.json_response(Empty())
    key = Key.objects.select_related("project", "channel").get(key_id=verdict.facts.key_id)
    actor = KeyActor.acting(key, getattr(request, "client_address", None))
    try:
        lifecycle.revoke(key.project, key.key_id, actor=actor, at=at, reason=_REVOKED_BY_HOLDER)
    except conflicts.Protected as protected:
        return answers.unsupported_token(str(protected)).response()
    except conflicts.AlreadyRevoked:
        pass
    return answers.json_response(Empty())


def _introspected(facts: Facts, project: Project) -> Active:
    members: Active = {
        "active": True,
        "scope": " ".join(facts.grant.listed(project.scopes())),
        "client_id": facts.key_id,
        "sub": facts.key_id,
        "token_type": "Bearer",
        "iat": _seconds(facts.created_at),
        "jti": facts.key_id,
        "project": facts.project,
        "type": facts.type,
        "environment": facts.environment,
        "channel": facts.channel,
        "name": facts.name,
    }
    if facts.expires:
        members["exp"] = _seconds(facts.expires)
    return members


def _address(text: str) -> str | None:
    """Return a client's address, None for none. Raises Refused for a text that is no address."""
    if not text:
        return None
    address = client_address({"REMOTE_ADDR": text}, NO_PROXIES)
    if address is None:
        raise Refused(answers.invalid_request("client_ip: It isn't an IP address."))
    return address


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


_WHOAMI = About(
    "whoami", "Ask what the presented key is",
    "Every key may ask, of either environment and of any channel. Good for a first call, and for a client"
    " that wants to know when its key ends.",
    Identity, "What the key is and may do.", any_key=True,
)  # fmt: skip
_INTROSPECT = About(
    "introspect", "Introspect a token (RFC 7662)",
    "For a service that was presented a token: is it good, and what may it do? A token that isn't good, or"
    " isn't of the caller's project, is `{\"active\": false}` and nothing more. A test key learns nothing of"
    " live ones. A key whose `channel` isn't null is good in that channel only: that is for the service to"
    " see to. One that is bound to networks is good only with a `client_ip` that lies in them.",
    Active | Inactive, "What the token is.", form=IntrospectedToken,
)  # fmt: skip
_REVOKE_TOKEN = About(
    "revoke_token", "Revoke a token (RFC 7009)",
    "Whoever holds a token can end it: no other key is needed. 200 whether the token was known or not.",
    Empty, "The token opens nothing any more.", form=PresentedToken,
    problems=(problems.UNSUPPORTED_TOKEN_TYPE,),
)  # fmt: skip

whoami_view = public(GET=Operation(whoami, _WHOAMI))
introspect_view = keyed(POST=Operation(introspect, _INTROSPECT, "keys:read"))
revoke_token_view = public(POST=Operation(revoke, _REVOKE_TOKEN))
