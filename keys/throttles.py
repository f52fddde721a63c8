"""Rate limits: a fixed window for each key, counted in memory, or in Redis where several processes share it.

In memory a limit holds for this process alone, which is exact on the embedded default: it has one. In Redis
it is exact across processes and machines (one atomic increment a check).
"""

import logging
import time
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.conf import settings
from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute
from limits import RateLimitItemPerSecond as PerSecond
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from config.outages import Unavailable
from keys.rates import Rate

log = logging.getLogger("keyrack.throttles")

_ITEMS: Final[dict[str, type[RateLimitItem]]] = {
    "second": PerSecond,
    "minute": RateLimitItemPerMinute,
    "hour": RateLimitItemPerHour,
    "day": RateLimitItemPerDay,
}
_TIMEOUT_SECONDS: Final = 0.5


class ThrottleUnavailable(Unavailable):
    """The Redis that counts doesn't answer, and KEYRACK_THROTTLE_FAILS is `closed`: nothing was decided."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is left of a key's rate: uses, and seconds until the window begins anew."""

    rate: Rate
    remaining: int
    resets_in: int
    exceeded: bool


def take(key_id: str, rate: Rate) -> Window | None:
    """Count a use of the key and return its window; None where Redis is away and that lets requests pass.

    Raises ThrottleUnavailable where it is away and doesn't.
    """
    item = _item(rate)
    try:
        passed = _limiter().hit(item, key_id)
        stats = _limiter().get_window_stats(item, key_id)
    except (RedisError, OSError) as error:
        _away(error)
        return None
    _back()
    resets_in = max(1, round(stats.reset_time - time.time()))
    return Window(rate, max(0, stats.remaining), resets_in, exceeded=not passed)


@cache
def _item(rate: Rate) -> RateLimitItem:
    return _ITEMS[rate.per](rate.count, namespace="keyrack")


@cache
def _limiter() -> FixedWindowRateLimiter:
    return FixedWindowRateLimiter(_storage())


def _storage() -> Storage:
    if not settings.KEYRACK_REDIS_URL:
        return MemoryStorage()
    timeouts: dict[str, Any] = {
        "socket_timeout": _TIMEOUT_SECONDS,
        "socket_connect_timeout": _TIMEOUT_SECONDS,
    }
    return RedisStorage(settings.KEYRACK_REDIS_URL, **timeouts)


_state = {"away": False}


def _away(error: Exception) -> None:
    """Say it once, not for each request. Raises ThrottleUnavailable unless requests shall pass meanwhile."""
    if not _state["away"]:
        how = settings.KEYRACK_THROTTLE_FAILS
        log.error("Redis doesn't answer (%s): rate limits fail %s.", type(error).__name__, how)
    _state["away"] = True
    if settings.KEYRACK_THROTTLE_FAILS == "closed":
        raise ThrottleUnavailable from None


def _back() -> None:
    if _state["away"]:
        _state["away"] = False
        log.info("Redis answers again: rate limits hold.")
