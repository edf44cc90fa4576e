"""Check a device, its only delivery, and the dashboard's text about it."""

from feedback_push.admin import push_status
from feedback_push.auth.models import User
from feedback_push.database import utcnow
from feedback_push.push.models import DeliveryState, DeviceState
from tests.doubles.push_device import Device
from tests.push.devices import delivery_to, row_of


def due_in(device: Device) -> float:
    """Return in how many seconds the device's only delivery is due."""
    due_at = delivery_to(device).due_at
    assert due_at is not None
    return (due_at - utcnow()).total_seconds()


def banner() -> str:
    status = push_status.current(User())
    assert status is not None
    return status.banner or ""


def assert_unchanged(device: Device) -> None:
    row = row_of(device)
    assert (row.state, row.failures, row.gone_at) == (DeviceState.LIVE, 0, None)


def assert_final(device: Device, state: DeliveryState, error: str | None) -> None:
    row = delivery_to(device)
    assert (row.state, row.error, row.due_at) == (state, error, None)
