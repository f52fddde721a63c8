"""What an event of the audit log says: the words for every verb, and for what it changed.

One place for them: the audit log and its file, the life of a key, and the pages of staff read them here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from projects.models import AuditEvent
from projects.moments import Moment

# `{}` stands for what it was done to. A test holds that every verb that is recorded has words here.
DEEDS: Final[Mapping[str, str]] = {
    "key.issued": "created {}",
    "key.confirmed": "stored the secret of {}",
    "key.renewed": "gave {} a new secret",
    "key.edited": "edited {}",
    "key.paused": "paused {}",
    "key.resumed": "resumed {}",
    "key.rotated": "rotated {}",
    "key.revealed": "looked at the secret of {}",
    "key.revoked": "revoked {}",
    "provider_key.created": "stored the provider key {}",
    "provider_key.edited": "edited the provider key {}",
    "provider_key.replaced": "replaced the value of the provider key {}",
    "provider_key.deleted": "deleted the provider key {}",
    "upstream.created": "added the upstream {}",
    "upstream.edited": "edited the upstream {}",
    "upstream.selected": "selected the provider key of the upstream {}",
    "upstream.deleted": "deleted the upstream {}",
    "channel.created": "created the channel {}",
    "channel.edited": "edited the channel {}",
    "channel.closed": "closed the channel {}",
    "member.added": "made {} a member",
    "member.invited": "invited {}",
    "member.role_changed": "changed the role of {}",
    "member.removed": "removed {} from the project",
    "member.left": "left the project",
    "invitation.created": "invited {}",
    "invitation.renewed": "made a new link for the invitation of {}",
    "invitation.accepted": "accepted the invitation of {}",
    "invitation.revoked": "took back the invitation of {}",
    "resource.added": "added the scopes of {}",
    "resource.edited": "edited the scopes of {}",
    "resource.removed": "removed the scopes of {}",
    "project.created": "created the project {}",
    "project.renamed": "renamed the project {}",
    "project.recoverable_keys": "changed whether keys of {} are recoverable",
    "project.second_factor": "changed whether {} requires a second factor",
    "project.private_upstreams": "changed whether upstreams of {} may be private",
    "project.deleted": "deleted the project {}",
    "project.purged": "purged the rows of {}",
    "person.created": "created the account of {}",
    "person.edited": "edited the account of {}",
    "person.deactivated": "deactivated the account of {}",
    "person.reactivated": "reactivated the account of {}",
    "person.password_link_made": "made a password link for {}",
    "person.password_changed": "changed their password",
    "person.password_reset": "set a new password by a link",
    "person.second_factor_added": "added a second factor to the account of {}",
    "person.second_factor_removed": "removed the second factor from the account of {}",
    "person.recovery_codes_made": "made new recovery codes for {}",
    "person.recovery_code_used": "used a recovery code of {}",
    "person.signed_in": "signed in",
    "person.signed_out": "signed out",
    "person.sign_in_failed": "failed to sign in",
    "sealing.moved": "sealed everything anew under {}",
}

# The part of a verb before its dot, as the filter of a project's log offers it; accounts aren't in there.
TOPICS: Final[Mapping[str, str]] = {
    "key": "API keys",
    "provider_key": "Provider keys",
    "upstream": "Upstreams",
    "channel": "Channels",
    "member": "Members",
    "invitation": "Invitations",
    "resource": "Scopes",
    "project": "The project",
}

# Verbs whose `changes` are what the thing was made as; all others have each value before and after.
_FOUNDING: Final = frozenset({"key.issued", "person.created", "provider_key.created", "channel.created"})
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*\+00:00")


@dataclass(frozen=True, slots=True)
class Change:
    """A value before and after; or, where something was just made, how it was made (`before` is None)."""

    name: str
    before: str | None
    after: str

    @property
    def text(self) -> str:
        """As `role: Viewer → Admin`."""
        values = [self.after] if self.before is None else [self.before, self.after]
        return f"{self.name}: {' → '.join(values)}"


def parts(verb: str, name: str) -> tuple[str, str, str]:
    """Return the words before a name, the name, and the words after it; "" for a name that has no place.

    A verb without words of its own is named as it is.
    """
    before, place, after = DEEDS.get(verb, f"{verb} {{}}").partition("{}")
    return before, name if place else "", after


def sentence(verb: str, name: str) -> str:
    """Return what was done, as `edited Docs crawler`. It follows the name of who did it."""
    return "".join(parts(verb, name)).strip()


def changes_of(event: AuditEvent) -> list[Change]:
    """Return what an event changed, by name; nothing for a value that was left empty."""
    founding = event.verb in _FOUNDING
    return list(_changes(event.changes, founding=founding))


def _changes(changes: Mapping[str, Any], *, founding: bool) -> Iterator[Change]:
    for name, value in sorted(changes.items()):
        words = name.replace("_", " ")
        if _is_pair(value, founding=founding):
            if value[0] != value[1]:
                yield Change(words, _said(value[0]), _said(value[1]))
        elif value not in ("", [], None):
            yield Change(words, None, _said(value))


def _is_pair(value: Any, *, founding: bool) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    # What was just made may have two scopes; nothing was before it.
    return not founding or value[0] is None or isinstance(value[0], list)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return _moment(str(value)) if value not in ("", None) else "none"


def _moment(text: str) -> str:
    """Return a time as people read it; any other text as it is."""
    if not _TIME.fullmatch(text):
        return text
    return Moment.of(datetime.fromisoformat(text)).text
