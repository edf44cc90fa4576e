"""Read the replies to many messages at once, for lists and exports."""

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Label, Row, select

from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.feedback.models import Message, Reply
from feedback_push.ids import id_in


def column() -> Label[bool | None]:
    """Return the column `last_is_answer` of a query of messages: None without replies, False after a visitor's."""
    last = select(Reply.is_answer).where(Reply.message_id == Message.id).order_by(Reply.id.desc()).limit(1)
    return last.correlate(Message).scalar_subquery().label("last_is_answer")


def by_message(message_ids: Collection[int]) -> dict[int, Sequence[Row[Any]]]:
    """Return the replies to these messages, oldest first, as rows with the administrator's address in `email`."""
    columns: Any = (Reply.message_id, Reply.is_answer, Reply.content, Reply.created_at, User.email)
    theirs = select(*columns).outerjoin(User, User.id == Reply.user_id).where(id_in(Reply.message_id, message_ids))
    rows: Sequence[Row[Any]] = db.session.execute(theirs.order_by(Reply.message_id, Reply.id)).all()
    return {message_id: list(group) for message_id, group in groupby(rows, key=lambda row: row.message_id)}


def as_json(reply: Row[Any]) -> dict[str, Any]:
    """Return a row of `by_message` ready for JSON."""
    return {
        "from": "site" if reply.is_answer else "visitor",
        "by": reply.email,
        "written_at": reply.created_at.isoformat(),
        "content": reply.content,
    }
