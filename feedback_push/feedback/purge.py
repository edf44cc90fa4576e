"""Remove data for good: messages deleted a day ago, and data older than the retention settings allow."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, func, select, text

from feedback_push import maintenance
from feedback_push.auth import audit
from feedback_push.config import current_settings
from feedback_push.database import db
from feedback_push.feedback import conversation_data, conversations, daily_counts
from feedback_push.feedback.daily_counts import Count
from feedback_push.feedback.models import LISTS, Message
from feedback_push.ids import id_in
from feedback_push.push import outbox

KEPT = timedelta(days=1)  # a deletion can be undone until then
BATCH = 100  # messages at a time, so that no visitor waits for the database
_ROWS = 500  # the same for smaller rows
_SECONDS = 1.0  # per sweep, for all data that is too old
# The limits of the spam list. A flood takes no more space than this, and pushes out the oldest messages.
MOST_SPAM = 5000
MOST_SPAM_BYTES = 64 * 1024 * 1024


@maintenance.each_minute
def remove_deleted(now: datetime) -> bool:
    """Remove a batch of the messages that were deleted more than KEPT ago, oldest deletion first.

    Return whether there were any.
    """
    old = Message.deleted_at < now - KEPT
    return _remove(select(Message.id, Message.outbox_id).where(old).order_by(Message.deleted_at))


@maintenance.each_minute
def remove_old(now: datetime) -> bool:
    """Remove data older than the retention settings allow, in batches, each in its own transaction.

    Return whether there may be more.
    """
    settings = current_settings()
    stop_at = time.monotonic() + _SECONDS
    retained: dict[Callable[[datetime], bool], int] = {
        _remove_messages: settings.retain_messages_days,
        _remove_spam: settings.retain_spam_days,
        _remove_notifications: settings.retain_deliveries_days,
        _remove_audit: settings.retain_audit_days,
    }
    for remove_some, days in retained.items():
        while days and remove_some(now - timedelta(days=days)):
            db.session.commit()
            if time.monotonic() > stop_at:
                return True
    return False


@maintenance.each_minute
def bound_spam(now: datetime) -> bool:
    """Remove and count the oldest spam beyond the limits, in batches, each in its own transaction.

    Return whether there was any, because more may arrive.
    """
    stop_at, found = time.monotonic() + _SECONDS, False
    while _remove_excess_spam():
        db.session.commit()
        found = True
        if time.monotonic() > stop_at:
            return True
    daily_counts.remove_old(now.date())
    return found


def _remove_excess_spam() -> bool:
    place = func.row_number().over(order_by=Message.id.desc()).label("place")
    added_up = func.sum(Message.size).over(order_by=Message.id.desc()).label("bytes")
    spam = select(Message.id, place, added_up).where(text(LISTS["spam"])).subquery()
    excess = (spam.c.place > MOST_SPAM) | (spam.c.bytes > MOST_SPAM_BYTES)
    oldest = select(spam.c.id).where(excess).order_by(spam.c.id).limit(BATCH)
    return _remove(select(Message.id, Message.outbox_id).where(Message.id.in_(oldest)), Count.SPAM_REMOVED)


def _remove_messages(before: datetime) -> bool:
    return _remove(
        select(Message.id, Message.outbox_id).where(Message.created_at < before).order_by(Message.created_at)
    )


def _remove_spam(before: datetime) -> bool:
    # The lowest ids are the oldest messages. If none of them is old enough, there is no need to look further.
    first = select(Message.id).where(text(LISTS["spam"])).order_by(Message.id).limit(BATCH).scalar_subquery()
    return _remove(select(Message.id, Message.outbox_id).where(Message.id.in_(first), Message.created_at < before))


def _remove_notifications(before: datetime) -> bool:
    return outbox.remove_older(before, _ROWS) > 0


def _remove_audit(before: datetime) -> bool:
    return audit.remove_older(before, _ROWS) > 0


def _remove(which: Select[int, int | None], counted_as: Count | None = None) -> bool:
    """Remove a batch of these messages with the notifications that repeat them; return whether there were any.

    If the notifications have too many deliveries for one batch, some deliveries are removed now, the rest next time.
    """
    rows = db.session.execute(which.limit(BATCH).with_for_update(skip_locked=True)).all()
    ids = [row.id for row in rows]
    entries = [*conversation_data.entries_of(ids), *(row.outbox_id for row in rows if row.outbox_id is not None)]
    if rows and not outbox.delete_deliveries(entries):
        conversations.delete_audiences(ids)
        db.session.execute(delete(Message).where(id_in(Message.id, ids)))
        outbox.remove(entries)
        if counted_as:
            daily_counts.add(counted_as, len(rows))
    return bool(rows)
