"""What a believable project holds: invented people, channels and keys. Pure but for the models' classes.

Everything follows from one random generator, so that a seed is the same again under the same address.
Nobody has the secret of such a key: its hash is random, and no secret is known that would make it.
"""

import base64
import random
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import Final, Generic, TypeVar

from keys.kinds import AGENT_LIFETIME, NEVER_EXPIRES, NEVER_USED, Environment, KeyType
from keys.scopes import join
from keys.tokens import ALPHABET, KEY_ID_LENGTH
from projects.models import ChannelKind, Role
from projects.names import fold

T = TypeVar("T")

# How long such a project has been there, and how it has grown: ever more keys a month.
_AGE: Final = timedelta(days=3 * 365)
_GROWTH: Final = 0.6
_HISTORY_DAYS: Final = 14

PEOPLE: Final = (
    ("Mara Lindqvist", Role.ADMIN), ("Tomasz Wieczorek", Role.ADMIN), ("Aylin Demir", Role.OPERATOR),
    ("Kwame Boateng", Role.OPERATOR), ("Ines Carvalho", Role.OPERATOR), ("Jonas Brandt", Role.OPERATOR),
    ("Priya Raman", Role.OPERATOR), ("Yuki Tanaka", Role.OPERATOR), ("Zoë Müller", Role.OPERATOR),
    ("Søren Østergård", Role.VIEWER),
)  # fmt: skip
CHANNELS: Final = (
    ("Support bot", ChannelKind.TEAMS), ("Sales bot", ChannelKind.SLACK),
    ("Website chat", ChannelKind.WEB_WIDGET), ("Partner portal", ChannelKind.WEB_WIDGET),
    ("Order desk", ChannelKind.WHATSAPP), ("Inbox", ChannelKind.EMAIL),
)  # fmt: skip

# A word, and how often people use it beside the others.
_WHATS: Final = (
    ("Billing", 9), ("Docs", 9), ("Search", 8), ("Orders", 8), ("Reports", 7), ("Support", 7), ("CRM", 6),
    ("Inventory", 5), ("Data warehouse", 4), ("Website", 4), ("Newsletter", 3), ("Payroll", 3), ("Press", 2),
    ("Logistics", 2), ("Señalización", 1), ("Größenberater", 1), ("観測", 1), ("Quokka", 0.02),
)  # fmt: skip
_DEEDS: Final = (
    ("sync", 9), ("crawler", 8), ("import", 7), ("export", 7), ("worker", 6), ("webhook", 6),
    ("dashboard", 5), ("nightly job", 4), ("deploy", 4), ("monitor", 4), ("backup", 3), ("indexer", 3),
    ("bot", 3), ("migration", 2), ("load test", 1), ("zero-downtime probe", 0.05),
)  # fmt: skip
_WHERES: Final = (
    ("", 12), ("EU", 3), ("US", 3), ("APAC", 1), ("staging", 3), ("prod", 4), ("(old)", 1), ("v2", 2),
    ("CI", 2),
)  # fmt: skip
_TYPES: Final = (
    (KeyType.RESTRICTED, 52), (KeyType.VIEWER, 15), (KeyType.AGENT, 15), (KeyType.CHANNEL, 15),
    (KeyType.PRIVILEGED, 3),
)  # fmt: skip
_LIFETIMES: Final = (
    (timedelta(days=90), 40), (timedelta(days=365), 27), (None, 25), (timedelta(days=30), 8),
)  # fmt: skip
_SCOPES: Final = (
    (("sources:read",), 30), (("chat:read", "chat:send"), 15), (("sources:read", "sources:write"), 15),
    (("agents:run", "chat:send"), 10), (("workflows:read",), 10), (("keys:read",), 3),
    (("agents:read", "sources:read", "workflows:read", "workflows:write"), 10), (("gateway:use",), 1),
)  # fmt: skip
_AGENT_SCOPES: Final = ((("agents:run", "chat:send", "providers:use"), 4), (("agents:run",), 1))
_CLIENTS: Final = (
    ("curl", 3), ("python-requests", 8), ("node", 6), ("Go-http-client", 5), ("okhttp", 2), ("", 1),
)  # fmt: skip
_REASONS: Final = (
    ("", 5), ("Not needed any more", 4), ("The integration was turned off", 2), ("Leaked in a log", 1),
    ("Whoever held it has left", 2),
)  # fmt: skip


@dataclass(slots=True)
class Invented:
    """An invented key; `maker`, `channel` and `ender` are places in the lists of people and channels.

    `replaces` says that it takes the place of the one that was invented just before. `days` has so many uses
    of each of the last days.
    """

    key_id: str
    type: str
    environment: str
    name: str
    created_at: datetime
    expires_at: datetime
    maker: int
    secret_hash: str
    last4: str
    scopes: str = ""
    channel: int | None = None
    holder: str = ""
    confirmed_at: datetime | None = None
    paused_at: datetime | None = None
    revoked_at: datetime | None = None
    ender: int | None = None
    reason: str = ""
    replaces: bool = False
    last_used_at: datetime = NEVER_USED
    address: str = ""
    client: str = ""
    days: dict[date, int] = field(default_factory=dict)


class _Choice(Generic[T]):
    """Things with their weights, added up once: choosing is then one bisection."""

    def __init__(self, weighed: Sequence[tuple[T, float]]) -> None:
        self._things = [thing for thing, _ in weighed]
        self._sums = list(accumulate(weight for _, weight in weighed))

    def pick(self, rng: random.Random) -> T:
        return self._things[bisect(self._sums, rng.random() * self._sums[-1])]


_WHAT, _DEED, _WHERE = _Choice(_WHATS), _Choice(_DEEDS), _Choice(_WHERES)
_TYPE, _LIFETIME, _SCOPE = _Choice(_TYPES), _Choice(_LIFETIMES), _Choice(_SCOPES)
_AGENT_SCOPE, _CLIENT, _REASON = _Choice(_AGENT_SCOPES), _Choice(_CLIENTS), _Choice(_REASONS)


class Inventor:
    """Invents the keys of one project, the oldest first."""

    def __init__(self, slug: str, at: datetime) -> None:
        self._rng = random.Random(slug)  # noqa: S311 -- nothing here is a secret
        self._at = at
        self._named: dict[str, int] = {}

    def keys(self, count: int) -> Iterator[Invented]:
        """Yield so many keys."""
        before: Invented | None = None
        for number in range(count):
            age = _AGE * (1 - ((number + 1) / count) ** _GROWTH)
            key = self._key(self._at - age)
            if before is not None and before.revoked_at is None and self._rng.random() < 0.001:
                self._replace(before, key)
            if before is not None:
                yield before
            before = key
        if before is not None:
            yield before

    def _key(self, created_at: datetime) -> Invented:
        rng = self._rng
        kind = _TYPE.pick(rng)
        lifetime = AGENT_LIFETIME if kind == KeyType.AGENT else _LIFETIME.pick(rng)
        key = Invented(
            key_id="".join(rng.choices(ALPHABET, k=KEY_ID_LENGTH)),
            type=kind,
            environment=Environment.TEST if rng.random() < 0.15 else Environment.LIVE,
            name=self._name(" ".join(filter(None, [_WHAT.pick(rng), _DEED.pick(rng), _WHERE.pick(rng)]))),
            created_at=created_at,
            expires_at=created_at + lifetime if lifetime else NEVER_EXPIRES,
            maker=rng.randrange(len(PEOPLE) - 1),
            secret_hash=self._hash(),
            last4="".join(rng.choices(ALPHABET, k=4)),
        )
        self._access(key)
        if rng.random() > 0.01:
            key.confirmed_at = created_at + timedelta(seconds=rng.randrange(5, 600))
        self._end(key)
        self._use(key)
        return key

    def _access(self, key: Invented) -> None:
        if key.type == KeyType.RESTRICTED:
            key.scopes = join(_SCOPE.pick(self._rng))
        elif key.type == KeyType.AGENT:
            key.scopes = join(_AGENT_SCOPE.pick(self._rng))
        elif key.type == KeyType.CHANNEL:
            key.channel = self._rng.randrange(len(CHANNELS))
            key.holder = self._name(self._rng.choice(PEOPLE)[0])

    def _end(self, key: Invented) -> None:
        """Most of what has expired was cleared away; of the rest a part was revoked, and a few are paused."""
        rng, over = self._rng, key.expires_at <= self._at
        if rng.random() < (0.8 if over else 0.12):
            last = min(key.expires_at, self._at)
            key.revoked_at = key.created_at + (last - key.created_at) * rng.random()
            key.ender, key.reason = rng.randrange(len(PEOPLE) - 1), _REASON.pick(rng)
        elif not over and rng.random() < 0.01:
            key.paused_at = key.created_at + (self._at - key.created_at) * rng.random()

    def _use(self, key: Invented) -> None:
        """A fifth was never used. Of what lives, a third is in use; the others were used some time ago."""
        rng = self._rng
        end = min(key.revoked_at or self._at, key.paused_at or self._at, key.expires_at, self._at)
        if rng.random() < 0.2 or (key.confirmed_at is None and rng.random() < 0.7):
            return
        living = end == self._at
        if living and rng.random() < 0.33:
            key.last_used_at = max(key.created_at, end - timedelta(seconds=rng.expovariate(1 / 40_000)))
            key.days = self._days(key)
        else:
            key.last_used_at = key.created_at + (end - key.created_at) * rng.random()
        key.address = f"10.{rng.randrange(64)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        key.client = _CLIENT.pick(rng)

    def _days(self, key: Invented) -> dict[date, int]:
        last = key.last_used_at.date()
        many = self._rng.choice((1, 1, 2, 3, 5, 9, _HISTORY_DAYS))
        uses = int(self._rng.paretovariate(0.7)) % 50_000 + 1
        since = key.created_at.date()
        days = (last - timedelta(days=back) for back in range(many))
        return {day: max(1, int(uses * self._rng.uniform(0.5, 1.5))) for day in days if day >= since}

    def _replace(self, old: Invented, new: Invented) -> None:
        """Make the second key the one that takes the place of the first, which works until tomorrow."""
        if old.expires_at <= self._at + timedelta(days=1) or new.type != old.type or old.holder:
            return
        new.name, new.scopes, new.replaces = old.name, old.scopes, True
        old.revoked_at = self._at + timedelta(hours=self._rng.randrange(1, 24))
        old.reason, old.paused_at = f"Rotated by {PEOPLE[new.maker][0]}", None

    def _name(self, base: str) -> str:
        """Return the name, with a number from its second time on."""
        folded = fold(base)
        number = self._named[folded] = self._named.get(folded, 0) + 1
        return base if number == 1 else f"{base} {number}"

    def _hash(self) -> str:
        salt, digest = (base64.b64encode(self._rng.randbytes(n)).decode().rstrip("=") for n in (16, 32))
        return f"$argon2id$v=19$m=64,t=1,p=1${salt}${digest}"
