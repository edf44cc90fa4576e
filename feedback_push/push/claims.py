"""Claims: taking due deliveries for a while, so that no two workers send the same one."""

import secrets
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import exists, select, update

from feedback_push.database import among, db
from feedback_push.push import endpoints
from feedback_push.push.models import Delivery, OutboxEntry, Shows, Subscription

# Above the longest that a claimed delivery can take: its turn at the origin and the HTTP timeout.
LEASE = timedelta(seconds=60)


class Entry(NamedTuple):
    """What every delivery of one outbox entry has in common."""

    payload: str
    topic: str
    urgency: str
    expires_at: datetime
    kind: str
    counts: int


class Claimed(NamedTuple):
    """A delivery that is ours until the lease ends, with all that is needed to send it and to record the result."""

    entry: Entry
    claim: str
    id: int
    attempts: int
    reduced: bool
    shows: Shows
    subscription_id: int
    endpoint: str
    p256dh: str
    auth: str
    vapid_public_key: str
    language: str
    origin: str


def any_due(now: datetime) -> bool:
    """Whether a delivery waits to be taken."""
    return bool(db.session.scalar(select(exists().where(Delivery.due_at <= now))))


def take(limit: int, now: datetime) -> list[Claimed]:
    """Claim the deliveries that have been due the longest. The caller commits before it sends."""
    claim = secrets.token_hex(16)
    due = select(Delivery.id).where(Delivery.due_at <= now).order_by(Delivery.due_at, Delivery.id).limit(limit)
    chosen = due.with_for_update(skip_locked=True).cte("due")
    mark = update(Delivery).where(Delivery.id == chosen.c.id)
    mark = mark.values(due_at=now + LEASE, claim=claim, attempts=Delivery.attempts + 1)
    ids = db.session.scalars(mark.returning(Delivery.id), execution_options={"synchronize_session": False}).all()
    return _read(list(ids), claim) if ids else []


def _read(ids: list[int], claim: str) -> list[Claimed]:
    device = (
        Subscription.id,
        Subscription.endpoint,
        Subscription.p256dh,
        Subscription.auth,
        Subscription.vapid_public_key,
        Subscription.language,
    )
    delivery = (Delivery.id, Delivery.attempts, Delivery.reduced, Delivery.shows)
    columns: tuple[Any, ...] = (Delivery.outbox_id, *delivery, *device)
    rows = db.session.execute(select(*columns).join(Delivery.subscription).where(among(Delivery.id, ids))).all()
    entries = _entries({row[0] for row in rows})
    return [Claimed._make((entries[row[0]], claim, *row[1:], endpoints.origin(row.endpoint))) for row in rows]


def _entries(ids: set[int]) -> dict[int, Entry]:
    common: tuple[Any, ...] = (
        OutboxEntry.payload,
        OutboxEntry.topic,
        OutboxEntry.urgency,
        OutboxEntry.expires_at,
        OutboxEntry.kind,
        OutboxEntry.counts,
    )
    rows = db.session.execute(select(OutboxEntry.id, *common).where(among(OutboxEntry.id, ids)))
    return {id_: Entry(*rest) for id_, *rest in rows}
