"""What the JSON API is sent, parsed in the shapes of `keys.api.schemas`; what is wrong with it, in words."""

import json
from collections.abc import Sequence
from typing import Any, Final, NoReturn, TypeVar

from django.http import HttpRequest, QueryDict
from pydantic import BaseModel
from pydantic import ValidationError as Invalid

from config.redaction import holds_token, redact
from keys import answers
from keys.answers import Problem
from keys.api.requests import Refused, body_of, form_of
from keys.bodies import KEY_ID_PATTERN, RATE_PATTERN, SCOPE_PATTERN, SLUG_PATTERN

# No number here needs more; and Python refuses to read thousands of digits.
_DIGITS: Final = 20

S = TypeVar("S", bound=BaseModel)


def body(request: HttpRequest, shape: type[S], *, optional: bool = False) -> S:
    """Return the JSON body of a request in this shape. Raises Refused: 400, 411, 413, 415, 422 by member."""
    raw = body_of(request, "application/json", optional=optional)
    if raw is None:
        return shape()
    _refuse_odd_json(raw)
    try:
        return shape.model_validate_json(raw)
    except Invalid as error:
        raise Refused(_body_problem(error)) from None


def query(request: HttpRequest, shape: type[S]) -> S:
    """Return the query of a request in this shape. Raises Refused (400), by parameter."""
    _refuse_repeated(request.GET)
    try:
        return shape.model_validate(request.GET.dict())
    except Invalid as error:
        raise Refused(answers.invalid_parameters(_said(error, "parameter"))) from None


def form(request: HttpRequest, shape: type[S]) -> S:
    """Return the form of a request in this shape. Raises Refused: 400, 411, 413, 415."""
    try:
        return shape.model_validate(form_of(request))
    except Invalid as error:
        said = " ".join(f"{name}: {text}" for name, text in _said(error, "parameter"))
        raise Refused(answers.invalid_request(said)) from None


def _refuse_repeated(given: QueryDict) -> None:
    repeated = [name for name, values in given.lists() if len(values) > 1]
    if repeated:
        raise Refused(answers.invalid_parameters([(_name(name), "Give it once.") for name in repeated]))


def _refuse_odd_json(raw: bytes) -> None:
    """Refuse what JSON parsers don't agree on.

    Repeated members, NaN, other encodings, half a surrogate pair, endless numbers, deep nesting.
    """
    try:
        parsed = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_short
        )
        json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        raise Refused(answers.bad_body("The body isn't UTF-8.")) from None
    except UnicodeEncodeError:
        raise Refused(answers.bad_body("The body holds half a character (a lone surrogate).")) from None
    except RecursionError:
        raise Refused(answers.bad_body("The body is nested too deeply.")) from None
    except ValueError:
        raise Refused(answers.bad_body("The body isn't JSON.")) from None
    if not isinstance(parsed, dict):
        raise Refused(answers.bad_body("The body isn't a JSON object."))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise Refused(answers.bad_body(f"The member {_name(name)} is given twice."))
        members[name] = value
    return members


def _no_constant(_: str) -> NoReturn:
    raise ValueError


def _short(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise Refused(answers.bad_body("The body holds a number that is too large."))
    return int(digits)


def _body_problem(error: Invalid) -> Problem:
    if any(item["type"] == "json_invalid" for item in error.errors(include_input=False)):
        return answers.bad_body("The body isn't JSON, or is nested too deeply.")
    return answers.invalid_members(_said(error, "member"))


def _said(error: Invalid, part: str) -> Sequence[tuple[str, str]]:
    """Return each member that is wrong with what is wrong, never what was sent."""
    return [
        (_name(".".join(map(str, item["loc"]))), _sentence(item["type"], item.get("ctx", {}), part))
        for item in error.errors(include_input=False, include_url=False)
    ]


def _name(member: str) -> str:
    """Return a name that may be said: it is the client's, and could be a token, or endless."""
    name = member[:100].encode("utf-8", "replace").decode()
    return "…" if holds_token(member) else redact(name)


_FORMS: Final = {
    KEY_ID_PATTERN: "Use a key id: 12 letters and digits.",
    SLUG_PATTERN: "Use small letters, digits and hyphens.",
    SCOPE_PATTERN: "Write it as resource:action, such as sources:read.",
    RATE_PATTERN: "Use a number per second, minute, hour or day, such as 100/minute.",
}
_SENTENCES: Final = {
    "missing": "It is missing.",
    "string_type": "Use text.",
    "int_type": "Use a whole number.",
    "int_parsing_size": "Use a smaller number.",
    "list_type": "Use a list.",
    "string_too_short": "It is empty.",
    "string_too_long": "Use {max_length:,} characters or fewer.",
    "too_long": "Use {max_length:,} or fewer.",
    "greater_than_equal": "Use {ge:,} or more.",
    "less_than": "Use less than {lt:,}.",
    "literal_error": "Use {expected}.",
    "value_error": "{error}",
}


def _sentence(kind: str, context: dict[str, Any], part: str) -> str:
    """Return what is wrong in plain words; pydantic's own are for programmers."""
    if kind == "extra_forbidden":
        return f"There is no such {part}."
    if kind == "string_pattern_mismatch":
        return _FORMS.get(context["pattern"], "Use no control characters.")
    return _SENTENCES.get(kind, "It isn't of the right type.").format_map(context).replace("'", "")
