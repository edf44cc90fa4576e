"""The state of the webhooks' queue: how much waits, and for how long; cheap for any number of events."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import case, func, or_, select

from feedback_push.database import db, utcnow
from feedback_push.webhooks.models import Delivery, Target

MOST_COUNTED = 10_000  # for one target; a longer queue is reported as this long


class Waiting(NamedTuple):
    """The events that wait: due now, due later, and those of paused targets.

    `oldest` is the seconds since the oldest event was stored that is due, or was refused, at a target that is not
    paused.
    """

    now: int
    later: int
    paused: int
    oldest: float


def waiting() -> Waiting:
    """Return the waiting events of all targets."""
    now = utcnow()
    rows = [(paused, *_of_target(target_id, now)) for target_id, paused in db.session.execute(_TARGETS)]
    active = [(due, later, since) for paused, due, later, since in rows if not paused]
    since = min((since for _, _, since in active if since), default=None)
    return Waiting(
        now=sum(due for due, _, _ in active),
        later=sum(later for _, later, _ in active),
        paused=sum(due + later for paused, due, later, _ in rows if paused),
        oldest=max(0.0, (now - since).total_seconds()) if since else 0.0,
    )


def _of_target(target_id: int, now: datetime) -> tuple[int, int, datetime | None]:
    columns = (Delivery.due_at, Delivery.queued_at, Delivery.attempts)
    first = select(*columns).where(Delivery.target_id == target_id, Delivery.due_at.is_not(None))
    some = first.order_by(Delivery.due_at).limit(MOST_COUNTED).subquery()
    late = case((or_(some.c.due_at <= now, some.c.attempts > 0), some.c.queued_at))
    due = func.count(case((some.c.due_at <= now, 1)))
    found = db.session.execute(select(due, func.count(), func.min(late)).select_from(some)).one()
    return found[0], found[1] - found[0], found[2]


_TARGETS = select(Target.id, Target.paused_at).order_by(Target.id)
