"""Deliveries as people read them: the ledger of one notification."""

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from feedback_push.database import db
from feedback_push.push.models import Delivery, DeliveryState, Subscription

_MOST_SHOWN = 100


def of(outbox_id: int | None) -> list[Delivery]:
    """The deliveries of an outbox entry with their devices, in the order of the devices; at most 100."""
    if outbox_id is None:
        return []
    mine = select(Delivery).where(Delivery.outbox_id == outbox_id).order_by(Delivery.id).limit(_MOST_SHOWN)
    return list(db.session.scalars(mine.options(joinedload(Delivery.subscription))))


def last_failed(device: Subscription) -> Delivery | None:
    """The newest delivery to a device that met with an error."""
    failed = (Delivery.error.is_not(None), Delivery.state != DeliveryState.ACCEPTED)
    mine = select(Delivery).where(Delivery.subscription_id == device.id, *failed)
    return db.session.scalar(mine.order_by(Delivery.id.desc()).limit(1))
