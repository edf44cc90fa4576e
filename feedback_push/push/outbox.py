"""The outbox: store a notification in the caller's transaction, and wake the workers after the commit."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from flask_babel import gettext
from sqlalchemy import ColumnElement, case, delete, exists, literal, literal_column, select, update

from feedback_push import dispatch, request_ids
from feedback_push.auth.models import User
from feedback_push.config import current_settings
from feedback_push.database import BigInt, db, delete_batch, utcnow
from feedback_push.ids import id_in
from feedback_push.push import claims, subscriptions
from feedback_push.push.models import Delivery, DeliveryState, OutboxEntry, Priority, Subscription
from feedback_push.push.notification import FEEDBACK, TEST, Notification
from feedback_push.site_path import absolute_url

_log = logging.getLogger(__name__)
MOST_DELIVERIES = 5000  # deleted in one transaction: less than half a second of SQLite


def enqueue(
    notification: Notification,
    *,
    kind: str = FEEDBACK.code,
    user_id: int | None = None,
    subscription_id: int | None = None,
    audience_id: int | None = None,
    priority: Priority = Priority.ALARM,
    counts: int = 1,
    unopened_since: datetime | None = None,
    recipients: list[int] | None = None,
    except_session_id: int | None = None,
) -> OutboxEntry:
    """Add a notification to the caller's transaction.

    It is for all administrators, for those with the ids in `recipients`, or for one administrator, one device or one
    audience. `counts` is the number of messages that it notifies. Followers who have opened nothing since
    `unopened_since` are paused instead. The devices of the session `except_session_id` get nothing.
    """
    now = utcnow()
    entry = OutboxEntry(
        payload=notification.to_json(),
        topic=notification.topic,
        urgency=notification.urgency,
        kind=kind,
        counts=counts,
        user_id=user_id,
        subscription_id=subscription_id,
        audience_id=audience_id,
        priority=priority,
        unopened_since=unopened_since,
        recipients=recipients,
        except_session_id=except_session_id,
        created_at=now,
        expires_at=now + timedelta(seconds=current_settings().push_ttl),
        request_id=request_ids.current(),
    )
    db.session.add(entry)
    return entry


def enqueue_test(device: Subscription) -> OutboxEntry:
    """Add a test notification for one device; the caller commits and calls `wake`."""
    test = Notification(
        title=gettext("It works"),
        body=gettext("This is the test notification you asked for."),
        navigate=absolute_url("admin.devices"),
        tag=f"test-{device.id}",
    )
    return enqueue(test, kind=TEST, subscription_id=device.id)


def find_test(entry_id: int, user: User) -> tuple[OutboxEntry, Delivery | None] | None:
    """Return a test notification for one of this user's devices, and its delivery if it has one already.

    Return None if the entry is not a test for a device of this user.
    """
    mine = select(OutboxEntry).join(Subscription, Subscription.id == OutboxEntry.subscription_id)
    these = (OutboxEntry.id == entry_id, OutboxEntry.kind == TEST, Subscription.user_id == user.id)
    entry = db.session.scalar(mine.where(*these))
    if entry is None:
        return None
    return entry, db.session.scalar(select(Delivery).where(Delivery.outbox_id == entry.id))


def wake(entry_id: int) -> None:
    """Tell the workers that an entry is committed; never raise and never wait."""
    _log.info("outbox entry %s is stored", entry_id, extra={"entry": entry_id})
    dispatch.publish("push.fan_out", entry_id)


def due(now: datetime, lowest: Priority = Priority.BROADCAST) -> list[int]:
    """Return the ids of the first entries to fan out, by priority down to `lowest`, then by age; at most 100."""
    still_open = (OutboxEntry.fanned_out_at.is_(None), OutboxEntry.expires_at > now, OutboxEntry.paused_at.is_(None))
    first = select(OutboxEntry.id).where(*still_open, OutboxEntry.priority <= lowest)
    return list(db.session.scalars(first.order_by(OutboxEntry.priority, OutboxEntry.id).limit(100)))


def is_broadcast(entry_id: int) -> bool:
    """Return whether workers fan out an entry only as fast as they send it, so that a pause leaves little to undo."""
    priority = select(OutboxEntry.priority).where(OutboxEntry.id == entry_id)
    return db.session.scalar(priority) == Priority.BROADCAST


def pause(entry: OutboxEntry) -> None:
    """Send nothing more of an entry, whatever is claimed, until `resume` or `end`. The caller commits."""
    entry.paused_at = utcnow()
    db.session.flush()  # waits for a fan-out that is in progress, whose deliveries are then paused as well
    _update_pending(entry, state=DeliveryState.PAUSED, due_at=None)


def resume(entry: OutboxEntry) -> None:
    """Send a paused entry on. The caller commits and calls `wake`.

    A delivery whose claim was not given up may have been on its way when the entry was paused: its answer is awaited
    until the lease ends, or it could be sent twice.
    """
    now = utcnow()
    answered_by = max(now, (entry.paused_at or now) + claims.LEASE)
    entry.paused_at = None
    db.session.flush()
    due_at = [literal(at, Delivery.due_at.type) for at in (now, answered_by)]
    _update_paused(
        entry, state=DeliveryState.WAITING, due_at=case((Delivery.claim.is_(None), due_at[0]), else_=due_at[1])
    )


def end(entry: OutboxEntry) -> None:
    """Send nothing more of an entry for good: cancel its pending deliveries. The caller commits."""
    entry.paused_at, entry.fanned_out_at = None, entry.fanned_out_at or utcnow()
    db.session.flush()
    _update_pending(entry, state=DeliveryState.CANCELLED, due_at=None)
    _update_paused(entry, state=DeliveryState.CANCELLED, due_at=None)


def has_pending(entry: OutboxEntry) -> bool:
    """Return whether a delivery of an entry is still to be sent, or to be tried again."""
    return bool(db.session.scalar(select(exists().where(_is_pending(entry)))))


def delete_deliveries(entry_ids: Iterable[int]) -> bool:
    """Delete a batch of these entries' deliveries before the entries are deleted; return whether there may be more.

    Deleting one entry for ten thousand devices, or a hundred such entries, takes too long for one transaction.
    """
    theirs = id_in(Delivery.outbox_id, list(entry_ids))
    in_flight = select(Delivery.subscription_id).where(theirs, Delivery.due_at.is_not(None))
    subscriptions.lock(Subscription.id.in_(in_flight))
    return delete_batch(Delivery, theirs, most=MOST_DELIVERIES) == MOST_DELIVERIES


def remove(entry_ids: Iterable[int]) -> None:
    """Remove entries and their deliveries, sent or not. The caller commits."""
    db.session.execute(delete(OutboxEntry).where(id_in(OutboxEntry.id, entry_ids)))


def remove_older(before: datetime, most: int) -> int:
    """Remove the oldest expired entries from before this time, with their deliveries; return their number.

    If they have too many deliveries, remove a batch of the deliveries instead and return 1.
    """
    # The lowest ids are the oldest: if none of them is old enough, no other entry is.
    first = select(OutboxEntry.id).order_by(OutboxEntry.id).limit(most).scalar_subquery()
    too_old = (OutboxEntry.created_at < before, OutboxEntry.expires_at < utcnow())
    ids = db.session.scalars(select(OutboxEntry.id).where(OutboxEntry.id.in_(first), *too_old)).all()
    if delete_deliveries(ids):
        return 1
    remove(ids)
    return len(ids)


def _update_pending(entry: OutboxEntry, **values: Any) -> None:
    _update(_is_pending(entry), values)


def _is_pending(entry: OutboxEntry) -> ColumnElement[bool]:
    # The plus keeps the databases from reading all deliveries of the entry: the due ones have an index of their own.
    return (literal_column("+push_delivery.outbox_id", BigInt) == entry.id) & Delivery.due_at.is_not(None)


def _update_paused(entry: OutboxEntry, **values: Any) -> None:
    _update((Delivery.outbox_id == entry.id) & (Delivery.state == literal_column("'paused'")), values)


def _update(deliveries: ColumnElement[bool], values: dict[str, Any]) -> None:
    subscriptions.lock(Subscription.id.in_(select(Delivery.subscription_id).where(deliveries)))
    changed = update(Delivery).where(deliveries).values(**values)
    db.session.execute(changed, execution_options={"synchronize_session": False})
