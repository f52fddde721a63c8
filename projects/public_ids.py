"""Names for addresses of what has none of its own: people and invitations. Random, and no secret."""

import secrets
import string
from typing import Final

from django.urls import register_converter
from django.urls.converters import StringConverter

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
PUBLIC_ID_LENGTH: Final = 12


def new_public_id() -> str:
    """Return 12 letters and digits: 71 bits, so that nobody comes upon another's by trying."""
    return "".join(secrets.choice(ALPHABET) for _ in range(PUBLIC_ID_LENGTH))


class PublicId(StringConverter):
    """Such a name and nothing else: whatever is pasted in its place ends in a 404, before the database."""

    regex = "[0-9A-Za-z]{12}"


# `<public_id:…>` in a pattern; here, because two applications have such addresses, and it is named once.
register_converter(PublicId, "public_id")
