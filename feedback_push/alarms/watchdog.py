"""Notice in the web server that no worker runs, and tell the targets of alarms from here.

Without a worker nobody else sends anything. If the database is down as well, only the log can say so.
"""

import logging
from datetime import datetime, timedelta
from threading import Event, Thread

from flask import Flask

from feedback_push.alarms import incidents, turns
from feedback_push.alarms.models import Alarm
from feedback_push.database import db, utcnow
from feedback_push.webhooks import sending

AWAY_AFTER = timedelta(minutes=5)
_EVERY = 60.0  # seconds
_TWICE = 2  # in a row: a machine that has slept finds an old time at first
_log = logging.getLogger(__name__)


def start(app: Flask) -> Event:
    """Watch the workers from a thread of this process until the returned event is set."""
    stopping = Event()
    Thread(target=_watch, args=(app, stopping), name="watchdog", daemon=True).start()
    return stopping


def are_away(started_at: datetime, now: datetime) -> bool:
    """Return whether no worker has worked for AWAY_AFTER, nor since this process was started at `started_at`."""
    last = turns.last_at()
    return max(last or started_at, started_at) < now - AWAY_AFTER


def tell(now: datetime) -> None:
    """Open the incident, and send the targets their alarms."""
    incidents.update_all(Alarm.WORKERS, {"": {}}, now)
    db.session.commit()
    sending.send_due(sending.ALARMS)


def _watch(app: Flask, stopping: Event) -> None:
    started_at, found = utcnow(), 0
    while not stopping.wait(_EVERY):
        with app.app_context():
            try:
                found = found + 1 if are_away(started_at, utcnow()) else 0
                db.session.rollback()
                if found >= _TWICE:
                    tell(utcnow())
            except Exception:  # noqa: BLE001 - the watch must go on, whatever fails
                db.session.rollback()
                _log.exception("the workers could not be checked")
