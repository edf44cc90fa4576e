"""Read the replies to many messages at once, for lists and exports."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Label, Row, func, select

from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.feedback.models import Message, Reply
from feedback_push.ids import id_in

AT_ONCE = 100  # replies in memory; each has at most LONGEST_REPLY characters


def column() -> Label[bool | None]:
    """Return the column `last_is_answer` of a query of messages: None without replies, False after a visitor's."""
    last = select(Reply.is_answer).where(Reply.message_id == Message.id).order_by(Reply.id.desc()).limit(1)
    return last.correlate(Message).scalar_subquery().label("last_is_answer")


def by_message(message_ids: Collection[int]) -> dict[int, Iterable[Row[Any]]]:
    """Return the replies to these messages, oldest first, as rows with the administrator's address in `email`.

    If there are more than AT_ONCE, those of each message are read while they are iterated, in parts of AT_ONCE. No
    transaction is open between the parts.
    """
    theirs = select(Reply.message_id, func.count().label("number")).where(id_in(Reply.message_id, message_ids))
    counts = {row.message_id: row.number for row in db.session.execute(theirs.group_by(Reply.message_id))}
    if sum(counts.values()) > AT_ONCE:
        return {message_id: _InParts(message_id) for message_id in counts}
    rows = db.session.execute(_ROWS.where(id_in(Reply.message_id, list(counts)))).all() if counts else ()
    return {message_id: list(group) for message_id, group in groupby(rows, key=lambda row: row.message_id)}


class _InParts:
    """The replies to a message, read anew by each iteration."""

    def __init__(self, message_id: int) -> None:
        self._message_id = message_id

    def __iter__(self) -> Iterator[Row[Any]]:
        last = 0
        while part := self._after(last):
            db.session.rollback()
            yield from part
            last = part[-1].id

    def _after(self, last: int) -> Sequence[Row[Any]]:
        theirs = _ROWS.where(Reply.message_id == self._message_id, Reply.id > last)
        found: Sequence[Row[Any]] = db.session.execute(theirs.limit(AT_ONCE)).all()
        return found


def of_message(message_id: int) -> Iterable[Row[Any]]:
    """Return the replies to a message, to be read in parts while they are iterated, as `by_message` does."""
    return _InParts(message_id)


def as_json(reply: Row[Any]) -> dict[str, Any]:
    """Return a row of `by_message` ready for JSON."""
    return {
        "from": "site" if reply.is_answer else "visitor",
        "by": reply.email,
        "written_at": reply.created_at.isoformat(),
        "content": reply.content,
    }


_ROWS: Any = (
    select(Reply.id, Reply.message_id, Reply.is_answer, Reply.content, Reply.created_at, User.email)
    .outerjoin(User, User.id == Reply.user_id)
    .order_by(Reply.message_id, Reply.id)
)
