"""Rate limits: a fixed window for each key, counted in memory, or in Redis where several processes share it.

In memory a limit holds for this process alone, which is exact on the embedded default: it has one. In Redis
it is exact across processes and machines (one atomic increment a check).
"""

import logging
import math
import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.conf import settings
from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute
from limits import RateLimitItemPerSecond as PerSecond
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import FixedWindowRateLimiter
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

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
_ASKED_EVERY: Final = 1.0


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
    if _redis.is_away():
        _let_pass_or_raise()
        return None
    item = _item(rate)
    with _beginning:
        limiter = _limiter()
    try:
        passed = limiter.hit(item, key_id)
        stats = limiter.get_window_stats(item, key_id)
    except (RedisError, OSError) as error:
        _redis.failed(error)
        _let_pass_or_raise()
        return None
    _redis.answered()
    # Up: whoever comes again after so many whole seconds isn't too early.
    resets_in = max(1, math.ceil(stats.reset_time - time.time()))
    return Window(rate, max(0, stats.remaining), resets_in, exceeded=not passed)


@cache
def _item(rate: Rate) -> RateLimitItem:
    return _ITEMS[rate.per](rate.count, namespace="keyrack")


@cache
def _limiter() -> FixedWindowRateLimiter:
    return FixedWindowRateLimiter(_storage())


# `cache` lets threads that come first at once make one each, and each would count for itself.
_beginning: Final = threading.Lock()


class _Memory(MemoryStorage):
    """Counts one use at a time.

    The library's own locks a window while it counts, but makes, reads and drops it unlocked: of threads that
    come at once some begin the window anew, and more pass than may; or all of them read the last one's count.
    """

    def __init__(self) -> None:
        super().__init__()
        self._counting = threading.RLock()

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        with self._counting:
            return super().incr(key, expiry, amount)

    def get(self, key: str) -> int:
        with self._counting:
            return super().get(key)


class _Shared(RedisStorage):
    """Knows the end of a window to the millisecond: in whole seconds it may seem half a second too early."""

    def get_expiry(self, key: str) -> float:
        client: Any = self.get_connection(True)
        left: int = client.pttl(self.prefixed_key(key))
        return time.time() + max(left, 0) / 1000


def _storage() -> Storage:
    if not settings.KEYRACK_REDIS_URL:
        return _Memory()
    # Once more at once, for a connection that broke meanwhile; the client's own way is to wait for seconds.
    options: dict[str, Any] = {
        "socket_timeout": _TIMEOUT_SECONDS,
        "socket_connect_timeout": _TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 1),
    }
    return _Shared(settings.KEYRACK_REDIS_URL, **options)


def _let_pass_or_raise() -> None:
    """Let a request pass that can't be counted, or raise ThrottleUnavailable, as the setting says."""
    if settings.KEYRACK_THROTTLE_FAILS == "closed":
        raise ThrottleUnavailable


class _Redis:
    """Whether Redis answers. While it doesn't, it is asked once a second, and nobody else waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._away = False
        self._asked_again_at = 0.0

    def is_away(self) -> bool:
        """Say whether not to ask it now."""
        if not self._away:
            return False
        with self._lock:
            now = time.monotonic()
            if now < self._asked_again_at:
                return True
            self._asked_again_at = now + _ASKED_EVERY
        return False

    def failed(self, error: Exception) -> None:
        """Say so once, and not for each request."""
        with self._lock:
            was_away, self._away = self._away, True
            self._asked_again_at = time.monotonic() + _ASKED_EVERY
        if not was_away:
            how = settings.KEYRACK_THROTTLE_FAILS
            log.error("Redis doesn't answer (%s): rate limits fail %s.", type(error).__name__, how)

    def answered(self) -> None:
        if not self._away:
            return
        with self._lock:
            was_away, self._away = self._away, False
        if was_away:
            log.info("Redis answers again: rate limits hold.")


_redis: Final = _Redis()
