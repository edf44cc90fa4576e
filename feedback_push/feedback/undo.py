"""Undo: what messages were before a move, kept for an hour for the session that moved them, and good for one use."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from feedback_push import maintenance
from feedback_push.database import db, utcnow
from feedback_push.feedback.bulk_actions import Before
from feedback_push.feedback.models import Undo

KEPT = timedelta(hours=1)
_MOST = 20  # of a session; the oldest make room
_BATCH = 500


def keep(before: Before, session_id: int) -> int:
    """Store what takes a move back, for this session; return its id. The caller commits."""
    mine = select(Undo.id).where(Undo.session_id == session_id).order_by(Undo.id.desc())
    newest = mine.limit(_MOST - 1).scalar_subquery()
    db.session.execute(delete(Undo).where(Undo.session_id == session_id, Undo.id.not_in(newest)))
    row = Undo(session_id=session_id, before=before, expires_at=utcnow() + KEPT)
    db.session.add(row)
    db.session.flush()
    return row.id


def use(undo_id: int, session_id: int) -> Before | None:
    """Take what was kept under this id, once; None where it was used, is another session's, or too old."""
    mine = (Undo.id == undo_id, Undo.session_id == session_id, Undo.expires_at > utcnow())
    # One statement: of two at once, one finds nothing.
    before: Before | None = db.session.scalar(delete(Undo).where(*mine).returning(Undo.before))
    return before


@maintenance.register
def forget_expired(now: datetime) -> None:
    """Remove what nobody can use any more."""
    expired = select(Undo.id).where(Undo.expires_at <= now).limit(_BATCH).scalar_subquery()
    db.session.execute(delete(Undo).where(Undo.id.in_(expired)))
