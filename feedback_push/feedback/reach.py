"""Reach: tell if the notification of a message, or of a visitor's reply, has reached an administrator."""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, exists, or_, select, true
from sqlalchemy.orm import aliased

from feedback_push.config import current_settings
from feedback_push.database import db
from feedback_push.feedback.models import Message, MessageState, Reply
from feedback_push.push.models import Delivery, OutboxEntry

Kind = type[Message] | type[Reply]


class Reach(StrEnum):
    """The reach of a message."""

    SEEN = "seen"  # a device has shown it, or an administrator has opened or handled it
    PENDING = "pending"  # it is held by quiet hours, or there is still time to show it
    UNSEEN = "unseen"


def within() -> timedelta:
    """Return the time in which a device has to show a notification."""
    return timedelta(minutes=current_settings().alarm_after_minutes)


def of(written: Message | Reply, now: datetime) -> Reach:
    """Return the reach of a message, or of a visitor's reply."""
    kind = type(written)
    asked = select(unseen(kind), pending(now - within(), kind)).select_from(kind).where(kind.id == written.id)
    if kind is Reply:
        asked = asked.join(Message, Message.id == Reply.message_id)
    is_unseen, is_pending = db.session.execute(asked).one()
    if not is_unseen:
        return Reach.SEEN
    return Reach.PENDING if is_pending else Reach.UNSEEN


def unseen(kind: Kind = Message) -> ColumnElement[bool]:
    """Return the condition that no device has shown a message, and no administrator has opened or handled it.

    A device that reports nothing, such as one with Safari, counts when its notification is opened: that opens the
    message. For a reply, the query must join its message, which the reply has made new again.
    """
    summary = aliased(Delivery)
    in_summary = select(summary.id).join(Delivery, Delivery.summary_id == summary.outbox_id).where(_of(kind))
    shown = exists().where(_of(kind), _is_shown(Delivery))
    shown_in_summary = exists(in_summary.where(_is_shown(summary)).correlate(kind))
    unopened = Message.read_at.is_(None) if kind is Message else true()
    return and_(unopened, Message.state == MessageState.NEW, ~shown, ~shown_in_summary)


def pending(since: datetime, kind: Kind = Message) -> ColumnElement[bool]:
    """Return the condition that a message is held, or that a device got the notification only after `since`."""
    released = and_(Delivery.due_at > since, Delivery.error.is_(None), Delivery.attempts <= 1)
    late = or_(Delivery.held_until.is_not(None), Delivery.accepted_at > since, released)
    summarised = select(OutboxEntry.id).join(Delivery, Delivery.summary_id == OutboxEntry.id).where(_of(kind))
    # Not the message's own time: it may have been in spam until now.
    recent = exists().where(OutboxEntry.id == kind.outbox_id, OutboxEntry.created_at > since)
    return or_(
        recent,
        exists().where(_of(kind), late),
        exists(summarised.where(OutboxEntry.created_at > since).correlate(kind)),
    )


def _of(kind: Kind) -> ColumnElement[bool]:
    return Delivery.outbox_id == kind.outbox_id


def _is_shown(delivery: type[Delivery]) -> ColumnElement[bool]:
    return or_(delivery.shown_at.is_not(None), delivery.clicked_at.is_not(None))
