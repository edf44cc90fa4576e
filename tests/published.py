"""Read published tasks from the broker, as a worker does."""

import base64
import json
from typing import Any

import redis


class PublishedTasks:
    """The queue of a Redis server, emptied first."""

    def __init__(self, redis_url: str, site: str = "127.0.0.1") -> None:
        self._queue = f"feedback_push:{site}:celery"
        self._client = redis.Redis.from_url(redis_url)
        self._client.delete(self._queue)

    def next(self, timeout: float = 60) -> tuple[str, list[Any]] | None:
        """Take the oldest task off the queue; return its name and arguments, or None after `timeout` seconds."""
        taken: Any = self._client.brpop([self._queue], timeout)
        if taken is None:
            return None
        message = json.loads(taken[1])
        arguments: list[Any] = json.loads(base64.b64decode(message["body"]))[0]
        return message["headers"]["task"], arguments

    def all(self, wait: float = 0.3) -> list[tuple[str, list[Any]]]:
        """Take all tasks off the queue, until none has arrived for `wait` seconds."""
        tasks = []
        while task := self.next(wait):
            tasks.append(task)
        return tasks

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
