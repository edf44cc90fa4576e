"""Moving messages between the lists, deleting them, and taking that back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import func, select, update

from feedback_push.database import db, utcnow
from feedback_push.feedback import inbox
from feedback_push.feedback.models import Message, MessageState
from feedback_push.ids import among


class Move(StrEnum):
    """What can be done with messages."""

    READ = "read"
    UNREAD = "unread"
    ARCHIVE = "archive"
    INBOX = "inbox"  # out of the archive
    SPAM = "spam"
    NOT_SPAM = "not-spam"
    DELETE = "delete"


_NEW, _READ, _ARCHIVED, _SPAM = MessageState
_FROM = {
    Move.READ: {_NEW},
    Move.UNREAD: {_READ},
    Move.ARCHIVE: {_NEW, _READ},
    Move.INBOX: {_ARCHIVED},
    Move.SPAM: {_NEW, _READ, _ARCHIVED},
    Move.NOT_SPAM: {_SPAM},
    Move.DELETE: set(MessageState),
}
_TO = {Move.UNREAD: _NEW, Move.ARCHIVE: _ARCHIVED, Move.INBOX: _READ, Move.SPAM: _SPAM}
# What messages were before: a state and a reason for it, and which messages; plain data, to be kept as JSON.
Before = list[tuple[str, str | None, list[int]]]


@dataclass(frozen=True)
class Moved:
    """How many messages were moved, how to take it back, and the outbox entries that the caller has to wake."""

    count: int
    before: Before
    entry_ids: Sequence[int] = ()


class TakenBack(NamedTuple):
    """How many messages that has moved where they are removed for good some day, or from there."""

    restored: int
    into_spam: int
    out_of_spam: int


def move(how: Move, message_ids: Iterable[int]) -> Moved:
    """Move those of the messages with which this can be done; the caller commits."""
    columns = select(Message.id, Message.state, Message.spam_reason)
    movable = columns.where(among(Message.id, message_ids), Message.state.in_(_FROM[how]), Message.deleted_at.is_(None))
    rows = db.session.execute(movable.order_by(Message.id).with_for_update()).all()
    ids = [row.id for row in rows]
    if how == Move.NOT_SPAM:
        return Moved(len(ids), _before(rows), inbox.release(ids))
    db.session.execute(update(Message).where(among(Message.id, ids)).values(_values(how)))
    return Moved(len(ids), _before(rows))


def take_back(before: Before) -> TakenBack:
    """Put messages back to what they were, unless they are gone for good; the caller commits."""
    restored = into_spam = out_of_spam = 0
    for state, reason, ids in before:
        there = select(Message.id, Message.state, Message.deleted_at).where(among(Message.id, ids))
        rows = db.session.execute(there.order_by(Message.id).with_for_update()).all()
        was = {"state": state, "spam_reason": reason, "deleted_at": None}
        db.session.execute(update(Message).where(among(Message.id, [row.id for row in rows])).values(was))
        restored += sum(row.deleted_at is not None for row in rows)
        into_spam += sum(row.state != _SPAM == state for row in rows)
        out_of_spam += sum(row.state == _SPAM != state for row in rows)
    return TakenBack(restored, into_spam, out_of_spam)


def _values(how: Move) -> dict[str, Any]:
    if how == Move.DELETE:
        return {"deleted_at": utcnow()}
    if how == Move.READ:
        return {"state": _READ, "read_at": func.coalesce(Message.read_at, utcnow())}
    return {"state": _TO[how]}


def _before(rows: Sequence[Any]) -> Before:
    groups: dict[tuple[str, str | None], list[int]] = {}
    for row in rows:
        groups.setdefault((row.state, row.spam_reason), []).append(row.id)
    return [(state, reason, ids) for (state, reason), ids in groups.items()]
