"""Mistakes in the settings of an installation. `manage.py check --deploy` finds them all."""

import os
from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection

from config.env import Env

_SECRETS: Final = ("KEYRACK_SECRET_KEY", "KEYRACK_SEALING_KEYS", "KEYRACK_AUDIT_KEY")


@register(Tags.security)
def check_settings(**_: Any) -> list[CheckMessage]:
    """Return what can't work anywhere; `manage.py serve` stops at these."""
    if settings.KEYRACK_URL.startswith("https:") and not settings.KEYRACK_TRUSTED_PROXIES:
        return [
            Error(
                "KEYRACK_URL is https, but no proxy is trusted to say so.",
                hint=(
                    "Keyrack speaks plain HTTP to a proxy that does TLS. Set KEYRACK_TRUSTED_PROXIES to "
                    "how many proxies stand in front, else every page redirects to itself for ever."
                ),
                id="keyrack.E001",
            )
        ]
    return []


@register(Tags.security, deploy=True)
def check_production(**_: Any) -> list[CheckMessage]:
    """Return what is wrong in production, though it runs."""
    return list(_production_mistakes(Env(os.environ)))


def _production_mistakes(env: Env) -> Iterator[CheckMessage]:
    if not settings.KEYRACK_URL.startswith("https:"):
        yield Error("KEYRACK_URL isn't https: passwords and keys travel in clear.", id="keyrack.E002")
    if settings.DEBUG:
        yield Error("KEYRACK_DEBUG is on: error pages show the code and its data.", id="keyrack.E003")
    if connection.vendor != "postgresql":
        return
    missing = [name for name in _SECRETS if not env.text(name)]
    if missing:
        yield Error(
            f"The database is PostgreSQL, but {', '.join(missing)} isn't set.",
            hint="Each machine would make secrets of its own, and none could open another's.",
            id="keyrack.E004",
        )
    if not env.text("REDIS_URL"):
        yield checks.Warning(
            "The database is PostgreSQL, but REDIS_URL isn't set.",
            hint="Each process counts failed sign-ins for itself, so the throttle lets more through.",
            id="keyrack.W001",
        )
