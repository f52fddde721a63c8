"""The words for what a key is: type, environment, status, and its two times that never come. No ORM."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from django.db.models import TextChoices


class KeyType(TextChoices):
    """What kind of key it is; the label is the text on its tag."""

    PRIVILEGED = "privileged", "Privileged"
    VIEWER = "viewer", "Locked-down viewer"
    RESTRICTED = "restricted", "Restricted"
    SYSTEM = "system", "System"


class Environment(TextChoices):
    LIVE = "live", "Live"
    TEST = "test", "Test"


class Status(StrEnum):
    """The one word for the state of a key, as the table shows it."""

    ACTIVE = "Active"
    UNCONFIRMED = "Not confirmed"
    EXPIRES_SOON = "Expires soon"
    ROTATING = "Rotating"
    PAUSED = "Paused"
    EXPIRED = "Expired"
    REVOKED = "Revoked"


# Sentinels, because a NULL in a sorted column has no place in a row-value cursor.
NEVER_EXPIRES: Final = datetime(9999, 12, 31, tzinfo=UTC)
NEVER_USED: Final = datetime(1970, 1, 1, tzinfo=UTC)

EXPIRES_SOON: Final = timedelta(days=14)

NOTE_LENGTH: Final = 1000
REASON_LENGTH: Final = 200

AUTOMATOR_NAME: Final = "Automator Key"
