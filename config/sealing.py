"""Sealing: AES-256-GCM for what must be read again, bound to the place where it is kept. Pure.

A sealed value is `version (1 byte) · sealing-key id (4 bytes) · nonce (12 bytes) · ciphertext`. The
associated data names the format, the table and column, the project, the row and the sealing key, so
that a ciphertext moved to another row, column or project doesn't open.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION: Final = 1
KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_HEADER_BYTES: Final = 1 + _ID_BYTES + _NONCE_BYTES


class SealingError(Exception):
    """A sealed value that doesn't open; the message says why and never holds the value."""


class Keyring:
    """The sealing keys, newest first: the first one seals, any of them opens."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"Sealing keys are {KEY_BYTES} bytes each, and at least one is needed.")
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._newest = _key_id(keys[0])

    def seal(self, plaintext: str, place: Sequence[str]) -> bytes:
        """Return `plaintext` sealed for `place` (table, column, project, row, …) by the newest key."""
        # A fresh random nonce for each value: with one key, 2^32 values stay far from a collision
        # (NIST SP 800-38D, section 8.3).
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._ciphers[self._newest]
        sealed = cipher.encrypt(nonce, plaintext.encode(), _associated(self._newest, place))
        return bytes([VERSION]) + self._newest + nonce + sealed

    @property
    def newest_id(self) -> str:
        """The public id of the key that seals, as errors name the missing ones."""
        return self._newest.hex()

    def is_newest(self, sealed: bytes) -> bool:
        """Say whether `sealed` names the newest key as its own. Only `open` proves that it is."""
        header = bytes([VERSION]) + self._newest
        return bytes(sealed[: len(header)]) == header

    def open(self, sealed: bytes, place: Sequence[str]) -> str:
        """Return the plaintext of `sealed`.

        Raises SealingError where the format is unknown, its sealing key is not in this ring, or it
        was sealed for another place.
        """
        sealed = bytes(sealed)
        if len(sealed) <= _HEADER_BYTES or sealed[0] != VERSION:
            raise SealingError("This is not a sealed value of a known format.")
        key_id, rest = sealed[1 : 1 + _ID_BYTES], sealed[1 + _ID_BYTES :]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealingError(f"The sealing key {key_id.hex()} is missing.")
        nonce, ciphertext = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, ciphertext, _associated(key_id, place)).decode()
        except InvalidTag:
            raise SealingError("The value was changed, or sealed for another place.") from None


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"keyrack sealing key id\0" + key).digest()[:_ID_BYTES]


def _associated(key_id: bytes, place: Sequence[str]) -> bytes:
    return json.dumps([VERSION, key_id.hex(), *place], separators=(",", ":")).encode()
