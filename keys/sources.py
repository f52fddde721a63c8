"""Where a check comes from: the client's address, and what it calls itself. No ORM."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from django.conf import settings

from config.redaction import holds_token

_CLIENT_LENGTH: Final = 60
_LOOKED_AT: Final = 200
_PRODUCT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*")


class Source(NamedTuple):
    """Where a check comes from. `address` is None where it can't be known.

    It is `doubtful` where the request names another address and nobody is trusted to have written that: a key
    that is bound to networks isn't let in then.
    """

    address: str | None = None
    client: str = ""
    doubtful: bool = False

    @property
    def certain_address(self) -> str | None:
        """The address that a key's networks are held against."""
        return None if self.doubtful else self.address


NOWHERE: Final = Source()


def source_of(environ: Mapping[str, Any], address: str | None) -> Source:
    """Return the source of a request, by its WSGI environment and the client's address through proxies."""
    # An empty one too: the server makes that of a header that isn't ASCII.
    another = "HTTP_X_FORWARDED_FOR" in environ or "HTTP_FORWARDED" in environ or "HTTP_X_REAL_IP" in environ
    doubtful = another and not settings.KEYRACK_TRUSTED_PROXIES
    return Source(address, client_name(environ.get("HTTP_USER_AGENT", "")[:_LOOKED_AT]), doubtful)


# A service calls itself the same each time, and what it says is looked through for tokens.
@lru_cache(maxsize=1024)
def client_name(user_agent: str) -> str:
    """Return what a client calls itself, without version and comment: `curl` of `curl/8.5.0`."""
    product = _PRODUCT.match(user_agent)
    name = product[0].strip()[:_CLIENT_LENGTH] if product else ""
    return "" if holds_token(name) else name
