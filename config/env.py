"""Typed reading of the environment. Pure: it knows no settings and touches no file.

`Env.read` gives a value or the default; a value that its parser refuses stops the start with one line
that names the variable. An empty variable counts as not given, as compose files and unit files write it.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

KEY_BYTES: Final = 32
_FLAGS: Final = {
    "1": True, "true": True, "yes": True, "on": True,
    "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip
# What a Bearer token is made of (RFC 6750, section 2.1).
_PASSPHRASE: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_PASSPHRASE_LENGTH: Final = 20
_HOST: Final = re.compile(r"\.?[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]")


class BadValue(ImproperlyConfigured):
    """A variable of the environment can't be used; the message names it."""


class Env:
    """Reads variables from a mapping such as `os.environ`."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str, default: str = "") -> str:
        """Return the variable without surrounding blanks, or `default` where it is empty."""
        return self._values.get(name, "").strip() or default

    def read(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Return what `parse` makes of the variable, or `default` where it isn't given.

        Raises BadValue where `parse` raises ValueError. The message is the parser's: parsers of secrets
        never put the value into it.
        """
        text = self.text(name)
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            raise BadValue(f"{name}: {error}") from None


def flag(text: str) -> bool:
    """Parse `1 true yes on` and `0 false no off`. Raises ValueError."""
    value = _FLAGS.get(text.lower())
    if value is None:
        raise ValueError(f"“{text}” is neither on nor off (write 1 or 0)")
    return value


def one_of(*words: str) -> Callable[[str], str]:
    """Return a parser of one of these words, in any case. It raises ValueError."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"“{text}” is not one of {', '.join(words)}")
        return text.lower()

    return parse


def port(text: str) -> int:
    """Parse a TCP port. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ValueError(f"“{text}” is not a port number (1 to 65535)")
    return int(text)


def count(most: int) -> Callable[[str], int]:
    """Return a parser of a whole number from 1 to `most`. It raises ValueError."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
            raise ValueError(f"“{text}” is not a whole number from 1 to {most}")
        return int(text)

    return parse


def ip(text: str) -> str:
    """Parse an address to listen at, such as `0.0.0.0` for all of the machine's. Raises ValueError."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"“{text}” is not an IP address (127.0.0.1 for this machine alone)") from None


def passphrase(text: str) -> str:
    """Parse a secret that is sent in a header. Raises ValueError, without the text: it is a secret."""
    if len(text) < _PASSPHRASE_LENGTH or not _PASSPHRASE.fullmatch(text):
        raise ValueError(
            f"it must be {_PASSPHRASE_LENGTH} characters or more, of letters, digits and -._~+/= alone; "
            "openssl rand -hex 32 makes one"
        )
    return text


def base_url(text: str) -> str:
    """Parse the public address, such as `https://keyrack.example.org`; returned without a final slash.

    Raises ValueError. A path is refused: Keyrack owns its host.
    """
    parts = _split(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"“{text}” is not an address like https://keyrack.example.org")
    if parts.path.rstrip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"“{text}” must be a scheme and a host alone, without a path")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def hosts(text: str) -> list[str]:
    """Parse host names, separated by commas; `.example.org` stands for all below it.

    Raises ValueError, also for `*`: with any Host header allowed, a link can be made to lead elsewhere.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if not _HOST.fullmatch(name):
            raise ValueError(f"“{name}” is not a host name")
    return names


def postgresql(text: str) -> dict[str, Any]:
    """Parse `postgres://user:password@host:port/name` into Django's setting. Raises ValueError."""
    parts = _split(text)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise ValueError("write it as postgres://user:password@host:5432/name")
    return dict(dj_database_url.parse(text))


def redis(text: str) -> str:
    """Parse the address of a Redis. Raises ValueError."""
    if _split(text).scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("write it as redis://host:6379/0")
    return text


def byte_keys(text: str) -> tuple[bytes, ...]:
    """Parse base64 keys of 32 bytes, separated by commas or line breaks. Raises ValueError."""
    return tuple(byte_key(part) for part in re.split(r"[,\s]+", text.strip()))


def byte_key(text: str) -> bytes:
    """Parse one base64 key of 32 bytes. Raises ValueError, without the text: it is a secret."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a key must be written in base64") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key must be {KEY_BYTES} bytes long, in base64, not {len(key)}")
    return key


def _split(text: str) -> Any:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError("it is not an address") from None
    return parts
