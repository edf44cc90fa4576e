"""Publish Celery tasks without waiting for the broker."""

import logging
import os
import queue
from threading import Thread
from typing import Any

from celery import Celery
from flask import current_app

from feedback_push import request_ids, tracing

_log = logging.getLogger(__name__)
_LONGEST_QUEUE = 1000


def publish(task: str, *args: Any) -> None:
    """Publish a task from a background thread; return immediately and never raise, whatever the broker does.

    A task that cannot be published is logged and dropped. Every worker's sweep finds its work in the database. The
    message's headers carry the id of the request that the task follows from.
    """
    publisher: _Publisher | None = current_app.extensions.get("dispatch")
    if publisher is None or publisher.pid != os.getpid():  # a thread does not survive a fork
        publisher = current_app.extensions["dispatch"] = _Publisher(current_app.extensions["celery"])
    try:
        publisher.waiting.put_nowait((task, args, request_ids.headers() | tracing.headers()))
    except queue.Full:
        _log.warning("too many tasks are waiting for the broker; the next sweep will do the work of this one")


class _Publisher:
    # A thread, because no timeout covers a name that does not resolve, or a broker that accepts a connection and hangs.
    def __init__(self, celery: Celery) -> None:
        self.pid = os.getpid()
        self.waiting: queue.Queue[tuple[str, tuple[Any, ...], dict[str, str]]] = queue.Queue(_LONGEST_QUEUE)
        self._celery = celery
        Thread(target=self._run, name="dispatch", daemon=True).start()

    def _run(self) -> None:
        while True:
            task, args, headers = self.waiting.get()
            try:
                self._celery.send_task(task, args, retry=False, headers=headers)
            except Exception as error:  # noqa: BLE001 - after any error, the next task must still be published
                _log.warning(
                    "the broker did not accept a task (%s); the next sweep will do its work", type(error).__name__
                )
            finally:
                self.waiting.task_done()
