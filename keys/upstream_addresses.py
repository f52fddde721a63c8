"""Where a provider key leads, and in which header it goes: presets, and what an address, a header and a value
may be. Pure.

Keyrack itself never calls a provider: a gateway does, with what it is given here. So an address is judged
by its text alone. No name is resolved: a public name may still lead to a private address, today or
tomorrow, and only whoever connects can refuse that.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import ValidationError

from config.redaction import holds_token
from keys.kinds import BASE_URL_LENGTH, HEADER_LENGTH, PREFIX_LENGTH, UPSTREAM_LENGTH, Provider

VALUE_LENGTH: Final = 4096
# Of a shorter value nothing is shown: six characters would be too much of it.
MASKED_FROM: Final = 16
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Preset:
    """What a provider asks for: the base URL ("" is the customer's own), the header, and what stands before
    the key in it."""

    base_url: str
    header: str
    prefix: str


PRESETS: Final[Mapping[str, Preset]] = {
    Provider.OPENAI: Preset("https://api.openai.com/v1", "Authorization", "Bearer"),
    Provider.ANTHROPIC: Preset("https://api.anthropic.com", "x-api-key", ""),
    Provider.GOOGLE: Preset("https://generativelanguage.googleapis.com", "x-goog-api-key", ""),
    # The name of the customer's resource stands in its address.
    Provider.AZURE: Preset("", "api-key", ""),
    Provider.MISTRAL: Preset("https://api.mistral.ai/v1", "Authorization", "Bearer"),
    Provider.CUSTOM: Preset("", "Authorization", "Bearer"),
}

# The address

_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<authority>[^/]*)"
    # RFC 3986, section 3.3: what a path is made of. Nothing else is let through, so that the text can stand
    # in a header of an answer and in a gateway's configuration.
    r"(?P<path>(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*)*)"
)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")
_DOTS: Final = re.compile(r"/(?:\.|%2e){1,2}(?=/|\Z)", re.IGNORECASE)
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# Where a resolver of libc reads a number (`127.1`, `0x7f.1`, `2130706433`), browsers do as well: a host whose
# last label is one is an IPv4 address, whatever the rest looks like (WHATWG URL, “ends in a number”).
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_HOST_LENGTH: Final = 253
# IDNA 2003 and 2008 map these differently: the address would lead to another host than the one typed.
_MAPPED_DIFFERENTLY: Final = frozenset("ßẞς\u200c\u200d")

# Names that no public host has (RFC 6761, 6762, 7686, 8375, 9476), and those that networks commonly use for
# their own (ICANN keeps them out of the root for that).
_PRIVATE_ENDS: Final = frozenset({
    "alt", "arpa", "corp", "example", "home", "internal", "intra", "intranet", "invalid", "lan", "local",
    "localdomain", "localhost", "mail", "onion", "private", "test",
})  # fmt: skip
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
# Each holds an IPv4 address, which may be a private one (6to4, RFC 3056), or is for documents (RFC 9637).
_NOT_GLOBAL_V6: Final = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("3fff::/20"))
_RELAYS_V4: Final = ipaddress.IPv4Network("192.88.99.0/24")  # of 6to4, RFC 7526

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def clean_base_url(text: str, *, private: bool = False) -> str:
    """Return the base URL as it is stored: small letters in scheme and host, no slash at the end.

    https and a public host, unless `private`: then http and hosts of a private network as well. Raises
    ValidationError that says what is wrong with it.
    """
    if not text:
        raise ValidationError("Enter the base URL.", code="required")
    if holds_token(text):
        raise ValidationError("That looks like an API key. It belongs into the field for the value.")
    if len(text) > BASE_URL_LENGTH:
        raise ValidationError(f"Use {BASE_URL_LENGTH} characters or fewer.")
    if any(char.isspace() or not char.isprintable() for char in text):
        raise ValidationError("The base URL has spaces, line breaks or invisible characters in it.")
    if "?" in text or "#" in text:
        raise ValidationError("Leave out what begins with “?” or “#”: a base URL ends with its path.")
    url = _URL.fullmatch(text)
    if url is None:
        raise ValidationError("Enter an address such as https://api.example.com/v1.")
    scheme = _scheme(url["scheme"].lower(), private)
    host, port = _host_and_port(url["authority"], scheme)
    if _DOTS.search(url["path"]):
        raise ValidationError("Leave “.” and “..” out of the path.")
    return f"{scheme}://{_public(host, private)}{port}{url['path'].rstrip('/')}"


def provider_at(base_url: str) -> str:
    """Return whose preset has the host of a base URL that was accepted; "" where it is nobody's."""
    host = base_url.split("/")[2]
    owners = (name for name, preset in PRESETS.items() if preset.base_url.split("/")[2:3] == [host])
    return next(owners, "")


def is_private(base_url: str) -> bool:
    """Say whether a base URL that was accepted once needs the permission for private addresses."""
    try:
        clean_base_url(base_url)
    except ValidationError:
        return True
    return False


def _scheme(scheme: str, private: bool) -> str:
    if scheme == "https" or (scheme == "http" and private):
        return scheme
    if scheme == "http":
        raise ValidationError("Begin the base URL with https://. Over http anybody on the way reads the key.")
    raise ValidationError("Begin the base URL with https://.")


def _host_and_port(authority: str, scheme: str) -> tuple[str, str]:
    """Return the host, and the port with its colon, "" for the scheme's own."""
    if "@" in authority:
        raise ValidationError("Leave the user name and password out of the base URL.")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise ValidationError("The base URL's host or port can't be read.")
    if parts["port"] is None:
        return parts["host"], ""
    port = int(parts["port"])
    if not 1 <= port <= 65535:
        raise ValidationError("The base URL's port is a number from 1 to 65535.")
    return parts["host"], "" if port == _DEFAULT_PORTS[scheme] else f":{port}"


def _public(host: str, private: bool) -> str:
    """Return the host in ASCII and small letters. Raises ValidationError where it may not be this one."""
    if host.startswith("["):
        address = _read(host[1:-1], ipaddress.IPv6Address)
        _refuse_address(address, private)
        return f"[{address}]"
    name = _ascii(host)
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        address = _read(name, ipaddress.IPv4Address)
        _refuse_address(address, private)
        return str(address)
    if len(name) > _HOST_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValidationError("The base URL's host is not a host name.")
    if not private and (len(labels) < 2 or labels[-1] in _PRIVATE_ENDS):
        raise _not_public()
    return name


def _ascii(host: str) -> str:
    """Return a host name as it is looked up (IDNA), in small letters."""
    if host.isascii():
        return host.lower()
    if any(char in _MAPPED_DIFFERENTLY for char in host):
        raise ValidationError("Write the base URL's host in its ASCII form, which begins with “xn--”.")
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise ValidationError("The base URL's host is not a host name.") from None


def _read(text: str, kind: type[_Address]) -> _Address:
    # With a zone (`fe80::1%eth0`) it is an address of this machine's alone.
    try:
        if "%" not in text:
            return kind(text)
    except ValueError:
        pass
    raise ValidationError("The base URL's host is not an IP address: write it in its usual form.")


def _refuse_address(address: _Address, private: bool) -> None:
    if private:
        inside = _embedded(address)
        # Nobody serves a model there; a cloud's metadata service, which hands out credentials, answers there.
        reserved = inside.is_reserved and not inside.is_loopback
        if reserved or inside.is_link_local or inside.is_multicast or inside.is_unspecified:
            raise ValidationError("No provider can be at this address.")
    elif not _is_global(address):
        raise _not_public()


def _embedded(address: _Address) -> _Address:
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _is_global(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and address not in _RELAYS_V4
    # Global unicast alone: so neither IPv4-mapped (::ffff:0:0/96) nor NAT64 (64:ff9b::/96, 64:ff9b:1::/48).
    return address in _GLOBAL_V6 and address.is_global and not any(address in net for net in _NOT_GLOBAL_V6)


def _not_public() -> ValidationError:
    return ValidationError(
        "The base URL leads to a private address. Staff can allow that for a project.", code="private"
    )


# The header

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
# They steer the connection or say what the message is; sent by somebody else, they smuggle requests.
_STEERING: Final = frozenset({
    "accept", "accept-charset", "accept-encoding", "accept-language", "alt-used", "cache-control",
    "connection", "content-encoding", "content-language", "content-length", "content-location",
    "content-range", "content-type", "cookie", "cookie2", "date", "expect", "forwarded", "from", "host",
    "http2-settings", "keep-alive", "max-forwards", "origin", "pragma", "range", "referer", "server",
    "set-cookie", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "via", "x-client-ip",
    "x-cluster-client-ip", "x-http-method", "x-http-method-override", "x-method-override", "x-real-ip",
    "true-client-ip",
})  # fmt: skip
_STEERING_STARTS: Final = (
    "access-control-", "cf-", "if-", "proxy-", "sec-", "x-accel-", "x-forwarded-", "x-keyrack-",
    "x-original-", "x-rewrite-",
)  # fmt: skip


def clean_header(text: str) -> str:
    """Return the name of the header that the key goes in. Raises ValidationError that says what is wrong."""
    if not text:
        raise ValidationError("Enter the header.", code="required")
    _refuse_key_or_long(text, HEADER_LENGTH)
    if not _TOKEN.fullmatch(text):
        raise ValidationError("That is not the name of a header: use letters, digits and hyphens.")
    # CGI and WSGI fold an underscore onto the hyphen, so that both are one header to whoever receives it.
    folded = text.lower().replace("_", "-")
    if folded in _STEERING or folded.startswith(_STEERING_STARTS):
        raise ValidationError(f"No key goes in “{text}”: it means something else on the way.")
    return text


def clean_prefix(text: str) -> str:
    """Return the word before the key, such as Bearer, or "". Raises ValidationError."""
    _refuse_key_or_long(text, PREFIX_LENGTH)
    if text and not _TOKEN.fullmatch(text):
        raise ValidationError("Use one word such as Bearer, or leave it empty.")
    return text


def _refuse_key_or_long(text: str, most: int) -> None:
    if holds_token(text):
        raise ValidationError("That looks like an API key. It belongs into the field for the value.")
    if len(text) > most:
        raise ValidationError(f"Use {most} characters or fewer.")


# The upstream's name: dots as well, since names of models have them

_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9.-]*")


def clean_slug(text: str) -> str:
    """Return the name of an upstream, such as `openai` or `gpt-4.1`. Raises ValidationError."""
    if not text:
        raise ValidationError("Enter the upstream's name.", code="required")
    if holds_token(text):
        raise ValidationError("That looks like an API key. It belongs into a provider key.")
    if len(text) > UPSTREAM_LENGTH:
        raise ValidationError(f"Use {UPSTREAM_LENGTH} characters or fewer.")
    if not _SLUG.fullmatch(text):
        raise ValidationError(
            "Use small letters, digits, dots and hyphens, beginning with a letter or a digit."
        )
    return text


# The value. It is called a secret here, and wherever it is a variable: reports of errors leave out what is.


def clean_value(secret: str) -> str:
    """Return the value: 1 to 4,096 visible ASCII characters. Raises ValidationError; it never quotes it."""
    if not secret:
        raise ValidationError("Enter the value.", code="required")
    if not secret.strip():
        raise ValidationError("The value has nothing but spaces or line breaks: paste the key.")
    if secret != secret.strip():
        raise ValidationError("The value has spaces or line breaks around it: paste the key alone.")
    if any(char.isspace() for char in secret):
        raise ValidationError("The value has spaces or line breaks in it: paste one key alone.")
    if len(secret) > VALUE_LENGTH:
        raise ValidationError(f"The value is longer than {VALUE_LENGTH:,} characters: paste one key alone.")
    if not all("!" <= char <= "~" for char in secret):
        raise ValidationError("The value has characters that can't stand in a header: paste the key anew.")
    return secret


def mask(secret: str) -> str:
    """Return what lists show of a value: its first and last three characters, nothing of a short one."""
    if len(secret) < MASKED_FROM:
        return ""
    return f"{secret[:_SHOWN]}…{secret[-_SHOWN:]}"
