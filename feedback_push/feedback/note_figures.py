"""Figures of notes: how many of the writers a draft can reach, and what became of a note that was sent."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, case, exists, func, select

from feedback_push.database import db
from feedback_push.feedback.models import Conversation, Message, MessageState, Reply
from feedback_push.feedback.note_models import Note, NoteRecipient, Outcome
from feedback_push.ids import id_in
from feedback_push.push import history
from feedback_push.push.history import Stage
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, Follower, Subscription

PAGE_SIZE = 50  # recipients
# The best comes last: a message counts by its best device.
_ORDER = (
    Stage.CANCELLED, Stage.FAILED, Stage.EXPIRED, Stage.QUEUED, Stage.PAUSED, Stage.HELD, Stage.RETRYING,
    Stage.SENDING, Stage.SUMMARISED, Stage.ACCEPTED, Stage.SHOWN, Stage.CLICKED,
)  # fmt: skip
_LIVE = (Subscription.state == DeviceState.LIVE, Subscription.paused_at.is_(None), Follower.paused_at.is_(None))


class Reach(NamedTuple):
    """The messages of a draft, and how many of their writers it can reach now."""

    messages: int
    linked: int  # have a private link that lives
    followed: int  # have such a link, and a device that follows the conversation
    devices: int  # that follow any of these conversations; each gets one notification
    only_by_email: int  # have no such link, but left an e-mail address


class Figures(NamedTuple):
    """The outcomes of a note by message (None: waiting), and the stages of its notifications by device."""

    outcomes: Mapping[Outcome | None, int]
    devices: Mapping[Stage, int]
    silent: int  # messages on whose private page the note is, and that no device follows

    @property
    def messages(self) -> int:
        """The number of messages that the note is for."""
        return sum(self.outcomes.values())


class Recipient(NamedTuple):
    """A message of a note: its row (id, name, state), the outcome, and the stage of its best device, if it has any."""

    message: Row[Any]
    outcome: Outcome | None
    stage: Stage | None


def reach(note: Note) -> Reach:
    """Return how many of the writers a draft can reach now."""
    of_conversation = exists().where(Follower.audience_id == Conversation.audience_id)
    follows = of_conversation.where(Subscription.id == Follower.subscription_id, *_LIVE).correlate(Conversation)
    linked = _linked()
    by_email = ~func.coalesce(linked, False) & (Message.submitter_email != "")
    counts = select(func.count(), _number(linked), _number(linked & follows), _number(by_email))
    theirs = counts.select_from(NoteRecipient).join(Message, Message.id == NoteRecipient.message_id)
    theirs = theirs.outerjoin(Conversation, Conversation.message_id == Message.id)
    row = db.session.execute(theirs.where(NoteRecipient.note_id == note.id)).one()
    return Reach(row[0], row[1], row[2], _devices(note), row[3])


def figures(note: Note) -> Figures:
    """Return what became of a note so far."""
    rows = select(NoteRecipient.outcome, func.count()).where(NoteRecipient.note_id == note.id)
    outcomes = dict(iter(db.session.execute(rows.group_by(NoteRecipient.outcome))))
    entries = select(Reply.outbox_id).where(Reply.note_id == note.id, Reply.outbox_id.is_not(None))
    counted_elsewhere = Delivery.state == DeliveryState.SUMMARISED
    devices = history.counts(Delivery.outbox_id.in_(entries), ~counted_elsewhere)
    silent = select(func.count()).where(Reply.note_id == note.id, Reply.outbox_id.is_(None))
    return Figures(outcomes, devices, db.session.scalar(silent) or 0)


def recipients(note: Note, before: int | None = None) -> tuple[list[Recipient], int | None]:
    """Return the messages of a note before a cursor, newest first, and the cursor of the next page or None."""
    columns = select(Message.id, Message.submitter_name, Message.deleted_at, NoteRecipient.outcome, Reply.outbox_id)
    theirs = columns.select_from(NoteRecipient).join(Message, Message.id == NoteRecipient.message_id)
    of_note = (Reply.message_id == Message.id) & (Reply.note_id == NoteRecipient.note_id)
    theirs = theirs.outerjoin(Reply, of_note).where(NoteRecipient.note_id == note.id)
    if before is not None:
        theirs = theirs.where(NoteRecipient.message_id < before)
    newest = theirs.order_by(NoteRecipient.message_id.desc()).limit(PAGE_SIZE + 1)
    rows: Sequence[Any] = db.session.execute(newest).all()
    shown = rows[:PAGE_SIZE]
    stages = _stages([row.outbox_id for row in shown if row.outbox_id is not None])
    found = [Recipient(row, row.outcome, stages.get(row.outbox_id)) for row in shown]
    return found, shown[-1].id if len(rows) > PAGE_SIZE else None


def _devices(note: Note) -> int:
    followed = select(func.count(Follower.subscription_id.distinct())).select_from(NoteRecipient)
    followed = followed.join(Conversation, Conversation.message_id == NoteRecipient.message_id)
    followed = followed.join(Message, Message.id == NoteRecipient.message_id)
    followed = followed.join(Follower, Follower.audience_id == Conversation.audience_id)
    followed = followed.join(Subscription, Subscription.id == Follower.subscription_id)
    return db.session.scalar(followed.where(NoteRecipient.note_id == note.id, _linked(), *_LIVE)) or 0


def _linked() -> ColumnElement[bool]:
    has_link = Conversation.token_hash.is_not(None)
    return has_link & Message.deleted_at.is_(None) & (Message.state != MessageState.SPAM)


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _stages(entry_ids: Sequence[int]) -> dict[int, Stage]:
    """Return the stage of the best delivery of each entry."""
    best: dict[int, Stage] = {}
    for delivery in db.session.scalars(select(Delivery).where(id_in(Delivery.outbox_id, entry_ids))):
        stages = (history.stage(delivery), best.get(delivery.outbox_id, _ORDER[0]))
        best[delivery.outbox_id] = max(stages, key=_ORDER.index)
    return best
