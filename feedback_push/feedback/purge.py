"""Removing for good: what was deleted a day ago, and what has been kept for as long as the settings say."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import Select, delete, select, text

from feedback_push.auth import audit
from feedback_push.database import db
from feedback_push.feedback.models import LISTS, Message
from feedback_push.ids import among
from feedback_push.push import chores, outbox

KEPT = timedelta(days=1)  # in which a deletion can be undone
BATCH = 100  # messages for each sweep, so that no visitor waits for the database meanwhile
_ROWS = 500  # the same of rows that are smaller
_SECONDS = 1.0  # for all that is too old, in each sweep


@chores.every_sweep
def remove_deleted(now: datetime) -> None:
    """Remove the messages that were deleted longest ago, as far as their time is over."""
    _remove(select(Message.id, Message.outbox_id).where(Message.deleted_at < now - KEPT).order_by(Message.deleted_at))


@chores.every_sweep
def remove_old(now: datetime) -> None:
    """Remove what is older than it is meant to become: batch by batch, each in a transaction of its own."""
    settings = current_app.extensions["settings"]
    stop_at = time.monotonic() + _SECONDS
    retained: dict[Callable[[datetime], bool], int] = {
        _remove_messages: settings.retain_messages_days,
        _remove_spam: settings.retain_spam_days,
        _remove_ledger: settings.retain_deliveries_days,
        _remove_audit: settings.retain_audit_days,
    }
    for remove_some, days in retained.items():
        while days and remove_some(now - timedelta(days=days)):
            db.session.commit()
            if time.monotonic() > stop_at:
                return


def _remove_messages(before: datetime) -> bool:
    return _remove(
        select(Message.id, Message.outbox_id).where(Message.created_at < before).order_by(Message.created_at)
    )


def _remove_spam(before: datetime) -> bool:
    # Those with the lowest ids are the oldest: where none of them is old enough there is no need to look further.
    first = select(Message.id).where(text(LISTS["spam"])).order_by(Message.id).limit(BATCH).scalar_subquery()
    return _remove(select(Message.id, Message.outbox_id).where(Message.id.in_(first), Message.created_at < before))


def _remove_ledger(before: datetime) -> bool:
    return outbox.remove_older(before, _ROWS) > 0


def _remove_audit(before: datetime) -> bool:
    return audit.remove_older(before, _ROWS) > 0


def _remove(which: Select[int, int | None]) -> bool:
    """Whether any of these messages was there to be removed, with the notification that repeats it.

    Where that has too many deliveries for once, some of these go, and the rest the next time.
    """
    rows = db.session.execute(which.limit(BATCH).with_for_update(skip_locked=True)).all()
    entries = [row.outbox_id for row in rows if row.outbox_id is not None]
    if rows and not outbox.lighten(entries):
        db.session.execute(delete(Message).where(among(Message.id, (row.id for row in rows))))
        outbox.remove(entries)
    return bool(rows)
