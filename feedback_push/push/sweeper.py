"""The sweeper: a thread in every worker that publishes the sweep task, so that Celery beat is not needed.

If the broker is down, or refuses writes because it is full, the sweeper does the due work itself. It also writes the
worker's heartbeat.
"""

import logging
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

from celery import Celery, bootsteps, signals
from kombu import Connection

from feedback_push.push import heartbeats, sender, tasks

_log = logging.getLogger(__name__)
INTERVAL = 5.0  # seconds
_SECONDS_TO_STOP = 2.0
_TIMEOUTS = {"socket_connect_timeout": 1, "socket_timeout": 2}


def install(celery: Celery) -> Celery:
    """Add the sweeper to every worker of this Celery application."""
    celery.steps["worker"].add(Sweeper)
    signals.worker_process_init.connect(_start_afresh)
    return celery


class Sweeper(bootsteps.StartStopStep):
    """Publish the sweep; any worker may run it, and claims make a second run harmless.

    It has a thread of its own, because the worker's timers stop while the worker reconnects.
    """

    requires = ("celery.worker.components:Pool",)  # which forks; forking is safer before this thread starts

    def __init__(self, _worker: Any, **_: Any) -> None:
        self._stopping = Event()
        self._thread: Thread | None = None
        self._next_beat = 0.0
        self._connection: Connection | None = None

    def start(self, worker: Any) -> None:
        """Start the thread when the worker starts."""
        self._thread = Thread(target=self._sweep_on, args=(worker.app, worker.hostname), name="sweeper", daemon=True)
        self._thread.start()

    def stop(self, _worker: Any) -> None:
        """Stop the thread when the worker stops; other workers claim its unfinished deliveries when the lease ends."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_SECONDS_TO_STOP)

    def _sweep_on(self, celery: Celery, name: str) -> None:
        while True:
            more = not self._publish(celery) and _work()
            self._beat(name)
            if self._stopping.wait(0 if more else INTERVAL):
                break
        _store("end", tasks.end_worker, name)

    def _beat(self, name: str) -> None:
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + heartbeats.INTERVAL.total_seconds()
            _store("heartbeat", tasks.beat, name)

    def _publish(self, celery: Celery) -> bool:
        """Return whether the broker accepted the sweep."""
        try:
            if self._connection is None:
                self._connection = _connection(celery)
            # Drop a sweep that no worker has taken before the next one.
            options: dict[str, Any] = {"expires": INTERVAL, "retry": False, "connection": self._connection}
            tasks.sweep.apply_async(**options)
        except Exception as error:  # noqa: BLE001 - the sweeper must continue, whatever the broker's client raises
            self._connection = None
            _log.warning(
                "the broker did not accept the sweep (%s); this worker does the due work itself", type(error).__name__
            )
            return False
        return True


def _connection(celery: Celery) -> Connection:
    """Connect to the broker with shorter timeouts than a worker's."""
    connection = celery.connection_for_write()
    connection.transport_options = {**(connection.transport_options or {}), **_TIMEOUTS}
    connection.connect()
    return connection


def _work() -> bool:
    """Do the due work in this process; return whether more is left."""
    try:
        return bool(tasks.work_alone())
    except Exception:  # noqa: BLE001 - the database may be down as well; the next sweep tries again
        _log.exception("the due work failed without the broker")
        return False


def _store(what: str, write: Callable[[str], None], name: str) -> None:
    try:
        write(name)
    except Exception as error:  # noqa: BLE001 - the sweeper must continue without the database, or before a migration
        _log.warning("the %s of this worker could not be stored (%s)", what, type(error).__name__)


def _start_afresh(**_: Any) -> None:
    """Reset in a forked process the lock and the connections that belong to its parent."""
    sender.start_afresh()
    tasks.forget_connections()
