import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from keys.sealing import Keyring, SealingError

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
PLACE = ("keys_key", "sealed", "7", "7Fq2aB3cD4eF")
CANARY = "kr_live_canary"


@given(st.text(), st.lists(st.text(), max_size=6))
def test_what_was_sealed_opens_in_its_place(plaintext: str, place: list[str]) -> None:
    ring = Keyring([NEW])
    assert ring.open(ring.seal(plaintext, place), place) == plaintext


def test_the_plaintext_does_not_show() -> None:
    assert CANARY.encode() not in Keyring([NEW]).seal(CANARY, PLACE)


def test_it_seals_the_same_value_differently_each_time() -> None:
    ring = Keyring([NEW])
    assert len({ring.seal(CANARY, PLACE) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "elsewhere",
    [
        ("keys_providerkey", "sealed", "7", "7Fq2aB3cD4eF"),
        ("keys_key", "other", "7", "7Fq2aB3cD4eF"),
        ("keys_key", "sealed", "8", "7Fq2aB3cD4eF"),
        ("keys_key", "sealed", "7", "7Fq2aB3cD4eG"),
        ("keys_key", "sealed", "7"),
        ("keys_key", "sealed", "7", "7Fq2aB3cD4eF", ""),
        # The same text with its borders elsewhere.
        ("keys_key", "sealed", "77", "Fq2aB3cD4eF"),
        ("keys_key", "sealed", '7","7Fq2aB3cD4eF'),
        (),
    ],
)
def test_a_value_moved_to_another_place_does_not_open(elsewhere: tuple[str, ...]) -> None:
    ring = Keyring([NEW])
    with pytest.raises(SealingError, match="another place"):
        ring.open(ring.seal(CANARY, PLACE), elsewhere)


def test_a_value_whose_sealing_key_is_missing_says_which_one() -> None:
    sealed = Keyring([OLD]).seal(CANARY, PLACE)
    with pytest.raises(SealingError, match=sealed[1:5].hex()):
        Keyring([OTHER]).open(sealed, PLACE)


def test_a_value_that_names_another_sealing_key_does_not_open() -> None:
    ring = Keyring([NEW, OTHER])
    sealed, others = ring.seal(CANARY, PLACE), Keyring([OTHER]).seal("", PLACE)
    with pytest.raises(SealingError, match="was changed"):
        ring.open(sealed[:1] + others[1:5] + sealed[5:], PLACE)


def test_a_truncated_value_does_not_open() -> None:
    ring = Keyring([NEW])
    sealed = ring.seal(CANARY, PLACE)
    for length in range(len(sealed)):
        with pytest.raises(SealingError):
            ring.open(sealed[:length], PLACE)


def test_a_value_with_any_bit_changed_does_not_open() -> None:
    ring = Keyring([NEW])
    sealed = ring.seal(CANARY, PLACE)
    for place in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[place] ^= 1 << bit
            with pytest.raises(SealingError):
                ring.open(bytes(changed), PLACE)


def test_its_format_is_the_documented_one_for_ever() -> None:
    """What was sealed last year opens: built here by hand, from the words of the module's docstring."""
    key_id = hashlib.sha256(b"keyrack sealing key id\0" + NEW).digest()[:4]
    associated = f'[1,"{key_id.hex()}","keys_key","sealed","7","7Fq2aB3cD4eF"]'.encode()
    nonce = bytes(range(12))
    sealed = b"\x01" + key_id + nonce + AESGCM(NEW).encrypt(nonce, CANARY.encode(), associated)
    assert Keyring([NEW]).open(sealed, PLACE) == CANARY


@given(st.binary(max_size=80))
def test_anything_else_does_not_open(junk: bytes) -> None:
    with pytest.raises(SealingError):
        Keyring([NEW]).open(junk, PLACE)


def test_after_a_rotation_old_values_open_and_new_ones_need_the_new_key() -> None:
    before, after = Keyring([OLD]), Keyring([NEW, OLD])
    sealed_before, sealed_after = before.seal("old", PLACE), after.seal("new", PLACE)
    assert after.open(sealed_before, PLACE) == "old"
    assert Keyring([NEW]).open(sealed_after, PLACE) == "new"
    with pytest.raises(SealingError):
        before.open(sealed_after, PLACE)


def test_it_knows_what_is_under_the_newest_key_and_what_only_says_so() -> None:
    before, after = Keyring([OLD]), Keyring([NEW, OLD])
    assert not after.is_newest(before.seal(CANARY, PLACE))
    sealed = after.seal(CANARY, PLACE)
    assert after.is_newest(sealed)
    assert after.is_newest(memoryview(sealed))  # type: ignore[arg-type]
    assert not before.is_newest(sealed)
    assert after.newest_id == sealed[1:5].hex()
    for junk in (b"", b"\x01", sealed[:4], b"\x02" + sealed[1:]):
        assert not after.is_newest(junk)
    # By its header alone: only opening it proves it.
    assert after.is_newest(sealed[:5])


def test_it_opens_what_postgresql_hands_over() -> None:
    ring = Keyring([NEW])
    assert ring.open(memoryview(ring.seal(CANARY, PLACE)), PLACE) == CANARY  # type: ignore[arg-type]


def test_an_error_holds_nothing_of_the_value_or_the_key() -> None:
    ring = Keyring([NEW])
    with pytest.raises(SealingError) as caught:
        ring.open(ring.seal(CANARY, PLACE), ())
    assert CANARY not in repr(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("keys", [[], [b"short"], [NEW, b"n" * 31], [b"n" * 33]])
def test_a_ring_is_made_of_whole_keys(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Keyring(keys)
