"""Find the other messages from the e-mail address of a message. Anybody may have typed that address."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, func, select

from feedback_push.database import db
from feedback_push.feedback.lists import MOST_COUNTED
from feedback_push.feedback.models import Message

_SHOWN = 5


class Others(NamedTuple):
    """The newest other messages (id, created_at, state, beginning), and the number of all, at most MOST_COUNTED."""

    messages: Sequence[Row[Any]]
    total: int


def of(message: Message) -> Others:
    """Return the other messages from the same address, in all lists; none for a message without an address."""
    if message.person is None:
        return Others([], 0)
    theirs = (Message.person == message.person, Message.id != message.id, Message.deleted_at.is_(None))
    beginning = func.substr(Message.content, 1, 100).label("beginning")
    rows = select(Message.id, Message.created_at, Message.state, beginning).where(*theirs)
    newest = db.session.execute(rows.order_by(Message.id.desc()).limit(_SHOWN)).all()
    if len(newest) < _SHOWN:
        return Others(newest, len(newest))
    some = select(Message.id).where(*theirs).limit(MOST_COUNTED).subquery()
    return Others(newest, db.session.scalar(select(func.count()).select_from(some)) or 0)
