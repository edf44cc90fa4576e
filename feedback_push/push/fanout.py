"""Fan-out: one outbox entry becomes one Delivery for each device it is for, set by set, and never two."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, func, literal, null, select

from feedback_push.database import db, insert, utcnow
from feedback_push.push.errors import KeyMismatch
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, OutboxEntry, Subscription

SET_SIZE = 1000  # devices a transaction


def next_set(entry_id: int, vapid_public_key: str) -> int:
    """Add the deliveries for the next set of devices; their number, which is SET_SIZE where there may be more.

    An entry that is finished, deleted, expired or held by another worker has no next set. The caller commits.
    """
    now = utcnow()
    entry = _hold(entry_id, now)
    if entry is None:
        return 0
    count, last = _next_devices(entry)
    if count:
        _add_deliveries(entry, last, vapid_public_key, now)
        entry.last_subscription_id = last
    if count < SET_SIZE:
        entry.fanned_out_at = now
    return count


def _hold(entry_id: int, now: datetime) -> OutboxEntry | None:
    still_open = (OutboxEntry.id == entry_id, OutboxEntry.fanned_out_at.is_(None), OutboxEntry.expires_at > now)
    return db.session.scalar(select(OutboxEntry).where(*still_open).with_for_update(skip_locked=True))


def _next_devices(entry: OutboxEntry) -> tuple[int, int]:
    after = entry.last_subscription_id
    ids = _recipients(entry, Subscription.id).order_by(Subscription.id).limit(SET_SIZE).subquery()
    count, last = db.session.execute(select(func.count(), func.max(ids.c.id)).select_from(ids)).one()
    return count, last or after


def _add_deliveries(entry: OutboxEntry, last: int, vapid_public_key: str, now: datetime) -> None:
    sendable = (Subscription.state == DeviceState.LIVE) & (Subscription.vapid_public_key == vapid_public_key)
    rows = _recipients(
        entry,
        literal(entry.id),
        Subscription.id,
        case((sendable, DeliveryState.WAITING), else_=DeliveryState.FAILED),
        case((sendable, literal(now, Delivery.due_at.type)), else_=null()),
        case((sendable, null()), else_=KeyMismatch.code),
        literal(0),
        literal(False),
    ).where(Subscription.id <= last)
    columns = ["outbox_id", "subscription_id", "state", "due_at", "error", "attempts", "reduced"]
    db.session.execute(insert(Delivery).from_select(columns, rows).on_conflict_do_nothing())


def _recipients(entry: OutboxEntry, *columns: Any) -> Select[Any]:
    """The devices that the fan-out has not come to; one that must re-subscribe gets a delivery that says so."""
    devices = (
        select(*columns)
        .select_from(Subscription)
        .where(Subscription.state != DeviceState.GONE, Subscription.id > entry.last_subscription_id)
    )
    if entry.subscription_id is not None:
        return devices.where(Subscription.id == entry.subscription_id)  # even a paused one: somebody asked for it
    if entry.user_id is not None:
        devices = devices.where(Subscription.user_id == entry.user_id)
    return devices.where(Subscription.paused_at.is_(None))
