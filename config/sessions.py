"""Sessions in the database, of which a stolen dump is of no use: `SESSION_ENGINE = "config.sessions"`.

The cookie holds the session's key. The row is found by a hash of that key, so the dump holds no cookie
that signs anybody in; and its contents are encrypted under the key, because django-allauth keeps the
text of a password link in the session while its form is open.
"""

import base64
import hashlib
from typing import Any, Final

from asgiref.sync import sync_to_async
from cryptography.fernet import Fernet, InvalidToken
from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.utils import timezone

from projects.statements import Select


class SessionStore(db.SessionStore):
    """Django's database store with hashed names and encrypted contents.

    Whatever looks a row up is overridden, the asynchronous methods too: one that is left out would look
    for the cookie's own text.
    """

    def load(self) -> dict[str, Any]:
        rows = _STORED.rows(row_name(self.session_key or ""), timezone.now())
        if not rows:
            self._session_key = None
            return {}
        return self.decode(rows[0][0])

    async def aload(self) -> dict[str, Any]:
        return await sync_to_async(self.load)()

    def exists(self, session_key: str) -> bool:
        return super().exists(row_name(session_key))

    async def aexists(self, session_key: str) -> bool:
        return await super().aexists(row_name(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        row = super().create_model_instance(data)
        row.session_key = row_name(row.session_key)
        return row

    async def acreate_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        return await sync_to_async(self.create_model_instance)(data)

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            super().delete(row_name(key))

    async def adelete(self, session_key: str | None = None) -> None:
        await sync_to_async(self.delete)(session_key)

    def encode(self, session_dict: dict[str, Any]) -> str:
        return _cipher(self.session_key).encrypt(super().encode(session_dict).encode()).decode()

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        try:
            return super().decode(_cipher(self.session_key).decrypt(session_data).decode())
        except InvalidToken:
            return {}


_STORED: Final = Select(
    lambda name, at: (
        SessionStore.get_model_class()
        .objects.filter(session_key=name, expire_date__gt=at)
        .values_list("session_data")
    ),
    values=2,
)


def row_name(session_key: str) -> str:
    """Return the name of the row of a session: 160 bits of BLAKE2b, as wide as Django's column.

    A plain hash is enough: a key has 165 random bits, so nobody tries them out.
    """
    return _digest(session_key, b"session row", 20).hex()


def _cipher(session_key: str | None) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_digest(session_key or "", b"session data", 32)))


def _digest(session_key: str, purpose: bytes, size: int) -> bytes:
    return hashlib.blake2b(session_key.encode(), digest_size=size, person=purpose).digest()
