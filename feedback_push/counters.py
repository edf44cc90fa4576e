"""Keep counters that all processes share in Redis; each process counts for itself while Redis does not answer."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from flask import Flask, current_app
from limits import RateLimitItem
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from feedback_push import redis_urls
from feedback_push.config import Settings, current_settings

_SECONDS_WITHOUT = 10.0  # after Redis fails, so that not every request waits for it
_log = logging.getLogger(__name__)
_T = TypeVar("_T")
Storage = RedisStorage | MemoryStorage


class Window(NamedTuple):
    """A limit after a request was counted: whether it had room, the number left, and the seconds until it has more."""

    had_room: bool
    left: int
    seconds: int


def init_app(app: Flask) -> None:
    """Create the application's counters."""
    app.extensions["counters"] = Counters(current_settings(app))


def ask(question: Callable[[Storage], _T]) -> _T:
    """Call `question` with the shared counters, or with this process's own while Redis fails, and return its result."""
    counters: Counters = current_app.extensions["counters"]
    return counters.ask(question)


def hit(limit: RateLimitItem, key: str, cost: int = 1) -> bool:
    """Count `cost` if the limit allows it, and return whether it did."""
    return ask(lambda storage: SlidingWindowCounterRateLimiter(storage).hit(limit, key, cost=cost))


def take(limit: RateLimitItem, key: str) -> Window:
    """Count one if the limit allows it, and return how much of it is left."""

    def question(storage: Storage) -> Window:
        strategy = SlidingWindowCounterRateLimiter(storage)
        had_room = strategy.hit(limit, key)
        now = strategy.get_window_stats(limit, key)
        return Window(had_room, now.remaining, max(0, math.ceil(now.reset_time - time.time())))

    return ask(question)


def left(limit: RateLimitItem, key: str) -> int:
    """Return how much of the limit is left, without counting anything."""
    return ask(lambda storage: SlidingWindowCounterRateLimiter(storage).get_window_stats(limit, key).remaining)


class _BoundedMemory(MemoryStorage):
    """In-memory storage that drops the oldest counter for a new one, so that many addresses cannot fill the memory."""

    MOST = 20_000

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        if key not in self.storage and len(self.storage) >= self.MOST:
            with suppress(RuntimeError):  # if another thread counts at the same time
                self.clear(next(iter(self.storage)))
        return super().incr(key, expiry, amount)


class Counters:
    """Counters in Redis, or in this process's memory while Redis does not answer or accepts no writes."""

    def __init__(self, settings: Settings) -> None:
        self._redis = RedisStorage(
            settings.ratelimit_storage_url,
            key_prefix=f"{settings.redis_prefix}counters",
            **redis_urls.WEB_TIMEOUTS,  # type: ignore[arg-type] # limits passes these to redis-py unchanged
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]
        )
        self._memory = _BoundedMemory()
        self._asked_again_at = 0.0

    def ask(self, question: Callable[[Storage], _T]) -> _T:
        """Call `question` with Redis, or with the memory for some seconds after Redis fails."""
        if time.monotonic() >= self._asked_again_at:
            try:
                return question(self._redis)
            except self._redis.base_exceptions as error:
                self._asked_again_at = time.monotonic() + _SECONDS_WITHOUT
                _log.warning("Redis fails (%s); each process keeps its own counts", type(error).__name__)
        return question(self._memory)
