"""Trials: a real push to one device, by the way that every notification goes."""

from flask import current_app
from flask_babel import gettext
from sqlalchemy import select

from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.push import kinds, outbox
from feedback_push.push.models import Delivery, OutboxEntry, Subscription
from feedback_push.push.notification import Notification


def start(device: Subscription) -> OutboxEntry:
    """Add a notification for this device alone; the caller commits and wakes."""
    settings = current_app.extensions["settings"]
    notification = Notification(
        title=gettext("It works"),
        body=gettext("This is the test that you asked for."),
        navigate=f"{settings.site_url}{settings.admin_url}devices",
        tag=f"test-{device.id}",
    )
    return outbox.enqueue(notification, kind=kinds.TEST, subscription_id=device.id)


def find(entry_id: int, user: User) -> tuple[OutboxEntry, Delivery | None] | None:
    """A trial of one of this user's devices, with its delivery once there is one."""
    mine = select(OutboxEntry).join(Subscription, Subscription.id == OutboxEntry.subscription_id)
    these = (OutboxEntry.id == entry_id, OutboxEntry.kind == kinds.TEST, Subscription.user_id == user.id)
    entry = db.session.scalar(mine.where(*these))
    if entry is None:
        return None
    return entry, db.session.scalar(select(Delivery).where(Delivery.outbox_id == entry.id))
