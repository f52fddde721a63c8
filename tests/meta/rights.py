"""Who may do what: the one list of what stands behind the doors, URL by URL and method by method.

It is the table of the four roles, written down again as what a browser or a client sends, and which event
that leaves. What isn't here is not offered (405). `test_who_may.py` tries all of it as everybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from projects.models import Role

VIEWER, OPERATOR, ADMIN, OWNER = Role.VIEWER, Role.OPERATOR, Role.ADMIN, Role.OWNER


@dataclass(frozen=True, slots=True)
class Deed:
    """What a URL does for whoever has at least a role.

    `row` is the key that it is done to: whose, of what type, in which state. `verb` is the event that it
    leaves, "" where it changes nothing. Who has the role `asks`, but not `least`, gets the form and is
    refused by it (422); below that nobody gets in (403).
    """

    method: str
    least: Role
    verb: str = ""
    sent: Mapping[str, Any] = field(default_factory=dict)
    row: str = "another's"
    asks: Role | None = None


def get(least: Role = VIEWER, row: str = "another's") -> Deed:
    return Deed("GET", least, row=row)


def post(
    least: Role, verb: str = "", sent: Mapping[str, Any] | None = None, *, row: str = "another's",
    asks: Role | None = None,
) -> Deed:  # fmt: skip
    return Deed("POST", least, verb, sent or {}, row, asks)


def dialog(least: Role, verb: str, sent: Mapping[str, Any] | None = None) -> list[Deed]:
    """A form that is asked for and sent."""
    return [get(least), post(least, verb, sent)]


def handled(verb: str, sent: Mapping[str, Any] | None = None, *, form: bool = True) -> list[Deed]:
    """What operators do to their own keys, and admins to everybody's and to privileged ones."""
    rows = {
        "own": OPERATOR,
        "another's": ADMIN,
        "own privileged": ADMIN,
        "another's privileged": ADMIN,
    }
    asked = [get(least, row) for row, least in rows.items()] if form else []
    return [*asked, *(post(least, verb, sent, row=row) for row, least in rows.items())]


def stopped(verb: str, sent: Mapping[str, Any] | None = None) -> list[Deed]:
    """What operators do to anybody's key: whoever is on call must be able to stop a leak."""
    rows = ("own", "another's", "own privileged", "another's privileged")
    return [deed for row in rows for deed in (get(OPERATOR, row), post(OPERATOR, verb, sent, row=row))]


def paused(deeds: list[Deed]) -> list[Deed]:
    """The same to keys that are paused."""
    return [Deed(d.method, d.least, d.verb, d.sent, f"{d.row} paused", d.asks) for d in deeds]


NONCE: Final = {"nonce": "0" * 32}
NEW: Final = NONCE | {"name": "New", "lifetime": "90", "environment": "live"}
RESTRICTED: Final = NEW | {"type": "restricted", "scopes": ["sources:read"]}
PROVIDER: Final = {"name": "Claude", "provider": "anthropic", "secret": "value-of-a-provider-key"}
ADDRESS: Final = {"base_url": "https://api.openai.com/v1", "header": "Authorization", "prefix": "Bearer"}
SCOPES: Final = {"label": "Reports", "actions": "read"}

CONSOLE: Final[dict[str, list[Deed]]] = {
    # Keys
    "key_list": [get()],
    "key_search": [post(VIEWER, sent={"q": "docs"})],
    "key_detail": [get(), get(row="own"), get(row="automator")],
    "key_first_call": [get(), get(row="own")],
    "key_create": [
        get(OPERATOR),
        post(OPERATOR, "key.issued", RESTRICTED),
        post(OPERATOR, "key.issued", NEW | {"type": "viewer"}),
        post(ADMIN, "key.issued", NEW | {"type": "privileged"}, asks=OPERATOR),
        *[
            post(ADMIN, "key.issued", RESTRICTED | {"scopes": [scope]}, asks=OPERATOR)
            for scope in ("keys:read", "keys:write", "settings:read", "settings:write", "gateway:use")
        ],
    ],
    "key_confirm": [
        post(OPERATOR, "key.confirmed", row="own"),
        post(OPERATOR, "key.confirmed", row="own privileged"),
        post(ADMIN, "key.confirmed"),
        post(ADMIN, "key.confirmed", row="another's privileged"),
    ],
    "key_renew": [
        *handled("key.renewed", {"version": "1"}),
        get(ADMIN, "automator"),
        post(ADMIN, "key.renewed", {"version": "1"}, row="automator"),
    ],
    "key_edit": handled(
        "key.edited", {"version": "1", "name": "Other", "note": "", "scopes": ["sources:read"]}
    ),
    "key_rotate": handled("key.issued", {"grace_period": "24h"}),
    "key_pause": stopped("key.paused"),
    "key_resume": paused(handled("key.resumed", form=False)),
    "key_revoke": stopped("key.revoked"),
    "key_reveal": handled("key.revealed"),
    "key_env": [post(OPERATOR, sent={"token": "of the row"}, row="own")],
    "recoverable_keys": dialog(OWNER, "project.recoverable_keys", {"on": "0"}),
    # Agent keys
    "agent_list": [get()],
    "agent_search": [post(VIEWER, sent={"q": "docs"})],
    "agent_create": [
        *dialog(OPERATOR, "key.issued", NONCE | {"name": "New", "scopes": ["agents:run"]}),
        post(ADMIN, "key.issued", NONCE | {"name": "New", "scopes": ["keys:read"]}, asks=OPERATOR),
    ],
    # Channels
    "channel_list": [get()],
    "channel_keys": [get()],
    "channel_issue": dialog(OPERATOR, "key.issued", NEW | {"holder": "Ines"}),
    "channel_create": dialog(ADMIN, "channel.created", {"name": "Website", "kind": "web-widget"}),
    "channel_edit": dialog(ADMIN, "channel.edited", {"name": "Help", "kind": "teams", "version": "1"}),
    "channel_close": dialog(ADMIN, "channel.closed"),
    # Provider keys
    "provider_key_list": [get()],
    "provider_key_search": [post(VIEWER, sent={"q": "docs"})],
    "provider_key_create": dialog(ADMIN, "provider_key.created", PROVIDER),
    "provider_key_edit": dialog(ADMIN, "provider_key.edited", ADDRESS | {"version": "1", "name": "Spare"}),
    "provider_key_delete": dialog(ADMIN, "provider_key.deleted"),
    "upstream_create": dialog(ADMIN, "upstream.created", {"slug": "gpt-5"}),
    "upstream_select": dialog(ADMIN, "upstream.selected", {"provider_key": "", "version": "1"}),
    "upstream_delete": dialog(ADMIN, "upstream.deleted"),
    # Members
    "member_list": [get()],
    "member_invite": dialog(OWNER, "member.invited", {"email": "nora@example.test", "role": VIEWER}),
    "member_role": dialog(OWNER, "member.role_changed", {"role": ADMIN, "was": OPERATOR}),
    "member_remove": dialog(OWNER, "member.removed"),
    "invitation_renew": dialog(OWNER, "invitation.renewed", {"version": "1"}),
    "invitation_revoke": dialog(OWNER, "invitation.revoked"),
    # The project
    "audit_log": [get()],
    "audit_filter": [post(VIEWER, sent={"who": "", "what": ""})],
    "audit_csv": [get()],
    "project_general": [get()],
    "project_rename": dialog(OWNER, "project.renamed", {"name": "Apex"}),
    "project_delete": dialog(OWNER, "project.deleted", {"name": "Acme"}),
    "second_factor_required": dialog(OWNER, "project.second_factor", {"on": "1"}),
    "resource_create": dialog(ADMIN, "resource.added", SCOPES | {"name": "bills"}),
    "resource_edit": dialog(ADMIN, "resource.edited", SCOPES | {"seen": "read write"}),
    "resource_remove": dialog(ADMIN, "resource.removed"),
}


@dataclass(frozen=True, slots=True)
class Call:
    """What a URL of the JSON API does for a key that has a scope: "" is any key, None nobody at all.

    With a `query` it is asked on behalf of a place that is for live keys of one project.
    """

    scope: str | None
    verb: str = ""
    sent: Mapping[str, Any] = field(default_factory=dict)
    row: str = "another's"
    query: str = ""


# By method. How a call without a key is answered stands in `UNASKED`.
API: Final[dict[str, dict[str, Call]]] = {
    "openapi": {"GET": Call(None)},
    "whoami": {"GET": Call("")},
    "authorize": {"GET": Call("sources:read", query="?project=acme&scope=sources:read")},
    "introspect": {"POST": Call("keys:read", sent={"token": "of the row"})},
    "revoke_token": {"POST": Call(None, "key.revoked", {"token": "of the row"})},
    "api_keys": {
        "GET": Call("keys:read"),
        "POST": Call("keys:write", "key.issued", {"name": "New", "scopes": ["sources:read"]}),
    },
    "api_key": {
        "GET": Call("keys:read"),
        "PATCH": Call("keys:write", "key.edited", {"version": 1, "name": "Other"}),
        "DELETE": Call("keys:write", "key.revoked"),
    },
    "api_key_renew": {"POST": Call("keys:write", "key.renewed", {"version": 1})},
    "api_key_rotate": {"POST": Call("keys:write", "key.issued", {"grace": "24h"})},
    "api_key_pause": {"POST": Call("keys:write", "key.paused")},
    "api_key_resume": {"POST": Call("keys:write", "key.resumed", row="another's paused")},
    "api_key_revoke": {"POST": Call("keys:write", "key.revoked", {"reason": "Lost"})},
}
