import html
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.logs import clean
from config.redaction import blot, holds_any, holds_token, key_id_in, redact, sent_secrets
from keys import tokens
from keys.tokens import ALPHABET

TEXT = "kr_live_7Fq2aB3cD4eF0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab32Zz7c"
KEY_ID, SECRET = "7Fq2aB3cD4eF", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab"


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"the key is {TEXT}, keep it",
        f"Authorization: Bearer {TEXT}",
        TEXT.replace("live", "test"),
        TEXT[:-1],
        TEXT[:21],
        f"prefix{TEXT}",
        SECRET,
        f"secret={SECRET}",
        TEXT.removeprefix("kr_live_"),
        # Zero-width and compatibility characters don't hide it.
        TEXT[:12] + "\u200b" + TEXT[12:],
        TEXT[:3] + "\u2060" + TEXT[3:],
        TEXT[:30] + "\u00ad" + TEXT[30:],
        TEXT[:30] + "\n" + TEXT[30:],
        TEXT[:30] + "\u0301" + TEXT[30:],
        "".join(chr(ord(char) + 0xFEE0) for char in TEXT),
        # Keys of providers, by their shape.
        "sk-proj-Zq3vT8mB1xW6nR4cK9yL2pD7",
        "sk-ant-api03-aB3_dE-5gH7jK9mN1pQ",
        "key=AIzaSyA-1234567890abcdefghijklmnopqrstu",
    ],
)
def test_a_token_or_its_secret_is_noticed(text: str) -> None:
    assert holds_token(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Docs crawler",
        f"kr_live_{KEY_ID}",
        f"kr_live_{KEY_ID[:4]}…9Zz7",
        KEY_ID,
        "the kr_live_ prefix",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "D41D8CD98F00B204E9800998ECF8427ED41D8CD98F00B204",
        "2f1c9a54-3c8e-4b0a-9d7b-0d6d1f8f5b6e",
        "sk-learn-pipeline-for-docs-2",
        "Task-Force-of-2026-and-later",
        "docs-crawler.of-the-second-team.example.org/with/a/long/path",
    ],
)
def test_a_key_id_a_preview_and_ordinary_words_are_left_alone(text: str) -> None:
    assert not holds_token(text)
    assert redact(text) == text


@given(st.sampled_from(["live", "test"]), st.text(max_size=20), st.text(max_size=20))
def test_nothing_of_a_token_is_left_after_redaction(env: str, before: str, after: str) -> None:
    token = tokens.generate(env)
    shown = redact(f"{before} {token.text} {after}")
    assert shown == f"{redact(before)} kr_{env}_[redacted] {redact(after)}"
    assert token.secret not in shown
    assert token.key_id not in shown


@pytest.mark.parametrize(
    "text",
    ["sk-", "sk-a1", "AIza", "kr_live_", "aB1", "a-", "\u200bk", "/password/reset/key/a-", "/invitations/a1"],
)
def test_an_address_that_is_made_to_take_long_takes_no_longer_than_another(text: str) -> None:
    # As long as one may be. What grows by the square of the length takes seconds.
    address = f"/{text * (65_000 // len(text))}"
    before = time.process_time()
    holds_token(address)
    clean(address)
    assert time.process_time() - before < 1


def test_a_provider_s_key_inside_of_what_is_none_is_noticed() -> None:
    google = "AIza" + "a" * 30
    assert holds_token(f"sk-learn-pipeline-{google}")
    assert redact(f"sk-learn-pipeline-{google} x") == "sk-learn-pipeline-[redacted] x"
    assert redact("sk-learn-pipeline-for-sk-proj-Zq3vT8mB1xW6 x") == "[redacted] x"


def test_each_token_of_a_text_is_redacted_a_part_of_one_too() -> None:
    assert redact(f"{TEXT} and {TEXT[:30]}.") == "kr_live_[redacted] and kr_live_[redacted]."


@given(st.text(max_size=60))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@given(st.integers(min_value=13, max_value=56), st.text(ALPHABET, min_size=56, max_size=56))
def test_every_part_that_reaches_into_the_secret_is_noticed(length: int, rest: str) -> None:
    assert holds_token("kr_live_" + rest[:length])
    assert redact("kr_live_" + rest[:length]) == "kr_live_[redacted]"


# What was sent in a field of a secret name

ODD = 'it\'s \\ "odd" <b>&</b>'


@pytest.mark.parametrize(
    "text",
    [ODD, repr(ODD), repr({"secret": [ODD]}), repr(repr([ODD])), html.escape(ODD), html.escape(repr([ODD]))],
)
def test_a_secret_is_blotted_out_however_it_is_written(text: str) -> None:
    assert holds_any(text, [ODD])
    assert "odd" not in blot(f"before {text} after", [ODD])
    assert not holds_any(blot(text, [ODD]), [ODD])


def test_only_fields_of_secret_names_are_secret_and_only_what_is_long_enough() -> None:
    fields = [
        ("secret", ["value-one", "short"]),
        ("name", ["Docs crawler"]),
        ("password1", ["correct horse"]),
    ]
    assert sent_secrets(fields) == ["value-one", "correct horse"]
    assert blot("Docs crawler", []) == "Docs crawler"


@pytest.mark.parametrize(
    ("text", "key_id"),
    [
        (TEXT, KEY_ID),
        (f"Bearer {TEXT}!", KEY_ID),
        (TEXT[8:], KEY_ID),
        (TEXT[:30], KEY_ID),
        (TEXT[:20], KEY_ID),
        (SECRET, ""),
        (TEXT[:19], ""),
        (f"{TEXT[8:]}x", ""),
        ("Docs crawler", ""),
        ("", ""),
    ],
)
def test_the_public_part_of_a_token_is_read(text: str, key_id: str) -> None:
    assert key_id_in(text) == key_id
