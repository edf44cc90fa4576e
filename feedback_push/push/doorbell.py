"""The doorbell: publishing a task from a thread of its own, so that nobody ever waits for the broker."""

import logging
import os
import queue
from threading import Thread
from typing import Any

from celery import Celery
from flask import current_app

_log = logging.getLogger(__name__)
_MOST_WAITING = 1000


def ring(task: str, *args: Any) -> None:
    """Publish a task soon; returns at once, whatever the broker does, and never raises.

    A knock that cannot be published is dropped with a log line: every worker's sweep finds its work in the database.
    """
    doorbell = current_app.extensions.get("push.doorbell")
    if doorbell is None or doorbell.pid != os.getpid():  # a thread does not survive a fork
        doorbell = current_app.extensions["push.doorbell"] = _Doorbell(current_app.extensions["celery"])
    try:
        doorbell.waiting.put_nowait((task, args))
    except queue.Full:
        _log.warning("too many knocks wait for the broker; the sweep will find this one")


class _Doorbell:
    def __init__(self, celery: Celery) -> None:
        self.pid = os.getpid()
        self.waiting: queue.Queue[tuple[str, tuple[Any, ...]]] = queue.Queue(_MOST_WAITING)
        self._celery = celery
        Thread(target=self._publish, name="doorbell", daemon=True).start()

    def _publish(self) -> None:
        while True:
            task, args = self.waiting.get()
            try:
                self._celery.send_task(task, args, retry=False)
            except Exception as error:  # noqa: BLE001 - whatever went wrong, the next knock must still ring
                _log.warning("the broker did not take a knock (%s); the sweep will find it", type(error).__name__)
