"""Fan-out: one outbox entry becomes one Delivery for each device it is for, set by set, and never two."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, literal, null, select

from feedback_push.database import db, insert, utcnow
from feedback_push.ids import among
from feedback_push.push import plans
from feedback_push.push.errors import KeyMismatch, SessionEnded
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, OutboxEntry, Subscription
from feedback_push.push.plans import Owner, Plan

SET_SIZE = 1000  # devices a transaction


def next_set(entry_id: int, *live_keys: str) -> int:
    """Add the deliveries for the next set of devices; its size, which is SET_SIZE where there may be more.

    A device is sent to when it was made with one of the live VAPID keys, which are named by their public halves.
    An entry that is finished, deleted, expired or held by another worker has no next set. The caller commits.
    """
    now = utcnow()
    entry = _hold(entry_id, now)
    if entry is None:
        return 0
    owners = _owners_of_next_devices(entry)
    if owners:
        last = max(owner.last for owner in owners)
        for plan, users in plans.make(entry, owners, now).items():
            _add_deliveries(entry, plan, users, last, live_keys, now)
        entry.last_subscription_id = last
    count = sum(owner.devices for owner in owners)
    if count < SET_SIZE:
        entry.fanned_out_at = now
    return count


def _hold(entry_id: int, now: datetime) -> OutboxEntry | None:
    still_open = (OutboxEntry.id == entry_id, OutboxEntry.fanned_out_at.is_(None), OutboxEntry.expires_at > now)
    return db.session.scalar(select(OutboxEntry).where(*still_open).with_for_update(skip_locked=True))


def _owners_of_next_devices(entry: OutboxEntry) -> list[Owner]:
    devices = _recipients(entry, Subscription.id, Subscription.user_id).order_by(Subscription.id).limit(SET_SIZE)
    return plans.owners(devices.subquery(), entry.kind)


def _add_deliveries(
    entry: OutboxEntry, plan: Plan, users: Sequence[int], last: int, live_keys: tuple[str, ...], now: datetime
) -> None:
    suspended = Subscription.suspended_at.is_not(None)
    of_live_key = (Subscription.state == DeviceState.LIVE) & Subscription.vapid_public_key.in_(live_keys)
    sendable = ~suspended & of_live_key
    state, due_at = (DeliveryState.HELD, None) if plan.held_until else (DeliveryState.WAITING, now)
    columns = {
        "outbox_id": literal(entry.id),
        "subscription_id": Subscription.id,
        "state": case((sendable, state), else_=DeliveryState.FAILED),
        "due_at": case((sendable, literal(due_at, Delivery.due_at.type)), else_=null()),
        "held_until": case((sendable, literal(plan.held_until, Delivery.held_until.type)), else_=null()),
        "error": case((sendable, null()), (suspended, SessionEnded.code), else_=KeyMismatch.code),
        "shows": literal(plan.shows),
        "attempts": literal(0),
        "reduced": literal(False),
        "service": Subscription.service,
    }
    rows = _recipients(entry, *columns.values()).where(Subscription.id <= last, among(Subscription.user_id, users))
    # Locked, and in the order of removals: one that is just being removed would make the whole set fail.
    rows = rows.order_by(Subscription.id).with_for_update(read=True, key_share=True)
    db.session.execute(insert(Delivery).from_select(list(columns), rows).on_conflict_do_nothing())


def _recipients(entry: OutboxEntry, *columns: Any) -> Select[Any]:
    """The devices that the entry has not come to yet; one that must re-subscribe or sign in gets one that says so."""
    query = select(*columns).select_from(Subscription)
    query = query.where(Subscription.state != DeviceState.GONE, Subscription.id > entry.last_subscription_id)
    if entry.subscription_id is not None:  # a test, which is wanted also where nothing else is
        return query.where(Subscription.id == entry.subscription_id)
    query = query.where(Subscription.paused_at.is_(None))
    return query if entry.user_id is None else query.where(Subscription.user_id == entry.user_id)
