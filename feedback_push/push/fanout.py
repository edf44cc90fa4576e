"""Fan-out: turn an outbox entry into one delivery for each of its devices, set by set."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Subquery, case, exists, func, literal, null, select, update
from sqlalchemy.orm import InstrumentedAttribute

from feedback_push.auth.models import User
from feedback_push.database import db, insert, utcnow
from feedback_push.ids import id_in
from feedback_push.notification_validators import Burst
from feedback_push.push import preferences
from feedback_push.push.claims import ALSO_SUSPENDED, SessionEnded
from feedback_push.push.models import (
    Delivery,
    DeliveryState,
    DeviceState,
    Follower,
    MutedKind,
    OutboxEntry,
    Preference,
    PreviewLevel,
    Subscription,
)
from feedback_push.push.notification import NOTICES, OPTIONAL_KINDS
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
    finished, paused, deleted, expired or locked by another worker has no next set. The caller commits.
    """
    now = utcnow()
    entry = _hold(entry_id, now)
    if entry is None:
        return 0
    if entry.subscription_id is not None:
        count = _reach_device(entry, entry.subscription_id, live_keys, now)
    elif entry.audience_id is not None:
        count = _reach_followers(entry, entry.audience_id, live_keys, now)
    else:
        count = _reach_administrators(entry, live_keys, now)
    if count < SET_SIZE:
        entry.fanned_out_at = now
    return count


def _hold(entry_id: int, now: datetime) -> OutboxEntry | None:
    this = select(OutboxEntry).where(OutboxEntry.id == entry_id, OutboxEntry.paused_at.is_(None))
    still_open = (OutboxEntry.fanned_out_at.is_(None), OutboxEntry.expires_at > now)
    return db.session.scalar(this.where(*still_open).with_for_update(skip_locked=True))


def _reach_device(entry: OutboxEntry, device_id: int, live_keys: Sequence[str], now: datetime) -> int:
    """Add the delivery for one device, even if that is paused; return 0, because it is the whole set."""
    this = Subscription.id == device_id
    _add_deliveries(entry, _not_gone().where(this), literal(PreviewLevel.ALL), None, live_keys, now)
    return 0


def _reach_followers(entry: OutboxEntry, audience_id: int, live_keys: Sequence[str], now: datetime) -> int:
    """Add the deliveries for the next followers of an audience, and return their number."""
    theirs = (Follower.audience_id == audience_id, Follower.subscription_id > entry.last_subscription_id)
    following = select(Follower.subscription_id).where(*theirs).order_by(Follower.subscription_id).limit(SET_SIZE)
    each = following.subquery()
    count, last = db.session.execute(select(func.count(), func.max(each.c.subscription_id))).one()
    if count:
        if entry.unopened_since is not None:
            _pause_unopened([*theirs, Follower.subscription_id <= last], entry.unopened_since, now)
        devices = _not_gone().join(Follower, Follower.subscription_id == Subscription.id)
        not_paused = (Subscription.paused_at.is_(None), Follower.paused_at.is_(None))
        devices = devices.where(*theirs, Follower.subscription_id <= last, *not_paused)
        _add_deliveries(entry, devices, Follower.shows, None, live_keys, now)
        entry.last_subscription_id = last
    return int(count)


def _pause_unopened(theirs: Sequence[ColumnElement[bool]], since: datetime, now: datetime) -> None:
    """Pause the followers who have opened nothing since then, although their devices have shown something.

    A device that reports nothing, such as one with Safari, is never paused.
    """
    unopened = func.coalesce(Follower.opened_at, Follower.added_at) < since
    shows = exists().where(Subscription.id == Follower.subscription_id, Subscription.last_shown_at > since)
    pause = update(Follower).where(*theirs, Follower.paused_at.is_(None), unopened, shows).values(paused_at=now)
    db.session.execute(pause, execution_options={"synchronize_session": False})


def _reach_administrators(entry: OutboxEntry, live_keys: Sequence[str], now: datetime) -> int:
    """Add the deliveries for the next devices of administrators, by their preferences, and return their number."""
    devices = _not_gone().where(Subscription.id > entry.last_subscription_id, Subscription.paused_at.is_(None))
    whose = Subscription.user_id.is_not(None) if entry.user_id is None else Subscription.user_id == entry.user_id
    devices = devices.where(whose)
    if entry.except_session_id is not None:
        devices = devices.where(Subscription.session_id.is_distinct_from(entry.except_session_id))
    if entry.recipients is not None:
        devices = devices.where(id_in(Subscription.user_id, entry.recipients))
    ids = devices.with_only_columns(Subscription.id, Subscription.user_id).order_by(Subscription.id).limit(SET_SIZE)
    owners = _owners(ids.subquery(), entry.kind)
    if owners:
        last = max(owner.last for owner in owners)
        for plan, users in _plans(entry, owners, now).items():
            theirs = devices.where(Subscription.id <= last, id_in(Subscription.user_id, users))
            _add_deliveries(entry, theirs, literal(plan.shows), plan.held_until, live_keys, now)
        entry.last_subscription_id = last
    return sum(owner.devices for owner in owners)


def _not_gone() -> Select[Any]:
    return select(Subscription.id).where(Subscription.state != DeviceState.GONE)


def _add_deliveries(
    entry: OutboxEntry,
    devices: Select[Any],
    shows: ColumnElement[Any] | InstrumentedAttribute[PreviewLevel],
    held_until: datetime | None,
    live_keys: Sequence[str],
    now: datetime,
) -> None:
    """Add a delivery for each device; one that must re-subscribe or sign in gets a failed delivery."""
    suspended: ColumnElement[bool] = Subscription.suspended_at.is_not(None)
    if entry.kind == ALSO_SUSPENDED:
        suspended = suspended & (Subscription.suspended_at < entry.created_at)
    of_live_key = (Subscription.state == DeviceState.LIVE) & Subscription.vapid_public_key.in_(live_keys)
    sendable = ~suspended & of_live_key
    state, due_at = (DeliveryState.HELD, None) if held_until else (DeliveryState.WAITING, now)
    columns = {
        "outbox_id": literal(entry.id),
        "subscription_id": Subscription.id,
        "state": case((sendable, state), else_=DeliveryState.FAILED),
        "due_at": case((sendable, literal(due_at, Delivery.due_at.type)), else_=null()),
        "held_until": case((sendable, literal(held_until, Delivery.held_until.type)), else_=null()),
        "error": case((sendable, null()), (suspended, SessionEnded.code), else_=KeyMismatch.code),
        "shows": shows,
        "attempts": literal(0),
        "reduced": literal(False),
        "service": Subscription.service,
        "priority": literal(int(entry.priority)),
    }
    # Lock the rows in the order that removals use: a device removed meanwhile would make the whole set fail.
    locked = devices.order_by(Subscription.id).with_for_update(read=True, key_share=True, of=Subscription)
    rows = locked.with_only_columns(*columns.values())
    db.session.execute(insert(Delivery).from_select(list(columns), rows).on_conflict_do_nothing())


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
    if entry.kind in NOTICES:  # which nobody mutes, and which wait for nothing
        return _grouped((owner.user_id, Plan(_preferences(owner).shows, None)) for owner in owners)
    if entry.kind not in OPTIONAL_KINDS:  # a summary, which is never held and names nobody
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
    for_all = [one.is_(None) for one in (OutboxEntry.user_id, OutboxEntry.subscription_id, OutboxEntry.audience_id)]
    if entry.recipients is None:  # the messages of some forms are for some administrators only
        for_all.append(OutboxEntry.recipients.is_(None))
    until_now = (OutboxEntry.id <= entry.id, OutboxEntry.kind.in_(OPTIONAL_KINDS), *for_all)
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
