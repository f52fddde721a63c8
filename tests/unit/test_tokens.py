import re
import string
import zlib

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type
from hypothesis import given
from hypothesis import strategies as st

from keys import tokens
from keys.tokens import ALPHABET, Token

BODY = "kr_live_7Fq2aB3cD4eF0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab"
TEXT = BODY + "32Zz7c"

made = st.builds(
    Token,
    environment=st.sampled_from(["live", "test"]),
    key_id=st.text(ALPHABET, min_size=12, max_size=12),
    secret=st.text(ALPHABET, min_size=38, max_size=38),
)


def test_a_fresh_token_has_the_shape_that_secret_scanners_match() -> None:
    for environment in ("live", "test"):
        text = tokens.generate(environment).text
        assert len(text) == 64
        assert re.fullmatch(rf"kr_{environment}_[0-9A-Za-z]{{56}}", text)
        assert re.search(r"\bkr_(live|test)_[0-9A-Za-z]{56}\b", f"key={text}; next")


def test_one_double_click_selects_the_whole_token() -> None:
    assert re.fullmatch(r"\w+", tokens.generate("live").text)


def test_every_fresh_token_is_another_one_and_uses_the_whole_alphabet() -> None:
    fresh = [tokens.generate("live") for _ in range(500)]
    assert len({token.key_id for token in fresh}) == 500
    assert len({token.secret for token in fresh}) == 500
    assert set("".join(token.secret for token in fresh)) == set(ALPHABET)
    assert set(ALPHABET) == set(string.digits + string.ascii_letters)


def test_a_renewed_token_keeps_its_key_id_and_has_a_fresh_secret() -> None:
    first = tokens.generate("live")
    second = tokens.generate("live", first.key_id)
    assert second.key_id == first.key_id
    assert second.secret != first.secret


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # CRC-32's own check value is 0xCBF43926; its digits in base 62 were worked out apart.
        ("123456789", "3jZRME"),
        ("", "000000"),
        (BODY, "32Zz7c"),
        ("kr_test_" + "0" * 50, "2kbsFN"),
        ("kr_live_vuJ9Olhd67vZYZj4jNX61PDFioXbKpFPYnEkXcnKkH9Ug12Jd1", "000Bzm"),
    ],
)
def test_the_checksum_is_crc_32_in_base_62_with_zeros_before(body: str, expected: str) -> None:
    assert tokens.checksum(body) == expected


@given(st.text(string.printable, max_size=80))
def test_the_checksum_reads_back_as_the_crc(body: str) -> None:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for digit in tokens.checksum(body):
        number = number * 62 + digits.index(digit)
    assert number == zlib.crc32(body.encode())


@given(made)
def test_a_token_is_read_back_as_it_was_made(token: Token) -> None:
    assert tokens.parse(token.text) == token


def test_a_known_token_is_read_into_its_parts() -> None:
    assert tokens.parse(TEXT) == Token("live", "7Fq2aB3cD4eF", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab")


def test_every_single_mistyped_character_is_refused() -> None:
    for place, right in enumerate(TEXT):
        for wrong in {*ALPHABET, "_", "-", " ", "é"} - {right}:
            assert tokens.parse(TEXT[:place] + wrong + TEXT[place + 1 :]) is None, (place, wrong)


@given(made, st.integers(min_value=8, max_value=62))
def test_two_neighbours_that_changed_places_are_refused(token: Token, place: int) -> None:
    text = token.text
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assert swapped == text or tokens.parse(swapped) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT[1:],
        TEXT + "0",
        TEXT + "\n",
        " " + TEXT,
        TEXT.lower(),
        TEXT.upper(),
        TEXT.replace("kr_live_", "kr_prod_"),
        TEXT.replace("kr_live_", "kr_test_"),
        # Digits to `\d` and to int(), but not of the alphabet.
        TEXT.replace("0123456789", "٠١٢٣٤٥٦٧٨٩"),
        "\0" * 64,
        "kr_live_" + "0" * 1_000_000,
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    assert tokens.parse(text) is None


@given(st.text(max_size=80))
def test_any_text_at_all_is_refused_quietly(text: str) -> None:
    assert tokens.parse(text) is None


def test_its_repr_leaves_the_secret_out() -> None:
    token = tokens.generate("live")
    for shown in (repr(token), str(token), f"{token!r}"):
        assert token.secret not in shown
        assert token.secret[:8] not in shown
        assert token.key_id in shown


def test_the_hash_says_argon2id_with_the_parameters_that_fit_a_random_secret() -> None:
    stored = tokens.hash_secret("secret")
    assert stored.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert extract_parameters(stored).type is Type.ID
    assert "secret" not in stored


def test_two_hashes_of_one_secret_are_salted_apart() -> None:
    assert tokens.hash_secret("secret") != tokens.hash_secret("secret")


@given(st.text(ALPHABET, min_size=38, max_size=38), st.text(ALPHABET, min_size=38, max_size=38))
def test_a_hash_is_verified_by_its_own_secret_alone(secret: str, other: str) -> None:
    stored = tokens.hash_secret(secret)
    assert tokens.verify_secret(stored, secret)
    assert tokens.verify_secret(stored, other) is (other == secret)


def test_hashes_made_with_other_parameters_go_on_verifying() -> None:
    old = PasswordHasher(time_cost=2, memory_cost=256, parallelism=2, hash_len=16).hash("secret")
    assert tokens.verify_secret(old, "secret")
    assert not tokens.verify_secret(old, "Secret")


@pytest.mark.parametrize("stored", ["", "secret", "$argon2id$v=19$m=64", "pbkdf2_sha256$1$a$b"])
def test_a_hash_that_is_none_matches_nothing(stored: str) -> None:
    assert not tokens.verify_secret(stored, "secret")


def test_a_preview_shows_the_start_of_the_key_id_and_the_end_of_the_token() -> None:
    token = tokens.parse(TEXT)
    assert token is not None
    assert token.last4 == "Zz7c"
    assert tokens.preview("live", token.key_id, token.last4) == "kr_live_7Fq2…Zz7c"
