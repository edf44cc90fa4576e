"""Apply bulk actions to messages: move them between lists, delete them, and undo both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import func, select, update

from feedback_push.database import db, utcnow
from feedback_push.feedback import conversations, inbox
from feedback_push.feedback.models import Message, MessageState
from feedback_push.ids import id_in


class BulkAction(StrEnum):
    """An action that an administrator can apply to messages."""

    READ = "read"
    UNREAD = "unread"
    ANSWERED = "answered"  # by other means than a reply, such as e-mail
    ARCHIVE = "archive"
    INBOX = "inbox"  # out of the archive and the answered messages
    SPAM = "spam"
    NOT_SPAM = "not-spam"
    DELETE = "delete"
    RESTORE = "restore"  # after a deletion, to the list that each message was in


_NEW, _READ, _ANSWERED, _ARCHIVED, _SPAM = MessageState
_FROM = {
    BulkAction.READ: {_NEW},
    BulkAction.UNREAD: {_READ},
    BulkAction.ANSWERED: {_NEW, _READ, _ARCHIVED},
    BulkAction.ARCHIVE: {_NEW, _READ, _ANSWERED},
    BulkAction.INBOX: {_ARCHIVED, _ANSWERED},
    BulkAction.SPAM: {_NEW, _READ, _ANSWERED, _ARCHIVED},
    BulkAction.NOT_SPAM: {_SPAM},
    BulkAction.DELETE: set(MessageState),
    BulkAction.RESTORE: set(MessageState),
}
_TO = {
    BulkAction.UNREAD: _NEW,
    BulkAction.ARCHIVE: _ARCHIVED,
    BulkAction.INBOX: _READ,
    BulkAction.SPAM: _SPAM,
}
# The earlier states of messages, as (state, spam reason, message ids). Plain data, because it is stored as JSON.
Before = list[tuple[str, str | None, list[int]]]


@dataclass(frozen=True)
class Applied:
    """The number of messages moved, their earlier states for undo, and the outbox entries that the caller must wake."""

    count: int
    before: Before
    entry_ids: Sequence[int] = ()


class Undone(NamedTuple):
    """The number of messages that an undo restored from deletion, moved into spam, and moved out of spam.

    These are the moves into and out of the places where messages are eventually removed for good.
    """

    restored: int
    into_spam: int
    out_of_spam: int


def apply(how: BulkAction, message_ids: Iterable[int], user_id: int | None = None) -> Applied:
    """Apply an action of an administrator to the messages whose state allows it. The caller commits."""
    columns = select(Message.id, Message.state, Message.spam_reason)
    is_there = Message.deleted_at.is_not(None) if how == BulkAction.RESTORE else Message.deleted_at.is_(None)
    movable = columns.where(id_in(Message.id, message_ids), Message.state.in_(_FROM[how]), is_there)
    rows = db.session.execute(movable.order_by(Message.id).with_for_update()).all()
    ids = [row.id for row in rows]
    if how == BulkAction.NOT_SPAM:
        return Applied(len(ids), _before(rows), inbox.release(ids))
    db.session.execute(update(Message).where(id_in(Message.id, ids)).values(_values(how)))
    if how == BulkAction.ANSWERED and user_id is not None:
        conversations.note_answered(ids, user_id)
    # A restored message can be deleted again; an undo of that would need a state of its own.
    return Applied(len(ids), [] if how == BulkAction.RESTORE else _before(rows))


def undo(before: Before) -> Undone:
    """Restore messages to their earlier states, except those removed for good. The caller commits."""
    restored = into_spam = out_of_spam = 0
    for state, reason, ids in before:
        there = select(Message.id, Message.state, Message.deleted_at).where(id_in(Message.id, ids))
        rows = db.session.execute(there.order_by(Message.id).with_for_update()).all()
        was = {"state": state, "spam_reason": reason, "deleted_at": None}
        db.session.execute(update(Message).where(id_in(Message.id, [row.id for row in rows])).values(was))
        restored += sum(row.deleted_at is not None for row in rows)
        into_spam += sum(row.state != _SPAM == state for row in rows)
        out_of_spam += sum(row.state == _SPAM != state for row in rows)
    return Undone(restored, into_spam, out_of_spam)


def _values(how: BulkAction) -> dict[str, Any]:
    if how == BulkAction.DELETE:
        return {"deleted_at": utcnow()}
    if how == BulkAction.RESTORE:
        return {"deleted_at": None}
    if how in (BulkAction.READ, BulkAction.ANSWERED):
        state = _READ if how == BulkAction.READ else _ANSWERED
        return {"state": state, "read_at": func.coalesce(Message.read_at, utcnow())}
    return {"state": _TO[how]}


def _before(rows: Sequence[Any]) -> Before:
    groups: dict[tuple[str, str | None], list[int]] = {}
    for row in rows:
        groups.setdefault((row.state, row.spam_reason), []).append(row.id)
    return [(state, reason, ids) for (state, reason), ids in groups.items()]
