import unicodedata

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from keys import tokens
from projects.names import NAME_LENGTH, clean_name, clean_text, fold


def code_of(text: str) -> str:
    with pytest.raises(ValidationError) as caught:
        clean_name(text)
    return str(caught.value.code)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Docs crawler", "Docs crawler"),
        ("  Docs   crawler ", "Docs crawler"),
        ("Docs\u00a0crawler", "Docs crawler"),
        ("Docs\u3000crawler", "Docs crawler"),
        ("Ｄｏｃｓ", "Docs"),
        ("ﬁle sync", "file sync"),
        ("Cafe\u0301", "Café"),
        ("10²", "102"),
        ("日本語 ボット", "日本語 ボット"),
        ("مفتاح", "مفتاح"),
        ("🔑 vault", "🔑 vault"),
        ("❤\ufe0f CI", "❤ CI"),
        ("<b>&amp;'\"", "<b>&amp;'\""),
    ],
)
def test_a_name_is_kept_in_nfkc_with_single_blanks(text: str, name: str) -> None:
    assert clean_name(text) == name


@pytest.mark.parametrize("text", ["", " ", "\u00a0\u3000 ", "\ufe0f"])
def test_an_empty_name_is_asked_for(text: str) -> None:
    assert code_of(text) == "required"


@pytest.mark.parametrize(
    "char",
    [
        "\0", "\t", "\n", "\r", "\x1b", "\x7f", "\x85",  # control
        "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u034f", "\u180e",  # no width
        "\u115f", "\u1160", "\u3164", "\uffa0", "\u17b4", "\u2800",  # letters that show nothing
        "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069",
        "\u200e", "\u200f", "\u061c",  # bidirectional
        "\u2028", "\u2029",  # line and paragraph separators
        "\U000e0041", "\ue000", "\ud800", "\uffff",  # tags, private use, half a pair, no character
    ],
)  # fmt: skip
def test_a_character_that_cannot_be_seen_is_refused(char: str) -> None:
    for text in (char, f"Docs{char}crawler", f"{char}Docs", f"Docs{char}"):
        assert code_of(text) == "characters"


def test_a_name_has_at_most_100_characters() -> None:
    longest = "Docs " * 19 + "Docs!"
    assert len(clean_name(f" {longest} ")) == NAME_LENGTH == 100
    assert code_of(longest + "!") == "max_length"
    # One character that NFKC makes 18 of.
    assert code_of("\ufdfa" * 6) == "max_length"


def test_a_name_that_holds_a_token_is_refused_and_not_repeated() -> None:
    token = tokens.generate("live")
    for text in (token.text, f"old {token.text[:30]}", token.secret, f"\u200b{token.text}"):
        with pytest.raises(ValidationError) as caught:
            clean_name(text)
        assert caught.value.code == "token"
        assert token.secret[:10] not in str(caught.value)


@given(st.text(max_size=120))
def test_what_comes_back_is_clean(text: str) -> None:
    try:
        name = clean_name(text)
    except ValidationError:
        return
    assert clean_name(name) == name
    assert unicodedata.is_normalized("NFKC", name)
    assert 1 <= len(name) <= NAME_LENGTH
    assert name.isprintable()
    assert len(fold(name)) <= 3 * NAME_LENGTH


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Docs crawler", "DOCS CRAWLER"),
        ("Straße", "STRASSE"),
        ("ﬁle", "FILE"),
        ("Ｄｏｃｓ", "docs"),
        ("K", "\u212a"),  # the Kelvin sign
        ("Å", "\u212b"),  # the Ångström sign
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("Cafe\u0301", "CAFÉ"),
        ("ǆ", "Ǆ"),
    ],
)
def test_names_that_differ_by_case_or_form_alone_are_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Docs", "Doc s"), ("resume", "résumé"), ("a", "а"), ("o", "0"), ("l", "1")],
)
def test_names_that_differ_in_a_letter_are_not(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text(max_size=60))
def test_a_folded_name_is_folded_for_good(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_a_text_keeps_its_lines_and_tabs() -> None:
    assert clean_text(" First\r\nsecond\n\n\tthird ") == "First\nsecond\n\n\tthird"
    assert clean_text("") == ""


@pytest.mark.parametrize("char", ["\0", "\r", "\x1b", "\u200b", "\u202e", "\u2028"])
def test_a_text_is_refused_what_a_name_is(char: str) -> None:
    with pytest.raises(ValidationError, match="can be seen"):
        clean_text(f"note{char}note")


def test_a_text_that_holds_a_token_is_refused() -> None:
    with pytest.raises(ValidationError, match="looks like an API key"):
        clean_text(f"It is\n{tokens.generate('test').text}")
