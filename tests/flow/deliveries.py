"""Subscribe many devices at once, and read their deliveries."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, select, update

from feedback_push.auth import accounts
from feedback_push.database import db, utcnow
from feedback_push.push import claims, subscriptions
from feedback_push.push.browser_subscription import BrowserSubscription
from feedback_push.push.models import Delivery, DeliveryState, OpenCircuit, OutboxEntry, Subscription
from tests import servers
from tests.conftest import KEYS, make_user
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.site import Site


def subscribe_many(site: Site, service: PushService, count: int) -> list[Device]:
    """Store devices of one administrator directly."""
    devices = [service.new_device(KEYS.public_key) for _ in range(count)]
    with site.database():
        user = accounts.find("staff@example.org") or make_user("staff@example.org")
        for device in devices:
            browser = BrowserSubscription(device.endpoint, device.p256dh, device.auth)
            subscriptions.save(browser, user=user, vapid_public_key=KEYS.public_key, name="Browser")
        db.session.commit()
    return devices


def received(devices: Sequence[Device]) -> int:
    """Return how many pushes have arrived at all devices."""
    return sum(len(device.pushes) for device in devices)


def wait_until_final(site: Site, timeout: float = 60) -> None:
    """Return when every message is fanned out and every delivery has its result."""
    with site.database():
        servers.wait_until(lambda: not _open(), timeout, "the last result")


def states(site: Site) -> Counter[DeliveryState]:
    """Count the deliveries by state."""
    with site.database():
        return Counter(db.session.scalars(select(Delivery.state)))


def end_leases(site: Site, killed_at: datetime) -> set[str]:
    """End the leases that a killed worker has left behind; return their endpoints.

    Claims of other workers stay as they are.
    """
    left = (Delivery.claim.is_not(None), Delivery.due_at <= killed_at + claims.LEASE)
    devices = select(Subscription.endpoint).join(Delivery, Delivery.subscription_id == Subscription.id)
    with site.database():
        endpoints = set(db.session.scalars(devices.where(*left)))
        db.session.execute(update(Delivery).where(*left).values(due_at=utcnow()))
        db.session.commit()
    return endpoints


def let_time_pass(site: Site, *which: ColumnElement[bool]) -> None:
    """Make those of the waiting deliveries due, and half-open every circuit.

    The conditions must leave out what is in flight, because a worker would send it twice, as after the end of a lease.
    """
    with site.database():
        db.session.execute(update(Delivery).where(Delivery.due_at.is_not(None), *which).values(due_at=utcnow()))
        db.session.execute(update(OpenCircuit).values(held_until=utcnow()))
        db.session.commit()


def pushes_of_each(devices: Sequence[Device]) -> Counter[int]:
    """Count the devices by their number of pushes."""
    return Counter(len(device.pushes) for device in devices)


def _open() -> bool:
    entries = select(OutboxEntry.id).where(OutboxEntry.fanned_out_at.is_(None)).limit(1)
    waiting = select(Delivery.id).where(Delivery.due_at.is_not(None)).limit(1)
    found = db.session.scalar(entries) or db.session.scalar(waiting)
    db.session.rollback()  # the workers need the database too
    return found is not None
