"""Where a request comes from. Pure.

Anybody can write X-Forwarded-For, so it counts only as far as it was written by proxies that
`KEYRACK_TRUSTED_PROXIES` names: how many of them stand in front, or the networks that they are in.

A header that isn't ASCII comes from the server as an empty one: somebody wrote it, nobody knows what.

One thing can't be told apart here: WSGI folds `X_Forwarded_For` onto the same name, and the server keeps
the last of the two. The proxy must drop headers with underscores, as nginx does unasked.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# An IPv6 address in brackets, an IPv4 one, or an IPv6 one alone; without port and zone. Each character is
# looked at a few times at most, however many there are.
_HOP: Final = re.compile(
    r"\[([0-9A-Fa-f:.]+)(?:%[^\]]+)?\](?::[0-9]{1,5})?"
    r"|([0-9.]+)(?::[0-9]{1,5})?"
    r"|([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)(?:%.+)?"
)


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The proxies in front: a number of them, or their networks. False when there are none."""

    count: int = 0
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "TrustedProxies":
        """Read `2` or `10.0.0.0/8, ::1`. Raises ValueError."""
        if text.isascii() and text.isdigit():
            return cls(count=int(text))
        return cls(networks=tuple(_network(part.strip()) for part in text.split(",")))

    def __bool__(self) -> bool:
        return bool(self.count or self.networks)

    def vouch_for(self, address: Address | None) -> bool:
        """Say whether `address` is one of the proxies' networks."""
        return address is not None and any(address in network for network in self.networks)


NO_PROXIES: Final = TrustedProxies()


def client_address(meta: Mapping[str, Any], proxies: TrustedProxies) -> str | None:
    """Return the client's address, or None where it can't be known.

    Without trusted proxies it is the peer's, whatever the headers say. With them, X-Forwarded-For is
    walked from the right, since every proxy appends: past as many entries as there are proxies, or past
    all that lie in their networks. What a client wrote itself stands further left and is never reached.
    IPv4 addresses in IPv6 form are returned as IPv4.
    """
    if not proxies:
        return _peer(str(meta.get("REMOTE_ADDR", "")))
    hops = _hops(meta)
    if proxies.count:
        # Fewer entries than proxies: the request went around them, and nothing in it can be believed.
        return _text(hops[proxies.count]) if len(hops) > proxies.count else None
    for hop in hops:
        if not proxies.vouch_for(_address(hop)):
            return _text(hop)
    return _text(hops[-1])


def comes_from_proxy(meta: Mapping[str, Any], proxies: TrustedProxies) -> bool:
    """Say whether the peer may set forwarding headers. A mere number of proxies can't be checked."""
    return bool(proxies.count) or proxies.vouch_for(_address(_hops(meta)[0]))


def _hops(meta: Mapping[str, Any]) -> list[str]:
    """The peer, then X-Forwarded-For from right to left."""
    forwarded = meta.get("HTTP_X_FORWARDED_FOR")
    # An empty one is an entry that can't be read. Without it the proxy itself would be the client.
    entries = [] if forwarded is None else str(forwarded).split(",")
    return [str(meta.get("REMOTE_ADDR", "")), *reversed(entries)]


# Reading one takes as long as a third of a check, and most requests come from the same few.
@lru_cache(maxsize=1024)
def _peer(hop: str) -> str | None:
    return _text(hop)


def _text(hop: str) -> str | None:
    address = _address(hop)
    return None if address is None else str(address)


def _address(hop: str) -> Address | None:
    """Read `192.0.2.1`, `192.0.2.1:5678`, `2001:db8::1`, `fe80::1%eth0` or `[2001:db8::1]:443`."""
    match = _HOP.fullmatch(hop.strip())
    if match is None:
        return None
    try:
        address = ip_address(match[1] or match[2] or match[3])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"“{text}” is neither a number of proxies nor a network") from None
