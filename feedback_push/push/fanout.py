"""Fan-out: turn an outbox entry into one delivery for each of its devices, set by set."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Select, Subquery, case, func, literal, null, select

from feedback_push.auth.models import User
from feedback_push.database import db, insert, utcnow
from feedback_push.ids import id_in
from feedback_push.notification_validators import Burst
from feedback_push.push import preferences
from feedback_push.push.claims import SessionEnded
from feedback_push.push.models import (
    Delivery,
    DeliveryState,
    DeviceState,
    MutedKind,
    OutboxEntry,
    Preference,
    PreviewLevel,
    Subscription,
)
from feedback_push.push.notification import CHOOSABLE
from feedback_push.push.preferences import EffectivePreferences
from feedback_push.webpush.responses import KeyMismatch

SET_SIZE = 1000  # devices in one transaction


class Owner(NamedTuple):
    """An administrator with some of a notification's devices."""

    user_id: int
    devices: int
    last: int  # the highest id among them
    preference: Preference | None
    time_zone: str | None
    muted: bool


class Plan(NamedTuple):
    """The preview level of a notification, and when to stop holding it (None: send it now)."""

    shows: PreviewLevel
    held_until: datetime | None


def next_set(entry_id: int, *live_keys: str) -> int:
    """Add the deliveries for the next set of devices and return its size: SET_SIZE if there may be more.

    A device is sent to if it subscribed with one of the live VAPID keys, given as public keys. An entry that is
    finished, deleted, expired or locked by another worker has no next set. The caller commits.
    """
    now = utcnow()
    entry = _hold(entry_id, now)
    if entry is None:
        return 0
    owners = _owners_of_next_devices(entry)
    if owners:
        last = max(owner.last for owner in owners)
        for plan, users in _plans(entry, owners, now).items():
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
    return _owners(devices.subquery(), entry.kind)


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
    rows = _recipients(entry, *columns.values()).where(Subscription.id <= last, id_in(Subscription.user_id, users))
    # Lock the rows in the order that removals use: a device removed meanwhile would make the whole set fail.
    rows = rows.order_by(Subscription.id).with_for_update(read=True, key_share=True)
    db.session.execute(insert(Delivery).from_select(list(columns), rows).on_conflict_do_nothing())


def _recipients(entry: OutboxEntry, *columns: Any) -> Select[Any]:
    """Select the devices still to reach; one that must re-subscribe or sign in gets a failed delivery."""
    query = select(*columns).select_from(Subscription)
    query = query.where(Subscription.state != DeviceState.GONE, Subscription.id > entry.last_subscription_id)
    if entry.subscription_id is not None:  # a test, which also reaches a paused device
        return query.where(Subscription.id == entry.subscription_id)
    query = query.where(Subscription.paused_at.is_(None))
    return query if entry.user_id is None else query.where(Subscription.user_id == entry.user_id)


def _owners(devices: Subquery, kind: str) -> list[Owner]:
    """Return the owners of these devices (rows of id and user_id), with their preferences for this kind."""
    each = select(devices.c.user_id, func.count().label("devices"), func.max(devices.c.id).label("last"))
    each_owner = each.group_by(devices.c.user_id).subquery()
    query = select(*each_owner.c, Preference, User.time_zone, MutedKind.kind.is_not(None))
    query = query.join_from(each_owner, User, User.id == each_owner.c.user_id)
    query = query.outerjoin(Preference, Preference.user_id == User.id)
    query = query.outerjoin(MutedKind, (MutedKind.user_id == User.id) & (MutedKind.kind == kind))
    return [Owner._make(row) for row in db.session.execute(query)]


def _plans(entry: OutboxEntry, owners: Iterable[Owner], now: datetime) -> dict[Plan, list[int]]:
    """Group the users by plan; leave out those who have turned this kind off."""
    if entry.kind not in CHOOSABLE:  # a test or a summary, which is never held and names nobody
        return {Plan(PreviewLevel.ALL, None): [owner.user_id for owner in owners]}
    plannable = [(owner.user_id, _preferences(owner)) for owner in owners if not owner.muted]
    newest = _newest(entry, max((effective.burst.count for _, effective in plannable), default=0))
    return _grouped([(user_id, _plan(entry, effective, newest, now)) for user_id, effective in plannable])


def _preferences(owner: Owner) -> EffectivePreferences:
    return preferences.effective(owner.preference, owner.time_zone)


def _newest(entry: OutboxEntry, most: int) -> Sequence[datetime]:
    """Return when the entry and at most so many before it arrived, the newest first."""
    if not most:
        return []
    for_all = (OutboxEntry.user_id.is_(None), OutboxEntry.subscription_id.is_(None))
    until_now = (OutboxEntry.id <= entry.id, OutboxEntry.kind.in_(CHOOSABLE), *for_all)
    times = select(OutboxEntry.created_at).where(*until_now).order_by(OutboxEntry.id.desc()).limit(most + 1)
    return db.session.scalars(times).all()


def _plan(entry: OutboxEntry, effective: EffectivePreferences, newest: Sequence[datetime], now: datetime) -> Plan:
    held_until = None
    if _in_burst(entry, effective.burst, newest):
        arrived = min(entry.created_at, now)  # a later time was written by a clock that ran ahead
        held_until = arrived + timedelta(seconds=effective.burst.seconds)
    return Plan(effective.shows, effective.quiet_until(held_until or now) or held_until)


def _in_burst(entry: OutboxEntry, burst: Burst, newest: Sequence[datetime]) -> bool:
    if not 0 < burst.count < len(newest):
        return False
    return entry.created_at - newest[burst.count] <= timedelta(seconds=burst.seconds)


def _grouped(plans: Iterable[tuple[int, Plan]]) -> dict[Plan, list[int]]:
    users: dict[Plan, list[int]] = {}
    for user_id, plan in plans:
        users.setdefault(plan, []).append(user_id)
    return users
