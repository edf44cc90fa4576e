"""Which proofs have been used: known to all processes through Redis, to this one alone where Redis does not answer."""

import logging
import time
from threading import Lock

from flask import Flask, current_app
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from feedback_push.config import Settings

_log = logging.getLogger(__name__)
_SECONDS_WITHOUT = 10.0  # after Redis has failed, so that not every visitor waits for it
_MOST_REMEMBERED = 100_000


def init_app(app: Flask) -> None:
    """Give the application its memory of used proofs."""
    app.extensions["used_proofs"] = UsedProofs(app.extensions["settings"])


def use(name: str, seconds: int) -> bool:
    """Whether this is the first use of a proof that expires in so many seconds."""
    return bool(current_app.extensions["used_proofs"].use(name, seconds))


class UsedProofs:
    """Remembers names until they expire."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = f"{settings.redis_prefix}proofs:"
        self._redis = Redis.from_url(
            settings.redis_client_url, socket_connect_timeout=0.1, socket_timeout=0.2, retry=Retry(NoBackoff(), 0)
        )
        self._redis_at = 0.0
        self._own: dict[str, float] = {}
        self._lock = Lock()

    def use(self, name: str, seconds: int) -> bool:
        """Whether the name is new; from now on it is not."""
        if time.monotonic() >= self._redis_at:
            try:
                return bool(self._redis.set(self._prefix + name, 1, nx=True, ex=seconds))
            except RedisError as error:
                _log.warning("used proofs are known to this process only: Redis fails (%s)", type(error).__name__)
                self._redis_at = time.monotonic() + _SECONDS_WITHOUT
        return self._use_own(name, seconds)

    def _use_own(self, name: str, seconds: int) -> bool:
        now = time.monotonic()
        with self._lock:
            self._forget(now)
            if name in self._own:
                return False
            self._own[name] = now + seconds
            return True

    def _forget(self, now: float) -> None:
        # All live equally long, so the oldest expire first; a flood pushes out what is oldest.
        while self._own:
            oldest = next(iter(self._own))
            if self._own[oldest] > now and len(self._own) < _MOST_REMEMBERED:
                break
            del self._own[oldest]
