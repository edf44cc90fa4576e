"""A real push service on loopback: RFC 8030 for senders, Mozilla's WebSocket for Firefox."""

import ssl
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.doubles import push_rules
from tests.doubles.loopback_server import LoopbackServer
from tests.doubles.push_answers import NORMAL, Answer
from tests.doubles.push_browsers import Browsers
from tests.doubles.push_device import Device
from tests.doubles.push_records import Push, Request
from tests.doubles.push_registry import PushRegistry
from tests.doubles.wire import pause, perform

_GONE = push_rules.RefusalError(410, 106, "No such subscription").answer()
_NOT_FOUND = push_rules.RefusalError(404, 102, "Not Found").answer()
_TOO_LARGE_TO_READ = 16 * 1024 * 1024


class PushService(PushRegistry):
    """`with PushService() as service:` listens on a free port of `address` until the block ends.

    `url` is the origin of all endpoints: http, or https if an SSL context is given (its certificate must name
    `hostname`). Firefox connects to `websocket_url`, which is always plain. `latency` is the delay, in seconds, before
    a request to an endpoint is handled. `ahead` is how far the service's clock is ahead of the sender's, in seconds.
    `most_at_once` is the highest number of concurrent requests; until it is `held_until`, no request is handled.
    `stop_after`, if set, is how many requests are handled; the others wait until it is None.
    """

    def __init__(
        self, *, ssl_context: ssl.SSLContext | None = None, hostname: str = "127.0.0.1", address: str = "127.0.0.1"
    ) -> None:
        super().__init__()
        self._hostname = hostname
        self._scheme = "https" if ssl_context else "http"
        self._server = LoopbackServer(self._application, ssl_context, address)
        self._browsers = Browsers(self)
        self.websocket_url = ""
        self.latency = 0.0
        self.ahead = 0.0
        self.held_until = 0
        self.stop_after: int | None = None
        self._handled = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start to listen; after a `stop`, use the same ports and devices."""
        self._server.start()
        port = self._server.tls_port or self._server.plain_port
        self.url = f"{self._scheme}://{self._hostname}:{port}"
        self.websocket_url = f"ws://127.0.0.1:{self._server.plain_port}/"

    def stop(self) -> None:
        """Abort all connections, and refuse new ones from now on."""
        self._server.stop()

    def forget_browsers(self) -> None:
        """Forget all subscriptions of browsers, like a service that lost its database."""
        self._server.run(self._browsers.forget())

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=_TOO_LARGE_TO_READ)
        application.router.add_get("/", self._browsers.connect)
        application.router.add_post("/wpush/{channel}", self._logged(self._receive))
        application.router.add_route("*", "/{path:.*}", self._logged(self._not_found))
        application.on_shutdown.append(self._disconnect)
        return application

    async def _disconnect(self, _application: web.Application) -> None:
        await self._browsers.disconnect()

    def _logged(
        self, handler: Callable[[web.Request, Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            entry = self.arrived(request)
            status = None
            try:
                entry.body = await request.read()
                response = await handler(request, entry)
                if request.transport and not request.transport.is_closing():
                    status = response.status
            finally:
                self.answered(entry, status)
            return response

        return handle

    async def _receive(self, request: web.Request, entry: Request) -> web.StreamResponse:
        await pause(self.latency, self._server.stopping)
        while self.most_at_once < self.held_until and not self._server.stopping.is_set():
            await pause(0.01, self._server.stopping)
        while self._is_stopped() and not self._server.stopping.is_set():
            await pause(0.01, self._server.stopping)
        self._handled += 1
        device = self.device_at(request.match_info["channel"])
        answer = (device.next_answer() if device else None) or self.next_answer()
        if device is None:
            answer = answer or _GONE  # not a broken rule: the sender cannot know
        else:
            answer = await self._judge(device, entry, answer or NORMAL)
        return await perform(answer, request, self._server.stopping)

    def _is_stopped(self) -> bool:
        return self.stop_after is not None and self._handled >= self.stop_after

    async def _judge(self, device: Device, entry: Request, answer: Answer) -> Answer:
        if not answer.accepts:
            return answer
        try:
            key = device.vapid_public_key
            now = time.time() + self.ahead
            checked = push_rules.check(entry.headers, entry.body, audience=self.url, key=key, now=now)
        except push_rules.RefusalError as refused:
            return _refuse(entry, refused.answer())
        push = _push(device, entry, checked)
        device.add_push(push)
        await self._browsers.deliver(device, push)
        return replace(answer, headers={"Location": f"{self.url}/m/{push.id}", **answer.headers})

    async def _not_found(self, request: web.Request, entry: Request) -> web.StreamResponse:
        return await perform(_refuse(entry, _NOT_FOUND), request, self._server.stopping)


def _refuse(entry: Request, answer: Answer) -> Answer:
    entry.refusal = str(answer.encoded_body(), "utf-8")
    return answer


def _push(device: Device, entry: Request, checked: push_rules.Checked) -> Push:
    return Push(
        id=uuid.uuid4().hex,
        channel=device.channel,
        headers=entry.headers,
        body=entry.body,
        ttl=checked.ttl,
        topic=checked.topic,
        urgency=checked.urgency,
        claims=checked.claims,
        received_at=time.monotonic(),
        keys=device.keys,
    )
