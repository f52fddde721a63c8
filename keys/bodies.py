"""What the JSON API answers, as types: mypy holds the code to them, and the OpenAPI document shows them."""

from typing import Annotated, Final, Literal, NotRequired

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from keys.kinds import Environment, KeyType, Status

KEY_ID_PATTERN: Final = r"^[0-9A-Za-z]{12}$"
SLUG_PATTERN: Final = r"^[a-z0-9][a-z0-9-]*$"
RATE_PATTERN: Final = r"^[1-9][0-9]{0,6}/(second|minute|hour|day)$"
SCOPE_PATTERN: Final = r"^[a-z][a-z0-9-]*:[a-z][a-z0-9-]*$"
PREVIEW: Final = "kr_live_7Fq2…x9Qa"

KeyId = Annotated[
    str,
    StringConstraints(pattern=KEY_ID_PATTERN),
    Field(description="The public part of the key.", examples=["7Fq2aB3dE5gH"]),
]
Scope = Annotated[
    str, StringConstraints(pattern=SCOPE_PATTERN, max_length=100), Field(examples=["sources:read"])
]
Version = Annotated[int, Field(ge=1, lt=2**31, description="Counts the changes of the key.", examples=[1])]
_Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-21T12:11:00Z"])]
_Type = Annotated[
    str,
    Field(
        description="What kind of key it is.",
        json_schema_extra={"enum": list(KeyType.values)},
        examples=["restricted"],
    ),
]
_Environment = Annotated[str, Field(json_schema_extra={"enum": list(Environment.values)}, examples=["live"])]
_Status = Annotated[
    str,
    Field(
        description="The state that matters most.",
        json_schema_extra={"enum": [status.name.lower() for status in Status]},
        examples=["active"],
    ),
]
_Granted = Annotated[
    list[str],
    Field(
        description="What it may do: `*` for everything but `gateway:use`, or each scope.",
        examples=[["sources:read", "sources:write"]],
    ),
]
_Channel = Annotated[
    str | None,
    Field(
        description="The slug of the channel that a channel key is good in, and nowhere else; null for every"
        " other key.",
        examples=[None],
    ),
]
_Name = Annotated[str, Field(examples=["Docs crawler"])]
_By = Annotated[str, Field(description="Who, as the audit log names them.", examples=["Mara Lindqvist"])]


class Key(TypedDict):
    """A key: never its secret, nor a hash of it."""

    key_id: KeyId
    name: _Name
    type: _Type
    environment: _Environment
    scopes: _Granted
    channel: _Channel
    holder: Annotated[
        str | None, Field(description="Who holds a channel key; null for every other.", examples=[None])
    ]
    networks: Annotated[
        list[str],
        Field(description="Where it may be used from; empty for anywhere.", examples=[["192.0.2.0/24"]]),
    ]
    rate: Annotated[
        str | None,
        Field(description="How often it may be used; null for no limit.", examples=["100/minute"]),
    ]
    note: Annotated[str, Field(examples=["Runs on the build server."])]
    preview: Annotated[
        str, Field(description="First four of the key id, last four of the token.", examples=[PREVIEW])
    ]
    status: _Status
    created_at: _Time
    created_by: _By
    expires_at: Annotated[
        _Time | None, Field(description="Null for never.", examples=["2027-02-19T12:11:00Z"])
    ]
    last_used_at: Annotated[
        _Time | None,
        Field(description="Null where it was never used; at most a second late.", examples=[None]),
    ]
    revoked_at: Annotated[_Time | None, Field(examples=[None])]
    revoked_by: Annotated[str | None, Field(examples=[None])]
    revoked_reason: Annotated[str | None, Field(examples=[None])]
    version: Version


class KeyWithToken(Key):
    """A key with its token, which exists in this answer and nowhere else."""

    token: Annotated[
        str, Field(description="64 characters. Store it now: nobody can show it again.", examples=[PREVIEW])
    ]


class KeyPage(TypedDict):
    """One page of keys."""

    keys: list[Key]
    next_cursor: Annotated[
        KeyId | None, Field(description="`cursor` of the next page, null on the last one.", examples=[None])
    ]


class Identity(TypedDict):
    """What the presented key is and may do."""

    key_id: KeyId
    name: _Name
    type: _Type
    environment: _Environment
    project: Annotated[str, Field(description="The project's slug.", examples=["acme"])]
    scopes: _Granted
    channel: _Channel
    created_at: _Time
    expires_at: Annotated[
        _Time | None, Field(description="Null for never.", examples=["2027-02-19T12:11:00Z"])
    ]


class Inactive(TypedDict):
    """A token that isn't good, or not of the caller's project: nothing more is said."""

    active: Literal[False]


class Active(TypedDict):
    """A good token of the caller's project (RFC 7662, section 2.2)."""

    active: Literal[True]
    scope: Annotated[
        str, Field(description="The scopes, separated by blanks.", examples=["sources:read sources:write"])
    ]
    client_id: Annotated[KeyId, Field(description="The key id: put it into your logs, not the token.")]
    sub: KeyId
    token_type: Literal["Bearer"]
    iat: Annotated[int, Field(description="When it was issued, in seconds.", examples=[1795263060])]
    exp: NotRequired[
        Annotated[int, Field(description="When it ends; left out for never.", examples=[1803039060])]
    ]
    jti: KeyId
    project: Annotated[str, Field(examples=["acme"])]
    type: _Type
    environment: _Environment
    channel: _Channel
    name: _Name


class Empty(TypedDict):
    """An empty object."""


class WrongMember(TypedDict):
    """One member or parameter that is wrong."""

    member: Annotated[str, Field(description="Its name; empty for the whole.", examples=["name"])]
    detail: Annotated[str, Field(examples=["Enter a name."])]


class Problem(TypedDict):
    """A problem document (RFC 9457)."""

    type: Annotated[str, Field(description="A URN that never changes: decide by it.")]
    title: str
    status: int
    detail: str
    errors: NotRequired[Annotated[list[WrongMember], Field(description="What is wrong, by member.")]]
    key_id: NotRequired[Annotated[KeyId, Field(description="Of a conflict: the key as it is now.")]]
    version: NotRequired[Annotated[Version, Field(description="Of a conflict: the key's version now.")]]
    scope: NotRequired[Annotated[Scope, Field(description="The scope that is missing.")]]
    error: NotRequired[Annotated[str, Field(description="The same for OAuth clients (RFC 6749, 5.2).")]]
    error_description: NotRequired[str]
