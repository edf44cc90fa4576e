"""Administrators and their devices, subscribed without a browser."""

import secrets
from collections.abc import Iterable

from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.push import subscriptions
from feedback_push.push.browser_subscription import BrowserSubscription
from feedback_push.push.models import Delivery, DeviceState, Subscription
from tests.conftest import KEYS
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService


def owner(email: str = "owner@example.org") -> User:
    """Commit and return an administrator without a password, because hashing one takes time."""
    user = User(email=email, password_hash="")
    db.session.add(user)
    db.session.commit()
    return user


def subscribe(user: User, device: Device, vapid_public_key: str = KEYS.public_key) -> Subscription:
    """Store a device as this user's, committed."""
    keys = device.as_json()["keys"]
    browser = BrowserSubscription(device.endpoint, keys["p256dh"], keys["auth"])
    subscriptions.save(browser, user=user, vapid_public_key=vapid_public_key, name="Browser")
    db.session.commit()
    return db.session.query(Subscription).filter_by(endpoint=device.endpoint).one()


def new_device(user: User, service: PushService) -> Device:
    """Subscribe a new device at this push service for this user."""
    device = service.new_device(KEYS.public_key)
    subscribe(user, device)
    return device


def subscribe_all(user: User, devices: Iterable[Device]) -> None:
    """Store many devices at once, committed."""
    rows = [
        Subscription(
            user_id=user.id,
            endpoint=device.endpoint,
            p256dh=device.p256dh,
            auth=device.auth,
            vapid_public_key=KEYS.public_key,
            name="Browser",
        )
        for device in devices
    ]
    db.session.add_all(rows)
    db.session.commit()


def unreachable_devices(
    user: User,
    count: int,
    state: DeviceState = DeviceState.LIVE,
    key: str = KEYS.public_key,
    origin: str = "http://127.0.0.1:1",
) -> list[int]:
    """Commit devices that no push service knows, for tests that send nothing; return their ids."""
    return _unreachable(user.id, count, state, key, origin)


def visitors(count: int, state: DeviceState = DeviceState.LIVE, key: str = KEYS.public_key) -> list[int]:
    """Commit visitors' devices that no push service knows; return their ids."""
    return _unreachable(None, count, state, key, "http://127.0.0.1:1")


def _unreachable(user_id: int | None, count: int, state: DeviceState, key: str, origin: str) -> list[int]:
    gone_at = utcnow() if state == DeviceState.GONE else None
    rows = [
        Subscription(
            user_id=user_id,
            endpoint=f"{origin}/wpush/{secrets.token_hex(8)}",
            p256dh=KEYS.public_key,
            auth="A" * 22,
            vapid_public_key=key,
            name="Browser",
            state=state,
            gone_at=gone_at,
        )
        for _ in range(count)
    ]
    db.session.add_all(rows)
    db.session.flush()
    ids = [row.id for row in rows]
    db.session.commit()
    return ids


def row_of(device: Device) -> Subscription:
    """Return the current row of the device."""
    db.session.rollback()
    return db.session.query(Subscription).filter_by(endpoint=device.endpoint).one()


def delivery_to(device: Device) -> Delivery:
    """Return the current row of the only delivery to this device."""
    db.session.rollback()
    return db.session.query(Delivery).join(Subscription).filter(Subscription.endpoint == device.endpoint).one()
