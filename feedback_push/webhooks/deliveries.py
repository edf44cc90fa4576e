"""Deliveries: store each event for each target in the transaction that causes it, send one again, and list them."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, event, exists, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload

from feedback_push import dispatch, maintenance
from feedback_push.config import current_settings
from feedback_push.database import db, delete_batch, insert, utcnow
from feedback_push.feedback import conversations, inbox, personal_data, reach
from feedback_push.feedback.form_models import DEFAULT_KEY
from feedback_push.feedback.models import Message, Reply
from feedback_push.ids import id_in
from feedback_push.webhooks.models import IF_UNSEEN, Delivery, Event, State, Target, Wanted

MOST_SHOWN = 20
MOST_OF_MESSAGE = 100
_DUE = "webhooks.due"  # in the session's info
_MOST_REMOVED = 500  # in one sweep
_SOON = timedelta(seconds=60)


@inbox.on_received
def add_message(message: Message) -> None:
    """Add a delivery of a message for each target that wants it. Nothing happens a second time."""
    _add_written(Target.wanted, message, Event.UNSEEN, message.outbox_id, message_id=message.id)


@conversations.on_reply
def add_reply(reply: Reply) -> None:
    """Add a delivery of a visitor's reply for each target that wants it."""
    _add_written(Target.wanted_replies, reply.message, Event.UNSEEN_REPLY, reply.outbox_id, reply_id=reply.id)


def add_notification(data: dict[str, Any]) -> None:
    """Add a delivery of a program's notification for each target that wants them. The caller commits."""
    for target in db.session.scalars(select(Target).where(Target.takes_notifications).order_by(Target.id)):
        add(target, Event.NOTIFICATION, data)


def add(target: Target, kind: Event, data: dict[str, Any]) -> None:
    """Add a delivery of an event that is not about one message. The caller commits."""
    now = utcnow()
    _add(target.id, kind, now, now, data=data)


def add_test(target: Target) -> None:
    """Add a test event, which is sent at once, even after failures. The caller commits."""
    target.retry_at = None
    add(target, Event.TEST, {})


def send_again(delivery: Delivery) -> None:
    """Send an event again now, with the same identifier. The caller commits."""
    now = utcnow()
    delivery.state, delivery.due_at, delivery.queued_at, delivery.attempts = State.WAITING, now, now, 0
    delivery.error = delivery.status = delivery.detail = None
    delivery.event = IF_UNSEEN.get(Event(delivery.event), delivery.event)  # somebody asks for it, seen or not
    delivery.target.retry_at = None
    _wake_after_commit()


def find(delivery_id: int) -> Delivery | None:
    """Return a delivery with its target; None if there is none with this id."""
    return db.session.scalar(select(Delivery).where(Delivery.id == delivery_id).options(joinedload(Delivery.target)))


def of_message(message: Message) -> Sequence[Delivery]:
    """Return the newest deliveries of a message and of its visitor's replies, with their targets, the oldest first."""
    return [each for each, _ in _of_messages([message.id], most=MOST_OF_MESSAGE)]


def newest(target: Target) -> Sequence[Delivery]:
    """Return the newest deliveries to a target, the newest first."""
    theirs = select(Delivery).where(Delivery.target_id == target.id).order_by(Delivery.id.desc())
    return db.session.scalars(theirs.limit(MOST_SHOWN).options(joinedload(Delivery.reply))).all()


def is_moving(found: Sequence[Delivery]) -> bool:
    """Return whether one of these may change within seconds."""
    soon = utcnow() + _SOON
    return any(each.due_at is not None and each.due_at <= soon and not each.target.paused_at for each in found)


def wake() -> None:
    """Tell the workers that an event is due; never raise and never wait."""
    dispatch.publish("webhooks.send")


@personal_data.part("webhooks")
def to_export(message_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """Return the targets that messages were sent to, or are to be sent to, for the person who has written them."""
    found: dict[int, list[dict[str, Any]]] = {}
    for each, message_id in _of_messages(message_ids):
        told = {"name": each.target.name, "place": each.target.place, "event": each.event, "state": each.state}
        found.setdefault(message_id, []).append({**told, "sent_at": each.sent_at and each.sent_at.isoformat()})
    return found


@maintenance.each_minute
def remove_old(now: datetime) -> bool:
    """Remove some of the final deliveries that are older than RETAIN_DELIVERIES_DAYS; return whether there were any."""
    days = current_settings().retain_deliveries_days
    # The lowest ids are the oldest: if the first one is not old enough, no other is.
    first = select(Delivery.id).order_by(Delivery.id).limit(_MOST_REMOVED).scalar_subquery()
    old = (Delivery.id.in_(first), Delivery.created_at < now - timedelta(days=days), Delivery.due_at.is_(None))
    return bool(days) and delete_batch(Delivery, *old, most=_MOST_REMOVED) > 0


def is_due(now: datetime, events: Sequence[Event]) -> Any:
    """Return the condition that an event of these types is due for a target."""
    return and_(
        Target.paused_at.is_(None),
        or_(Target.claimed_until.is_(None), Target.claimed_until <= now),
        or_(Target.retry_at.is_(None), Target.retry_at <= now),
        exists().where(Delivery.target_id == Target.id, Delivery.due_at <= now, Delivery.event.in_(events)),
    )


def _of_messages(message_ids: Sequence[int], most: int | None = None) -> list[tuple[Delivery, int]]:
    """Return the deliveries of messages and of their replies, each with the id of the message, the oldest first."""
    of_messages = select(Delivery, Delivery.message_id).where(id_in(Delivery.message_id, message_ids))
    of_replies = select(Delivery, Reply.message_id).join(Reply, Reply.id == Delivery.reply_id)
    of_replies = of_replies.where(id_in(Reply.message_id, message_ids))
    found = []
    for theirs in (of_messages, of_replies):  # two, so that each uses its index
        newest = theirs.order_by(Delivery.id.desc()).limit(most).options(joinedload(Delivery.target))
        found += [(each, message_id or 0) for each, message_id in db.session.execute(newest).all()]
    return sorted(found, key=lambda each: each[0].id)[-(most or 0) :]


def _add_written(
    wish: InstrumentedAttribute[Wanted], message: Message, if_unseen: Event, outbox_id: int | None, **about: int
) -> None:
    """Add a delivery of something that a visitor has written, for each target that wants it and this form."""
    now = utcnow()
    wanting = select(Target.id, wish, Target.form_keys).where(wish != Wanted.NONE)
    for target_id, wanted, form_keys in db.session.execute(wanting).all():
        if form_keys is not None and (message.form_key or DEFAULT_KEY) not in form_keys:
            continue
        if wanted == Wanted.EVERY:
            _add(target_id, IF_UNSEEN[if_unseen], now, now, **about)
        elif outbox_id is not None:
            _add(target_id, if_unseen, now, now + reach.within(), **about)


def _add(target_id: int, kind: Event, now: datetime, due_at: datetime, **values: Any) -> None:
    row = {"target_id": target_id, "event": kind, "webhook_id": f"msg_{secrets.token_hex(12)}", "due_at": due_at}
    row |= {"state": State.WAITING, "created_at": now, "queued_at": now, "attempts": 0}
    db.session.execute(insert(Delivery).values(**row, **values).on_conflict_do_nothing())
    if due_at <= now:
        _wake_after_commit()


def _wake_after_commit() -> None:
    # The features that store a message know nothing of webhooks, so they cannot wake the workers for them.
    session = db.session()
    session.info[_DUE] = True
    if not event.contains(session, "after_commit", _wake):
        event.listen(session, "after_commit", _wake)


def _wake(session: Session) -> None:
    if session.info.pop(_DUE, False):
        wake()
