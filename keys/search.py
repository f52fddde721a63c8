"""What somebody means who types or pastes into a search. Pure.

A pasted token never becomes a search term: only its public key id goes on from here, and a text that
looks like a secret without one matches nothing and is dropped.
"""

import re
from dataclasses import dataclass
from typing import Final

from config.redaction import holds_token
from keys.tokens import KEY_ID_LENGTH

TERM_LENGTH: Final = 100

_TOKEN: Final = re.compile(r"kr_(?:live|test)_(?P<start>[0-9A-Za-z]{4,})")
_PREVIEW: Final = re.compile(
    r"(?:kr_(?:live|test)_)?(?P<start>[0-9A-Za-z]{4})(?:…|\.\.\.)(?P<last4>[0-9A-Za-z]{4})"
)
# A token that lost its prefix on the way: 56 characters, of which the first twelve are the id.
_BARE: Final = re.compile(r"(?:live_|test_|_)?(?P<start>[0-9A-Za-z]{56})")
_KEY_ID: Final = re.compile(r"[0-9A-Za-z]{12}")


@dataclass(frozen=True, slots=True)
class ByName:
    """A part of a name, or a whole key id."""

    text: str


@dataclass(frozen=True, slots=True)
class ByKey:
    """The start of a key id (all of it, where it is known) and perhaps the token's end."""

    start: str
    last4: str = ""

    @property
    def end(self) -> str:
        """The first text after all that begin with `start`, for a range instead of a LIKE."""
        return self.start[:-1] + chr(ord(self.start[-1]) + 1)


@dataclass(frozen=True, slots=True)
class Nothing:
    """Something secret that no key can be known by."""


Sought = ByName | ByKey | Nothing


def read(text: str) -> Sought | None:
    """Return what `text` asks for; None where it is blank."""
    # No name holds a NUL, and PostgreSQL takes none in a text.
    text = text.replace("\0", "").strip()
    if not text:
        return None
    if preview := _PREVIEW.fullmatch(text):
        return ByKey(preview["start"], preview["last4"])
    if token := _TOKEN.search(text) or _BARE.search(text):
        return ByKey(token["start"][:KEY_ID_LENGTH])
    if holds_token(text):
        return Nothing()
    return ByName(text[:TERM_LENGTH])


def is_key_id(text: str) -> bool:
    return _KEY_ID.fullmatch(text) is not None
