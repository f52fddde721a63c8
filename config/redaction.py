"""Where a token may not stand: how to notice one in a text, and how to take it out. Pure.

The shape is PRODUCT.md's: `kr_live_` or `kr_test_`, then base 62. The first twelve characters are the
public key id; one more is already a part of the secret.
"""

import html
import re
import unicodedata
from collections.abc import Collection, Iterable
from typing import Final

_TOKEN: Final = re.compile(r"kr_(?P<environment>live|test)_[0-9A-Za-z]{13,}")
# A run as long as a secret counts as well, where it mixes small letters, capitals and digits, which every
# secret does (keys/tokens.py). People write commit ids, checksums and long words into notes.
_BARE_SECRET: Final = re.compile(
    r"(?<![0-9A-Za-z])(?=[0-9A-Za-z]*[0-9])(?=[0-9A-Za-z]*[a-z])(?=[0-9A-Za-z]*[A-Z])[0-9A-Za-z]{38,}"
)
# What some providers begin their keys with: Google; OpenAI, Anthropic and those who do as they do. Keys of
# others have no shape that tells them from a checksum.
_GOOGLE_KEY: Final = re.compile(r"(?<![0-9A-Za-z])AIza[0-9A-Za-z_-]{30,}")
# Where it mixes letters and digits as well. A pattern that looks ahead for them does so at each `sk-` of
# a run of them, up to its end: an address of 64 KB took seconds.
_SK_KEY: Final = re.compile(r"(?<![0-9A-Za-z])sk-[0-9A-Za-z_-]{16,}")
_KINDS: Final = (re.compile("[0-9]"), re.compile("[a-z]"), re.compile("[A-Z]"))
# Names of variables and form fields whose values nobody may see, whatever shape they have: half a token, a
# password, a provider's key, a code of a second factor and what codes are made of don't look like a secret.
SECRET_NAME: Final = re.compile(
    "token|secret|password|passphrase|presented|plain|cookie|(?:^|_)codes?$|seed|pending", re.I
)
# A shorter text would be found in half of what is written.
_BLOTTED_FROM: Final = 6
# What stands before a secret, or before nothing: a whole token that lost its prefix is 56 characters.
_KEY_ID: Final = re.compile(
    r"kr_(?:live|test)_(?P<id>[0-9A-Za-z]{12})|(?<![0-9A-Za-z])(?P<bare>[0-9A-Za-z]{12})[0-9A-Za-z]{44}(?![0-9A-Za-z])"
)
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Mn"})


def holds_token(text: str) -> bool:
    """Say whether `text` holds a token, most of one, a bare secret, or a provider's key of a known shape.

    Zero-width characters and compatibility forms (full-width letters) don't hide it.
    """
    if text.isascii() and text.isprintable():
        visible = text
    else:
        folded = unicodedata.normalize("NFKC", text)
        visible = "".join(char for char in folded if unicodedata.category(char) not in _INVISIBLE)
    if any(shape.search(visible) for shape in (_TOKEN, _BARE_SECRET, _GOOGLE_KEY)):
        return True
    return any(_is_mixed(found) for found in _SK_KEY.finditer(visible))


def _is_mixed(found: re.Match[str]) -> bool:
    """Say whether what begins with `sk-` goes on with small letters, capitals and digits."""
    return all(kind.search(found[0], 3) for kind in _KINDS)


def key_id_in(text: str) -> str:
    """Return the public key id of the first token in `text`; "" where there is none to be read."""
    found = _KEY_ID.search(text)
    return found["id"] or found["bare"] if found else ""


def redact(text: str) -> str:
    """Return `text` with each token in it replaced by `kr_live_[redacted]` or `kr_test_[redacted]`.

    A bare secret, or a provider's key, becomes `[redacted]`.
    """
    text = _GOOGLE_KEY.sub("[redacted]", redact_tokens(text))
    text = _SK_KEY.sub(lambda found: "[redacted]" if _is_mixed(found) else found[0], text)
    return _BARE_SECRET.sub("[redacted]", text)


def redact_tokens(text: str) -> str:
    """As `redact`, but only tokens: nothing is replaced but what begins with a token's prefix."""
    return _TOKEN.sub(r"kr_\g<environment>_[redacted]", text)


def sent_secrets(fields: Iterable[tuple[str, Collection[str]]]) -> list[str]:
    """Return what was sent in form fields of secret names."""
    return [
        value
        for name, values in fields
        if SECRET_NAME.search(name)
        for value in values
        if len(value) >= _BLOTTED_FROM
    ]


def holds_any(text: str, secrets: Iterable[str]) -> bool:
    """Say whether one of the secrets stands in `text`, as it is or as Python or HTML write it."""
    return any(form in text for secret in secrets for form in _forms(secret))


def blot(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with `[redacted]` in the place of each of the secrets, however it is written there."""
    for secret in secrets:
        for form in _forms(secret):
            text = text.replace(form, "[redacted]")
    return text


def _forms(secret: str) -> list[str]:
    """Return how a secret may be written: in a repr, in the repr of a text that quotes one, in HTML."""
    quoted = repr(secret)[1:-1]
    written = {secret, quoted, repr(quoted)[1:-1]}
    # The longest first: a shorter one may be a part of it.
    return sorted(written | {html.escape(form) for form in written}, key=len, reverse=True)
