"""Second thoughts: what has not been sent yet is decided anew where its owner wants it otherwise now."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, select, update

from feedback_push.database import db
from feedback_push.push import kinds, summaries
from feedback_push.push.models import Delivery, OutboxEntry, Shows, Subscription

_OPEN = (Delivery.due_at.is_not(None), Delivery.held_until.is_not(None))  # each has an index of its own


def want(user_id: int, *, shows: Shows, muted: Collection[str]) -> None:
    """Show as much as a user wants to see now, and drop what they want no more; the caller commits."""
    theirs = summaries.DEVICE.in_(select(Subscription.id).where(Subscription.user_id == user_id))
    unwanted = {*muted, *(kinds.summary_of(kinds.CHOOSABLE[code]) for code in muted)}
    summaries.lock_devices(user_id)
    for is_open in _OPEN:
        _execute(update(Delivery).where(is_open, theirs, _of(kinds.CHOOSABLE)).values(shows=shows))
        _execute(delete(Delivery).where(is_open, theirs, _of(unwanted)))


def pause(device: Subscription) -> None:
    """Drop what a device that is paused would get, but for a test; the caller commits."""
    db.session.flush()  # the device before its deliveries, in the order of the ledger
    for is_open in _OPEN:
        _execute(delete(Delivery).where(is_open, summaries.DEVICE.in_([device.id]), ~_of([kinds.TEST])))


def _of(codes: Iterable[str]) -> ColumnElement[bool]:
    return exists().where(OutboxEntry.id == Delivery.outbox_id, OutboxEntry.kind.in_(list(codes)))


def _execute(statement: Any) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})
