"""Heartbeats: each worker writes every 30 seconds that it is alive, so that a dead one is noticed."""

import os
import socket
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from feedback_push import maintenance
from feedback_push.database import db, insert, utcnow
from feedback_push.installation import VERSION
from feedback_push.push.models import Worker

INTERVAL = timedelta(seconds=30)
SILENT = 3 * INTERVAL  # a worker that has not been seen for so long is dead, or hangs
_FORGET = timedelta(hours=1)  # until then, a dead worker is reported


def beat(name: str) -> None:
    """Write that the worker in this process is alive. Forget earlier processes of the same name that are silent."""
    now = utcnow()
    known = {"host": socket.gethostname()[:255], "version": VERSION, "seen_at": now}
    row = insert(Worker).values(name=name[:255], pid=os.getpid(), started_at=now, **known)
    db.session.execute(row.on_conflict_do_update(index_elements=[Worker.name, Worker.pid], set_=known))
    db.session.execute(delete(Worker).where(Worker.name == name[:255], Worker.seen_at < now - SILENT))


def end(name: str) -> None:
    """Remove the worker in this process, because it stops."""
    db.session.execute(delete(Worker).where(Worker.name == name[:255], Worker.pid == os.getpid()))


def forget_all() -> None:
    """Delete all workers, because none of them runs where a backup has just been restored."""
    db.session.execute(delete(Worker))


def workers() -> list[Worker]:
    """Return all workers that are alive, or that were not long ago."""
    return list(db.session.scalars(select(Worker).order_by(Worker.name, Worker.pid).limit(1000)))


@maintenance.each_minute
def forget_dead(now: datetime) -> None:
    """Delete workers that have been silent for an hour."""
    db.session.execute(delete(Worker).where(Worker.seen_at < now - _FORGET))
