"""Subscriptions: the browsers of administrators, saved, removed, and whom a notification goes to."""

import time
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, or_, select, update

from feedback_push import maintenance
from feedback_push.auth import accounts, audit, sessions
from feedback_push.auth.models import AuditEvent, User
from feedback_push.database import db, delete_batch, insert, utcnow
from feedback_push.push.browser_subscription import BrowserSubscription
from feedback_push.push.models import Delivery, DeviceState, Subscription

MOST = 500  # devices of an administrator; the one whose browser was seen longest ago makes room for a new one
FAILING = 5  # tries in a row without getting through, in about seven minutes: fewer are nothing to worry about
_KEEP_GONE = timedelta(days=30)
_MOST_TROUBLED = 20
_DELIVERIES = 5000  # of a browser that is removed, in one transaction: less than half a second of SQLite
_SECONDS = 1.0  # for that, in each sweep


def save(
    subscription: BrowserSubscription, *, user: User, vapid_public_key: str, name: str, language: str = "en"
) -> None:
    """Store a browser under its newest owner, for whom it is a new one; one that was gone or stale lives again.

    It belongs to the session in which the user asks; `sessions.Ended` where somebody has just ended that. That it has
    failed stays known as long as it is the same: its every visit to the dashboard comes here.
    """
    _take_from_others(subscription.endpoint, user)
    if not _known(subscription.endpoint, user):
        _make_room(user)
    # Only now: to remove other devices takes several transactions, and what is held ends with the first.
    session_id = sessions.hold(user)
    if event := _news(subscription.endpoint, user):
        audit.note(event, user, device=name)
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


def remove(endpoint: str, *, user: User) -> None:
    """Forget a browser of this user, with all that waits for it."""
    _remove(Subscription.endpoint == endpoint, user)


def remove_device(device_id: int, *, user: User) -> None:
    """Forget a browser of this user by its id."""
    _remove(Subscription.id == device_id, user)


def find(device_id: int, *, user: User) -> Subscription | None:
    """A browser of this user by its id."""
    return db.session.scalar(select(Subscription).where(Subscription.id == device_id, Subscription.user_id == user.id))


def works(user: User, live: Iterable[str]) -> bool:
    """Whether this user has a browser that notifications get through to, by one of the live keys."""
    mine = (Subscription.user_id == user.id, Subscription.vapid_public_key.in_(list(live)))
    on = (Subscription.paused_at.is_(None), Subscription.suspended_at.is_(None))
    well = (Subscription.state == DeviceState.LIVE, Subscription.failures < FAILING)
    return bool(db.session.scalar(select(exists().where(*mine, *on, *well))))


def of(user: User) -> list[Subscription]:
    """The browsers of this user, the newest first; those that are gone are left out."""
    mine = select(Subscription).where(Subscription.user_id == user.id, Subscription.state != DeviceState.GONE)
    return list(db.session.scalars(mine.order_by(Subscription.id.desc())))


def troubled(user: User) -> list[Subscription]:
    """Those that their push service has forgotten, and those that several pushes in a row did not get through to."""
    in_trouble = or_(Subscription.state == DeviceState.GONE, Subscription.failures >= FAILING)
    mine = select(Subscription).where(Subscription.user_id == user.id, in_trouble)
    return list(db.session.scalars(mine.order_by(Subscription.id.desc()).limit(_MOST_TROUBLED)))


def set_language(user: User, language: str) -> None:
    """From now on show notifications in this language on all browsers of this user."""
    db.session.execute(update(Subscription).where(Subscription.user_id == user.id).values(language=language))


def count(state: DeviceState, vapid_public_key: str) -> int:
    """How many browsers made with this key are in this state."""
    these = (Subscription.state == state, Subscription.vapid_public_key == vapid_public_key)
    return db.session.scalar(select(func.count()).select_from(Subscription).where(*these)) or 0


def lock(*which: ColumnElement[bool], to_delete: bool = False) -> int:
    """Lock the devices that meet the conditions until the transaction ends, and return their number.

    Whoever changes deliveries locks their devices first, in the order of their ids: two workers, or a worker and a
    removal, would otherwise wait for each other for ever.
    """
    ordered = select(Subscription.id).where(*which).order_by(Subscription.id)
    locked = ordered.with_for_update(key_share=not to_delete).subquery()
    return db.session.scalar(select(func.count()).select_from(locked)) or 0


@maintenance.register
def forget_gone(now: datetime) -> None:
    """Remove the browsers that went more than 30 days ago and have not come back, and before them their deliveries.

    Batch by batch, each in a transaction of its own: a browser may have had a hundred thousand.
    """
    long_gone = (Subscription.state == DeviceState.GONE, Subscription.gone_at < now - _KEEP_GONE)
    stop_at = time.monotonic() + _SECONDS
    while time.monotonic() < stop_at:
        device = db.session.scalar(select(Subscription.id).where(*long_gone).limit(1))
        if device is None:
            return
        if not _delete_deliveries(device, *long_gone):
            db.session.execute(delete(Subscription).where(Subscription.id == device, *long_gone))
        db.session.commit()


def _take_from_others(endpoint: str, user: User) -> None:
    """End a device of somebody else with all that waits for it: that shows as much as they may see, when they like."""
    theirs = select(User).join(Subscription, Subscription.user_id == User.id)
    others = theirs.where(Subscription.endpoint == endpoint, Subscription.user_id != user.id)
    for other in db.session.scalars(others).all():
        remove(endpoint, user=other)


@accounts.before_deletion
def delete_deliveries(user: User) -> None:
    """Remove most deliveries to the browsers of a user who is to go: too many for one transaction."""
    mine = select(Subscription.id).where(Subscription.user_id == user.id).order_by(Subscription.id)
    for device in db.session.scalars(mine).all():
        while _delete_deliveries(device):
            db.session.commit()


def _make_room(user: User) -> None:
    """Remove the device seen longest ago where the user has as many as they may; those that are gone go first."""
    sessions.lock(user)  # or two new ones could take the same place
    gone = Subscription.state == DeviceState.GONE
    seen = func.coalesce(Subscription.seen_at, Subscription.added_at)
    order = (gone, seen.desc(), Subscription.id.desc())
    beyond = select(Subscription.id).where(Subscription.user_id == user.id).order_by(*order).offset(MOST - 1)
    # SQLite knows an offset only with a limit.
    for device in db.session.scalars(beyond.limit(_DELIVERIES)).all():
        _remove(Subscription.id == device, user, AuditEvent.DEVICE_DROPPED)


def _known(endpoint: str, user: User) -> bool:
    mine = (Subscription.endpoint == endpoint, Subscription.user_id == user.id)
    return bool(db.session.scalar(select(exists().where(*mine))))


def _news(endpoint: str, user: User) -> AuditEvent | None:
    """Return the event that a visit of this browser is for the log, if it is one."""
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
        audit.note(event, user, device=name)


def _delete_deliveries(device: int, *still: ColumnElement[bool]) -> bool:
    """Delete a batch of a device's deliveries, if the conditions still hold; return whether there may be more."""
    if not lock(Subscription.id == device, *still, to_delete=True):
        return False
    return delete_batch(Delivery, Delivery.subscription_id == device, most=_DELIVERIES) == _DELIVERIES
