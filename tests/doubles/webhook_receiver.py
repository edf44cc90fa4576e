"""A receiver of webhooks on loopback, which checks each signature with the reference library."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from tests import servers
from tests.doubles.loopback_server import LoopbackServer


@dataclass
class Reply:
    """The answer to a request; a `silent` one never comes, an `endless` one never ends."""

    status: int = 200
    body: bytes = b"thanks"
    headers: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False
    endless: bool = False


@dataclass
class Received:
    """A request. `is_genuine` tells if one of the receiver's secrets has signed it within the last five minutes."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    is_genuine: bool

    @property
    def id(self) -> str:
        """The identifier of the event."""
        return self.headers["webhook-id"]

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)


class WebhookReceiver:
    """`with WebhookReceiver() as receiver:` listens on a free port of 127.0.0.1 until the block ends.

    `secrets` are its signing secrets. `replies` are its next answers by path; then it answers with 200.
    """

    def __init__(self) -> None:
        self.secrets: list[str] = []
        self.replies: dict[str, list[Reply]] = {}
        self.requests: list[Received] = []
        self._server = LoopbackServer(self._application)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start to listen; after a `stop`, on the same port."""
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.plain_port}"

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.stop()

    def answer(self, path: str, *replies: Reply) -> None:
        """Give these answers to the next requests for a path."""
        self.replies[path] = list(replies)

    def at(self, path: str) -> list[Received]:
        """Return the requests that came for a path."""
        return [request for request in self.requests if request.path == path]

    def wait_for(self, count: int, timeout: float = 30) -> None:
        """Wait until it has received this many requests."""
        servers.wait_until(lambda: len(self.requests) >= count, timeout, "a webhook")

    def _application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._receive)
        return application

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Received(request.path_qs, headers, body, self._is_genuine(headers, body)))
        waiting = self.replies.get(request.path)
        reply = waiting.pop(0) if waiting else Reply()
        if reply.silent:
            await self._server.stopping.wait()
        if reply.endless:
            return await self._never_end(request, reply)
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)

    def _is_genuine(self, headers: dict[str, str], body: bytes) -> bool:
        for secret in self.secrets:
            try:
                Webhook(secret).verify(body, headers)
            except (WebhookVerificationError, UnicodeDecodeError):
                continue
            return True
        return False

    async def _never_end(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(status=reply.status)
        await response.prepare(request)
        while not self._server.stopping.is_set():
            await response.write(reply.body)
            await asyncio.sleep(0)
        return response
