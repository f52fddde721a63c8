"""Whether a presented token is good: the only reader that decides.

The row is read at every check, in autocommit, so that a key stops working with the first check that
starts after the revocation was answered, on every process and machine. No decision is remembered.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from threading import Lock
from typing import Final, NamedTuple

from config.metrics import count_check
from keys import networks, rates, reading, throttles, tokens
from keys.activity import activity
from keys.kinds import NEVER_EXPIRES, Environment
from keys.models import Key
from keys.scopes import Grant
from keys.sources import NOWHERE, Source
from keys.throttles import Window


class Outcome(StrEnum):
    """What a check can answer, in the order in which it is found out."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    REVOKED = "revoked"
    EXPIRED = "expired"
    PAUSED = "paused"
    WRONG_ENVIRONMENT = "wrong-environment"
    NETWORK_NOT_ALLOWED = "network-not-allowed"
    WRONG_CHANNEL = "wrong-channel"
    SCOPE_MISSING = "scope-missing"
    RATE_LIMITED = "rate-limited"
    VALID = "valid"


class Facts(NamedTuple):
    """What the check read of the key. No hash, no secret.

    A tuple, like the verdict: one is made at every check, and a frozen dataclass takes five times as long.
    """

    pk: int
    key_id: str
    name: str
    type: str
    environment: str
    scopes: str
    project_id: int
    project: str
    project_name: str
    created_at: datetime
    expires_at: datetime
    channel: str | None
    networks: str
    rate: str

    @property
    def grant(self) -> Grant:
        return Grant.of(self.type, self.scopes)

    @property
    def expires(self) -> datetime | None:
        """The end of the key, None for one that never expires."""
        return None if self.expires_at == NEVER_EXPIRES else self.expires_at


class Verdict(NamedTuple):
    """The outcome of a check. `facts` are there once the secret matched and the project was right."""

    outcome: Outcome
    facts: Facts | None = None
    missing: str = ""
    window: Window | None = None

    @property
    def is_valid(self) -> bool:
        return self.outcome is Outcome.VALID


def check(
    presented: str,
    *,
    at: datetime,
    project: str | None = None,
    scopes: Sequence[str] = (),
    environment: str | None = Environment.LIVE,
    channel: str | None = "",
    source: Source = NOWHERE,
    counted: bool = True,
    throttled: bool = True,
) -> Verdict:
    """Return the verdict on a presented token.

    One query: the row of the key, which is read anew at every check. None for a malformed token, and nothing
    is hashed then. No other query whatever the verdict is, and no write: counts go to memory (keys.activity).

    `project` is the slug that the caller guards; a key of another one is unknown there. `scopes` must
    all be granted. `channel` is the slug of the one that is guarded, "" where none is: a channel key is
    good in its own only. None accepts any channel, as `environment` None accepts both (whoami).
    An unknown id and a wrong secret are answered alike and cost the same.
    A key that is bound to networks must come from one of them (`source`). The check is counted, and uses
    up the key's rate, unless somebody only asks (`counted`, `throttled`).
    Raises ThrottleUnavailable where a rate can't be counted now.
    """
    verdict = _verdict(presented, at, project, scopes, environment, channel, source.certain_address)
    known = verdict.facts
    if throttled and known and known.rate and verdict.is_valid:
        verdict = _within_rate(verdict, known)
    if counted:
        pk = known.pk if known else 0
        activity.note(pk, verdict.outcome, at, source, used=verdict.is_valid, scopes=scopes)
        count_check(verdict.outcome)
    return verdict


def _verdict(
    presented: str,
    at: datetime,
    project: str | None,
    scopes: Sequence[str],
    environment: str | None,
    channel: str | None,
    address: str | None,
) -> Verdict:
    token = tokens.parse(presented)
    if token is None:
        return Verdict(Outcome.MALFORMED)
    row = reading.read(token.key_id)
    stored_hash = row[0] if row else _decoy()
    matched = _memo.matches(presented, token.secret, stored_hash)
    if row is None or not matched:
        return Verdict(Outcome.UNKNOWN)
    _, revoked_at, revoked_by, paused_at, *rest = row
    facts = Facts(*rest)
    if token.environment != facts.environment or project not in (None, facts.project):
        return Verdict(Outcome.UNKNOWN)
    # As Key.is_revoked: a revocation counts though this machine's clock is behind the other's.
    if revoked_at is not None and (revoked_by or revoked_at <= at):
        return Verdict(Outcome.REVOKED, facts)
    if facts.expires_at <= at:
        return Verdict(Outcome.EXPIRED, facts)
    if paused_at is not None:
        return Verdict(Outcome.PAUSED, facts)
    return _admitted(facts, scopes, environment, channel, address)


def _admitted(
    facts: Facts,
    scopes: Sequence[str],
    environment: str | None,
    channel: str | None,
    address: str | None,
) -> Verdict:
    """Return the verdict on a living key, by where it is used and for what."""
    if environment not in (None, facts.environment):
        return Verdict(Outcome.WRONG_ENVIRONMENT, facts)
    if not networks.holds(facts.networks, address):
        return Verdict(Outcome.NETWORK_NOT_ALLOWED, facts)
    if facts.channel is not None and channel not in (None, facts.channel):
        return Verdict(Outcome.WRONG_CHANNEL, facts)
    grant = facts.grant
    for scope in scopes:
        if not grant.allows(scope):
            return Verdict(Outcome.SCOPE_MISSING, facts, missing=scope)
    return Verdict(Outcome.VALID, facts)


def _within_rate(verdict: Verdict, facts: Facts) -> Verdict:
    """Use up the rate of a key that would pass. Raises ThrottleUnavailable."""
    rate = rates.parse(facts.rate)
    window = throttles.take(facts.key_id, rate) if rate else None
    outcome = Outcome.RATE_LIMITED if window and window.exceeded else verdict.outcome
    return Verdict(outcome, facts, window=window)


def proves(key: Key, presented: str) -> bool:
    """Say whether `presented` is this key's token, whatever state the key is in. No query."""
    token = tokens.parse(presented)
    return (
        token is not None
        and (token.key_id, token.environment) == (key.key_id, key.environment)
        and tokens.verify_secret(key.secret_hash, token.secret)
    )


class _Memo:
    """Remembers whether a token text matched a stored hash, so that Argon2 runs once per process.

    It never remembers a decision: the row is read at every check. What it keeps is a BLAKE2b digest
    under a random key of this process, never the token. Bounded, least recently used first; a flood of wrong
    secrets pushes no right one out. A client that goes on with an old secret costs no more than a good one,
    whether there is a key of that id or not.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        # Copied for each text: to begin anew with the key takes twice as long.
        self._keyed = hashlib.blake2b(key=os.urandom(32), digest_size=16)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._lock = Lock()

    def matches(self, text: str, secret: str, stored_hash: str) -> bool:
        digesting = self._keyed.copy()
        digesting.update(f"{text}\0{stored_hash}".encode())
        digest = digesting.digest()
        with self._lock:
            if digest in self._right:
                self._right.move_to_end(digest)
                return True
            if digest in self._wrong:
                self._wrong.move_to_end(digest)
                return False
        matched = tokens.verify_secret(stored_hash, secret)
        with self._lock:
            seen = self._right if matched else self._wrong
            seen[digest] = None
            if len(seen) > self._size:
                seen.popitem(last=False)
        return matched


_memo: Final = _Memo(size=10_000)


@cache
def _decoy() -> str:
    """Return a hash that nothing matches: an unknown id must take as long as a wrong secret."""
    return tokens.hash_secret("no key has this secret")
