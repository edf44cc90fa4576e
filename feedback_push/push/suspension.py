"""Suspension: send nothing to a device whose session was ended, until its browser signs in again."""

from sqlalchemy import ColumnElement, select, update

from feedback_push.auth import audit, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import User
from feedback_push.auth.sessions import Ending
from feedback_push.database import db, utcnow
from feedback_push.ids import id_in
from feedback_push.push import digests, subscriptions
from feedback_push.push.models import DeviceState, Subscription


@sessions.on_end
def suspend(ending: Ending) -> None:
    """Suspend the devices of the sessions that end, and the account's devices that no longer belong to a session.

    If a single session ends, suspend only its own devices. The caller commits.
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
    subscriptions.lock(Subscription.user_id == user.id)
    rows = select(Subscription.id, Subscription.name).where(*theirs).order_by(Subscription.id)
    devices = {row.id: row.name for row in db.session.execute(rows)}
    _execute(update(Subscription).where(id_in(Subscription.id, devices)).values(suspended_at=utcnow()))
    digests.cancel(devices)
    for name in devices.values():
        audit.record(AuditEvent.DEVICE_SUSPENDED, user, device=name)


def _execute(statement: object) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})  # type: ignore[call-overload]
