"""Removing for good what was deleted a day ago, with the notifications that repeat it."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from feedback_push.database import among, db
from feedback_push.feedback.models import Message
from feedback_push.push import chores, outbox

KEPT = timedelta(days=1)  # in which a deletion can be undone
BATCH = 100  # messages for each sweep, so that no visitor waits for the database meanwhile


@chores.every_sweep
def remove_deleted(now: datetime) -> None:
    """Remove the messages that were deleted longest ago, as far as their time is over."""
    over = select(Message.id, Message.outbox_id).where(Message.deleted_at < now - KEPT)
    rows = db.session.execute(over.order_by(Message.deleted_at).limit(BATCH).with_for_update(skip_locked=True)).all()
    if rows:
        db.session.execute(delete(Message).where(among(Message.id, (row.id for row in rows))))
        outbox.remove(row.outbox_id for row in rows if row.outbox_id is not None)
