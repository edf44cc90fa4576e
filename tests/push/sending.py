"""Sending through a gateway of one's own, without a database."""

from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from feedback_push.push import transfer
from feedback_push.push.gateway import Gateway, Push, Result
from tests.conftest import KEYS, make_settings
from tests.doubles.push_device import Device

PAYLOAD = '{"web_push":8030,"notification":{"title":"Ada:"}}'
TOPIC = "t" * 32


def new_gateway(**settings: Any) -> Gateway:
    """A gateway for a site with push whose push services may be on loopback."""
    usual = make_settings("sqlite://", "redis://127.0.0.1:1/0", Path())
    return Gateway(replace(usual, **settings))


def impatient(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.3) -> None:
    """Let gateways made from now on give up sooner than push services deserve."""
    monkeypatch.setattr(transfer, "TIMEOUT", seconds)


def push_to(device: Device, **changes: Any) -> Push:
    """A push for this device, with other fields where given."""
    usual = Push(device.endpoint, device.p256dh, device.auth, KEYS.public_key, PAYLOAD, 60, "high", TOPIC)
    return usual._replace(**changes)


def send(door: Gateway, *pushes: Push) -> list[Result[int]]:
    """Send these at once and wait for all results, in the order of the pushes."""
    results: SimpleQueue[Result[int]] = SimpleQueue()
    door.send(enumerate(pushes), results)
    return sorted((results.get(timeout=20) for _ in pushes), key=lambda result: result.key)
