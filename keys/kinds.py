"""The words for what a key is: type, environment, status, provider; its two times that never come. No ORM."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from django.db.models import TextChoices


class KeyType(TextChoices):
    """What kind of key it is; the label is the text on its tag."""

    PRIVILEGED = "privileged", "Privileged"
    VIEWER = "viewer", "Locked-down viewer"
    RESTRICTED = "restricted", "Restricted"
    AGENT = "agent", "Agent"
    CHANNEL = "channel", "Channel"
    SYSTEM = "system", "System"


# Types whose scopes are picked; those of the others follow from the type.
PICKS_SCOPES: Final = (KeyType.RESTRICTED, KeyType.AGENT)


class Environment(TextChoices):
    LIVE = "live", "Live"
    TEST = "test", "Test"


class Provider(TextChoices):
    """Whose key a provider key is."""

    OPENAI = "openai", "OpenAI"
    ANTHROPIC = "anthropic", "Anthropic"
    GOOGLE = "google", "Google"
    AZURE = "azure-openai", "Azure OpenAI"
    MISTRAL = "mistral", "Mistral"
    CUSTOM = "custom", "Custom"


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

# An agent key lives exactly so long, and has these scopes unless others are picked.
AGENT_LIFETIME: Final = timedelta(days=90)
AGENT_SCOPES: Final = ("agents:run", "chat:send", "providers:use")

# How long a rotated key goes on working beside the new one, by the name that every surface gives it.
GRACES: Final = {
    "now": timedelta(0),
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
DEFAULT_GRACE: Final = "24h"

NOTE_LENGTH: Final = 1000
REASON_LENGTH: Final = 200
BASE_URL_LENGTH: Final = 500
HEADER_LENGTH: Final = 60
PREFIX_LENGTH: Final = 40
UPSTREAM_LENGTH: Final = 60

# Of each project: so many can still be read, and chosen from.
MOST_PROVIDER_KEYS: Final = 200
MOST_UPSTREAMS: Final = 1000

AUTOMATOR_NAME: Final = "Automator Key"
