"""The OpenAPI 3.1 document of the JSON API, made of what stands on the views of its URLs.

Paths and methods come from the URLs, shapes from the types that parse and answer, problems from their list:
an operation that lands is in the document with it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, get_resolver
from pydantic import TypeAdapter

from keys import answers, problems
from keys.api.operations import About, Operation
from keys.api.requests import public
from keys.api.shapes import Generator, Json, Shapes
from keys.bodies import KeyId, Problem
from keys.problems import ProblemType
from keys.purging import NONCES_KEPT

PREFIX: Final = "api/"
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
PROBLEM: Final = "application/problem+json"

_CONVERTER: Final = re.compile(r"<(?:\w+:)?(\w+)>")
_INFO: Final = {
    "title": "Keyrack",
    "version": "1",
    "summary": "API keys: issue, list, edit, end and check them.",
    "description": """\
Scripts issue, list, edit and end keys here, with a key of their own. Services ask here what a token that they
were presented may do.

- Present a key as `Authorization: Bearer …` or `X-API-Key: …`, never in a URL. A session opens nothing here.
- A key acts only on keys of its own project whose scopes, environment, channel, networks and expiry lie
  within its own; on itself it may only revoke.
- What goes wrong is a problem document (RFC 9457). Decide by its `type`, which never changes.
- What has GET answers HEAD as well. Another method gets 405, with `Allow`.
- No cache keeps an answer, and each has an `X-Request-Id`, which the server's log has too.
""",
}
# By the module that an operation lives in: what it is called, and what it is about.
_TAGS: Final = {
    "keys": ("Keys", "The keys of the project that the calling key belongs to."),
    "tokens": ("Tokens", "What a token is, and its end."),
    "gateways": ("Gateways", "Ask before a request is let through."),
    "openapi": ("This document", "What the API takes and answers, for machines."),
}
_SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "RFC 6750, section 2.1."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}

_FROM_A_KEY: Final = (
    problems.TWO_CREDENTIALS, problems.NO_CREDENTIALS, problems.MALFORMED, problems.UNKNOWN,
    problems.REVOKED, problems.EXPIRED, problems.PAUSED, problems.NETWORK_NOT_ALLOWED, problems.RATE_LIMITED,
)  # fmt: skip
_FROM_A_BODY: Final = (problems.LENGTH_REQUIRED, problems.TOO_LARGE, problems.UNSUPPORTED_TYPE)

_TEXT: Final[Json] = {"type": "string"}

_ON_ALL: Final = ("Cache-Control", "X-Request-Id")
_HEADERS: Final[Mapping[str, Json]] = {
    "Cache-Control": {
        "description": "No cache keeps an answer.",
        "schema": {"type": "string", "const": "no-store"},
    },
    "X-Request-Id": {
        "description": "The name of this request in the server's log.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
    },
    "Location": {
        "description": "Where the new key is.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Link": {
        "description": 'The next page, with `rel="next"` (RFC 8288).',
        "schema": {"type": "string"},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate, and what was wrong (RFC 6750, section 3).",
        "schema": {"type": "string", "pattern": '^Bearer realm="keyrack"'},
    },
    "Allow": {"description": "The methods of this URL.", "schema": {"type": "string"}},
    "Retry-After": {
        "description": "How many seconds to wait.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "RateLimit-Policy": {
        "description": "How often the key may be used: so many times (`q`) in so many seconds (`w`).",
        "schema": {"type": "string", "pattern": '^"default";q=[0-9]+;w=[0-9]+$'},
    },
    "RateLimit": {
        "description": "How many uses are left (`r`), and in how many seconds it begins anew (`t`).",
        "schema": {"type": "string", "pattern": '^"default";r=[0-9]+;t=[0-9]+$'},
    },
    "X-Keyrack-Key-Id": {"description": "The key id: put it into your logs.", "schema": _TEXT},
    "X-Keyrack-Key-Name": {"description": "The key's name, percent-encoded (UTF-8).", "schema": _TEXT},
    "X-Keyrack-Type": {"description": "What kind of key it is.", "schema": _TEXT},
    "X-Keyrack-Project": {"description": "The project's slug.", "schema": _TEXT},
    "X-Keyrack-Environment": {"description": "`live` or `test`.", "schema": _TEXT},
    "X-Keyrack-Scopes": {
        "description": "`*` for everything but `gateway:use`, or the scopes, separated by blanks.",
        "schema": _TEXT,
    },
    "X-Keyrack-Channel": {
        "description": "The slug of the channel that the key is bound to; empty for none.",
        "schema": _TEXT,
    },
    "X-Keyrack-Upstream-Url": {"description": "The provider's base URL.", "schema": _TEXT},
    "X-Keyrack-Upstream-Authorization": {"description": "For OpenAI, Mistral and others.", "schema": _TEXT},
    "X-Keyrack-Upstream-X-Api-Key": {"description": "For Anthropic.", "schema": _TEXT},
    "X-Keyrack-Upstream-X-Goog-Api-Key": {"description": "For Google.", "schema": _TEXT},
    "X-Keyrack-Upstream-Api-Key": {"description": "For Azure OpenAI.", "schema": _TEXT},
}
# The headers that refusals of a status bring, and whether all of them do.
_OF_STATUS: Final[Mapping[int, tuple[Sequence[str], bool]]] = {
    400: (("WWW-Authenticate",), False),
    401: (("WWW-Authenticate",), True),
    403: (("WWW-Authenticate",), False),
    405: (("Allow",), True),
    429: (("Retry-After", "RateLimit-Policy", "RateLimit"), True),
    503: (("Retry-After",), True),
}
_PARAMETERS: Final[Mapping[str, Json]] = {
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A name of your own for this request, such as a UUID. Sent a second time"
        f" within {NONCES_KEPT.days} days, it makes no second key.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
    "X-Original-Method": {
        "name": "X-Original-Method",
        "in": "header",
        "description": "The method of the request in question, as nginx is set up to tell it.",
        "schema": {"type": "string", "pattern": "^[A-Z]{1,20}$"},
    },
    "X-Forwarded-Method": {
        "name": "X-Forwarded-Method",
        "in": "header",
        "description": "The same, as Caddy and Traefik tell it.",
        "schema": {"type": "string", "pattern": "^[A-Z]{1,20}$"},
    },
    "X-Keyrack-Gateway": {
        "name": "X-Keyrack-Gateway",
        "in": "header",
        "description": "The gateway's own key, with the scope `gateway:use`. Needed for `upstream` alone.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,100}$"},
    },
}
_IN_PATHS: Final[Mapping[str, Any]] = {"key_id": KeyId}


def paths() -> Iterator[tuple[str, Any]]:
    """Yield each path of the JSON API, as the document writes it, with its view.

    Raises TypeError for a view that says nothing of its operations.
    """
    for pattern in _patterns(get_resolver().url_patterns):
        route = str(pattern.pattern)
        if not route.startswith(PREFIX):
            continue
        if not hasattr(pattern.callback, "operations"):
            raise TypeError(f"/{route} isn't described: make its view with `keyed` or `public`")
        yield "/" + _CONVERTER.sub(r"{\1}", route), pattern.callback


def _patterns(found: Sequence[Any]) -> Iterator[URLPattern]:
    for pattern in found:
        if isinstance(pattern, URLPattern):
            yield pattern
        elif str(pattern.pattern) == "":
            yield from _patterns(pattern.url_patterns)


@cache
def document() -> Json:
    """Return the OpenAPI document; made once, and the same for everybody. Don't change it."""
    found = list(paths())
    shapes = Shapes(_types(operation for _, view in found for operation in view.operations.values()))
    described: dict[str, Json] = {}
    for path, view in found:
        for method, operation in view.operations.items():
            described.setdefault(path, {})[method.lower()] = _operation(path, operation, shapes)
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/"}],
        "tags": [
            {"name": name, "x-displayName": title, "description": text}
            for name, (title, text) in _TAGS.items()
        ],
        "paths": described,
        "components": {
            "securitySchemes": _SECURITY,
            "headers": {name: {**header, "required": True} for name, header in _HEADERS.items()},
            "parameters": _PARAMETERS,
            "examples": {
                kind.code: {"summary": kind.title, "value": _example(kind, shapes)} for kind in problems.ALL
            },
            "responses": {"MethodNotAllowed": _refusal([problems.METHOD_NOT_ALLOWED], shapes)},
            "schemas": shapes.definitions,
        },
    }


def _types(operations: Iterable[Operation]) -> list[Any]:
    types = [Problem, *_IN_PATHS.values()]
    for about in (operation.about for operation in operations):
        types += [shape for shape in (about.answer, about.body, about.form) if shape]
    return types


def _operation(path: str, operation: Operation, shapes: Shapes) -> Json:
    about = operation.about
    scopes = [operation.scope] if operation.scope else []
    described: Json = {
        "operationId": about.name,
        "tags": [operation.act.__module__.rpartition(".")[2]],
        "summary": about.summary,
        "description": about.text,
        "security": [{"bearer": scopes}, {"apiKey": scopes}] if operation.needs_key else [],
    }
    if parameters := _parameters(path, about, shapes):
        described["parameters"] = parameters
    if shape := about.body or about.form:
        media = {JSON if about.body else FORM: shapes.media(shape)}
        described["requestBody"] = {"required": not about.body_optional, "content": media}
    answer: Json = {
        "description": about.says,
        "headers": _headers(*about.gives, always=about.status != 200 or about.empty)
        | _headers(*about.may_give, always=False),
    }
    if not about.empty:
        answer["content"] = {JSON: shapes.media(about.answer)}
    described["responses"] = {str(about.status): answer} | _refusals(_problems(path, operation), shapes)
    return described


def _parameters(path: str, about: About, shapes: Shapes) -> list[Json]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": shapes.of(shape)}
        for name, shape in _IN_PATHS.items()
        if f"{{{name}}}" in path
    ]
    in_headers = [{"$ref": f"#/components/parameters/{name}"} for name in about.takes]
    return in_path + in_headers + (_in_query(about.query) if about.query else [])


def _in_query(shape: Any) -> list[Json]:
    schema = TypeAdapter(shape).json_schema(schema_generator=Generator)
    parameters = []
    for name, member in schema["properties"].items():
        text = {"description": member.pop("description")} if "description" in member else {}
        parameters.append({"name": name, "in": "query", **text, "schema": _without_null(member)})
    return parameters


def _without_null(schema: Json) -> Json:
    """Return the schema of what a query can say: a parameter is there or not, never null."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    return choices[0] if choices else schema


def _problems(path: str, operation: Operation) -> list[ProblemType]:
    """Return each problem that this operation may answer with, in the order in which it is found out."""
    about = operation.about
    asks_database = operation.needs_key or about.asks_database
    found = [
        problems.TOKEN_IN_QUERY,
        *(_FROM_A_KEY if operation.needs_key else ()),
        *([problems.SCOPE_MISSING] if operation.scope else ()),
        *([problems.INVALID_PARAMETER] if about.query else ()),
        *(_FROM_A_BODY if about.body or about.form else ()),
        *([problems.BAD_BODY, problems.INVALID] if about.body else ()),
        *([problems.INVALID_REQUEST] if about.form else ()),
        *([problems.NOT_FOUND] if "{" in path else ()),
        *about.problems,
        *([problems.UNAVAILABLE] if asks_database else ()),
    ]
    return [kind for kind in found if kind not in about.never]


def _refusals(kinds: Sequence[ProblemType], shapes: Shapes) -> Json:
    statuses = sorted({kind.status for kind in kinds})
    return {
        str(status): _refusal([kind for kind in kinds if kind.status == status], shapes)
        for status in statuses
    }


def _refusal(kinds: Sequence[ProblemType], shapes: Shapes) -> Json:
    """Return the response of one status: these problems, and no other."""
    status = kinds[0].status
    headers, always = _OF_STATUS.get(status, ((), False))
    known = {"type": {"enum": [kind.urn for kind in kinds]}, "status": {"const": status}}
    return {
        "description": ". ".join(kind.title for kind in kinds) + ".",
        "headers": _headers(*headers, always=always),
        "content": {
            PROBLEM: {
                "schema": {"allOf": [shapes.of(Problem), {"properties": known}]},
                "examples": {kind.code: {"$ref": f"#/components/examples/{kind.code}"} for kind in kinds},
            }
        },
    }


def _headers(*names: str, always: bool) -> Json:
    """Return the headers of an answer: those of all answers, and `names`, which it has always or may have."""
    on_all = {name: {"$ref": f"#/components/headers/{name}"} for name in _ON_ALL}
    if always:
        return on_all | {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return on_all | {name: dict(_HEADERS[name]) for name in names}


def _example(kind: ProblemType, shapes: Shapes) -> Json:
    """Return a problem document of this type, with the members that come with it."""
    example: Json = {"type": kind.urn, "title": kind.title, "status": kind.status, "detail": kind.says}
    members: Sequence[str] = ()
    if kind in (problems.INVALID, problems.INVALID_PARAMETER):
        name, _, text = kind.says.partition(": ")
        return example | {"errors": [{"member": name, "detail": text}]}
    if kind in (problems.INVALID_REQUEST, problems.UNSUPPORTED_TOKEN_TYPE):
        return example | {"error": kind.code.replace("-", "_"), "error_description": kind.says}
    if kind is problems.SCOPE_MISSING:
        members = ("scope",)
    elif kind.status == 409:
        members = ("key_id", "version")
    known = shapes.definitions["Problem"]["properties"]
    return example | {name: shapes.example(known[name]) for name in members}


def openapi(request: HttpRequest) -> HttpResponse:
    """`GET /api/v1/openapi.json`: this document."""
    return answers.json_response(document())


_OPENAPI = About(
    "openapi", "Read this document",
    "The OpenAPI 3.1 description of the whole API. It needs no key.",
    dict[str, Any], "The document.", asks_database=False,
)  # fmt: skip

openapi_view = public(GET=Operation(openapi, _OPENAPI))
