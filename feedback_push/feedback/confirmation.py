"""One more step for a browser that sends no proof of work: its messages are stored, and its owner lifts them out."""

from flask import session
from sqlalchemy import select

from feedback_push.database import db, utcnow
from feedback_push.feedback import inbox
from feedback_push.feedback.models import Message
from feedback_push.feedback.suspicion import CONFIRMABLE
from feedback_push.ids import among

_KEPT_IN = "unconfirmed"  # of the session, so that only the browser that sent a message can confirm it
_MOST = 20
_SECONDS_TO_READ = 1.0


def ask_for(message_id: int) -> None:
    """Remember that this browser has yet to confirm a message."""
    session[_KEPT_IN] = {"ids": [*_ids(), message_id][-_MOST:], "since": utcnow().timestamp()}


def is_waiting() -> bool:
    """Whether this browser has anything to confirm."""
    return bool(_ids())


def is_too_soon() -> bool:
    """Whether nobody can have read the page yet that asks."""
    return bool(utcnow().timestamp() - session[_KEPT_IN]["since"] < _SECONDS_TO_READ)


def confirm() -> list[int]:
    """Put this browser's messages into the inbox; the ids of their outbox entries."""
    still_waiting = select(Message.id).where(among(Message.id, _ids()), Message.spam_reason.in_(CONFIRMABLE))
    return inbox.release(list(db.session.scalars(still_waiting)))


def forget() -> None:
    """Ask no more; called once the messages are in the inbox for sure."""
    session.pop(_KEPT_IN)


def _ids() -> list[int]:
    kept = session.get(_KEPT_IN)
    return list(kept["ids"]) if kept else []
