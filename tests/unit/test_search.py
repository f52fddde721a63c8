import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import tokens
from keys.search import TERM_LENGTH, ByKey, ByName, Nothing, is_key_id, read
from keys.tokens import ALPHABET

TEXT = "kr_live_7Fq2aB3cD4eF0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab32Zz7c"
KEY_ID, SECRET = "7Fq2aB3cD4eF", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab"


@pytest.mark.parametrize("text", ["", "  ", "\n\t", "\u00a0", "\0"])
def test_a_blank_text_asks_for_nothing(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"  {TEXT}\n",
        TEXT.replace("live", "test"),
        f'curl -H "Authorization: Bearer {TEXT}"',
        f"KEYRACK_KEY={TEXT}",
        TEXT[:-1],
        TEXT[:40],
        f"kr_live_{KEY_ID}",
        TEXT.removeprefix("kr_live_"),
        TEXT.removeprefix("kr_live"),
        TEXT.removeprefix("kr_"),
        TEXT[:30] + "\u200b" + TEXT[30:],
    ],
)
def test_a_pasted_token_is_known_by_its_key_id_alone(text: str) -> None:
    assert read(text) == ByKey(KEY_ID)


def test_a_start_of_a_token_is_known_by_the_start_of_its_key_id() -> None:
    assert read("kr_live_7Fq2a") == ByKey("7Fq2a")


@pytest.mark.parametrize("text", ["kr_live_7Fq2…Zz7c", "7Fq2…Zz7c", "kr_test_7Fq2...Zz7c"])
def test_a_preview_is_known_by_both_its_ends(text: str) -> None:
    assert read(text) == ByKey("7Fq2", "Zz7c")


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"secret: {SECRET}",
        "".join(chr(ord(char) + 0xFEE0) for char in TEXT),
        TEXT[20:],
    ],
)
def test_a_secret_without_its_key_id_matches_nothing_and_is_dropped(text: str) -> None:
    assert read(text) == Nothing()


@pytest.mark.parametrize("text", ["bill", "Docs crawler", "kr_live_", "kr_live_7F", "%", "_", KEY_ID])
def test_anything_else_is_a_part_of_a_name(text: str) -> None:
    assert read(f" {text} ") == ByName(text)


def test_a_nul_which_postgresql_would_not_take_is_left_out() -> None:
    assert read("bi\0ll") == ByName("bill")


def test_a_long_text_is_cut() -> None:
    sought = read("word " * 100)
    assert isinstance(sought, ByName)
    assert len(sought.text) == TERM_LENGTH


@given(st.sampled_from(["live", "test"]), st.text(max_size=10), st.text(max_size=10))
def test_no_secret_goes_on_from_here(env: str, before: str, after: str) -> None:
    token = tokens.generate(env)
    for text in (f"{before}{token.text}{after}", f"{before} {token.secret} {after}"):
        assert token.secret[:9] not in repr(read(text))


@given(st.text(ALPHABET, min_size=4, max_size=12), st.text(ALPHABET, max_size=8))
def test_the_range_of_a_key_id_holds_what_begins_with_it(start: str, rest: str) -> None:
    key = ByKey(start)
    assert key.start <= start + rest < key.end
    assert not key.start <= start[:-1] < key.end


@given(st.text(ALPHABET, min_size=12, max_size=12), st.text(ALPHABET, min_size=4, max_size=4))
def test_the_range_of_a_key_id_holds_nothing_else(other: str, start: str) -> None:
    key = ByKey(start)
    assert (key.start <= other < key.end) is other.startswith(start)


def test_a_key_id_is_twelve_letters_and_digits() -> None:
    assert is_key_id(KEY_ID)
    for text in (KEY_ID[:-1], KEY_ID + "x", f"{KEY_ID}\n", "7Fq2aB3cD4e…", "٠١٢٣٤٥٦٧٨٩٠١"):
        assert not is_key_id(text)
