"""The browser's side of Mozilla's push service: Firefox keeps a WebSocket open and receives its pushes there."""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from tests.doubles import base64url
from tests.doubles.push_device import Device
from tests.doubles.push_records import Ack, Push

JSON = dict[str, Any]


class Registrar(Protocol):
    """An object that stores the devices; the next `lost_addresses` endpoints given to browsers lead nowhere."""

    lost_addresses: int

    def register(self, vapid_public_key: str | None) -> Device: ...


@dataclass
class Browser:
    """One browser profile: its subscriptions by channel id, and the pushes that it has not acknowledged yet."""

    uaid: str = field(default_factory=lambda: uuid.uuid4().hex)
    devices: dict[str, Device] = field(default_factory=dict)
    unacknowledged: dict[str, tuple[str, Push]] = field(default_factory=dict)
    channel_of_push: dict[str, str] = field(default_factory=dict)
    socket: web.WebSocketResponse | None = None

    async def deliver(self, channel_id: str, push: Push) -> None:
        """Keep the push until it is acknowledged, replacing one with the same topic, and send it if online."""
        for waiting_id, (waiting_channel, waiting) in list(self.unacknowledged.items()):
            if push.topic and (channel_id, push.topic) == (waiting_channel, waiting.topic):
                del self.unacknowledged[waiting_id]
        self.unacknowledged[push.id] = (channel_id, push)
        self.channel_of_push[push.id] = channel_id
        await self.send(_notification(channel_id, push))

    async def send(self, message: JSON) -> None:
        if self.socket is not None and not self.socket.closed:
            await self.socket.send_json(message)


class Browsers:
    """All browsers that have ever sent hello. Everything here runs in the service's event loop."""

    def __init__(self, registrar: Registrar) -> None:
        self._registrar = registrar
        self._browsers: dict[str, Browser] = {}
        self._answers: dict[str, Callable[[Browser, JSON], Awaitable[None]]] = {
            "register": self._register,
            "unregister": self._unregister,
            "ack": self._ack,
            "nack": self._nack,
        }

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one WebSocket until either side closes it."""
        socket = web.WebSocketResponse(protocols=("push-notification",), timeout=0.5)
        await socket.prepare(request)
        browser = Browser()
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            said: JSON = json.loads(message.data)
            kind = said.get("messageType", "ping")
            if kind == "hello":
                browser = await self._hello(socket, said)
            elif kind == "ping":
                await socket.send_str("{}")
            elif kind in self._answers:
                await self._answers[kind](browser, said)
        return socket

    async def deliver(self, device: Device, push: Push) -> None:
        """Send an accepted push to the browser that has this subscription, if there is one."""
        for browser in list(self._browsers.values()):
            for channel_id, held in list(browser.devices.items()):
                if held is device:
                    await browser.deliver(channel_id, push)

    async def disconnect(self) -> None:
        """Close every WebSocket; browsers reconnect by themselves."""
        sockets = [browser.socket for browser in self._browsers.values() if browser.socket]
        await asyncio.gather(*(socket.close(code=1001) for socket in sockets))

    async def forget(self) -> None:
        """Forget every browser: each gets a new uaid at its next hello and drops its subscriptions."""
        for browser in self._browsers.values():
            for device in browser.devices.values():
                device.unsubscribe()
        await self.disconnect()
        self._browsers.clear()

    async def _hello(self, socket: web.WebSocketResponse, said: JSON) -> Browser:
        browser = self._browsers.get(said.get("uaid") or "") or Browser()
        self._browsers[browser.uaid] = browser
        browser.socket = socket
        answer = {"status": 200, "uaid": browser.uaid, "use_webpush": True, "broadcasts": {}}
        await browser.send({"messageType": "hello", **answer})
        for channel_id, push in list(browser.unacknowledged.values()):
            if time.monotonic() < push.received_at + push.ttl:
                await browser.send(_notification(channel_id, push))
        return browser

    async def _register(self, browser: Browser, said: JSON) -> None:
        channel_id = said["channelID"]
        key = said.get("key")  # Firefox sends it padded
        device = self._registrar.register(key.rstrip("=") if key else None)
        browser.devices[channel_id] = device
        address = device.endpoint
        if self._registrar.lost_addresses:
            self._registrar.lost_addresses -= 1
            address = f"https://permanently-removed.invalid/fcm/send/{device.channel}"
        answer = {"status": 200, "channelID": channel_id, "pushEndpoint": address}
        await browser.send({"messageType": "register", **answer})

    async def _unregister(self, browser: Browser, said: JSON) -> None:
        channel_id = said["channelID"]
        if device := browser.devices.pop(channel_id, None):
            device.unsubscribe()
        await browser.send({"messageType": "unregister", "status": 200, "channelID": channel_id})

    async def _ack(self, browser: Browser, said: JSON) -> None:
        for update in said["updates"]:
            _keep_word(browser, "ack", update)

    async def _nack(self, browser: Browser, said: JSON) -> None:
        _keep_word(browser, "nack", said)


def _keep_word(browser: Browser, kind: str, word: JSON) -> None:
    push_id = word["version"]
    browser.unacknowledged.pop(push_id, None)
    device = browser.devices.get(browser.channel_of_push.get(push_id, ""))
    if device is not None:
        device.add_ack(Ack(kind, device.channel, push_id, word.get("code", 0), time.monotonic()))


def _notification(channel_id: str, push: Push) -> JSON:
    return {
        "messageType": "notification",
        "channelID": channel_id,
        "version": push.id,
        "ttl": push.ttl,
        "data": base64url.encode(push.body),
        "headers": {"encoding": "aes128gcm"},
    }
