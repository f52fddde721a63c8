"""The shapes of what the JSON API takes. They parse; the verbs decide."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from keys.bodies import (
    PREVIEW,
    RATE_PATTERN,
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
