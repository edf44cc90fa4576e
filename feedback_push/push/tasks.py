"""The Celery tasks: each calls the module that does the work, and may run twice or in parallel."""

import logging
from datetime import datetime

from celery import shared_task

from feedback_push import dispatch, maintenance
from feedback_push.database import db, utcnow
from feedback_push.push import claims, digests, fanout, heartbeats, keys, outbox, sender

_log = logging.getLogger(__name__)


@shared_task(name="push.fan_out")
def fan_out(entry_id: int) -> None:
    """Make the first deliveries of an outbox entry; the rest follow while those are sent, or in the next task."""
    live_keys = keys.load().live
    if not live_keys:
        _log.info("push is off: outbox entry %s waits for VAPID keys", entry_id)
        return
    made = fanout.next_set(entry_id, *live_keys)
    db.session.commit()
    _log.info("outbox entry %s is fanned out", entry_id, extra={"entry": entry_id, "devices": made})
    dispatch.publish("push.deliver")
    if made == fanout.SET_SIZE and not outbox.is_broadcast(entry_id):
        dispatch.publish("push.fan_out", entry_id)


@shared_task(name="push.deliver")
def deliver() -> None:
    """Send the deliveries that are due."""
    if not keys.cached().live:
        _log.info("push is off: due deliveries wait for VAPID keys")
        return
    if sender.run():
        dispatch.publish("push.deliver")


@shared_task(name="push.sweep")
def sweep() -> None:
    """Publish tasks for due work, then run maintenance.

    Work is due after a lost wake-up, for a retry, at the end of a hold, or when a dead worker's claim ends.
    """
    now = utcnow()
    if keys.cached().live:
        _summarise_all(now)
        for entry_id in outbox.due(now):
            dispatch.publish("push.fan_out", entry_id)
        if claims.services_due(now):
            dispatch.publish("push.deliver")
    db.session.rollback()
    maintenance.run_due()


@shared_task(name="push.work_alone")
def work_alone() -> bool:
    """Do the due work in this process, because the broker accepts no tasks; return whether more is left.

    It is called, never published. It leaves no database connection open, because the worker's pool forks.
    """
    more = False
    try:
        if keys.load().live:
            _summarise_all(utcnow())
            db.session.rollback()
            more = sender.run()
        maintenance.run_due()
    finally:
        db.session.remove()
        db.engine.dispose()
    return more


@shared_task(name="push.beat")
def beat(name: str) -> None:
    """Store the heartbeat of the worker in this process; called, never published. It leaves no connection open."""
    try:
        heartbeats.beat(name)
        db.session.commit()
    finally:
        db.session.remove()
        db.engine.dispose()


@shared_task(name="push.end_worker")
def end_worker(name: str) -> None:
    """Remove the worker in this process, which stops; called, never published."""
    try:
        heartbeats.end(name)
        db.session.commit()
    finally:
        db.session.remove()
        db.engine.dispose()


@shared_task(name="push.forget_connections")
def forget_connections() -> None:
    """Drop the database connections of the parent process without closing them; called, never published."""
    db.engine.dispose(close=False)


def _summarise_all(now: datetime) -> None:
    for user_id in digests.due(now):
        _summarise(user_id, now)


def _summarise(user_id: int, now: datetime) -> None:
    try:
        digests.make(user_id, now)
        db.session.commit()
    except Exception:  # noqa: BLE001 - one failure must not stop the other users' summaries and the retries
        db.session.rollback()
        _log.exception("the summary for user %s could not be created; the next sweep will try again", user_id)
