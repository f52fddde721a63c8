"""The docs pages, open to everybody; the one on the JSON API is read from the OpenAPI document."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from keys import problems
from keys.api.openapi import document
from keys.kinds import Provider
from keys.problems import ProblemType
from keys.upstream_addresses import PRESETS
from projects.models import FIRST_CATALOGUE

Json = dict[str, Any]

PAGES: Final = {
    "docs_index": "Start here",
    "docs_present_a_key": "Present a key",
    "docs_scopes": "Scopes",
    "docs_channels": "Channels",
    "docs_errors": "Errors",
    "docs_rotate_safely": "Rotate safely",
    "docs_provider_keys": "Provider keys",
    "docs_gateways": "Gateways",
    "docs_audit_log": "Audit log",
    "docs_second_factor": "Second factor",
    "docs_api": "JSON API",
}
_GROUPS: Final = {
    401: "The key isn't good",
    403: "The key may not do this",
    409: "Too late, or a second time",
    503: "Keyrack can't answer",
}
_OTHERS: Final = "The request isn't right"


@login_not_required
@require_safe
def docs_index(request: HttpRequest) -> HttpResponse:
    return _page(request, "docs_index")


@login_not_required
@require_safe
def docs_present_a_key(request: HttpRequest) -> HttpResponse:
    return _page(request, "docs_present_a_key")


@login_not_required
@require_safe
def docs_scopes(request: HttpRequest) -> HttpResponse:
    return _page(request, "docs_scopes", catalogue=FIRST_CATALOGUE)


@login_not_required
@require_safe
def docs_channels(request: HttpRequest) -> HttpResponse:
    return _page(request, "docs_channels")


@login_not_required
@require_safe
def docs_errors(request: HttpRequest) -> HttpResponse:
    return _page(request, "docs_errors", groups=_grouped(problems.ALL))


@login_not_required
@require_safe
def docs_rotate_safely(request: HttpRequest) -> HttpResponse:
    return _page(request, "docs_rotate_safely")


@login_not_required
@require_safe
def docs_provider_keys(request: HttpRequest) -> HttpResponse:
    presets = [(Provider(name).label, preset) for name, preset in PRESETS.items()]
    return _page(request, "docs_provider_keys", presets=presets)


@login_not_required
@require_safe
def docs_gateways(request: HttpRequest) -> HttpResponse:
    return _page(request, "docs_gateways")


@login_not_required
@require_safe
def docs_audit_log(request: HttpRequest) -> HttpResponse:
    return _page(request, "docs_audit_log")


@login_not_required
@require_safe
def docs_second_factor(request: HttpRequest) -> HttpResponse:
    return _page(request, "docs_second_factor")


@login_not_required
@require_safe
def docs_api(request: HttpRequest) -> HttpResponse:
    return _page(request, "docs_api", about=document()["info"], chapters=_chapters(), shapes=_shapes())


def _page(request: HttpRequest, name: str, **context: Any) -> HttpResponse:
    shown = {"page": name, "heading": PAGES[name], "url": settings.KEYRACK_URL, **context}
    shown["pages"] = [(each, reverse(each), title) for each, title in PAGES.items()]
    return render(request, f"docs/{name}.html", shown)


def _grouped(kinds: Sequence[ProblemType]) -> list[tuple[str, list[ProblemType]]]:
    """Return the problem types under headings; those that the client's request causes come first."""

    def place(kind: ProblemType) -> int:
        return list(_GROUPS).index(kind.status) if kind.status in _GROUPS else -1

    groups = groupby(sorted(kinds, key=lambda kind: (place(kind), kind.status)), place)
    return [([*_GROUPS.values(), _OTHERS][number], list(members)) for number, members in groups]


@dataclass(frozen=True, slots=True)
class Member:
    """A parameter, or a member of an object: its name, what it takes, and what it means."""

    name: str
    takes: str
    required: bool
    text: str
    shape: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """An object that answers hold, or that a body is."""

    name: str
    text: str
    members: Sequence[Member]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A status that an operation may answer with: what it means, its headers, its problems."""

    status: int
    text: str
    headers: Sequence[str]
    shapes: Sequence[str]
    kinds: Sequence[ProblemType]
    example: Any = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation, as the page shows it."""

    name: str
    method: str
    path: str
    summary: str
    text: str
    needs: str
    parameters: Sequence[Member]
    body: Shape | None
    body_type: str
    body_example: Any
    outcomes: Sequence[Outcome]


@cache
def _chapters() -> list[tuple[str, list[Endpoint]]]:
    """Return the operations of each tag, in the document's order."""
    endpoints = [
        (operation["tags"][0], _endpoint(method, path, operation))
        for path, item in document()["paths"].items()
        for method, operation in item.items()
    ]
    return [
        (tag["x-displayName"], [endpoint for name, endpoint in endpoints if name == tag["name"]])
        for tag in document()["tags"]
    ]


@cache
def _shapes() -> list[Shape]:
    """Return the objects that answers hold."""
    wanted = {shape for _, endpoints in _chapters() for each in endpoints for outcome in each.outcomes
              for shape in outcome.shapes}  # fmt: skip
    found = [_shape(name) for name in document()["components"]["schemas"] if name in wanted]
    return [*found, *(_shape(name) for name in ("Problem", "WrongMember"))]


def _endpoint(method: str, path: str, operation: Json) -> Endpoint:
    body = operation.get("requestBody", {"content": {}})
    media: tuple[str, Json] = next(iter(body["content"].items()), ("", {}))
    return Endpoint(
        name=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        text=operation["description"],
        needs=_needs(operation["security"]),
        parameters=[_parameter(each) for each in operation.get("parameters", ())],
        body=_shape(_name(media[1]["schema"]["$ref"])) if media[1] else None,
        body_type=media[0],
        body_example=media[1].get("example"),
        outcomes=[_outcome(int(status), response) for status, response in operation["responses"].items()],
    )


def _needs(security: Sequence[Json]) -> str:
    """Return the scope that a key needs, "any" where it needs none, "" where no key is asked for."""
    if not security:
        return ""
    scopes: Sequence[str] = security[0]["bearer"]
    return scopes[0] if scopes else "any"


def _outcome(status: int, response: Json) -> Outcome:
    media: Json = next(iter(response.get("content", {}).values()), {})
    codes = media.get("examples", {})
    own = [name for name in response["headers"] if name not in ("Cache-Control", "X-Request-Id")]
    return Outcome(
        status=status,
        text=response["description"],
        headers=own,
        shapes=[] if codes else list(_named(media.get("schema", {}))),
        kinds=[kind for kind in problems.ALL if kind.code in codes],
        example=media.get("example"),
    )


def _named(schema: Json) -> Iterator[str]:
    """Yield the shapes that a schema is, or is one of."""
    if "$ref" in schema:
        yield _name(schema["$ref"])
    for choice in schema.get("anyOf", ()):
        yield from _named(choice)


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]


def _shape(name: str) -> Shape:
    schema = document()["components"]["schemas"][name]
    required = schema.get("required", ())
    members = [_member(each, part, each in required) for each, part in schema.get("properties", {}).items()]
    return Shape(name, schema.get("description", ""), members)


def _parameter(parameter: Json) -> Member:
    if "$ref" in parameter:
        parameter = document()["components"]["parameters"][_name(parameter["$ref"])]
    member = _member(parameter["name"], parameter["schema"], parameter.get("required", False))
    text = parameter.get("description") or member.text
    where = "in the path" if parameter["in"] == "path" else f"{parameter['in']}"
    return Member(member.name, f"{where}: {member.takes}", member.required, text)


def _member(name: str, schema: Json, required: bool) -> Member:
    shape = next(_named(schema.get("items", schema)), "")
    return Member(name, takes(schema), required, schema.get("description", ""), shape)


_WORDS: Final = {
    "integer": "whole number",
    "boolean": "`true` or `false`",
    "null": "`null`",
    "object": "object",
}


def takes(schema: Json) -> str:
    """Return what a schema takes, in words."""
    return _kind(schema) + _otherwise(schema.get("default"))


def _kind(schema: Json) -> str:
    if "$ref" in schema:
        return _name(schema["$ref"])
    if "enum" in schema:
        return "one of " + ", ".join(_value(value) for value in schema["enum"])
    if "const" in schema:
        return _value(schema["const"])
    if "anyOf" in schema:
        return " or ".join(_kind(choice) for choice in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    if schema.get("format") == "date-time":
        return "time (RFC 3339)"
    return _WORDS.get(schema.get("type", ""), "text") + _bounds(schema)


def _bounds(schema: Json) -> str:
    if "maximum" in schema:
        return f", {schema['minimum']} to {schema['maximum']}"
    return f", at most {schema['maxLength']:,} characters" if "maxLength" in schema else ""


def _otherwise(default: Any) -> str:
    """Return what counts where nothing is sent, unless that is nothing."""
    return "" if default in (None, "", []) else f"; otherwise {_value(default)}"


def _value(value: Any) -> str:
    return f"`{json.dumps(value) if isinstance(value, bool) else value}`"
