"""The turns of the checks: one worker does them twice a minute, and the time of the last turn proves that work is done.

A worker's own heartbeat proves less: its sweeper still writes it when the pool hangs.
"""

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, select, update

from feedback_push.alarms.models import LastTurn
from feedback_push.database import db, insert

_NAME = "checks"
_EVERY = timedelta(seconds=30)


def take(now: datetime) -> bool:
    """Return whether it is time for the checks, and this worker's turn; the caller commits."""
    last = last_at()
    if last is None:
        db.session.execute(insert(LastTurn).values(name=_NAME, at=now).on_conflict_do_nothing())
        return True
    if abs(now - last) < _EVERY:  # a later time was written by a clock that ran ahead
        return False
    this = update(LastTurn).where(LastTurn.name == _NAME, LastTurn.at == last).values(at=now)
    return cast("CursorResult[Any]", db.session.execute(this)).rowcount == 1


def last_at() -> datetime | None:
    """Return when a worker last did the checks; None before the first time."""
    return db.session.scalar(select(LastTurn.at).where(LastTurn.name == _NAME))
