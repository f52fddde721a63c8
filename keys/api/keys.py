"""`/api/v1/keys`: list, issue, read, edit, renew and revoke keys, with a key."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from django.http import HttpResponse
from django.urls import reverse

from keys import answers, bodies, conflicts, lifecycle, problems
from keys.api.operations import About, Operation
from keys.api.parsing import body, query
from keys.api.requests import Call, Refused, keyed
from keys.api.schemas import KeyChanges, KeyQuery, NewKey, Renewal, Revocation, Rotation
from keys.descriptions import described
from keys.finding import Wanted, find
from keys.kinds import GRACES
from keys.models import Key
from keys.querysets import LAST_REVOKED_FIRST, SORTS, KeyQuerySet
from keys.search import read
from projects.models import Channel

# Visible ASCII; what it says is the client's business (it is kept as a digest).
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


def list_keys(call: Call) -> HttpResponse:
    asked = query(call.request, KeyQuery)
    order = LAST_REVOKED_FIRST if asked.status == "revoked" else SORTS[asked.sort]
    shown = find(_wanted(call, asked), order, after=_edge(call, asked), size=asked.limit).page
    cursor = shown.rows[-1].key_id if shown.rows and shown.has_next else None
    response = answers.json_response(bodies.KeyPage(keys=described_all(call, shown.rows), next_cursor=cursor))
    if cursor:
        given = {**call.request.GET.dict(), "cursor": cursor}
        response["Link"] = f'<{reverse("api_keys")}?{urlencode(given)}>; rel="next"'
    return response


def issue_key(call: Call) -> HttpResponse:
    wanted = body(call.request, NewKey)
    issued = lifecycle.issue(
        call.project,
        wanted.draft(call.at),
        actor=call.actor,
        at=call.at,
        nonce=_idempotency_key(call),
        confirmed=True,
    )
    url = reverse("api_key", args=[issued.key.key_id])
    return answers.json_response(_with_token(call, issued), status=201, headers={"Location": url})


def read_key(call: Call, key_id: str) -> HttpResponse:
    return _answer(call, call.called(key_id))


def edit_key(call: Call, key_id: str) -> HttpResponse:
    changes = body(call.request, KeyChanges)
    call.called(key_id)
    key = lifecycle.edit(
        call.project, key_id, changes.edit(), actor=call.actor, at=call.at, version=changes.version
    )
    return _answer(call, key)


def renew_key(call: Call, key_id: str) -> HttpResponse:
    renewal = body(call.request, Renewal)
    call.called(key_id)
    issued = lifecycle.renew(
        call.project, key_id, actor=call.actor, at=call.at, version=renewal.version, confirmed=True
    )
    return answers.json_response(_with_token(call, issued))


def rotate_key(call: Call, key_id: str) -> HttpResponse:
    rotation = body(call.request, Rotation, optional=True)
    call.called(key_id)
    issued = lifecycle.rotate(
        call.project, key_id, grace=GRACES[rotation.grace], actor=call.actor, at=call.at, confirmed=True
    )
    url = reverse("api_key", args=[issued.key.key_id])
    return answers.json_response(_with_token(call, issued), status=201, headers={"Location": url})


def pause_key(call: Call, key_id: str) -> HttpResponse:
    call.called(key_id)
    return _answer(call, lifecycle.pause(call.project, key_id, actor=call.actor, at=call.at))


def resume_key(call: Call, key_id: str) -> HttpResponse:
    call.called(key_id)
    return _answer(call, lifecycle.resume(call.project, key_id, actor=call.actor, at=call.at))


def revoke_key(call: Call, key_id: str) -> HttpResponse:
    return _revoked(call, key_id, body(call.request, Revocation, optional=True).reason)


def delete_key(call: Call, key_id: str) -> HttpResponse:
    return _revoked(call, key_id, "")


def _revoked(call: Call, key_id: str, reason: str) -> HttpResponse:
    """Revoke, and answer the row; a second time the same row again."""
    call.called(key_id)
    try:
        key = lifecycle.revoke(call.project, key_id, actor=call.actor, at=call.at, reason=reason)
    except conflicts.AlreadyRevoked as before:
        key = before.key
    return _answer(call, key)


def described_all(call: Call, keys: Sequence[Key]) -> list[bodies.Key]:
    catalogue = call.project.scopes()
    return [described(key, catalogue, call.at) for key in keys]


def _answer(call: Call, key: Key) -> HttpResponse:
    return answers.json_response(described(key, call.project.scopes(), call.at))


def _with_token(call: Call, issued: lifecycle.Issued) -> bodies.KeyWithToken:
    return {**described(issued.key, call.project.scopes(), call.at), "token": issued.token}


def _wanted(call: Call, asked: KeyQuery) -> Wanted:
    revoked = asked.status == "revoked"
    channel = _channel(call, asked.channel) if asked.channel else None
    columns = {"type": asked.type, "environment": asked.environment, "channel": channel}
    given = {name: value for name, value in columns.items() if value}

    def narrow(keys: KeyQuerySet) -> KeyQuerySet:
        keys = keys.filter(**given)
        if asked.mine:
            keys = keys.issued_by(call.key)
        return keys.unused_since(call.at) if asked.unused else keys

    narrowed = given or asked.mine or asked.unused or call.key.environment == "test"
    return Wanted(
        call.project,
        call.at,
        call.visible(),
        revoked=revoked,
        sought=read(asked.q),
        status="" if revoked or not asked.status else asked.status,
        narrow=narrow if narrowed else None,
    )


def _channel(call: Call, slug: str) -> Channel:
    """Return the channel of this slug, a closed one too. Raises Refused where there is none."""
    channel: Channel | None = call.project.channels.filter(slug=slug).first()
    if channel is None:
        raise Refused(answers.invalid_parameters([("channel", "There is no such channel here.")]))
    return channel


def _edge(call: Call, asked: KeyQuery) -> Key | None:
    """Return the last key of the page before. Raises Refused for one that isn't of such a list."""
    if asked.cursor is None:
        return None
    edge: Key | None = call.visible().filter(key_id=asked.cursor).first()
    if edge is None or (asked.status == "revoked" and edge.revoked_at is None):
        raise Refused(answers.invalid_parameters([("cursor", "It isn't of this list.")]))
    return edge


def _idempotency_key(call: Call) -> str:
    given: str | None = call.request.headers.get("Idempotency-Key")
    if given is not None and not _IDEMPOTENCY_KEY.fullmatch(given):
        wrong = [("Idempotency-Key", "Use 1 to 255 characters of visible ASCII.")]
        raise Refused(answers.invalid_parameters(wrong))
    return given or ""


_LIST = About(
    "list_keys", "List keys",
    "The keys of the project, a page at a time. A test key sees test keys only. The last page has no"
    " `next_cursor`, and no `Link`.",
    bodies.KeyPage, "A page of keys.",
    query=KeyQuery, gives=("Link",),
)  # fmt: skip
_ISSUE = About(
    "issue_key", "Issue a key",
    "The answer holds the token, this once. Send an `Idempotency-Key`, and a repeated request makes no second"
    " key: it is told which one it made. The new key lies within the bounds of the key that issues it: its"
    " scopes, environment, networks and expiry; so a key that ends within 90 days has to say `expires_at`,"
    " and issues no agent keys. A channel key names its `channel` and its `holder`; no other type does.",
    bodies.KeyWithToken, "The key, and its token.", status=201,
    body=NewKey, takes=("Idempotency-Key",), gives=("Location",),
    problems=(problems.INVALID_PARAMETER, problems.BEYOND_BOUNDS, problems.ALREADY_ISSUED),
)  # fmt: skip
_READ = About(
    "read_key", "Read a key", "A revoked or expired key is still there.", bodies.Key, "The key."
)  # fmt: skip
_EDIT = About(
    "edit_key", "Edit a key",
    "Its name, note, scopes (of a restricted or an agent key), limits and expiry (not of an agent key); the"
    " token stays. `version` is the one that you read: where somebody has changed the key since, nothing is"
    " done. An expired key doesn't come back.",
    bodies.Key, "The key as it is now.",
    body=KeyChanges,
    problems=(
        problems.BEYOND_BOUNDS, problems.STALE, problems.PROTECTED, problems.ALREADY_REVOKED,
        problems.ALREADY_ROTATED,
    ),
)  # fmt: skip
_DELETE = About(
    "delete_key", "Revoke a key (DELETE)",
    "Requests with the key fail from the answer on, everywhere. Its row stays, for audit. The same again"
    " answers the same.",
    bodies.Key, "The revoked key.",
    problems=(problems.BEYOND_BOUNDS, problems.PROTECTED),
)  # fmt: skip
_RENEW = About(
    "renew_key", "Give a key a new secret",
    "For a key that was issued in the console and that nobody has confirmed or used: the same key with a"
    " fresh token; the old one stops at once.",
    bodies.KeyWithToken, "The key, and its new token.",
    body=Renewal,
    problems=(
        problems.BEYOND_BOUNDS, problems.STALE, problems.NOT_RENEWABLE, problems.ALREADY_REVOKED,
    ),
)  # fmt: skip
_ROTATE = About(
    "rotate_key", "Rotate a key",
    "A new key of the same name and settings takes this one's place; the answer holds its token, this once."
    " The old one goes on working for the grace that you choose. A repeated request makes no other key: it is"
    " told which one took the place. The body may be left out.",
    bodies.KeyWithToken, "The new key, and its token.", status=201,
    body=Rotation, body_optional=True, gives=("Location",),
    problems=(
        problems.BEYOND_BOUNDS, problems.ALREADY_ROTATED, problems.ALREADY_REVOKED, problems.PROTECTED,
    ),
)  # fmt: skip
_PAUSE = About(
    "pause_key", "Pause a key",
    "It is refused, with `paused`, until somebody resumes it. The same again answers the same.",
    bodies.Key, "The paused key.",
    problems=(problems.BEYOND_BOUNDS, problems.ALREADY_REVOKED, problems.PROTECTED),
)  # fmt: skip
_RESUME = About(
    "resume_key", "Resume a paused key",
    "It passes again. The same again answers the same.",
    bodies.Key, "The key, which isn't paused any more.",
    problems=(problems.BEYOND_BOUNDS, problems.ALREADY_REVOKED),
)  # fmt: skip
_REVOKE = About(
    "revoke_key", "Revoke a key",
    "As `DELETE`, with a reason. The body may be left out.",
    bodies.Key, "The revoked key.",
    body=Revocation, body_optional=True,
    problems=(problems.BEYOND_BOUNDS, problems.PROTECTED),
)  # fmt: skip

keys_view = keyed(
    GET=Operation(list_keys, _LIST, "keys:read"), POST=Operation(issue_key, _ISSUE, "keys:write")
)
key_view = keyed(
    GET=Operation(read_key, _READ, "keys:read"),
    PATCH=Operation(edit_key, _EDIT, "keys:write"),
    DELETE=Operation(delete_key, _DELETE, "keys:write"),
)
renew_view = keyed(POST=Operation(renew_key, _RENEW, "keys:write"))
rotate_view = keyed(POST=Operation(rotate_key, _ROTATE, "keys:write"))
pause_view = keyed(POST=Operation(pause_key, _PAUSE, "keys:write"))
resume_view = keyed(POST=Operation(resume_key, _RESUME, "keys:write"))
revoke_view = keyed(POST=Operation(revoke_key, _REVOKE, "keys:write"))
