"""The sweeper: a timer in every worker that rings for what is due, so that no beat is needed."""

import logging
from typing import Any

from celery import Celery, bootsteps

from feedback_push.push import tasks

_log = logging.getLogger(__name__)
INTERVAL = 5.0  # seconds


def install(celery: Celery) -> Celery:
    """Give every worker of this Celery application the timer."""
    celery.steps["worker"].add(Sweeper)
    return celery


class Sweeper(bootsteps.StartStopStep):
    """Publishes the sweep; the work is done by whichever worker takes it, and claims make a second one harmless."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, _worker: Any, **_: Any) -> None:
        self._timer: Any = None

    def start(self, worker: Any) -> None:
        """Start the timer together with the worker."""
        self._timer = worker.timer.call_repeatedly(INTERVAL, self._knock, priority=10)

    def stop(self, _worker: Any) -> None:
        """Stop it when the worker stops."""
        if self._timer is not None:
            self._timer.cancel()

    def _knock(self) -> None:
        try:
            # A sweep that is not taken before the next one is due is not worth taking.
            tasks.sweep.apply_async(expires=INTERVAL, retry=False)
        except Exception as error:  # noqa: BLE001 - the timer must go on, whatever the broker's client raises
            _log.warning("the broker did not take the sweep (%s)", type(error).__name__)
