"""Read published tasks from the broker, as a worker does."""

import base64
import json
import time
from typing import Any

import redis
from flask import Flask


def finish_publishing(app: Flask, longest: float = 10) -> None:
    """Wait until the application's thread has published what it was given, so that the next test finds none of it."""
    publisher = app.extensions.get("dispatch") if app.extensions["settings"].redis_url else None
    deadline = time.monotonic() + longest
    while publisher is not None and publisher.waiting.unfinished_tasks and time.monotonic() < deadline:
        time.sleep(0.001)


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

    def headers(self, timeout: float = 60) -> dict[str, Any]:
        """Take the oldest task off the queue; return the headers of its message."""
        taken: Any = self._client.brpop([self._queue], timeout)
        found: dict[str, Any] = json.loads(taken[1])["headers"]
        return found

    def all(self, wait: float = 0.3) -> list[tuple[str, list[Any]]]:
        """Take all tasks off the queue, until none has arrived for `wait` seconds."""
        tasks = []
        while task := self.next(wait):
            tasks.append(task)
        return tasks

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
