"""Send through a gateway of its own, without the application."""

from queue import SimpleQueue
from typing import Any

import pytest

from feedback_push.webpush import transport
from feedback_push.webpush.endpoints import EndpointPolicy
from feedback_push.webpush.gateway import Config, Gateway, Push, Result
from tests.conftest import KEYS
from tests.doubles.push_device import Device

PAYLOAD = '{"web_push":8030,"notification":{"title":"Ada:"}}'
TOPIC = "t" * 32


def new_gateway(*, hosts: tuple[str, ...] = ("127.0.0.1", "localhost"), private: bool = True, **more: Any) -> Gateway:
    """Make a gateway whose push services may be on loopback; `more` are fields of its Config."""
    return Gateway(Config("mailto:staff@example.org", EndpointPolicy(hosts, private), **more), [KEYS])


def impatient(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.3) -> None:
    """Let gateways that are made from now on give up after so many seconds."""
    monkeypatch.setattr(transport, "TIMEOUT", seconds)


def push_to(device: Device, **changes: Any) -> Push:
    """Make a push for this device, with other fields where given."""
    usual = Push(device.endpoint, device.p256dh, device.auth, KEYS.public_key, PAYLOAD, 60, "high", TOPIC)
    return usual._replace(**changes)


def send(door: Gateway, *pushes: Push) -> list[Result[int]]:
    """Send these at once and return all results, in the order of the pushes."""
    results: SimpleQueue[Result[int]] = SimpleQueue()
    door.send(enumerate(pushes), results)
    return sorted((results.get(timeout=60) for _ in pushes), key=lambda result: result.key)
