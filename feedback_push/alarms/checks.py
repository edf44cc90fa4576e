"""Check twice a minute for what an administrator must be told: unseen messages, dead devices, and drills."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Select, and_, case, exists, func, or_, select

from feedback_push import maintenance
from feedback_push.alarms import drills, incidents, schedule, turns
from feedback_push.alarms.models import Alarm, Incident
from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.feedback import reach
from feedback_push.feedback.models import Message, Reply
from feedback_push.push import keys, outbox
from feedback_push.push.models import DeviceState, Subscription
from feedback_push.push.subscriptions import FAILING
from feedback_push.webhooks import targets

_WRITTEN: dict[str, reach.Kind] = {"from": Message, "reply": Reply}  # by the name of the first one in an incident
_NEWEST = 100  # messages, and replies; if notifications fail, the newest ones are unseen
_LAST_REPLIES = 1000  # of both sides
_FIRST = timedelta(days=1)  # an older message opens no incident
_MOST_NAMED = 20
_log = logging.getLogger(__name__)


@maintenance.register
def check(now: datetime) -> None:
    """Do all checks, each in its own transaction, if it is this worker's turn."""
    is_due = turns.take(now)
    db.session.commit()
    for each in _CHECKS if is_due else ():
        try:
            each(now)
            db.session.commit()
        except Exception:  # noqa: BLE001 - after any error, the other checks must still run
            db.session.rollback()
            _log.exception("the check %s failed; it runs again in half a minute", each.__name__)


def run_drills(now: datetime) -> None:
    """Start the scheduled drill, notify those whose quiet hours are over, and judge what has had its time."""
    schedule.start_due(now)
    entries = drills.send_due(now)
    drills.judge(now)
    db.session.commit()
    for entry_id in entries:
        outbox.wake(entry_id)


def check_unseen(now: datetime) -> None:
    """Open an incident if nobody has seen one of the newest messages or replies in the set time.

    Close it once all of them are seen, from the first one on.
    """
    known = incidents.open_now(Alarm.UNSEEN)
    if not known and not _somebody_waits():
        return
    incident = known[0] if known else None
    found = {name: _first_unseen(kind, now, name, incident) for name, kind in _WRITTEN.items()}
    problems = {"": incident.detail if incident else found} if any(found.values()) else {}
    incidents.update_all(Alarm.UNSEEN, problems, now)


def _newest(kind: reach.Kind, since: datetime) -> Select[int]:
    """Return the query of the newest messages, or replies of visitors, that were notified before `since`."""
    newest = select(kind.id).where(kind.created_at <= since, kind.outbox_id.is_not(None), Message.deleted_at.is_(None))
    if kind is Message:
        return newest.order_by(Message.created_at.desc()).limit(_NEWEST)
    last = select(Reply.id).order_by(Reply.id.desc()).limit(_LAST_REPLIES).scalar_subquery()
    theirs = newest.join(Message, Message.id == Reply.message_id).where(Reply.id.in_(last), ~Reply.is_answer)
    return theirs.order_by(Reply.id.desc()).limit(_NEWEST)


def _first_unseen(kind: reach.Kind, now: datetime, name: str, incident: Incident | None) -> int | None:
    """Return the first one that nobody has seen, among those that open an incident, or that keep this one open."""
    since = now - reach.within()
    first = select(func.min(kind.id)).where(kind.id.in_(_newest(kind, since).scalar_subquery()), reach.unseen(kind))
    if kind is Reply:
        first = first.join(Message, Message.id == Reply.message_id)
    if incident is None:
        first = first.where(~reach.pending(since, kind), kind.created_at > now - _FIRST)
    elif (begin := incident.detail.get(name)) is not None:
        first = first.where(kind.id >= begin)
    else:
        first = first.where(kind.created_at > incident.opened_at - _FIRST)
    return db.session.scalar(first)


def _somebody_waits() -> bool:
    """Return whether somebody wants to be told: an administrator with a device, or a target of alarms.

    Without either, nobody expects a notification, and the inbox is read when there is time.
    """
    devices = select(exists().where(Subscription.user_id.is_not(None)))
    return bool(db.session.scalar(devices)) or bool(targets.takers_of_alarms())


def check_devices(now: datetime) -> None:
    """Open an incident for each administrator whose last working device has died; close it when one works again."""
    live = keys.cached().live
    if not live:
        return
    on = and_(Subscription.paused_at.is_(None), Subscription.suspended_at.is_(None))
    well = and_(Subscription.state == DeviceState.LIVE, Subscription.failures < FAILING)
    works = case((and_(on, well, Subscription.vapid_public_key.in_(list(live))), 1), else_=0)
    died = case((or_(Subscription.state != DeviceState.LIVE, Subscription.failures >= FAILING), 1), else_=0)
    each = select(User.id, User.email, func.sum(works), func.sum(died)).join(Subscription)
    rows = db.session.execute(each.group_by(User.id, User.email)).all()
    working = {str(user_id) for user_id, _, work, _ in rows if work}
    problems = {str(user_id): {"email": email} for user_id, email, work, dead in rows if dead and not work}
    for incident in incidents.open_now(Alarm.DEVICE):
        if incident.subject not in problems:
            incident.detail = {**incident.detail, "works": incident.subject in working}
    db.session.flush()
    incidents.update_all(Alarm.DEVICE, problems, now)


def check_drill(now: datetime) -> None:
    """Open an incident if the newest drill has not reached everybody; close it once it has."""
    drill = drills.newest(judged=True)
    emails = [user.email for user in drills.unreached(drill)[:_MOST_NAMED]] if drill else []
    incidents.update_all(Alarm.DRILL, {"": {"emails": emails}} if emails else {}, now)


def end_absence(now: datetime) -> None:
    """Close the incident of the workers, because one is running this."""
    incidents.update_all(Alarm.WORKERS, {}, now)


def remove_old(now: datetime) -> None:
    """Remove old incidents and drills."""
    incidents.remove_old(now)
    drills.remove_old(now)


_CHECKS: tuple[Callable[[datetime], None], ...] = (
    end_absence,
    run_drills,
    check_unseen,
    check_devices,
    check_drill,
    remove_old,
)
