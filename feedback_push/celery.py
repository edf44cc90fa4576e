"""Configure Celery, so that a lost task never means a lost message."""

import gc
from typing import Any

from celery import Celery, Task, signals
from flask import Flask
from kombu.transport import TRANSPORT_ALIASES, redis

from feedback_push import request_ids, tracing
from feedback_push.config import Settings, current_settings
from feedback_push.redis_urls import WEB_TIMEOUTS

# A web process must give up quickly when it publishes a task; a worker can wait. `max_retries` and `interval_start` are
# kombu's own attempts to connect, by default for six seconds.
_WEB_TIMEOUTS = {**WEB_TIMEOUTS, "max_retries": 1, "interval_start": 0}
_WORKER_TIMEOUTS = {"socket_connect_timeout": 5, "socket_timeout": 15, "max_retries": None, "interval_start": 2}


def init_app(app: Flask) -> "Celery[Any]":
    """Create the Celery application for this Flask application; tasks run inside its application context."""

    class FlaskTask(Task):  # type: ignore[type-arg]
        def __call__(self, *args: object, **kwargs: object) -> object:
            sent = self.request
            with (
                app.app_context(),
                request_ids.of_task(self.name, sent.id, sent.headers),
                tracing.span(self.name, sent.headers),
            ):
                return self.run(*args, **kwargs)

    # Not the process's current application: the one that this site is mounted in may have a Celery of its own.
    celery: Celery[Any] = Celery("feedback_push", task_cls=FlaskTask, set_as_current=False)
    celery.config_from_object(_configuration(current_settings(app)))
    app.extensions["celery"] = celery
    return celery


def for_worker(app: Flask) -> "Celery[Any]":
    """Return the same Celery application, with a worker's longer timeouts for the broker."""
    celery: Celery[Any] = app.extensions["celery"]
    celery.set_default()
    celery.conf.broker_transport_options |= _WORKER_TIMEOUTS
    TRANSPORT_ALIASES["redis"] = f"{__name__}:RecoverableTransport"
    signals.worker_before_create_process.connect(_keep_memory_shared)
    return celery


def _keep_memory_shared(**_: Any) -> None:
    # Otherwise the first full collection in a pool's child would copy every page that it shares with its parent.
    gc.freeze()


class _RecoverableChannel(redis.Channel):
    def _connparams(self, asynchronous: bool = False) -> Any:
        if self.connection.client is None:
            raise ConnectionError("the connection to the broker is closed")
        return super()._connparams(asynchronous)  # type: ignore[misc]


class RecoverableTransport(redis.Transport):
    """A transport that survives a broker that restarts while a task is in progress, or that accepts no writes.

    After such a restart, kombu 5.7 tries to return the task's message over the connection that it has closed. It
    handles every connection error, but it gets an AttributeError, which ends the worker.

    A broker that is full, or whose disk or replicas fail, still answers but accepts no writes. It is treated as
    unreachable, so that a worker retries after a pause instead of in a tight loop.
    """

    Channel = _RecoverableChannel

    def establish_connection(self) -> Any:
        """Connect, and check that the broker accepts writes."""
        connection = super().establish_connection()
        try:
            self._avail_channels[-1].client.set("writable", 1, ex=10)  # type: ignore[attr-defined]
        except Exception:
            self.close_connection(connection)  # type: ignore[arg-type]
            raise
        return connection


def _configuration(settings: Settings) -> dict[str, Any]:
    return {
        "broker_url": settings.broker_url,
        "task_ignore_result": True,
        "accept_content": ["json"],
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "task_soft_time_limit": 45,
        "task_time_limit": 60,  # below the visibility timeout, or a slow task would start twice
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,  # otherwise a worker exits when its broker is full
        "worker_hijack_root_logger": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_transport_options": {
            "visibility_timeout": 120,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_keepalive": True,
            "global_keyprefix": settings.redis_prefix,
            **_WEB_TIMEOUTS,
        },
    }
