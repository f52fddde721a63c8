"""Invented keys of which every filter and every search finds as many, however many keys there are.

At a thousand keys a seeded project has few that are paused, or none called by a rare word: its page would be
a short one beside the full page of a million. So sixty of each stand among the others, spread over the years
like them.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from keys.kinds import AGENT_LIFETIME, NEVER_EXPIRES, NEVER_USED, KeyType
from keys.seeding import CHANNELS, Invented, Inventor
from tests.benchmarks.reach_cases import LEAST

RARE: Final = "Quagga relay"
_COMMON: Final = ("Billing crawler", "Docs crawler", "Search crawler")

Change = Callable[[Invented, datetime, int], None]


def _unconfirmed(key: Invented, _at: datetime, _number: int) -> None:
    key.confirmed_at, key.last_used_at, key.days = None, NEVER_USED, {}


def _paused(key: Invented, at: datetime, _number: int) -> None:
    key.paused_at = at


def _expires_soon(key: Invented, at: datetime, number: int) -> None:
    key.expires_at = at + timedelta(days=1 + number % 13)


def _expired(key: Invented, at: datetime, _number: int) -> None:
    key.expires_at = key.created_at + max(timedelta(seconds=1), (at - key.created_at) * 0.9)


def _unused(key: Invented, _at: datetime, _number: int) -> None:
    key.last_used_at, key.days = key.created_at, {}


def _of_type(kind: KeyType) -> Change:
    def change(key: Invented, _at: datetime, number: int) -> None:
        key.type, key.scopes = kind, ""
        if kind == KeyType.AGENT:
            key.scopes, key.expires_at = "agents:run", key.created_at + AGENT_LIFETIME
        if kind == KeyType.CHANNEL:
            key.channel, key.holder = number % len(CHANNELS), f"Holder {number}"

    return change


def _rare(key: Invented, _at: datetime, number: int) -> None:
    key.name = f"{RARE} {number}"


_CHANGES: Final[tuple[Change, ...]] = (
    _rare, _unconfirmed, _paused, _expires_soon, _expired, _unused,
    *map(_of_type, (KeyType.PRIVILEGED, KeyType.VIEWER, KeyType.CHANNEL, KeyType.AGENT)),
)  # fmt: skip
assert 60 * len(_CHANGES) == LEAST


class AlikeInventor(Inventor):
    """Invents keys as `manage.py seed` does, and makes sixty of each kind what a filter or a search finds."""

    def keys(self, count: int) -> Iterator[Invented]:
        """Yield so many keys. Raises ValueError where there is no room for those sixties."""
        if count < LEAST:
            raise ValueError(f"Fewer than {LEAST} keys have no full page for each filter.")
        self._count, self._made = count, 0
        yield from super().keys(count)

    def _key(self, created_at: datetime) -> Invented:
        key = super()._key(created_at)
        number, last = (n * LEAST // self._count for n in (self._made, self._made - 1))
        self._made += 1
        if number != last:
            self._change(key, number)
        return key

    def _change(self, key: Invented, number: int) -> None:
        key.type, key.scopes, key.channel, key.holder = KeyType.RESTRICTED, "sources:read", None, ""
        key.name = self._name(_COMMON[number // len(_CHANGES) % len(_COMMON)])
        key.confirmed_at, key.expires_at = key.created_at, NEVER_EXPIRES
        key.paused_at = key.revoked_at = key.ender = None
        key.reason = ""
        _CHANGES[number % len(_CHANGES)](key, self._at, number)
