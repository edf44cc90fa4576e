"""Counters that all processes share in Redis; each process counts for itself while Redis does not answer."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from flask import Flask, current_app
from limits import RateLimitItem
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from feedback_push.config import Settings

_SECONDS_WITHOUT = 10.0  # after Redis has failed, so that not every request waits for it
_log = logging.getLogger(__name__)
_T = TypeVar("_T")
Storage = RedisStorage | MemoryStorage


def init_app(app: Flask) -> None:
    """Give the application its counters."""
    app.extensions["counters"] = Counters(app.extensions["settings"])


def ask(question: Callable[[Storage], _T]) -> _T:
    """Answer a question from the shared counters, or from those of this process while Redis fails."""
    counters: Counters = current_app.extensions["counters"]
    return counters.ask(question)


def hit(limit: RateLimitItem, key: str, cost: int = 1) -> bool:
    """Count `cost` if the limit leaves room for it; return whether it did."""
    return ask(lambda storage: SlidingWindowCounterRateLimiter(storage).hit(limit, key, cost=cost))


def left(limit: RateLimitItem, key: str) -> int:
    """Return how much of the limit is left, without counting anything."""
    return ask(lambda storage: SlidingWindowCounterRateLimiter(storage).get_window_stats(limit, key).remaining)


class _BoundedMemory(MemoryStorage):
    """Forgets the oldest counter for a new one, so that a flood of addresses cannot fill the memory."""

    MOST = 20_000

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        if key not in self.storage and len(self.storage) >= self.MOST:
            with suppress(RuntimeError):  # where another thread counts at the same time
                self.clear(next(iter(self.storage)))
        return super().incr(key, expiry, amount)


class Counters:
    """Redis, and this process's memory while Redis does not answer or takes no writes."""

    def __init__(self, settings: Settings) -> None:
        self._redis = RedisStorage(
            settings.ratelimit_storage_url,
            key_prefix=f"{settings.redis_prefix}counters",
            socket_connect_timeout=0.1,
            socket_timeout=0.2,
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type] # which limits hands on to redis-py as it is
        )
        self._memory = _BoundedMemory()
        self._asked_again_at = 0.0

    def ask(self, question: Callable[[Storage], _T]) -> _T:
        """Answer from Redis, or from memory for some seconds after Redis has failed."""
        if time.monotonic() >= self._asked_again_at:
            try:
                return question(self._redis)
            except self._redis.base_exceptions as error:
                self._asked_again_at = time.monotonic() + _SECONDS_WITHOUT
                _log.warning("each process counts for itself: Redis fails (%s)", type(error).__name__)
        return question(self._memory)
