"""A note for every device, claims, and the passing of time without waiting for it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from feedback_push.database import db, utcnow
from feedback_push.push import claims, fanout, outbox
from feedback_push.push.claims import Claim, Room
from feedback_push.push.models import Delivery, OpenCircuit, OutboxEntry, Subscription
from feedback_push.push.notification import Notification
from tests.conftest import KEYS

NOTE = Notification(title="Ada:", body="Hello", navigate="http://127.0.0.1:8000/admin/messages/1", tag="message-1")
_TIMES: dict[Any, tuple[str, ...]] = {
    OutboxEntry: ("created_at", "expires_at"),
    Delivery: ("due_at", "held_until"),
    OpenCircuit: ("held_until",),
    Subscription: ("gone_at",),
}


def note(**fields: Any) -> Notification:
    """Return a variant of NOTE."""
    return replace(NOTE, **fields)


def announce(notification: Notification = NOTE) -> int:
    """Store a notification with a delivery for each device, as a worker would, committed; the id of its entry."""
    entry = outbox.enqueue(notification)
    db.session.commit()
    entry_id = entry.id
    fan_out(entry_id)
    return entry_id


def fan_out(entry_id: int, vapid_public_key: str = KEYS.public_key) -> int:
    """Make all deliveries of an entry, committed; in how many sets."""
    sets = 1
    while fanout.next_set(entry_id, vapid_public_key) == fanout.SET_SIZE:
        db.session.commit()
        sets += 1
    db.session.commit()
    return sets


def claim(most: int = 1000) -> list[Claim]:
    """Claim and commit at most `most` due deliveries for each push service, as a worker does."""
    now = utcnow()
    batch = claims.take(dict.fromkeys(claims.services_due(now), Room(most, most)), now)
    db.session.commit()
    return batch


def time_passes(seconds: float) -> None:
    """Move every time in the database back by this many seconds, as if they had passed."""
    db.session.rollback()
    for model, names in _TIMES.items():
        for row in db.session.query(model):
            for name in names:
                if (at := getattr(row, name)) is not None:
                    setattr(row, name, at - timedelta(seconds=seconds))
    db.session.commit()
