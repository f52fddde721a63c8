"""Every type of problem that the JSON API answers with (RFC 9457): the one list of them. Pure.

A code is for ever: clients decide by it. The OpenAPI document and the page of errors are made from here.
"""

from dataclasses import dataclass
from typing import Final

URN: Final = "urn:keyrack:problem:"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A type of problem, with the status that it always has.

    `says` is what `detail` reads, or an example of it; `advice` tells the person who meets it what to do.
    """

    code: str
    status: int
    title: str
    says: str
    advice: str

    @property
    def urn(self) -> str:
        """The `type` of the problem document, stable across deployments."""
        return f"{URN}{self.code}"


NO_CREDENTIALS: Final = ProblemType(
    "no-credentials", 401, "API key needed",
    "Present a key as `Authorization: Bearer …` or `X-API-Key: …`.",
    "Send the key in one of the two headers. A session cookie doesn't count here.",
)  # fmt: skip
MALFORMED: Final = ProblemType(
    "malformed", 401, "Not an API key",
    "The token is malformed or mistyped.",
    "Copy the whole token: 64 characters, beginning with `kr_live_` or `kr_test_`. One wrong character is"
    " enough for this answer.",
)  # fmt: skip
UNKNOWN: Final = ProblemType(
    "unknown", 401, "Unknown API key",
    "No key with this token exists here.",
    "The token is well-formed, but it isn't of this Keyrack, or its key was given a new secret since.",
)  # fmt: skip
REVOKED: Final = ProblemType(
    "revoked", 401, "API key revoked",
    "The key was revoked.",
    "Nothing brings a revoked key back. Ask for a new one; the console says who revoked it, and why.",
)  # fmt: skip
EXPIRED: Final = ProblemType(
    "expired", 401, "API key expired",
    "The key has expired.",
    "Ask for a new key. An expired one can't be extended.",
)  # fmt: skip
PAUSED: Final = ProblemType(
    "paused", 401, "API key paused",
    "The key is paused.",
    "Somebody stopped this key for the time being. Ask an operator of the project.",
)  # fmt: skip
WRONG_ENVIRONMENT: Final = ProblemType(
    "wrong-environment", 401, "Wrong environment",
    "The key belongs to another environment.",
    "A test key opens nothing live, nor a live key anything that is for tests. Use a key of the other"
    " environment.",
)  # fmt: skip
NETWORK_NOT_ALLOWED: Final = ProblemType(
    "network-not-allowed", 403, "Network not allowed",
    "The key may not be used from this address.",
    "The key is bound to networks, and your address is in none of them or can't be known. An operator sees"
    " in the console which they are.",
)  # fmt: skip
RATE_LIMITED: Final = ProblemType(
    "rate-limited", 429, "Too many requests",
    "The key was used too often.",
    "Wait as many seconds as `Retry-After` says. `RateLimit-Policy` tells how often the key may be used.",
)  # fmt: skip
WRONG_CHANNEL: Final = ProblemType(
    "wrong-channel", 403, "Wrong channel",
    "The key belongs to another channel.",
    "A channel key is good in its own channel only, and nowhere else. Use a key of this channel, or one that"
    " isn't bound to any.",
)  # fmt: skip
SCOPE_MISSING: Final = ProblemType(
    "scope-missing", 403, "Scope missing",
    "The key doesn't have the scope that this needs.",
    "The member `scope` names what is missing. Ask for a key that has it, or have this one edited.",
)  # fmt: skip
AMBIGUOUS: Final = ProblemType(
    "ambiguous", 403, "Request can be read in two ways",
    "The request names two methods.",
    "Two different keys, two methods, or a header that overrides the method: what is let through here could"
    " be acted on as something else behind. Send one of each.",
)  # fmt: skip
DENIED: Final = ProblemType(
    "denied", 403, "Too many requests",
    "The key was used too often.",
    "As `rate-limited`, for gateways that make an error of 429: `X-Keyrack-Denied` says so, and `Retry-After`"
    " how long to wait.",
)  # fmt: skip
GATEWAY_NEEDED: Final = ProblemType(
    "gateway-needed", 403, "Only a gateway may ask for this",
    "An upstream is given to a gateway that presents a key of its own in X-Keyrack-Gateway.",
    "Call the gateway, not Keyrack: whoever uses a provider never holds its key. A gateway presents a key of"
    " the same project and environment with the scope `gateway:use`, other than the client's.",
)  # fmt: skip
BEYOND_BOUNDS: Final = ProblemType(
    "beyond-bounds", 403, "Not within this key's bounds",
    "A key acts only on keys whose scopes, environment, channel, networks and expiry lie within its own.",
    "No key gives or touches more than it has: ask for scopes, an environment, a channel, networks and an"
    " expiry within those of the key that you call with. On itself a key may only revoke.",
)  # fmt: skip
TWO_CREDENTIALS: Final = ProblemType(
    "two-credentials", 400, "Two different keys",
    "Present one key, not two different ones.",
    "`Authorization` and `X-API-Key` hold different tokens. Send one of them.",
)  # fmt: skip
TOKEN_IN_QUERY: Final = ProblemType(
    "token-in-query", 400, "Key in the URL",
    "A key in a URL ends up in logs and histories: send it in a header, and revoke this one.",
    "Treat that key as leaked: revoke it, issue another, and send it in a header. To find a key by its token,"
    " search with its key id: the 12 characters after the prefix.",
)  # fmt: skip
INVALID_PARAMETER: Final = ProblemType(
    "invalid-parameter", 400, "Invalid parameter",
    "limit: Use a whole number from 1 to 100.",
    "The member `errors` names each parameter that is wrong, and says why.",
)  # fmt: skip
UPSTREAM_UNUSABLE: Final = ProblemType(
    "upstream-unusable", 400, "Upstream can't be used",
    "There is nothing to call this upstream with now.",
    "It has no provider key, or one whose value doesn't open or that leads to a private address. Keyrack's"
    " log says which; an admin mends it under Provider keys.",
)  # fmt: skip
BAD_BODY: Final = ProblemType(
    "bad-body", 400, "Body can't be read",
    "The body isn't JSON.",
    "Send one JSON object in UTF-8, each member once, without `NaN` or `Infinity`.",
)  # fmt: skip
INVALID_REQUEST: Final = ProblemType(
    "invalid-request", 400, "Request can't be understood",
    "token: It is missing.",
    "Send a form (`application/x-www-form-urlencoded`, UTF-8) with `token=…`, each parameter once. OAuth"
    " clients find the same in `error` and `error_description`.",
)  # fmt: skip
UNSUPPORTED_TOKEN_TYPE: Final = ProblemType(
    "unsupported-token-type", 400, "Not to be revoked",
    "The Automator Key can't be revoked. Renew it to stop a leak.",
    "The token is still good. An admin renews the Automator Key in the console, which stops the old secret"
    " at once.",
)  # fmt: skip
NOT_FOUND: Final = ProblemType(
    "not-found", 404, "No such key",
    "No key with this id is here.",
    "Check the key id. Keys of another project don't exist for this one, nor live keys for a test key.",
)  # fmt: skip
METHOD_NOT_ALLOWED: Final = ProblemType(
    "method-not-allowed", 405, "Method not allowed",
    "Use GET, HEAD.",
    "The header `Allow` lists the methods of this URL.",
)  # fmt: skip
ALREADY_ISSUED: Final = ProblemType(
    "already-issued", 409, "Already issued",
    "This key was already created. Its secret can't be shown again.",
    "A request with this `Idempotency-Key` has made the key that `key_id` names. If nobody has its token,"
    " revoke that key and issue another under a new `Idempotency-Key`.",
)  # fmt: skip
ALREADY_REVOKED: Final = ProblemType(
    "already-revoked", 409, "Already revoked",
    "Mara Lindqvist already revoked this key.",
    "Nothing brings a revoked key back. Issue a new one.",
)  # fmt: skip
ALREADY_ROTATED: Final = ProblemType(
    "already-rotated", 409, "Already rotated",
    "This key was rotated already. Here is the key that takes its place.",
    "`key_id` names the successor. Its token was in the answer that made it, and can't be shown again: if"
    " nobody has it, rotate the successor.",
)  # fmt: skip
PROTECTED: Final = ProblemType(
    "protected", 409, "Protected key",
    "The Automator Key can't be revoked. Renew it to stop a leak.",
    "The project's own Automator Key is only ever renewed, by an admin in the console.",
)  # fmt: skip
STALE: Final = ProblemType(
    "stale", 409, "Changed meanwhile",
    "This key was changed meanwhile.",
    "Read the key again, look at what has changed, and send its new `version` along.",
)  # fmt: skip
NOT_RENEWABLE: Final = ProblemType(
    "not-renewable", 409, "Not renewable",
    "This key is in use. Its secret can't be replaced.",
    "Only a key that nobody has confirmed or used is given a new secret. Issue a second key, move over to it,"
    " and revoke this one.",
)  # fmt: skip
LENGTH_REQUIRED: Final = ProblemType(
    "length-required", 411, "Length required",
    "Send Content-Length: a body without one isn't read.",
    "The body was sent in chunks of unknown length. Let your client send it whole.",
)  # fmt: skip
TOO_LARGE: Final = ProblemType(
    "too-large", 413, "Body too large",
    "Send at most 64 KiB.",
    "No request here needs more than that.",
)  # fmt: skip
UNSUPPORTED_TYPE: Final = ProblemType(
    "unsupported-type", 415, "Unsupported content type",
    "Send application/json.",
    "Set the header `Content-Type` to what `detail` names.",
)  # fmt: skip
INVALID: Final = ProblemType(
    "invalid", 422, "Invalid request",
    "name: Another key is called “Docs crawler”.",
    "The member `errors` names each member that is wrong, and says why. Nothing was changed.",
)  # fmt: skip
UNAVAILABLE: Final = ProblemType(
    "unavailable", 503, "Keyrack can't check keys now",
    "The database doesn't answer. Nothing was decided; try again.",
    "Wait as many seconds as `Retry-After` says, and try again. With an `Idempotency-Key` a repeated request"
    " makes no second key.",
)  # fmt: skip

ALL: Final = (
    NO_CREDENTIALS, MALFORMED, UNKNOWN, REVOKED, EXPIRED, PAUSED, WRONG_ENVIRONMENT,
    NETWORK_NOT_ALLOWED, WRONG_CHANNEL, SCOPE_MISSING, BEYOND_BOUNDS, AMBIGUOUS, RATE_LIMITED,
    DENIED, GATEWAY_NEEDED,
    TWO_CREDENTIALS, TOKEN_IN_QUERY, INVALID_PARAMETER, UPSTREAM_UNUSABLE, BAD_BODY, INVALID_REQUEST,
    UNSUPPORTED_TOKEN_TYPE,
    NOT_FOUND, METHOD_NOT_ALLOWED,
    ALREADY_ISSUED, ALREADY_REVOKED, ALREADY_ROTATED, PROTECTED, STALE, NOT_RENEWABLE,
    LENGTH_REQUIRED, TOO_LARGE, UNSUPPORTED_TYPE, INVALID, UNAVAILABLE,
)  # fmt: skip
