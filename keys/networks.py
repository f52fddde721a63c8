"""The networks that a key may be used from, as CIDR (RFC 4632; RFC 4291, section 2.3). Pure."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Network = IPv4Network | IPv6Network

MOST: Final = 50
_MAPPED: Final = IPv6Network("::ffff:0:0/96")


class NotANetwork(ValueError):
    """A text that is no network; its message may be shown, and never repeats more than 60 characters."""


def clean(texts: Sequence[str]) -> str:
    """Return networks as they are stored: canonical, each once, separated by blanks, in the order given.

    An address alone is a network of one. IPv4 networks in IPv6 form are stored as IPv4, since addresses are
    compared so. Raises NotANetwork, also for one with bits beyond its length (`10.0.0.1/8`): it may be meant
    as either.
    """
    found = list(dict.fromkeys(str(_network(text.strip())) for text in texts if text.strip()))
    if len(found) > MOST:
        raise NotANetwork(f"Use {MOST} networks or fewer.")
    return " ".join(found)


def holds(stored: str, address: str | None) -> bool:
    """Say whether `address` is in one of the stored networks; no address is in none. No networks hold all."""
    if not stored:
        return True
    if address is None:
        return False
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in _parsed(stored))


def lie_within(inner: str, outer: str) -> bool:
    """Say whether whatever `inner` holds is held by `outer` too; nothing stands for everywhere."""
    if not outer:
        return True
    return bool(inner) and all(
        any(_is_part(network, other) for other in _parsed(outer)) for network in _parsed(inner)
    )


def _is_part(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


@lru_cache(maxsize=4096)
def _parsed(stored: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in stored.split())


def _network(text: str) -> Network:
    try:
        network = ip_network(text)
    except ValueError:
        raise NotANetwork(f"“{text[:60]}” is not a network.") from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return ip_network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network
