"""Devices and deliveries as push leaves them in the database."""

from typing import Any, TypeVar
from uuid import uuid4

from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.feedback.models import Message
from feedback_push.push.models import Delivery, Subscription
from tests.conftest import KEYS

_Row = TypeVar("_Row", Subscription, Delivery)


def device(user: User | None, **more: Any) -> Subscription:
    """Commit and return a browser of this user, or of a visitor."""
    usual = {
        "endpoint": f"https://updates.push.services.mozilla.com/wpush/v2/{uuid4().hex}",
        "p256dh": "B" * 87,
        "auth": "A" * 22,
        "vapid_public_key": KEYS.public_key,
        "name": "Firefox on Linux",
    }
    return _stored(Subscription(user_id=user.id if user else None, **{**usual, **more}))


def delivery(message: Message, to: Subscription, **more: Any) -> Delivery:
    """Commit and return a delivery of a message's notification to one browser."""
    return _stored(Delivery(outbox_id=message.outbox_id, subscription_id=to.id, **more))


def _stored(row: _Row) -> _Row:
    db.session.add(row)
    db.session.commit()
    return row
