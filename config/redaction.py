"""Where a token may not stand: how to notice one in a text, and how to take it out. Pure.

The shape is PRODUCT.md's: `kr_live_` or `kr_test_`, then base 62. The first twelve characters are the
public key id; one more is already a part of the secret.
"""

import re
import unicodedata
from typing import Final

_TOKEN: Final = re.compile(r"kr_(?P<environment>live|test)_[0-9A-Za-z]{13,}")
# A run as long as a secret counts as well, where it mixes small letters, capitals and digits, which every
# secret does (keys/tokens.py). People write commit ids, checksums and long words into notes.
_BARE_SECRET: Final = re.compile(
    r"(?<![0-9A-Za-z])(?=[0-9A-Za-z]*[0-9])(?=[0-9A-Za-z]*[a-z])(?=[0-9A-Za-z]*[A-Z])[0-9A-Za-z]{38,}"
)
# What stands before a secret, or before nothing: a whole token that lost its prefix is 56 characters.
_KEY_ID: Final = re.compile(
    r"kr_(?:live|test)_(?P<id>[0-9A-Za-z]{12})|(?<![0-9A-Za-z])(?P<bare>[0-9A-Za-z]{12})[0-9A-Za-z]{44}(?![0-9A-Za-z])"
)
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Mn"})


def holds_token(text: str) -> bool:
    """Say whether `text` holds a token, most of one, or a bare secret.

    Zero-width characters and compatibility forms (full-width letters) don't hide it.
    """
    folded = unicodedata.normalize("NFKC", text)
    visible = "".join(char for char in folded if unicodedata.category(char) not in _INVISIBLE)
    return bool(_TOKEN.search(visible) or _BARE_SECRET.search(visible))


def key_id_in(text: str) -> str:
    """Return the public key id of the first token in `text`; "" where there is none to be read."""
    found = _KEY_ID.search(text)
    return found["id"] or found["bare"] if found else ""


def redact(text: str) -> str:
    """Return `text` with each token in it replaced by `kr_live_[redacted]` or `kr_test_[redacted]`.

    A bare secret becomes `[redacted]`.
    """
    return _BARE_SECRET.sub("[redacted]", redact_tokens(text))


def redact_tokens(text: str) -> str:
    """As `redact`, but a bare secret stays; nothing is replaced but what begins with a token's prefix."""
    return _TOKEN.sub(r"kr_\g<environment>_[redacted]", text)
