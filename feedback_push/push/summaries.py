"""Summaries: what was held for an administrator is told in one notification that counts it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, Row, func, literal_column, select, update

from feedback_push.auth.models import User
from feedback_push.database import BigInt, db
from feedback_push.ids import among
from feedback_push.push import kinds, outbox, preferences
from feedback_push.push.kinds import Kind
from feedback_push.push.models import Delivery, DeliveryState, OutboxEntry, Subscription
from feedback_push.push.notification import Notification

_LOOKED_AT = 1000  # deliveries that are due, by whose owners the work is divided
_MOST_MESSAGES = 10_000  # that one transaction tells of; the count goes on in the next

# With the plus SQLite does not begin with all that these devices have ever got: what is open has an index of its own.
DEVICE: ColumnElement[int] = literal_column("+push_delivery.subscription_id", BigInt)


def due(now: datetime) -> list[int]:
    """The users for whom something has been held long enough."""
    some = select(Delivery.subscription_id).where(Delivery.held_until <= now).order_by(Delivery.held_until, Delivery.id)
    theirs = select(Subscription.user_id).where(Subscription.id.in_(some.limit(_LOOKED_AT)))
    return list(db.session.scalars(theirs.distinct().order_by(Subscription.user_id)))


def make(user_id: int, now: datetime) -> None:
    """Tell a user what is held for them, unless it is quiet or another worker is at it. The caller commits."""
    user = db.session.scalar(
        select(User).where(User.id == user_id).with_for_update(key_share=True, skip_locked=True),
        execution_options={"populate_existing": True},
    )
    if user is None:
        return
    wishes = preferences.of(user)
    if until := wishes.quiet_until(now):
        _hold(user_id, until)
        return
    lock_devices(user_id)
    messages = _messages(user_id)
    for kind in kinds.CHOOSABLE.values():
        if of_kind := [message for message in messages if message.kind == kind.code]:
            _tell(user_id, kind, of_kind, timedelta(seconds=wishes.burst.seconds), now)


def release(user_id: int, now: datetime) -> None:
    """Look at once at what is held for a user, who may want it otherwise now. The caller commits."""
    _hold(user_id, now)


def _hold(user_id: int, until: datetime) -> None:
    lock_devices(user_id)
    _update(_held_for(user_id), held_until=until)


def lock_devices(user_id: int) -> None:
    """Lock a user's devices before their deliveries are changed."""
    # In one order and first, as the ledger does, or a removal could wait for this and this for it.
    theirs = select(Subscription.id).where(Subscription.user_id == user_id).order_by(Subscription.id)
    locked = theirs.with_for_update(key_share=True).subquery()
    db.session.execute(select(func.count()).select_from(locked))


def _messages(user_id: int) -> Sequence[Row[Any]]:
    """The oldest entries of which anything is held for this user."""
    held = select(Delivery.outbox_id).where(_held_for(user_id))
    columns: tuple[Any, ...] = (OutboxEntry.id, OutboxEntry.kind, OutboxEntry.created_at, OutboxEntry.expires_at)
    entries = select(*columns).where(OutboxEntry.id.in_(held)).order_by(OutboxEntry.id).limit(_MOST_MESSAGES)
    return db.session.execute(entries).all()


def _tell(user_id: int, kind: Kind, messages: Sequence[Row[Any]], window: timedelta, now: datetime) -> None:
    theirs = _held_for(user_id) & among(Delivery.outbox_id, [message.id for message in messages])
    if len(messages) == 1 and _has_time(messages[0], now):  # which says more than that there is one
        _update(theirs, state=DeliveryState.WAITING, held_until=None, due_at=now)
        return
    count = len(messages) + _told_before(user_id, kind, messages[0].created_at - window)
    entry = outbox.enqueue(_notification(kind, count), kind=kinds.summary_of(kind), user_id=user_id, counts=count)
    db.session.flush()
    _update(theirs, state=DeliveryState.SUMMARISED, held_until=None, summary_id=entry.id)


def _has_time(message: Row[Any], now: datetime) -> bool:
    """Whether enough of its time is left for a device that is offline, or a try that fails; a summary's is all new."""
    time_to_live: timedelta = message.expires_at - message.created_at
    left: timedelta = message.expires_at - now
    return left >= time_to_live / 4


def _told_before(user_id: int, kind: Kind, since: datetime) -> int:
    """What the last summary has counted, if it is so young that this one goes on where that one ended."""
    of_kind = (OutboxEntry.user_id == user_id, OutboxEntry.kind == kinds.summary_of(kind))
    query = select(OutboxEntry).where(*of_kind).order_by(OutboxEntry.id.desc()).limit(1)
    last = db.session.scalar(query)
    return last.counts if last is not None and last.created_at >= since else 0


def _notification(kind: Kind, count: int) -> Notification:
    settings = current_app.extensions["settings"]
    # With the same tag and so the same Topic each time: it replaces the one before, shown or still on its way.
    return Notification(
        title=kind.several(count),
        body="",
        navigate=f"{settings.site_url}{settings.admin_url}{kind.leads_to}",
        tag=f"summary-{kind.code}",
    )


def _held_for(user_id: int) -> ColumnElement[bool]:
    theirs = select(Subscription.id).where(Subscription.user_id == user_id)
    return Delivery.held_until.is_not(None) & DEVICE.in_(theirs)


def _update(deliveries: ColumnElement[bool], **values: Any) -> None:
    changed = update(Delivery).where(deliveries).values(**values)
    db.session.execute(changed, execution_options={"synchronize_session": False})
