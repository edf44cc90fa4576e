"""Receipts: what a device's service worker says about one delivery, under a token that the push brought with it."""

import hmac
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Update, func, literal, or_, select, update

from feedback_push.database import db
from feedback_push.push.models import Delivery, Subscription

EMPTY = {"receipt": ""}  # in a payload, where the token goes
_EMPTY_JSON = '"receipt":""'  # nothing within a string reads like this: JSON has a backslash before its quotes
_MAC_BYTES = 16
_LARGEST_ID = 2**63 - 1
LONGEST_TOKEN = len(f"{_LARGEST_ID}.") + 2 * _MAC_BYTES


class Event(StrEnum):
    """What happened to a notification."""

    SHOWN = "shown"
    CLICKED = "clicked"


def signing_key(secret_key: str) -> bytes:
    """What tokens are made with, and nothing else is: derived from the site's secret."""
    return hmac.digest(secret_key.encode(), b"push receipt", "sha256")


def stamp(payload: str, delivery_id: int, key: bytes) -> str:
    """The payload with the token of a delivery; the same token at every try."""
    # By text and not by JSON: every push comes through here, thousands a second.
    return payload.replace(_EMPTY_JSON, f'"receipt":"{token(delivery_id, key)}"', 1)


def token(delivery_id: int, key: bytes) -> str:
    """What names a delivery, and proves that we have sent it."""
    return f"{delivery_id}.{hmac.digest(key, b'%d' % delivery_id, 'sha256')[:_MAC_BYTES].hex()}"


def read(given: str, key: bytes) -> int | None:
    """The delivery that a token names, or None where it is not one of ours."""
    number = given.partition(".")[0] if len(given) <= LONGEST_TOKEN else ""
    if not (number.isascii() and number.isdigit()) or int(number) > _LARGEST_ID:
        return None
    ours = token(int(number), key).encode()
    return int(number) if hmac.compare_digest(ours, given.encode(errors="replace")) else None


def record(delivery_id: int, event: Event, now: datetime) -> None:
    """Write down when a notification was shown, and clicked, the first time each is told. The caller commits."""
    # The device before the delivery, in the order of the ledger, or one could wait for the other.
    news = select(Delivery.subscription_id).where(Delivery.id == delivery_id, Delivery.shown_at.is_(None))
    _execute(update(Subscription).where(Subscription.id.in_(news)).values(last_shown_at=now))
    columns = [Delivery.shown_at, Delivery.clicked_at] if event == Event.CLICKED else [Delivery.shown_at]
    first = or_(*(column.is_(None) for column in columns))
    times = {column: func.coalesce(column, literal(now, column.type)) for column in columns}
    _execute(update(Delivery).where(Delivery.id == delivery_id, first).values(times))


def _execute(statement: Update) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})
