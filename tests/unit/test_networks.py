from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.networks import MOST, NotANetwork, clean, holds, lie_within


@pytest.mark.parametrize(
    ("given_", "stored"),
    [
        (["10.0.0.0/8"], "10.0.0.0/8"),
        (["192.0.2.41"], "192.0.2.41/32"),
        (["2001:DB8::/32"], "2001:db8::/32"),
        ([" 10.0.0.0/8 ", "", "10.0.0.0/8"], "10.0.0.0/8"),
        (["::ffff:192.0.2.0/120"], "192.0.2.0/24"),
        (["0.0.0.0/0", "::/0"], "0.0.0.0/0 ::/0"),
        ([], ""),
    ],
)
def test_networks_are_stored_in_one_form(given_: list[str], stored: str) -> None:
    assert clean(given_) == stored


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0/33", "10.0.0.1/8", "10.0.0", "example.test", "::/129", "10.0.0.0/8;::/0", "x" * 500, "1"],
)
def test_what_is_no_network_is_refused_by_name(text: str) -> None:
    with pytest.raises(NotANetwork, match="is not a network") as refused:
        clean([text])
    assert len(str(refused.value)) < 90


def test_there_may_not_be_endless_networks() -> None:
    with pytest.raises(NotANetwork, match="50 networks or fewer"):
        clean([f"10.0.{number}.0/24" for number in range(MOST + 1)])


@pytest.mark.parametrize(
    ("stored", "address", "held"),
    [
        ("", None, True),
        ("", "192.0.2.1", True),
        ("192.0.2.0/24", "192.0.2.1", True),
        ("192.0.2.0/24", "192.0.3.1", False),
        ("192.0.2.0/24", None, False),
        ("192.0.2.0/24", "", False),
        ("192.0.2.0/24", "nonsense", False),
        ("192.0.2.0/24", "::ffff:192.0.2.7", True),
        ("2001:db8::/32", "2001:db8::1%eth0", True),
        ("2001:db8::/32", "192.0.2.1", False),
        ("10.0.0.0/8 2001:db8::/32", "2001:db8::9", True),
        ("0.0.0.0/0", "2001:db8::9", False),
    ],
)
def test_an_address_is_in_one_of_them_or_not(stored: str, address: str | None, held: bool) -> None:
    assert holds(stored, address) is held


@given(st.ip_addresses(v=4), st.integers(8, 32))
def test_a_network_holds_its_own_addresses_in_either_form(address: object, length: int) -> None:
    from ipaddress import ip_network

    stored = str(ip_network(f"{address}/{length}", strict=False))
    assert holds(stored, str(address))
    assert holds(stored, f"::ffff:{ip_address(str(address))}")


@pytest.mark.parametrize(
    ("inner", "outer", "within"),
    [
        ("", "", True),
        ("10.0.0.0/8", "", True),
        ("", "10.0.0.0/8", False),
        ("10.1.0.0/16", "10.0.0.0/8", True),
        ("10.0.0.0/8", "10.1.0.0/16", False),
        ("10.1.0.0/16 192.0.2.0/24", "10.0.0.0/8", False),
        ("10.1.0.0/16 192.0.2.0/25", "10.0.0.0/8 192.0.2.0/24", True),
        ("2001:db8:1::/48", "2001:db8::/32", True),
        ("10.1.0.0/16", "::/0", False),
    ],
)
def test_one_list_lies_within_another(inner: str, outer: str, within: bool) -> None:
    assert lie_within(inner, outer) is within
