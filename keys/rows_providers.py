"""Provider keys and upstreams as people read them, formatted once in Python. No value is among it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from keys.kinds import Provider
from keys.models import ProviderKey, Upstream
from projects.moments import Moment

_USERS_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """One row of the provider keys; `users` are the first upstreams that use it, `more` how many follow."""

    public_id: str
    name: str
    provider: str
    address: str
    mask: str
    users: Sequence[str]
    more: int
    updated: Moment

    @classmethod
    def of(cls, key: ProviderKey, users: Sequence[str]) -> "ProviderRow":
        """Format a provider key. No query: `users` are the slugs of its upstreams."""
        return cls(
            public_id=key.public_id,
            name=key.name,
            provider=Provider(key.provider).label,
            address=key.base_url.removeprefix("https://"),
            mask=key.mask,
            users=users[:_USERS_NAMED],
            more=max(0, len(users) - _USERS_NAMED),
            updated=Moment.of(key.updated_at),
        )


@dataclass(frozen=True, slots=True)
class UpstreamRow:
    """One row of the upstreams. `anchor` is its slug as a part of an id that a selector can name."""

    slug: str
    anchor: str
    key_id: str
    key_name: str
    version: int

    @classmethod
    def of(cls, upstream: Upstream) -> "UpstreamRow":
        """Format an upstream. No query: it comes with its provider key."""
        key = upstream.provider_key
        return cls(
            slug=upstream.slug,
            anchor=anchor_of(upstream.slug),
            key_id=key.public_id if key else "",
            key_name=key.name if key else "",
            version=upstream.version,
        )


def anchor_of(slug: str) -> str:
    """Return a slug without dots, which begin a class in a selector; no slug has an underscore of its own."""
    return slug.replace(".", "_")
