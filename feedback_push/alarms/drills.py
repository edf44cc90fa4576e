"""Drills: send every administrator a real notification, after their quiet hours, and find out whom it has reached."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from flask_babel import force_locale, gettext
from sqlalchemy import case, exists, or_, select, update
from sqlalchemy.orm import joinedload

from feedback_push.alarms.models import Drill, DrillRecipient
from feedback_push.auth import accounts
from feedback_push.auth.models import User
from feedback_push.config import current_settings
from feedback_push.database import db, delete_batch, insert, utcnow
from feedback_push.feedback import reach
from feedback_push.push import outbox, preferences
from feedback_push.push.models import Delivery, DeviceState, Subscription
from feedback_push.push.notification import Notification
from feedback_push.site_path import absolute_url

KIND = "drill"  # of the notifications; nobody can turn them off, and quiet hours put the whole drill off
_MOST_REMOVED = 50


class Outcome(NamedTuple):
    """An administrator in a drill, whether the notification has reached them, and its deliveries."""

    recipient: DrillRecipient
    reached: bool
    deliveries: Sequence[Delivery]


def start(by: str, now: datetime, slot: str | None = None) -> Drill | None:
    """Start a drill, unless one is in progress, or another worker has just started this one. The caller commits."""
    if is_running():
        return None
    row = insert(Drill).values(slot=slot, started_at=now, started_by=by)
    drill_id = db.session.scalar(row.on_conflict_do_nothing().returning(Drill.id))
    if drill_id is None:
        return None
    for user in accounts.list_all():
        send_at = preferences.of(user).quiet_until(now) or now
        db.session.add(DrillRecipient(drill_id=drill_id, user_id=user.id, send_at=send_at))
    db.session.flush()
    return db.session.get_one(Drill, drill_id)


def send_due(now: datetime) -> list[int]:
    """Notify the recipients whose quiet hours are over; return the outbox entries to wake. The caller commits."""
    due = select(DrillRecipient).where(DrillRecipient.sent_at.is_(None), DrillRecipient.send_at <= now)
    locked = due.order_by(DrillRecipient.drill_id, DrillRecipient.user_id).with_for_update(skip_locked=True)
    entries = []
    for recipient in db.session.scalars(locked.execution_options(populate_existing=True)).all():
        if until := preferences.of(recipient.user).quiet_until(now):  # they have changed meanwhile
            recipient.send_at = until
            continue
        recipient.entry = outbox.enqueue(_notification(recipient), kind=KIND, user_id=recipient.user_id)
        recipient.sent_at = now
        entries.append(recipient.entry)
    db.session.flush()
    return [entry.id for entry in entries]


def judge(now: datetime) -> None:
    """Note the drills in which everybody has had the time to get the notification. The caller commits."""
    late = or_(DrillRecipient.sent_at.is_(None), DrillRecipient.sent_at > now - reach.within())
    open_ = exists().where(DrillRecipient.drill_id == Drill.id, late)
    db.session.execute(
        update(Drill).where(Drill.judged_at.is_(None), ~open_).values(judged_at=now),
        execution_options={"synchronize_session": False},
    )


def newest(*, judged: bool = False) -> Drill | None:
    """Return the newest drill, or the newest one that was judged; None if there is none."""
    found = select(Drill).order_by(Drill.id.desc()).limit(1).execution_options(populate_existing=True)
    return db.session.scalar(found.where(Drill.judged_at.is_not(None)) if judged else found)


def is_running() -> bool:
    """Return whether a drill is in progress."""
    return bool(db.session.scalar(select(exists().where(Drill.judged_at.is_(None)))))


def find(drill_id: int) -> Drill | None:
    """Return a drill; None if there is none with this id."""
    return db.session.get(Drill, drill_id)


def outcomes(drill: Drill) -> list[Outcome]:
    """Return everybody in a drill, as it is now: also a late receipt counts."""
    these = select(DrillRecipient).where(DrillRecipient.drill_id == drill.id).order_by(DrillRecipient.user_id)
    loaded = these.options(joinedload(DrillRecipient.user), joinedload(DrillRecipient.entry))
    return [_outcome(each) for each in db.session.scalars(loaded.execution_options(populate_existing=True))]


def unreached(drill: Drill) -> list[User]:
    """Return the administrators whom a drill has not reached."""
    return [outcome.recipient.user for outcome in outcomes(drill) if not outcome.reached]


def note_opened(drill: Drill, user: User) -> None:
    """Note that an administrator has opened the notification; some devices report nothing else. The caller commits."""
    mine = (DrillRecipient.drill_id == drill.id, DrillRecipient.user_id == user.id)
    first = update(DrillRecipient).where(*mine, DrillRecipient.opened_at.is_(None)).values(opened_at=utcnow())
    db.session.execute(first, execution_options={"synchronize_session": False})


def remove_old(now: datetime) -> None:
    """Remove some of the drills from more than RETAIN_DELIVERIES_DAYS ago, but not the newest. The caller commits."""
    days, last = current_settings().retain_deliveries_days, newest()
    if days and last:
        old = (Drill.started_at < now - timedelta(days=days), Drill.id < last.id)
        delete_batch(Drill, *old, most=_MOST_REMOVED)


def _outcome(recipient: DrillRecipient) -> Outcome:
    theirs: Sequence[Delivery] = ()
    if recipient.outbox_id is not None:
        found = select(Delivery).where(Delivery.outbox_id == recipient.outbox_id).order_by(Delivery.id)
        found = found.options(joinedload(Delivery.subscription)).execution_options(populate_existing=True)
        theirs = db.session.scalars(found).all()
    shown = any(each.shown_at or each.clicked_at for each in theirs)
    return Outcome(recipient, shown or recipient.opened_at is not None, theirs)


def _notification(recipient: DrillRecipient) -> Notification:
    with force_locale(recipient.user.language or _language(recipient.user)):
        return Notification(
            title=gettext("Drill: this notification has reached you"),
            body=gettext("Nothing is wrong. Tap it if your device is an iPhone, an iPad or a Mac with Safari."),
            navigate=absolute_url("admin.drill", drill_id=recipient.drill_id),
            tag=f"drill-{recipient.drill_id}",
        )


def _language(user: User) -> str:
    """Return the language of the newest device of an administrator who has chosen none."""
    live_first = case((Subscription.state == DeviceState.LIVE, 0), else_=1)
    mine = select(Subscription.language).where(Subscription.user_id == user.id)
    return db.session.scalar(mine.order_by(live_first, Subscription.id.desc()).limit(1)) or "en"
