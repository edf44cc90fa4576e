"""Store the states of messages before a move for an hour. The session that moved them can restore them once."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from feedback_push import maintenance
from feedback_push.database import db, delete_batch, utcnow
from feedback_push.feedback.bulk_actions import Before
from feedback_push.feedback.models import Undo

KEPT = timedelta(hours=1)
_MOST = 20  # per session; the oldest are deleted first
_BATCH = 500


def keep(before: Before, session_id: int) -> int:
    """Store the earlier states of messages for this session; return the id of the undo. The caller commits."""
    mine = select(Undo.id).where(Undo.session_id == session_id).order_by(Undo.id.desc())
    newest = mine.limit(_MOST - 1).scalar_subquery()
    db.session.execute(delete(Undo).where(Undo.session_id == session_id, Undo.id.not_in(newest)))
    row = Undo(session_id=session_id, before=before, expires_at=utcnow() + KEPT)
    db.session.add(row)
    db.session.flush()
    return row.id


def use(undo_id: int, session_id: int) -> Before | None:
    """Return and delete the states stored under this id; None if used, expired, or another session's."""
    mine = (Undo.id == undo_id, Undo.session_id == session_id, Undo.expires_at > utcnow())
    # One statement, so that only one of two concurrent requests finds the row.
    before: Before | None = db.session.scalar(delete(Undo).where(*mine).returning(Undo.before))
    return before


@maintenance.each_minute
def forget_expired(now: datetime) -> bool:
    """Remove a batch of expired undos; return whether there may be more."""
    return delete_batch(Undo, Undo.expires_at <= now, most=_BATCH) == _BATCH
