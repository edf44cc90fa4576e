"""Receipts: a device's service worker reports that it showed a notification, with a token that came with the push."""

import hmac
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Update, func, literal, or_, select, update

from feedback_push import ids
from feedback_push.database import db
from feedback_push.push.models import Delivery, Subscription

EMPTY = {"receipt": ""}  # the place of the token in a payload
_EMPTY_JSON = '"receipt":""'  # no string in JSON can contain this: quotes in it have a backslash
_MAC_BYTES = 16
LONGEST_TOKEN = len(f"{ids.LARGEST}.") + 2 * _MAC_BYTES


class Event(StrEnum):
    """An event that a device reports."""

    SHOWN = "shown"
    CLICKED = "clicked"


def signing_key(secret_key: str) -> bytes:
    """Derive the key that signs receipt tokens, and nothing else, from the site's secret."""
    return hmac.digest(secret_key.encode(), b"push receipt", "sha256")


def stamp(payload: str, delivery_id: int, key: bytes) -> str:
    """Put the token of a delivery into its payload; every attempt has the same token."""
    # As text, not as JSON: this runs for every push, thousands of times a second.
    return payload.replace(_EMPTY_JSON, f'"receipt":"{token(delivery_id, key)}"', 1)


def token(delivery_id: int, key: bytes) -> str:
    """Return a token that names a delivery and proves that we sent it."""
    return f"{delivery_id}.{hmac.digest(key, b'%d' % delivery_id, 'sha256')[:_MAC_BYTES].hex()}"


def read(given: str, key: bytes) -> int | None:
    """Return the id of the delivery that a token names; None if the token is not ours."""
    if len(given) > LONGEST_TOKEN:
        return None
    try:
        delivery_id = ids.parse(given.partition(".")[0])
    except ValueError:
        return None
    ours = token(delivery_id, key).encode()
    return delivery_id if hmac.compare_digest(ours, given.encode(errors="replace")) else None


def record(delivery_id: int, event: Event, now: datetime) -> None:
    """Record the first time a notification was shown, and clicked. The caller commits."""
    # The device before the delivery, which is the lock order.
    news = select(Delivery.subscription_id).where(Delivery.id == delivery_id, Delivery.shown_at.is_(None))
    _execute(update(Subscription).where(Subscription.id.in_(news)).values(last_shown_at=now))
    columns = [Delivery.shown_at, Delivery.clicked_at] if event == Event.CLICKED else [Delivery.shown_at]
    first = or_(*(column.is_(None) for column in columns))
    times = {column: func.coalesce(column, literal(now, column.type)) for column in columns}
    _execute(update(Delivery).where(Delivery.id == delivery_id, first).values(times))


def _execute(statement: Update) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})
