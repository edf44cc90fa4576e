"""The state of the queue: how much waits, and for how long; cheap for any number of deliveries."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Integer, ScalarSelect, Select, bindparam, func, select

from feedback_push.database import db, utcnow
from feedback_push.push import claims
from feedback_push.push.models import Delivery, OutboxEntry, Priority

MOST_COUNTED = 10_000  # of each kind to one push service; a longer queue is reported as this long
_MOST_SERVICES = 50
_MOST_ENTRIES = 100


class Waiting(NamedTuple):
    """The deliveries of one priority: due now, due later (a retry, or claimed), and the seconds since the oldest."""

    now: int
    later: int
    oldest: float


class Entries(NamedTuple):
    """The outbox entries to fan out, at most 100, and the seconds since the oldest was stored."""

    waiting: int
    oldest: float


def deliveries() -> dict[Priority, Waiting]:
    """Return the waiting deliveries by priority."""
    now = utcnow()
    found = dict.fromkeys(Priority, Waiting(0, 0, 0.0))
    for service in db.session.scalars(_SERVICES):
        for priority in Priority:
            row = db.session.execute(OF_SERVICE, {"at": service, "of": int(priority), "now": now}).one()
            before = found[priority]
            oldest = max(before.oldest, _seconds(row.oldest, now))
            found[priority] = Waiting(before.now + row.now, before.later + row.later, oldest)
    return found


def entries() -> Entries:
    """Return the entries that no worker has fanned out completely."""
    now = utcnow()
    due = (OutboxEntry.fanned_out_at.is_(None), OutboxEntry.paused_at.is_(None), OutboxEntry.expires_at > now)
    first = select(OutboxEntry.created_at).where(*due).order_by(OutboxEntry.priority, OutboxEntry.id)
    times = db.session.scalars(first.limit(_MOST_ENTRIES)).all()
    return Entries(len(times), _seconds(min(times, default=None), now))


def _seconds(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def _of_service() -> Select[Any]:
    its = (Delivery.service == bindparam("at"), Delivery.priority == bindparam("of"))
    due = Delivery.due_at <= bindparam("now", type_=Delivery.due_at.type)
    later = Delivery.due_at > bindparam("now", type_=Delivery.due_at.type)
    oldest = select(Delivery.due_at).where(*its, due).order_by(Delivery.due_at).limit(1).scalar_subquery()
    columns: list[Any] = [_count(*its, due).label("now"), _count(*its, later).label("later"), oldest.label("oldest")]
    return select(*columns)


def _count(*which: Any) -> ScalarSelect[int]:
    some = select(Delivery.id).where(*which).limit(bindparam("most", MOST_COUNTED, type_=Integer)).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


_SERVICES = claims.open_services().limit(_MOST_SERVICES)
OF_SERVICE = _of_service()
