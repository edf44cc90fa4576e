"""Run one sender: read jobs from standard input, send the pushes, and print the seconds that each job took."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import aiohttp
from pywebpush import WebPusher, webpush, webpush_async

from benchmarks.devices import subscription
from benchmarks.senders import IN_FLIGHT, TTL, Kit
from feedback_push.webpush.endpoints import EndpointPolicy
from feedback_push.webpush.gateway import Config, Gateway, Push, Result
from feedback_push.webpush.vapid import VapidKeys

Device = dict[str, Any]
Send = Callable[[list[Device]], None]


def tutorial(kit: Kit) -> Send:
    """Send as the tutorial does: call `webpush()` for one device after another."""

    def send(devices: list[Device]) -> None:
        for device in devices:
            claims = {"sub": kit.subject}
            webpush(device, data=kit.payload, vapid_private_key=kit.private_key, vapid_claims=claims, ttl=TTL)

    return send


def asynchronous(kit: Kit) -> Send:
    """Send with `webpush_async` and one session."""
    runner = asyncio.Runner()
    session = runner.run(_open_session())

    async def one_after_another(devices: Iterator[Device]) -> None:
        for device in devices:
            claims: dict[str, str | int] = {"sub": kit.subject}
            await webpush_async(
                device, data=kit.payload, vapid_private_key=kit.private_key, vapid_claims=claims, ttl=TTL,
                aiohttp_session=session,
            )  # fmt: skip

    async def send_all(devices: Iterator[Device]) -> None:
        await asyncio.gather(*(one_after_another(devices) for _ in range(IN_FLIGHT)))

    return lambda devices: runner.run(send_all(iter(devices)))


async def _open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT))


def gateway(kit: Kit) -> Send:
    """Send with our gateway, kept busy as `push.sender` does."""
    config = Config(kit.subject, EndpointPolicy(("127.0.0.1",), private_allowed=True))
    door = Gateway(config, [VapidKeys(kit.private_key, kit.public_key)])
    window, refill = 6 * config.concurrency, 4 * config.concurrency

    def send(devices: list[Device]) -> None:
        pushes = [(n, _push(kit, device)) for n, device in enumerate(devices)]
        results: SimpleQueue[Result[int]] = SimpleQueue()
        started = done = 0
        while done < len(pushes):
            if started - done <= refill:
                door.send(pushes[started : done + window], results)
                started = min(len(pushes), done + window)
            done += _accepted(results)

    return send


def _accepted(results: "SimpleQueue[Result[int]]") -> int:
    """Wait for a result and collect those that follow shortly after, as `push.in_flight` does."""
    gathered = [results.get()]
    time.sleep(0.02)
    while not results.empty():
        gathered.append(results.get())
    for result in gathered:
        if result.error:
            raise result.error
    return len(gathered)


def _push(kit: Kit, device: Device) -> Push:
    return Push(
        endpoint=device["endpoint"], **device["keys"], vapid_public_key=kit.public_key, payload=kit.payload,
        ttl=TTL, urgency="high", topic="t" * 32,
    )  # fmt: skip


def encode(kit: Kit) -> Send:
    """Only encrypt; every sender must do at least this."""
    payload = kit.payload.encode()

    def send(devices: list[Device]) -> None:
        for device in devices:
            WebPusher(device).encode(payload)

    return send


_SENDERS = {function.__name__: function for function in (tutorial, asynchronous, gateway, encode)}


def _main(name: str, kit_file: str) -> None:
    kit = Kit(**json.loads(Path(kit_file).read_text()))
    send = _SENDERS[name](kit)
    for line in sys.stdin:
        job = json.loads(line)
        devices = [subscription(job["prefix"], number, kit.keys) for number in range(job["devices"])]
        started = time.perf_counter()
        send(devices)
        print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
