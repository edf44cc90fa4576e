"""Subscriptions: save, find and remove the browsers of administrators."""

import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, TextClause, and_, case, delete, exists, func, or_, select, update

from feedback_push import maintenance
from feedback_push.auth import accounts, audit, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import User
from feedback_push.database import db, delete_batch, insert, utcnow
from feedback_push.push.browser_subscription import BrowserSubscription
from feedback_push.push.models import Delivery, DeviceState, Subscription

MOST = 500  # devices of an administrator; a new one replaces the one whose browser was seen longest ago
FAILING = 5  # failed attempts in a row, which take about seven minutes; fewer are no trouble
KEEP_GONE = timedelta(days=30)  # then a browser that has unsubscribed is forgotten
_MOST_TROUBLED = 20
_DELIVERIES = 5000  # deleted in one transaction when a browser is removed: less than half a second of SQLite
_SECONDS = 1.0  # for removing gone browsers, in each sweep


def save(
    subscription: BrowserSubscription, *, user: User, vapid_public_key: str, name: str, language: str = "en"
) -> bool:
    """Store a browser as a device of its newest owner; make a gone or stale one live again. Return whether it is new.

    A browser that had another owner becomes a new device. The device belongs to the current session of the user; raise
    `sessions.Ended` if that session has just been ended. An unchanged subscription keeps its count of failures, because
    every visit to the dashboard calls this.
    """
    _take_from_others(subscription.endpoint, user)
    if not is_known(subscription.endpoint, user):
        _make_room(user)
    # Only now: removing other devices takes several transactions, and the first commit would release this lock.
    session_id = sessions.lock_current(user)
    if event := _news(subscription.endpoint, user):
        audit.record(event, user, device=name)
    now = utcnow()
    same = and_(Subscription.state == DeviceState.LIVE, Subscription.auth == subscription.auth)
    fresh = {
        "user_id": user.id,
        "p256dh": subscription.p256dh,
        "auth": subscription.auth,
        "vapid_public_key": vapid_public_key,
        "language": language,
        "state": DeviceState.LIVE,
        "gone_at": None,
        "session_id": session_id,
        "suspended_at": None,
        "seen_at": now,
    }
    again = {**fresh, "failures": case((same, Subscription.failures), else_=0)}
    row = insert(Subscription).values(endpoint=subscription.endpoint, name=name, added_at=now, failures=0, **fresh)
    db.session.execute(row.on_conflict_do_update(index_elements=[Subscription.endpoint], set_=again))
    return event == AuditEvent.DEVICE_ADDED


def remove(endpoint: str, *, user: User) -> None:
    """Remove a browser of this user with its deliveries."""
    _remove(Subscription.endpoint == endpoint, user)


def remove_device(device_id: int, *, user: User) -> None:
    """Remove a browser of this user, found by its id, with its deliveries."""
    _remove(Subscription.id == device_id, user)


def find(device_id: int, *, user: User) -> Subscription | None:
    """Return a browser of this user by its id; None if the user has no such browser."""
    return db.session.scalar(select(Subscription).where(Subscription.id == device_id, Subscription.user_id == user.id))


def find_by_endpoint(endpoint: str, *, user: User) -> Subscription | None:
    """Return the browser of this user with this endpoint, unless it is gone; None if there is none."""
    mine = (Subscription.endpoint == endpoint, Subscription.user_id == user.id, Subscription.state != DeviceState.GONE)
    return db.session.scalar(select(Subscription).where(*mine))


def works(user: User, live: Iterable[str]) -> bool:
    """Return whether this user has a browser that notifications reach, signed with one of the live keys."""
    return reached(user, live) > 0


def reached(user: User, live: Iterable[str]) -> int:
    """Return the number of this user's browsers that notifications reach, signed with one of the live keys."""
    mine = select(func.count()).select_from(Subscription).where(Subscription.user_id == user.id, *_is_reached(live))
    return db.session.scalar(mine) or 0


def reached_by_account(live: Iterable[str]) -> dict[int, int]:
    """Return the same number for each account, by its id; an account without such a browser is left out."""
    each = select(Subscription.user_id, func.count()).where(Subscription.user_id.is_not(None), *_is_reached(live))
    counts = db.session.execute(each.group_by(Subscription.user_id))
    return {user_id: count for user_id, count in counts if user_id is not None}


def of(user: User) -> list[Subscription]:
    """Return the browsers of this user, the newest first; those that have unsubscribed come last."""
    gone = Subscription.state == DeviceState.GONE
    mine = select(Subscription).where(Subscription.user_id == user.id)
    return list(db.session.scalars(mine.order_by(gone, Subscription.id.desc())))


def troubled(user: User) -> list[Subscription]:
    """Return the user's browsers that are gone, and those that FAILING pushes in a row did not reach."""
    in_trouble = or_(Subscription.state == DeviceState.GONE, Subscription.failures >= FAILING)
    mine = select(Subscription).where(Subscription.user_id == user.id, in_trouble)
    return list(db.session.scalars(mine.order_by(Subscription.id.desc()).limit(_MOST_TROUBLED)))


def set_language(user: User, language: str) -> None:
    """Set the language of notifications on all browsers of this user."""
    db.session.execute(update(Subscription).where(Subscription.user_id == user.id).values(language=language))


def of_session(session_id: int | None, *, user: User) -> list[int]:
    """Return the ids of this user's browsers that belong to a session."""
    if session_id is None:
        return []
    mine = select(Subscription.id).where(Subscription.user_id == user.id, Subscription.session_id == session_id)
    return list(db.session.scalars(mine))


def count(state: DeviceState, vapid_public_key: str) -> int:
    """Count the browsers that subscribed with this key and are in this state."""
    these = (Subscription.state == state, Subscription.vapid_public_key == vapid_public_key)
    return db.session.scalar(select(func.count()).select_from(Subscription).where(*these)) or 0


def administrators_by_state() -> dict[DeviceState, int]:
    """Count the devices of administrators by state."""
    of_administrators = Subscription.user_id.is_not(None)
    rows = select(Subscription.state, func.count()).where(of_administrators).group_by(Subscription.state)
    return dict.fromkeys(DeviceState, 0) | {DeviceState(state): count for state, count in db.session.execute(rows)}


def lock(*which: ColumnElement[bool] | TextClause, to_delete: bool = False) -> int:
    """Lock the devices that meet the conditions until the transaction ends, and return their number.

    Code that changes deliveries must lock their devices first, in the order of their ids. Otherwise two workers, or a
    worker and a removal, could deadlock.
    """
    ordered = select(Subscription.id).where(*which).order_by(Subscription.id)
    locked = ordered.with_for_update(key_share=not to_delete).subquery()
    return db.session.scalar(select(func.count()).select_from(locked)) or 0


@maintenance.each_minute
def forget_gone(now: datetime) -> bool:
    """Remove browsers that have been gone for more than 30 days, for a second; return whether there may be more."""
    stop_at = time.monotonic() + _SECONDS
    removing = remove_gone(now - KEEP_GONE)
    while time.monotonic() < stop_at:
        if next(removing, None) is None:
            return False
    return True


def remove_gone(before: datetime) -> Iterator[int]:
    """Remove the browsers that were gone before this time, and commit; yield 1 for each browser, and 0 in between.

    A browser may have a hundred thousand deliveries, so each batch of them has a transaction of its own.
    """
    long_gone = (Subscription.state == DeviceState.GONE, Subscription.gone_at < before)
    while (device := db.session.scalar(select(Subscription.id).where(*long_gone).limit(1))) is not None:
        removed = 0
        if not _delete_deliveries(device, *long_gone):
            these = delete(Subscription).where(Subscription.id == device, *long_gone).returning(Subscription.id)
            removed = len(db.session.scalars(these).all())
        db.session.commit()
        yield removed


def _is_reached(live: Iterable[str]) -> tuple[ColumnElement[bool], ...]:
    on = (Subscription.paused_at.is_(None), Subscription.suspended_at.is_(None))
    well = (Subscription.state == DeviceState.LIVE, Subscription.failures < FAILING)
    return (Subscription.vapid_public_key.in_(list(live)), *on, *well)


def _take_from_others(endpoint: str, user: User) -> None:
    """Remove another user's device with this endpoint; its pending deliveries follow that user's preferences."""
    theirs = select(User).join(Subscription, Subscription.user_id == User.id)
    others = theirs.where(Subscription.endpoint == endpoint, Subscription.user_id != user.id)
    for other in db.session.scalars(others).all():
        remove(endpoint, user=other)


@accounts.before_deletion
def delete_deliveries(user: User) -> None:
    """Remove deliveries to the browsers of a user before the user is deleted: too many for one transaction."""
    mine = select(Subscription.id).where(Subscription.user_id == user.id).order_by(Subscription.id)
    for device in db.session.scalars(mine).all():
        while _delete_deliveries(device):
            db.session.commit()


def _make_room(user: User) -> None:
    """Remove the devices that leave no room for a new one: first those that are gone, then those seen longest ago."""
    sessions.lock(user)  # or two new devices could take the same place
    gone = Subscription.state == DeviceState.GONE
    seen = func.coalesce(Subscription.seen_at, Subscription.added_at)
    order = (gone, seen.desc(), Subscription.id.desc())
    beyond = select(Subscription.id).where(Subscription.user_id == user.id).order_by(*order).offset(MOST - 1)
    # SQLite allows an offset only with a limit.
    for device in db.session.scalars(beyond.limit(_DELIVERIES)).all():
        _remove(Subscription.id == device, user, AuditEvent.DEVICE_DROPPED)


def is_known(endpoint: str, user: User) -> bool:
    """Return whether this user has a browser with this endpoint, in any state."""
    mine = (Subscription.endpoint == endpoint, Subscription.user_id == user.id)
    return bool(db.session.scalar(select(exists().where(*mine))))


def _news(endpoint: str, user: User) -> AuditEvent | None:
    """Return the event to log for a visit of this browser, or None."""
    mine = (Subscription.endpoint == endpoint, Subscription.user_id == user.id, Subscription.state != DeviceState.GONE)
    device = db.session.execute(select(Subscription.suspended_at).where(*mine)).one_or_none()
    if device is None:
        return AuditEvent.DEVICE_ADDED
    return AuditEvent.DEVICE_RESUMED if device.suspended_at else None


def _remove(which: ColumnElement[bool], user: User, event: AuditEvent = AuditEvent.DEVICE_REMOVED) -> None:
    mine = (which, Subscription.user_id == user.id)
    for device in db.session.scalars(select(Subscription.id).where(*mine)).all():
        while _delete_deliveries(device):
            db.session.commit()
    removed = delete(Subscription).where(*mine).returning(Subscription.name)
    for name in db.session.scalars(removed).all():
        audit.record(event, user, device=name)


def _delete_deliveries(device: int, *still: ColumnElement[bool]) -> bool:
    """Delete a batch of a device's deliveries, if the conditions still hold; return whether there may be more."""
    if not lock(Subscription.id == device, *still, to_delete=True):
        return False
    return delete_batch(Delivery, Delivery.subscription_id == device, most=_DELIVERIES) == _DELIVERIES
