"""config/addresses.py: whose word about the client's address counts."""

import pytest

from config.addresses import TrustedProxies, client_address, comes_from_proxy

NONE = TrustedProxies()
ONE = TrustedProxies(count=1)
INSIDE = TrustedProxies.parse("10.0.0.0/8, 2001:db8::/32")


def address(proxies: TrustedProxies, peer: str, forwarded: str | None = None) -> str | None:
    meta = {"REMOTE_ADDR": peer}
    if forwarded is not None:
        meta["HTTP_X_FORWARDED_FOR"] = forwarded
    return client_address(meta, proxies)


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "client"),
    [
        (NONE, "192.0.2.1", None, "192.0.2.1"),
        (NONE, "192.0.2.1", "198.51.100.7", "192.0.2.1"),
        (NONE, "::ffff:192.0.2.1", None, "192.0.2.1"),
        (NONE, "2001:DB8::1", None, "2001:db8::1"),
        (NONE, "fe80::1%eth0", None, "fe80::1"),
        (NONE, "", None, None),
        (ONE, "10.0.0.1", "198.51.100.7", "198.51.100.7"),
        (ONE, "10.0.0.1", "203.0.113.66, 198.51.100.7", "198.51.100.7"),
        (ONE, "10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
        (ONE, "10.0.0.1", "198.51.100.7:50000", "198.51.100.7"),
        (ONE, "10.0.0.1", "[2001:db8::7]:443", "2001:db8::7"),
        (ONE, "10.0.0.1", "[fe80::7%eth0]", "fe80::7"),
        (ONE, "10.0.0.1", " [::ffff:192.0.2.1]:9 ", "192.0.2.1"),
        (ONE, "", "198.51.100.7", "198.51.100.7"),
        (TrustedProxies(count=2), "10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
        (INSIDE, "10.0.0.1", "198.51.100.7", "198.51.100.7"),
        (INSIDE, "10.0.0.1", "203.0.113.66, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        (INSIDE, "10.0.0.1", "10.0.0.9, 10.0.0.2", "10.0.0.9"),
        (INSIDE, "2001:db8::5", "198.51.100.7", "198.51.100.7"),
    ],
)
def test_it_finds_the_client(
    proxies: TrustedProxies, peer: str, forwarded: str | None, client: str | None
) -> None:
    assert address(proxies, peer, forwarded) == client


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded"),
    [
        (ONE, "198.51.100.7", None),
        (ONE, "10.0.0.1", "unknown"),
        (ONE, "10.0.0.1", "198.51.100.7,"),
        (TrustedProxies(count=2), "10.0.0.1", "198.51.100.7"),
        (INSIDE, "10.0.0.1", "198.51.100.7, nonsense"),
        # What the server makes of a header that isn't ASCII, whatever the proxy appended to it.
        (ONE, "10.0.0.1", ""),
        (INSIDE, "10.0.0.1", ""),
        (INSIDE, "10.0.0.1", "10.0.0.9,"),
        (ONE, "10.0.0.1", "192.0.2.1:port"),
        (ONE, "10.0.0.1", "192.0.2.1%eth0"),
        (ONE, "10.0.0.1", "[2001:db8::7"),
        (ONE, "10.0.0.1", "[2001:db8::7]443"),
        (ONE, "10.0.0.1", "127.1"),
        (ONE, "10.0.0.1", ":" * 400_000 + "!"),
        (ONE, "10.0.0.1", "[" + "a:." * 100_000 + "%" * 100_000),
        (ONE, "10.0.0.1", "1." * 200_000 + ":"),
    ],
)
def test_it_knows_no_client_where_the_proxies_did_not_speak(
    proxies: TrustedProxies, peer: str, forwarded: str | None
) -> None:
    assert address(proxies, peer, forwarded) is None


def test_a_peer_outside_the_networks_is_the_client_whatever_it_says() -> None:
    assert address(INSIDE, "198.51.100.7", "192.0.2.1, 10.0.0.1") == "198.51.100.7"


@pytest.mark.parametrize(
    ("proxies", "peer", "answer"),
    [
        (NONE, "10.0.0.1", False),
        (ONE, "10.0.0.1", True),
        (INSIDE, "10.0.0.1", True),
        (INSIDE, "192.0.2.1", False),
    ],
)
def test_it_says_whether_the_peer_is_a_proxy(proxies: TrustedProxies, peer: str, answer: bool) -> None:
    assert comes_from_proxy({"REMOTE_ADDR": peer}, proxies) is answer


def test_it_reads_a_number_or_networks() -> None:
    assert TrustedProxies.parse("2") == TrustedProxies(count=2)
    assert not TrustedProxies.parse("0")
    assert len(TrustedProxies.parse("10.0.0.0/8, ::1").networks) == 2


@pytest.mark.parametrize("text", ["-1", "10.0.0.0/33", "10.0.0.1/8", "proxy.example", "1, 2, x"])
def test_it_refuses_what_is_neither(text: str) -> None:
    with pytest.raises(ValueError, match="neither a number of proxies nor a network"):
        TrustedProxies.parse(text)
