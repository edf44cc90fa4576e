"""Digests: send held notifications as one summary, and apply changed preferences to pending deliveries."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, literal_column, select, update

from feedback_push.auth.models import User
from feedback_push.database import BigInt, db
from feedback_push.ids import id_in
from feedback_push.push import outbox, preferences, subscriptions
from feedback_push.push.claims import SessionEnded
from feedback_push.push.models import Delivery, DeliveryState, OutboxEntry, PreviewLevel, Subscription
from feedback_push.push.notification import OPTIONAL_KINDS, TEST, Kind, Notification, summary_of
from feedback_push.site_path import absolute_url

_MOST_CANCELLED = 5000  # deliveries of each kind in one transaction: less than half a second of SQLite
_LOOKED_AT = 1000  # due deliveries that decide whose digests are made now
_MOST_MESSAGES = 10_000  # summarised in one transaction; the next one continues the count

# The plus keeps SQLite from reading every delivery these devices ever got: open ones have an index of their own.
_DEVICE: ColumnElement[int] = literal_column("+push_delivery.subscription_id", BigInt)
_OPEN = (Delivery.due_at.is_not(None), Delivery.held_until.is_not(None))  # each has an index of its own


def due(now: datetime) -> list[int]:
    """Return the ids of users whose held notifications are due."""
    some = select(Delivery.subscription_id).where(Delivery.held_until <= now).order_by(Delivery.held_until, Delivery.id)
    theirs = select(Subscription.user_id).where(Subscription.id.in_(some.limit(_LOOKED_AT)))
    return list(db.session.scalars(theirs.distinct().order_by(Subscription.user_id)))


def make(user_id: int, now: datetime) -> None:
    """Send a user their held notifications, unless in quiet hours or if another worker does. The caller commits."""
    user = db.session.scalar(
        select(User).where(User.id == user_id).with_for_update(key_share=True, skip_locked=True),
        execution_options={"populate_existing": True},
    )
    if user is None:
        return
    effective = preferences.of(user)
    if until := effective.quiet_until(now):
        _hold(user_id, until)
        return
    subscriptions.lock(Subscription.user_id == user_id)
    messages = _messages(user_id)
    for kind in OPTIONAL_KINDS.values():
        if of_kind := [message for message in messages if message.kind == kind.code]:
            _summarise(user_id, kind, of_kind, timedelta(seconds=effective.burst.seconds), now)


def release(user_id: int, now: datetime) -> None:
    """Make a user's held notifications due now, because their preferences have changed. The caller commits."""
    _hold(user_id, now)


def apply_to_pending(user_id: int, *, shows: PreviewLevel, muted: Collection[str]) -> None:
    """Apply changed preferences to pending deliveries: set the preview level, and delete the muted kinds."""
    theirs = _DEVICE.in_(select(Subscription.id).where(Subscription.user_id == user_id))
    unwanted = {*muted, *(summary_of(OPTIONAL_KINDS[code]) for code in muted)}
    subscriptions.lock(Subscription.user_id == user_id)
    for is_open in _OPEN:
        _execute(update(Delivery).where(is_open, theirs, _of_kinds(OPTIONAL_KINDS)).values(shows=shows))
        _execute(delete(Delivery).where(is_open, theirs, _of_kinds(unwanted)))


def cancel_pending(device: Subscription) -> None:
    """Cancel the pending deliveries of a paused device, except tests. The caller commits."""
    db.session.flush()  # the device before its deliveries, which is the lock order
    for is_open in _OPEN:
        _execute(delete(Delivery).where(is_open, _DEVICE.in_([device.id]), ~_of_kinds([TEST])))


def cancel(devices: Collection[int]) -> None:
    """Cancel pending deliveries to devices whose session has ended; those beyond a batch end when they are claimed."""
    if not devices:
        return
    # The claim stays: if the push has left already, its result is still recorded.
    final = {"state": DeliveryState.FAILED, "error": SessionEnded.code, "due_at": None, "held_until": None}
    for is_open in _OPEN:
        some = select(Delivery.id).where(is_open, _DEVICE.in_(devices)).limit(_MOST_CANCELLED).scalar_subquery()
        _execute(update(Delivery).where(Delivery.id.in_(some)).values(status=None, detail=None, **final))


def _hold(user_id: int, until: datetime) -> None:
    subscriptions.lock(Subscription.user_id == user_id)
    _update(_held_for(user_id), held_until=until)


def _messages(user_id: int) -> Sequence[Row[Any]]:
    """Return the oldest entries with deliveries held for this user."""
    held = select(Delivery.outbox_id).where(_held_for(user_id))
    columns: tuple[Any, ...] = (OutboxEntry.id, OutboxEntry.kind, OutboxEntry.created_at, OutboxEntry.expires_at)
    entries = select(*columns).where(OutboxEntry.id.in_(held)).order_by(OutboxEntry.id).limit(_MOST_MESSAGES)
    return db.session.execute(entries).all()


def _summarise(user_id: int, kind: Kind, messages: Sequence[Row[Any]], window: timedelta, now: datetime) -> None:
    theirs = _held_for(user_id) & id_in(Delivery.outbox_id, [message.id for message in messages])
    if len(messages) == 1 and _has_time(messages[0], now):  # it says more than a summary of one would
        _update(theirs, state=DeliveryState.WAITING, held_until=None, due_at=now)
        return
    count = len(messages) + _sent_before(user_id, kind, messages[0].created_at - window)
    entry = outbox.enqueue(_notification(kind, count), kind=summary_of(kind), user_id=user_id, counts=count)
    db.session.flush()
    _update(theirs, state=DeliveryState.SUMMARISED, held_until=None, summary_id=entry.id)


def _has_time(message: Row[Any], now: datetime) -> bool:
    """Return whether enough of its time to live is left for offline devices and retries; a summary starts a new one."""
    time_to_live: timedelta = message.expires_at - message.created_at
    left: timedelta = message.expires_at - now
    return left >= time_to_live / 4


def _sent_before(user_id: int, kind: Kind, since: datetime) -> int:
    """Return the count of the last summary, if that is so recent that this one continues it."""
    of_kind = (OutboxEntry.user_id == user_id, OutboxEntry.kind == summary_of(kind))
    query = select(OutboxEntry).where(*of_kind).order_by(OutboxEntry.id.desc()).limit(1)
    last = db.session.scalar(query)
    return last.counts if last is not None and last.created_at >= since else 0


def _notification(kind: Kind, count: int) -> Notification:
    # Always the same tag, and so the same Topic: it replaces the last summary, whether shown or not delivered yet.
    return Notification(
        title=kind.summary_title(count),
        body="",
        navigate=absolute_url("admin.inbox") + kind.leads_to,
        tag=f"summary-{kind.code}",
    )


def _held_for(user_id: int) -> ColumnElement[bool]:
    theirs = select(Subscription.id).where(Subscription.user_id == user_id)
    return Delivery.held_until.is_not(None) & _DEVICE.in_(theirs)


def _update(deliveries: ColumnElement[bool], **values: Any) -> None:
    changed = update(Delivery).where(deliveries).values(**values)
    db.session.execute(changed, execution_options={"synchronize_session": False})


def _of_kinds(codes: Iterable[str]) -> ColumnElement[bool]:
    return exists().where(OutboxEntry.id == Delivery.outbox_id, OutboxEntry.kind.in_(list(codes)))


def _execute(statement: Any) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})
