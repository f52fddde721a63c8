"""The shapes of what the JSON API takes. They parse; the verbs decide."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, NoReturn, TypeVar

from django.http import HttpRequest, QueryDict
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic import ValidationError as Invalid

from config.redaction import holds_token, redact
from keys import answers
from keys.answers import Problem
from keys.api.requests import Refused, body_of, form_of
from keys.bodies import (
    KEY_ID_PATTERN,
    PREVIEW,
    RATE_PATTERN,
    SCOPE_PATTERN,
    SLUG_PATTERN,
    KeyId,
    Scope,
    Version,
)
from keys.drafts import Draft, Edit
from keys.kinds import (
    AGENT_SCOPES,
    DEFAULT_GRACE,
    GRACES,
    NEVER_EXPIRES,
    NOTE_LENGTH,
    REASON_LENGTH,
    Environment,
    KeyType,
)
from keys.networks import MOST as MOST_NETWORKS
from keys.querysets import SORTS
from projects.models import SLUG_LENGTH
from projects.names import NAME_LENGTH

DEFAULT_LIFETIME: Final = timedelta(days=90)
QUERY_LENGTH: Final = 100
PAGE_LENGTH: Final = 100

_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
_COUNT: Final = re.compile(r"[1-9][0-9]{0,2}")
# No number here needs more; and Python refuses to read thousands of digits.
_DIGITS: Final = 20


def _moment(given: object) -> datetime:
    """Return a time (RFC 3339) in UTC and in whole seconds, as answers show it. Raises ValueError."""
    if not isinstance(given, str) or not _RFC_3339.fullmatch(given):
        raise ValueError("Use a time such as 2027-02-18T12:00:00Z.")
    try:
        moment = datetime.fromisoformat(given.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("There is no such time.") from None
    if moment >= NEVER_EXPIRES:
        raise ValueError("Use null for a key that never expires.")
    return moment.replace(microsecond=0)


def _flag(given: object) -> bool:
    if given not in ("true", "false"):
        raise ValueError("Use true or false.")
    return given == "true"


def _limit(given: object) -> int:
    if not isinstance(given, str) or not _COUNT.fullmatch(given) or int(given) > PAGE_LENGTH:
        raise ValueError(f"Use a whole number from 1 to {PAGE_LENGTH}.")
    return int(given)


Moment = Annotated[
    datetime,
    PlainValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2027-02-18T12:00:00Z"]}),
]
Flag = Annotated[bool, BeforeValidator(_flag)]
Network = Annotated[
    str,
    Field(
        min_length=1,
        max_length=60,
        description="CIDR, or an address alone.",
        examples=["192.0.2.0/24", "2001:db8::/32"],
    ),
]
Rate = Annotated[str, Field(pattern=RATE_PATTERN, description="Up to 1,000,000.", examples=["100/minute"])]


def _left_out(schema: dict[str, Any]) -> None:
    """A member that isn't sent isn't changed: it has no default."""
    del schema["default"]


class Shape(BaseModel):
    """A body: strict types, and no member that isn't known."""

    model_config: ClassVar = ConfigDict(extra="forbid", strict=True)


class NewKey(Shape):
    """The key to issue."""

    name: str = Field(
        max_length=NAME_LENGTH,
        description="What the key is for, in characters that can be seen. No two keys that aren't revoked"
        " share one.",
        examples=["Docs crawler"],
    )
    type: Literal["privileged", "viewer", "restricted", "agent", "channel"] = "restricted"
    scopes: list[Scope] = Field(
        default=[],
        max_length=200,
        description="For a restricted key: at least one, each of the project's catalogue. For an agent key:"
        f" {', '.join(AGENT_SCOPES)} where none is given.",
        examples=[["sources:read"]],
    )
    channel: str = Field(
        default="",
        max_length=SLUG_LENGTH,
        description="For a channel key: the slug of the channel that it is good in.",
    )
    holder: str = Field(
        default="",
        max_length=NAME_LENGTH,
        description="For a channel key: who holds it, once in a channel.",
    )
    environment: Literal["live", "test"] = "live"
    expires_at: Moment | None = Field(
        default=None,
        description="When the key ends; null for never; 90 days from now where it is left out. An agent key"
        " takes none: it ends 90 days after it's created.",
        json_schema_extra=_left_out,
    )
    networks: list[Network] = Field(
        default=[],
        max_length=MOST_NETWORKS,
        description="Where it may be used from; none for anywhere.",
    )
    rate: Rate | None = Field(default=None, description="How often it may be used; null for no limit.")
    note: str = Field(default="", max_length=NOTE_LENGTH, examples=["Runs on the build server."])

    def draft(self, at: datetime) -> Draft:
        return Draft(
            name=self.name,
            type=KeyType(self.type),
            scopes=tuple(self.scopes),
            environment=Environment(self.environment),
            expires_at=self._end(at),
            note=self.note,
            channel=self.channel,
            holder=self.holder,
            networks=tuple(self.networks),
            rate=self.rate or "",
        )

    def _end(self, at: datetime) -> datetime | None:
        """Return the end that was asked for, or else the usual one; the verb knows when an agent key ends."""
        if "expires_at" in self.model_fields_set:
            return self.expires_at or NEVER_EXPIRES
        return None if self.type == "agent" else (at + DEFAULT_LIFETIME).replace(microsecond=0)


class KeyChanges(Shape):
    """What to change; what is left out stays as it is."""

    version: Version
    name: str = Field(
        default="", max_length=NAME_LENGTH, json_schema_extra=_left_out, examples=["Docs crawler 2"]
    )
    note: str = Field(default="", max_length=NOTE_LENGTH, json_schema_extra=_left_out)
    scopes: list[Scope] = Field(
        default=[],
        max_length=200,
        description="All of them, not only new ones. Of a restricted key or an agent key.",
        json_schema_extra=_left_out,
    )
    expires_at: Moment | None = Field(
        default=None, description="Null for never. Not of an agent key.", json_schema_extra=_left_out
    )
    networks: list[Network] = Field(
        default=[],
        max_length=MOST_NETWORKS,
        description="All of them, not only new ones; none for anywhere.",
        json_schema_extra=_left_out,
    )
    rate: Rate | None = Field(default=None, description="Null for no limit.", json_schema_extra=_left_out)

    def edit(self) -> Edit:
        given = self.model_fields_set
        return Edit(
            name=self.name if "name" in given else None,
            note=self.note if "note" in given else None,
            scopes=tuple(self.scopes) if "scopes" in given else None,
            expires_at=(self.expires_at or NEVER_EXPIRES) if "expires_at" in given else None,
            networks=tuple(self.networks) if "networks" in given else None,
            rate=(self.rate or "") if "rate" in given else None,
        )


class Renewal(Shape):
    """Which state of the key to renew."""

    version: Version


class Revocation(Shape):
    """Why the key ends."""

    reason: str = Field(
        default="", max_length=REASON_LENGTH, description="Kept for audit.", examples=["Laptop stolen."]
    )


class Rotation(Shape):
    """How long the old key goes on working."""

    grace: Literal["now", "1h", "24h", "7d"] = Field(
        default=DEFAULT_GRACE, description="Never longer than the old key's own end.", examples=["24h"]
    )


class KeyQuery(BaseModel):
    """Which keys to list, and from where on."""

    model_config: ClassVar = ConfigDict(extra="forbid")

    q: str = Field(
        default="",
        max_length=QUERY_LENGTH,
        pattern=r"^[^\x00-\x1f]*$",
        description="A part of the name, a key id or a preview; never a token.",
        examples=["crawler"],
    )
    type: Literal["privileged", "viewer", "restricted", "agent", "channel", "system"] | None = None
    channel: Annotated[str, Field(pattern=SLUG_PATTERN, max_length=SLUG_LENGTH)] | None = Field(
        default=None, description="Only keys of the channel with this slug."
    )
    status: Literal["active", "unconfirmed", "expires_soon", "paused", "expired", "revoked"] | None = Field(
        default=None,
        description="Revoked keys are listed only where they are asked for, the last revoked first.",
    )
    environment: Literal["live", "test"] | None = None
    mine: Flag = Field(default=False, description="Only keys that this key has issued.")
    unused: Flag = Field(default=False, description="Only keys not used for 90 days.")
    sort: Literal["created", "-created", "name", "-name", "used", "-used", "expires", "-expires"] = Field(
        default="-created",
        description="With a minus, from the end. Doesn't change the order of revoked keys.",
    )
    limit: Annotated[int, BeforeValidator(_limit)] = Field(default=50, ge=1, le=PAGE_LENGTH)
    cursor: KeyId | None = Field(default=None, description="`next_cursor` of the page before.")


if set(KeyQuery.model_fields["sort"].annotation.__args__) != set(SORTS):  # type: ignore[union-attr]
    raise RuntimeError("The API's sorts aren't those of the keys page.")


if set(Rotation.model_fields["grace"].annotation.__args__) != set(GRACES):  # type: ignore[union-attr]
    raise RuntimeError("The API's grace periods aren't those of the verb.")


class PresentedToken(BaseModel):
    """The token in question. Other parameters are ignored, as OAuth asks (RFC 6749, section 3.2)."""

    token: str = Field(min_length=1, description="The whole token.", examples=[PREVIEW])
    token_type_hint: str = Field(default="", description="Binds nothing.", examples=["access_token"])


class IntrospectedToken(PresentedToken):
    """The token in question, and from where its client came. Other parameters are ignored."""

    client_ip: str = Field(
        default="",
        description="The address of the client that presented the token. A key that is bound to networks is"
        " active only where this is in one of them.",
        examples=["192.0.2.41"],
    )


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
