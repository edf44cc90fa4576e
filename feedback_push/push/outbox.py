"""The outbox: a notification is stored in its caller's transaction, and a knock follows the commit."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast

from flask import current_app
from sqlalchemy import ColumnElement, CursorResult, delete, func, select

from feedback_push.database import db, utcnow
from feedback_push.ids import among
from feedback_push.push import doorbell, kinds
from feedback_push.push.models import Delivery, OutboxEntry, Subscription
from feedback_push.push.notification import Notification

MOST_DELIVERIES = 5000  # that one transaction removes: less than half a second of SQLite


def enqueue(
    notification: Notification,
    *,
    kind: str = kinds.FEEDBACK.code,
    user_id: int | None = None,
    subscription_id: int | None = None,
    counts: int = 1,
) -> OutboxEntry:
    """Add a notification to the session: it exists if and only if the caller's transaction commits.

    It is for all administrators, or for one of them, or for one device; `counts` is how many messages it tells of.
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
        created_at=now,
        expires_at=now + timedelta(seconds=current_app.extensions["settings"].push_ttl),
    )
    db.session.add(entry)
    return entry


def wake(entry_id: int) -> None:
    """Tell the workers that an entry is committed; never raises and never waits."""
    doorbell.ring("push.fan_out", entry_id)


def due(now: datetime) -> list[int]:
    """The oldest entries whose fan-out is not finished and whose time has not run out; at most 100."""
    still_open = (OutboxEntry.fanned_out_at.is_(None), OutboxEntry.expires_at > now)
    return list(db.session.scalars(select(OutboxEntry.id).where(*still_open).order_by(OutboxEntry.id).limit(100)))


def lighten(entry_ids: Iterable[int]) -> bool:
    """Remove some of the deliveries of entries that are to go; whether there may be more. The caller commits.

    To remove an entry for ten thousand devices, or a hundred of them, takes too long for one transaction.
    """
    theirs = among(Delivery.outbox_id, list(entry_ids))
    _lock_devices(theirs)
    some = select(Delivery.id).where(theirs).limit(MOST_DELIVERIES).scalar_subquery()
    removed = db.session.execute(delete(Delivery).where(Delivery.id.in_(some)))
    return cast("CursorResult[Any]", removed).rowcount == MOST_DELIVERIES


def remove(entry_ids: Iterable[int]) -> None:
    """Remove entries with their deliveries, sent or not; the caller commits."""
    db.session.execute(delete(OutboxEntry).where(among(OutboxEntry.id, entry_ids)))


def remove_older(before: datetime, most: int) -> int:
    """Remove entries made before then whose time is over, the oldest first, with their deliveries; how many it was.

    Where they have too many deliveries for once, some of these go instead, and they count as one entry.
    """
    # Those with the lowest ids are the oldest: where none of them is old enough there is no need to look further.
    first = select(OutboxEntry.id).order_by(OutboxEntry.id).limit(most).scalar_subquery()
    too_old = (OutboxEntry.created_at < before, OutboxEntry.expires_at < utcnow())
    ids = db.session.scalars(select(OutboxEntry.id).where(OutboxEntry.id.in_(first), *too_old)).all()
    if lighten(ids):
        return 1
    remove(ids)
    return len(ids)


def _lock_devices(deliveries: ColumnElement[bool]) -> None:
    # Of what may just be under way, in the order of the ledger, or its worker and this could wait for each other.
    open_ = select(Delivery.subscription_id).where(deliveries, Delivery.due_at.is_not(None))
    locked = select(Subscription.id).where(Subscription.id.in_(open_)).order_by(Subscription.id)
    db.session.execute(select(func.count()).select_from(locked.with_for_update(key_share=True).subquery()))
