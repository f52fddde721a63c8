"""The text of a key: make it, read it, hash its secret, preview it. Pure: no ORM, no settings.

A token is `kr_live_` (or `kr_test_`), 12 characters of key id, 38 of secret and 6 of checksum: 64
characters, one word for a double-click and for secret scanners.
"""

import re
import secrets
import string
import zlib
from typing import Final, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
# Two digits of base 62 at a time: a checksum is made at every check.
_PAIRS: Final = [high + low for high in ALPHABET for low in ALPHABET]
_PAIR: Final = len(_PAIRS)
_KINDS: Final = (string.digits, string.ascii_uppercase, string.ascii_lowercase)
KEY_ID_LENGTH: Final = 12
SECRET_LENGTH: Final = 38
CHECKSUM_LENGTH: Final = 6

_TOKEN: Final = re.compile(
    r"kr_(?P<environment>live|test)_(?P<key_id>[0-9A-Za-z]{12})(?P<secret>[0-9A-Za-z]{38})"
    r"[0-9A-Za-z]{6}"
)

# 64 KiB, one pass, one lane: about 40 µs. These parameters fit a random secret of 226 bits, not a
# human password: stretching adds nothing to 226 bits, while a slow hash (19 MiB and two passes take
# 18 ms) would let anyone who knows a public key id burn our CPU. Hashes made with other parameters
# go on verifying, because a PHC string carries its own.
_HASHER: Final = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1, hash_len=32, salt_len=16)


class Token(NamedTuple):
    """A well-formed token. Its repr leaves out the secret, so that it is safe in a traceback."""

    environment: str
    key_id: str
    secret: str

    def __repr__(self) -> str:
        return f"Token(environment={self.environment!r}, key_id={self.key_id!r})"

    @property
    def text(self) -> str:
        """All 64 characters, as a client presents them."""
        body = f"kr_{self.environment}_{self.key_id}{self.secret}"
        return body + checksum(body)

    @property
    def last4(self) -> str:
        """The last four characters of the token, which its preview shows."""
        return self.text[-4:]


def generate(environment: str, key_id: str | None = None) -> Token:
    """Return a fresh token; with `key_id`, a fresh secret for that key."""
    return Token(environment, key_id or _random(KEY_ID_LENGTH), _random_secret())


def parse(text: str) -> Token | None:
    """Return the token that `text` is, or None where its form or its checksum is wrong.

    The checksum is a typo filter, no secret: it spares the database a mistyped or invented token.
    """
    match = _TOKEN.fullmatch(text)
    if match is None or checksum(text[:-CHECKSUM_LENGTH]) != text[-CHECKSUM_LENGTH:]:
        return None
    return Token(*match.groups())


def checksum(body: str) -> str:
    """Return the CRC-32 (zlib's) of `body` in base 62, left-padded with `0` to six digits."""
    number = zlib.crc32(body.encode("ascii"))
    high, low = divmod(number, _PAIR)
    highest, high = divmod(high, _PAIR)
    return _PAIRS[highest] + _PAIRS[high] + _PAIRS[low]


def hash_secret(secret: str) -> str:
    """Return the Argon2id hash of `secret` as a PHC string."""
    return _HASHER.hash(secret)


def verify_secret(stored_hash: str, secret: str) -> bool:
    """Say whether `secret` made `stored_hash`, whatever parameters that hash was made with."""
    try:
        return _HASHER.verify(stored_hash, secret)
    except (VerificationError, InvalidHashError):
        return False


def preview(environment: str, key_id: str, last4: str) -> str:
    """Return the text that stands for a key wherever keys are listed: `kr_live_7Fq2…x9Qa`."""
    return f"kr_{environment}_{key_id[:4]}…{last4}"


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _random_secret() -> str:
    """Return a secret that mixes small letters, capitals and digits, as all but one in 800 do anyway.

    That is what config/redaction.py knows a secret by when it stands without the rest of its token. It
    costs a five-hundredth of one of the 226 bits.
    """
    while True:
        secret = _random(SECRET_LENGTH)
        if all(set(secret) & set(kind) for kind in _KINDS):
            return secret
