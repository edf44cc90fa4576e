"""Ask the visitor to confirm a message that was set aside, for example because it came without a proof of work.

The message is already stored in spam. Confirming it moves it to the inbox.
"""

from datetime import timedelta

from flask import session
from sqlalchemy import Select, select, text

from feedback_push.database import db, utcnow
from feedback_push.feedback import inbox
from feedback_push.feedback.models import LISTS, Message
from feedback_push.feedback.spam_reasons import CONFIRMABLE

LIFETIME = timedelta(days=1)
_KEPT_IN = "unconfirmed"  # a session key, so that only the browser that sent a message can confirm it
_MOST = 20
_SECONDS_TO_READ = 1.0


def ask_for(message_id: int) -> None:
    """Remember that this browser has yet to confirm a message."""
    session[_KEPT_IN] = [*_kept(), (message_id, utcnow().timestamp())][-_MOST:]


def waiting() -> list[int]:
    """Return the ids of the messages that this browser has yet to confirm, newest first."""
    return [message_id for message_id, _ in reversed(_kept())]


def is_too_soon(message_id: int) -> bool:
    """Return whether the confirmation was submitted faster than a person can read the page."""
    return any(utcnow().timestamp() - since < _SECONDS_TO_READ for kept, since in _kept() if kept == message_id)


def is_set_aside(message_id: int) -> bool:
    """Return whether a message is still in spam for a reason that a confirmation removes."""
    return db.session.scalar(_set_aside(message_id)) is not None


def confirm(message_id: int, *, notify: bool) -> list[int]:
    """Move one of this browser's messages to the inbox; return the ids of its outbox entries, one or none."""
    return inbox.release(list(db.session.scalars(_set_aside(message_id))), notify=notify)


def forget(message_id: int) -> None:
    """Stop asking for a message's confirmation. Call this only after the move to the inbox is committed."""
    session[_KEPT_IN] = [kept for kept in _kept() if kept[0] != message_id]


def _set_aside(message_id: int) -> Select[int]:
    reasons = text(LISTS["spam"]), Message.spam_reason.in_(CONFIRMABLE)
    return select(Message.id).where(Message.id == message_id, *reasons)


def _kept() -> list[tuple[int, float]]:
    since = utcnow().timestamp() - LIFETIME.total_seconds()
    kept = session.get(_KEPT_IN)
    return [(each[0], each[1]) for each in kept if each[1] > since] if isinstance(kept, list) else []
