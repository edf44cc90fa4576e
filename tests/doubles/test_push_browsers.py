"""The browser's side of the push service double, spoken by a WebSocket client in Firefox's place."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse

from tests.doubles import base64url
from tests.doubles.push_service import PushService
from tests.doubles.senders import Sender, encrypted

JSON = dict[str, Any]
CHANNEL = "6d2c1a3e-0000-4000-8000-000000000001"


class BrowserClient:
    """Firefox's part of the conversation."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, kind: str, **parts: Any) -> JSON:
        await self.tell(kind, **parts)
        return await self.hear()

    async def tell(self, kind: str, **parts: Any) -> None:
        await self.socket.send_json({"messageType": kind, **parts})

    async def hear(self) -> JSON:
        received: JSON = await self.socket.receive_json(timeout=5)
        return received


def browse(service: PushService, visit: Callable[[BrowserClient], Awaitable[None]]) -> None:
    """Run one connection of a browser."""

    async def connection() -> None:
        async with (
            ClientSession() as session,
            session.ws_connect(service.websocket_url, protocols=["push-notification"]) as socket,
        ):
            assert socket.protocol == "push-notification"
            await visit(BrowserClient(socket))

    asyncio.run(connection())


async def post(sender: Sender, service: PushService, endpoint: str, topic: str | None = None) -> bytes:
    """Push a payload that only a real browser could decrypt; return the encrypted body."""
    body = encrypted(service.new_device(None).as_json(), b"{}")
    answer = await asyncio.to_thread(sender.post, endpoint, body, {"Topic": topic})
    assert answer.status_code == 201
    return body


def test_a_browser_subscribes_receives_and_acknowledges(service: PushService, sender: Sender) -> None:
    async def visit(browser: BrowserClient) -> None:
        hello = await browser.say("hello", uaid="", use_webpush=True)
        assert hello["status"] == 200
        assert hello["use_webpush"] is True
        assert hello["uaid"]
        registered = await browser.say("register", channelID=CHANNEL, key=f"{sender.public_key}=")
        assert registered["pushEndpoint"].startswith(service.url)
        body = await post(sender, service, registered["pushEndpoint"])
        told = await browser.hear()
        assert (told["channelID"], told["ttl"]) == (CHANNEL, 60)
        assert (base64url.decode(told["data"]), told["headers"]) == (body, {"encoding": "aes128gcm"})
        await browser.tell("ack", updates=[{"channelID": CHANNEL, "version": told["version"], "code": 100}])
        await browser.say("ping")

    browse(service, visit)
    device = service.wait_device()
    ack = service.wait_ack(device)
    assert (ack.kind, ack.code, ack.push_id) == ("ack", 100, device.pushes[0].id)
    with pytest.raises(LookupError, match="inside the browser"):
        device.as_json()
    with pytest.raises(ValueError, match="inside the browser"):
        _ = device.pushes[0].payload


def test_an_offline_browser_receives_later_and_once_per_topic(service: PushService, sender: Sender) -> None:
    async def subscribe(browser: BrowserClient) -> None:
        uaids.append((await browser.say("hello", uaid=""))["uaid"])
        await browser.say("register", channelID=CHANNEL, key=sender.public_key)

    async def come_back(browser: BrowserClient) -> None:
        hello = await browser.say("hello", uaid=uaids[0])
        assert hello["uaid"] == uaids[0]
        told = [await browser.hear(), await browser.hear()]
        assert [each["version"] for each in told] == [push.id for push in device.pushes[1:]]
        await browser.tell("nack", version=told[0]["version"], code=301)
        assert await browser.say("ping") == {}

    uaids: list[str] = []
    browse(service, subscribe)
    device = service.wait_device()
    for topic in ("one", "one", "two"):
        asyncio.run(post(sender, service, device.endpoint, topic))
    browse(service, come_back)
    assert (service.wait_ack().kind, service.wait_ack().code) == ("nack", 301)


def test_an_unregistered_channel_is_gone(service: PushService, sender: Sender) -> None:
    async def visit(browser: BrowserClient) -> None:
        await browser.say("hello", uaid="")
        await browser.say("register", channelID=CHANNEL, key=sender.public_key)
        answer = await browser.say("unregister", channelID=CHANNEL, code=200)
        assert answer["status"] == 200

    browse(service, visit)
    device = service.wait_device()
    assert not device.registered
    assert sender.post(device.endpoint, b"").status_code == 410


def test_a_forgotten_browser_gets_a_new_name(service: PushService, sender: Sender) -> None:
    async def visit(browser: BrowserClient) -> None:
        uaid = (await browser.say("hello", uaid=""))["uaid"]
        await browser.say("register", channelID=CHANNEL, key=sender.public_key)
        uaids.append(uaid)

    async def come_back(browser: BrowserClient) -> None:
        assert (await browser.say("hello", uaid=uaids[0]))["uaid"] != uaids[0]

    uaids: list[str] = []
    browse(service, visit)
    service.forget_browsers()
    browse(service, come_back)
    assert sender.post(service.wait_device().endpoint, b"").status_code == 410
