"""Receipts: a device's service worker reports that it showed a notification, with a token that came with the push."""

import hmac
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Update, select, tuple_, update

from feedback_push import ids, secret_keys
from feedback_push.database import db
from feedback_push.push.models import Delivery, Follower, OutboxEntry, Subscription

EMPTY = {"receipt": ""}  # the place of the token in a payload
_EMPTY_JSON = '"receipt":""'  # no string in JSON can contain this: quotes in it have a backslash
_MAC_BYTES = 16
_UNSYNCHRONISED = {"synchronize_session": False}
_PURPOSE = "push receipt"
LONGEST_TOKEN = len(f"{ids.LARGEST}.") + 2 * _MAC_BYTES


class Event(StrEnum):
    """An event that a device reports."""

    SHOWN = "shown"
    CLICKED = "clicked"


def signing_key(secret_key: str) -> bytes:
    """Derive the key that signs receipt tokens, and nothing else, from the site's secret."""
    return secret_keys.derive(secret_key, _PURPOSE)


def accepted_keys() -> tuple[bytes, ...]:
    """Return the keys of receipts that count: those of the site's secret, and of the one before it."""
    return secret_keys.derived(_PURPOSE)


def stamp(payload: str, delivery_id: int, key: bytes) -> str:
    """Put the token of a delivery into its payload; every attempt has the same token."""
    # As text, not as JSON: this runs for every push, thousands of times a second.
    return payload.replace(_EMPTY_JSON, f'"receipt":"{token(delivery_id, key)}"', 1)


def token(delivery_id: int, key: bytes) -> str:
    """Return a token that names a delivery and proves that we sent it."""
    return f"{delivery_id}.{hmac.digest(key, b'%d' % delivery_id, 'sha256')[:_MAC_BYTES].hex()}"


def read(given: str, *keys: bytes) -> int | None:
    """Return the id of the delivery that a token names; None if none of these keys has signed it."""
    if len(given) > LONGEST_TOKEN:
        return None
    try:
        delivery_id = ids.parse(given.partition(".")[0])
    except ValueError:
        return None
    sent = given.encode(errors="replace")
    ours = (token(delivery_id, key).encode() for key in keys)
    return delivery_id if any(hmac.compare_digest(each, sent) for each in ours) else None


def record(delivery_id: int, event: Event, now: datetime) -> int | None:
    """Record the first time a notification was shown, and clicked. The caller commits.

    Return the id of its outbox entry if it was not known to be shown, else None.
    """
    # The device before the delivery, which is the lock order.
    news = select(Delivery.subscription_id).where(Delivery.id == delivery_id, Delivery.shown_at.is_(None))
    _execute(update(Subscription).where(Subscription.id.in_(news)).values(last_shown_at=now))
    shown = update(Delivery).where(Delivery.id == delivery_id, Delivery.shown_at.is_(None)).values(shown_at=now)
    entry_id = db.session.scalar(shown.returning(Delivery.outbox_id), execution_options=_UNSYNCHRONISED)
    if event == Event.CLICKED:
        clicked = update(Delivery).where(Delivery.id == delivery_id, Delivery.clicked_at.is_(None))
        _execute(clicked.values(clicked_at=now))
        _note_opened(delivery_id, now)
    return entry_id


def _note_opened(delivery_id: int, now: datetime) -> None:
    """Let the follower go on, if the notification was one for an audience."""
    this = select(OutboxEntry.audience_id, Delivery.subscription_id).join(
        Delivery, Delivery.outbox_id == OutboxEntry.id
    )
    this = this.where(Delivery.id == delivery_id)
    keys = (Follower.audience_id, Follower.subscription_id)
    opened = {"opened_at": now, "paused_at": None, "asked_at": None}
    _execute(update(Follower).where(tuple_(*keys).in_(this)).values(opened))


def _execute(statement: Update) -> None:
    db.session.execute(statement, execution_options=_UNSYNCHRONISED)
