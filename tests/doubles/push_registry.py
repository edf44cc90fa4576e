"""Data that the test and the service's thread share: devices and the log of requests, with ways to wait for both."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from tests.doubles.device_keys import DeviceKeys
from tests.doubles.push_answers import Answer, Script
from tests.doubles.push_device import Device
from tests.doubles.push_records import Ack, Request
from tests.doubles.watch import Watch


class PushRegistry:
    """The part of a PushService that a test reads and waits for."""

    def __init__(self) -> None:
        self._watch = Watch(self._story)
        self._script = Script()
        self._devices: dict[str, Device] = {}
        self._requests: list[Request] = []
        self._at_once = 0
        self.most_at_once = 0
        self.lost_addresses = 0
        self.url = ""

    @property
    def devices(self) -> list[Device]:
        """All subscriptions ever made, in order, including those of browsers."""
        with self._watch.read():
            return list(self._devices.values())

    @property
    def requests(self) -> list[Request]:
        """All requests that reached the service."""
        with self._watch.read():
            return list(self._requests)

    @property
    def refusals(self) -> list[Request]:
        """The requests that broke a rule; a correct sender leaves this empty."""
        return [request for request in self.requests if request.refusal]

    @property
    def acks(self) -> list[Ack]:
        """The browsers' acks and nacks, oldest first."""
        with self._watch.read():
            acks = [ack for device in self._devices.values() for ack in device.acks]
        return sorted(acks, key=lambda ack: ack.received_at)

    def new_device(self, vapid_public_key: str | None) -> Device:
        """Add a subscription whose pushes the double decrypts itself."""
        return self._add_device(vapid_public_key, DeviceKeys())

    def register(self, vapid_public_key: str | None) -> Device:
        """Add a subscription whose keys stay in the browser; for the browser's side."""
        return self._add_device(vapid_public_key, None)

    def answers(
        self,
        answer: int | Answer | Sequence[int | Answer],
        *,
        headers: Mapping[str, str] | None = None,
        body: str | bytes | Mapping[str, Any] | None = None,
    ) -> None:
        """Set answers as `Device.answers` does, for all endpoints without their own, including unknown ones."""
        with self._watch.change():
            self._script.set(answer, headers, body)

    def answers_normally(self) -> None:
        """Remove the service's answers; answers set for a device stay."""
        with self._watch.change():
            self._script.clear()

    def wait_until(self, predicate: Callable[[], bool], timeout: float = 60) -> None:
        """Wait until predicate() is true; it is called again after every change, under the lock."""
        self._watch.wait_until(predicate, timeout, lambda: "waiting in vain")

    def wait_device(self, count: int = 1, timeout: float = 60) -> Device:
        """Return the count-th device, as soon as it exists; a test finds a browser's subscription this way."""
        self._watch.wait_until(
            lambda: len(self._devices) >= count, timeout, lambda: f"{len(self._devices)} of {count} devices"
        )
        return self.devices[count - 1]

    def wait_requests(self, count: int = 1, timeout: float = 60) -> list[Request]:
        """Return all requests, as soon as there are `count`; the last may still be unanswered."""
        self._watch.wait_until(
            lambda: len(self._requests) >= count,
            timeout,
            lambda: f"{len(self._requests)} of {count} requests",
        )
        return self.requests

    def wait_ack(self, device: Device | None = None, *, count: int = 1, timeout: float = 60) -> Ack:
        """Return the count-th ack or nack of this device, or of any device."""

        def acks() -> list[Ack]:
            return self.acks if device is None else device.acks

        self._watch.wait_until(
            lambda: len(acks()) >= count,
            timeout,
            lambda: f"{len(acks())} of {count} acks",
        )
        return acks()[count - 1]

    def device_at(self, channel: str) -> Device | None:
        """Return the subscription of this endpoint, unless it was given up; for the service."""
        with self._watch.read():
            device = self._devices.get(channel)
            return device if device and device.registered else None

    def next_answer(self) -> Answer | None:
        """Return the answer set for endpoints without their own; for the service."""
        with self._watch.change():
            return self._script.next()

    def arrived(self, request: web.Request) -> Request:
        """Log a request; for the service."""
        client = request.transport.get_extra_info("peername") if request.transport else ("", 0)
        entry = Request(request.method, request.path, request.headers, client, time.monotonic())
        with self._watch.change():
            self._requests.append(entry)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        return entry

    def answered(self, entry: Request, status: int | None) -> None:
        """Log an answer; for the service."""
        with self._watch.change():
            entry.status = status
            self._at_once -= 1

    def _add_device(self, vapid_public_key: str | None, keys: DeviceKeys | None) -> Device:
        if not self.url:
            raise RuntimeError("the push service has no address before it is started")
        endpoint = f"{self.url}/wpush/{secrets.token_urlsafe(96)}"  # about as long as Mozilla's
        device = Device(self._watch, endpoint, vapid_public_key, keys)
        with self._watch.change():
            self._devices[device.channel] = device
        return device

    def _story(self) -> str:
        latest = ", ".join(str(request) for request in self._requests[-5:])
        return f"the latest requests: {latest or 'none'}"
