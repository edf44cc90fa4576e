"""Suspension: a device whose session somebody ended is sent nothing until its browser signs in again."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, select, update

from feedback_push.auth import audit, sessions
from feedback_push.auth.models import AuditEvent, User
from feedback_push.auth.sessions import Ending
from feedback_push.database import db, utcnow
from feedback_push.ids import among
from feedback_push.push import summaries
from feedback_push.push.errors import SessionEnded
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, Subscription

_OPEN = (Delivery.due_at.is_not(None), Delivery.held_until.is_not(None))  # each has an index of its own
_MOST = 5000  # deliveries of each kind that one transaction cancels: less than half a second of SQLite


@sessions.when_ended
def suspend(ending: Ending) -> None:
    """Suspend the devices of the sessions that end, and those of the account that belong to no session any more.

    One session takes only its own devices with it. The caller commits.
    """
    if ending.session_id is not None:
        _suspend(ending.user, Subscription.session_id == ending.session_id)
    elif ending.kept is not None:
        _suspend(ending.user, Subscription.session_id.is_distinct_from(ending.kept))
    else:
        _suspend(ending.user)


def suspend_others(user: User, endpoint: str) -> None:
    """Suspend all devices of the user but the one with this endpoint. The caller commits."""
    _suspend(user, Subscription.endpoint != endpoint)


def _suspend(user: User, *which: ColumnElement[bool]) -> None:
    on = (Subscription.state != DeviceState.GONE, Subscription.suspended_at.is_(None))
    theirs = (Subscription.user_id == user.id, *on, *which)
    summaries.lock_devices(user.id)
    rows = select(Subscription.id, Subscription.name).where(*theirs).order_by(Subscription.id)
    devices = {row.id: row.name for row in db.session.execute(rows)}
    _execute(update(Subscription).where(among(Subscription.id, devices)).values(suspended_at=utcnow()))
    _cancel(devices)
    for name in devices.values():
        audit.note(AuditEvent.DEVICE_SUSPENDED, user, device=name)


def _cancel(devices: Collection[int]) -> None:
    """Make what waits for these devices final, with the reason; what is too much for once ends when it is claimed."""
    if not devices:
        return
    # The claim stays: where the push has left already, its result is still written down.
    final = {"state": DeliveryState.FAILED, "error": SessionEnded.code, "due_at": None, "held_until": None}
    for is_open in _OPEN:
        some = select(Delivery.id).where(is_open, summaries.DEVICE.in_(devices)).limit(_MOST).scalar_subquery()
        _execute(update(Delivery).where(Delivery.id.in_(some)).values(status=None, detail=None, **final))


def _execute(statement: object) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})  # type: ignore[call-overload]
