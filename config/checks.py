"""Mistakes in the settings of an installation. `manage.py check --deploy` finds them all."""

import os
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection

from config import env as parse
from config.env import Env

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_SECRETS: Final = ("KEYRACK_SECRET_KEY", "KEYRACK_SEALING_KEYS", "KEYRACK_AUDIT_KEY")


@register(Tags.security)
def check_settings(**_: Any) -> list[CheckMessage]:
    """Return what can't work anywhere; `manage.py serve` stops at these."""
    return list(_impossible())


def _impossible() -> Iterator[CheckMessage]:
    if settings.KEYRACK_URL.startswith("https:") and not settings.KEYRACK_TRUSTED_PROXIES:
        yield Error(
            "KEYRACK_URL is https, but no proxy is trusted to say so.",
            hint=(
                "Keyrack speaks plain HTTP to a proxy that does TLS. Set KEYRACK_TRUSTED_PROXIES to "
                "how many proxies stand in front, else every page redirects to itself for ever."
            ),
            id="keyrack.E001",
        )
    if settings.KEYRACK_WORKERS == 1:
        return
    if connection.vendor != "postgresql":
        yield Error(
            "KEYRACK_WORKERS is more than 1, but the database is SQLite, which is for one process.",
            hint="Name a PostgreSQL in DATABASE_URL and a Redis in REDIS_URL, or leave KEYRACK_WORKERS out.",
            id="keyrack.E005",
        )
    elif not settings.KEYRACK_REDIS_URL:
        yield Error(
            "KEYRACK_WORKERS is more than 1, but REDIS_URL isn't set.",
            hint="Each process would count rate limits and failed sign-ins for itself, and let more through.",
            id="keyrack.E006",
        )


@register(Tags.security, deploy=True)
def check_production(**_: Any) -> list[CheckMessage]:
    """Return what is wrong in production, though it runs."""
    return list(_production_mistakes(Env(os.environ)))


def _production_mistakes(env: Env) -> Iterator[CheckMessage]:
    if not settings.KEYRACK_URL.startswith("https:"):
        yield Error("KEYRACK_URL isn't https: passwords and keys travel in clear.", id="keyrack.E002")
    if settings.DEBUG:
        yield Error("KEYRACK_DEBUG is on: error pages show the code and its data.", id="keyrack.E003")
    yield from _open_doors(env)
    if connection.vendor == "postgresql":
        yield from _what_machines_share(env)


def _open_doors(env: Env) -> Iterator[CheckMessage]:
    """Yield what lets somebody pass themselves, or Keyrack, off as another."""
    if urlsplit(settings.KEYRACK_URL).hostname in _LOOPBACK:
        yield Error(
            "KEYRACK_URL names this machine alone.",
            hint="Write the address that people open: links and cookies are made for it.",
            id="keyrack.E007",
        )
    wide = [host for host in parse.hosts(env.text("KEYRACK_HOSTS")) if host.startswith(".")]
    if wide:
        yield checks.Warning(
            f"KEYRACK_HOSTS takes every name below {', '.join(wide)}.",
            hint="Whoever gets one of them serves links of theirs as Keyrack's. Name each host.",
            id="keyrack.W002",
        )
    if settings.KEYRACK_TRUSTED_PROXIES.count and not ip_address(settings.KEYRACK_LISTEN).is_loopback:
        yield checks.Warning(
            "KEYRACK_LISTEN is open to other machines, and KEYRACK_TRUSTED_PROXIES is a mere number.",
            hint=(
                "Whoever reaches the port past the proxy chooses an address, and the scheme, by a header. "
                "Write the networks that the proxies are in."
            ),
            id="keyrack.W003",
        )


def _what_machines_share(env: Env) -> Iterator[CheckMessage]:
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
            hint=(
                "Each process counts rate limits and failed sign-ins for itself: with several machines, "
                "each limit is as many times as high."
            ),
            id="keyrack.W001",
        )
