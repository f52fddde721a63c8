"""Scopes: their grammar, and what a key's grant allows. Pure: no ORM, no settings."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from keys.kinds import KeyType

_PART: Final = r"[a-z][a-z0-9-]*"
_SCOPE: Final = re.compile(rf"{_PART}:{_PART}")

# `*` grants everything but this: who may ask for a provider's key must have been chosen for it.
NEVER_IMPLIED: Final = frozenset({"gateway:use"})
# A locked-down viewer reads everything but who holds which key and how the project is set up.
_VIEWER_MAY_NOT: Final = frozenset({"keys:read", "settings:read"})
_VIEWER_MAY_ALSO: Final = frozenset({"chat:send"})
# What an operator may not hand out: each of these could widen the operator's own reach.
_ABOVE_OPERATORS: Final = frozenset({"keys", "settings", "gateway"})


def is_scope(text: str) -> bool:
    """Say whether `text` is `resource:action`, both `[a-z][a-z0-9-]*`."""
    return _SCOPE.fullmatch(text) is not None


def above_operators(scope: str) -> bool:
    """Say whether only admins and owners may grant `scope`."""
    return scope.partition(":")[0] in _ABOVE_OPERATORS


def join(scopes: Iterable[str]) -> str:
    """Return scopes as they are stored: sorted, separated by blanks (RFC 6749, section 3.3)."""
    return " ".join(sorted(set(scopes)))


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key may do: everything, every read, or the scopes picked."""

    everything: bool = False
    reads: bool = False
    picked: frozenset[str] = frozenset()

    @classmethod
    def of(cls, key_type: str, stored: str) -> "Grant":
        """Return the grant of a key of `key_type` whose picked scopes are stored as `stored`."""
        return _grant(key_type, stored)

    def allows(self, scope: str) -> bool:
        """Say whether this grant covers `scope`; nothing but `*` and a viewer's reads is a wildcard."""
        if scope in self.picked:
            return True
        if self.everything:
            return scope not in NEVER_IMPLIED
        return self.reads and _viewer_may(scope)

    def lies_within(self, other: "Grant") -> bool:
        """Say whether `other` allows all that this grant does, whatever the catalogue grows to."""
        if self.everything and not other.everything:
            return False
        if self.reads and not (other.everything or other.reads):
            return False
        return all(other.allows(scope) for scope in self.picked)

    def listed(self, catalogue: Iterable[str]) -> list[str]:
        """Return the scopes that this grant covers: `*`, or those of `catalogue` and those picked."""
        if self.everything:
            return ["*"]
        return sorted({scope for scope in catalogue if self.allows(scope)} | self.picked)


@lru_cache(maxsize=1024)
def _grant(key_type: str, stored: str) -> Grant:
    if key_type in (KeyType.PRIVILEGED, KeyType.SYSTEM):
        return Grant(everything=True)
    if key_type in (KeyType.VIEWER, KeyType.CHANNEL):
        return Grant(reads=True)
    return Grant(picked=frozenset(stored.split()))


def _viewer_may(scope: str) -> bool:
    if scope in _VIEWER_MAY_ALSO:
        return True
    return scope.endswith(":read") and scope not in _VIEWER_MAY_NOT
