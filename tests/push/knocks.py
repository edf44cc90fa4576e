"""What the doorbell has left at the broker, read as a worker reads it."""

import base64
import json
from typing import Any

import redis


class Knocks:
    """The queue of a Redis server, emptied first."""

    def __init__(self, redis_url: str, site: str = "127.0.0.1") -> None:
        self._queue = f"feedback_push:{site}:celery"
        self._client = redis.Redis.from_url(redis_url)
        self._client.delete(self._queue)

    def next(self, timeout: float = 10) -> tuple[str, list[Any]] | None:
        """The oldest knock, taken off the queue: a task and its arguments; None when none comes in time."""
        taken: Any = self._client.brpop([self._queue], timeout)
        if taken is None:
            return None
        message = json.loads(taken[1])
        arguments: list[Any] = json.loads(base64.b64decode(message["body"]))[0]
        return message["headers"]["task"], arguments

    def all(self, wait: float = 0.3) -> list[tuple[str, list[Any]]]:
        """Everything that has come when nothing more does for a while."""
        knocks = []
        while knock := self.next(wait):
            knocks.append(knock)
        return knocks

    def close(self) -> None:
        """Leave the server."""
        self._client.close()
