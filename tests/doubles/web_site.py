"""A web site on loopback that serves what a test puts there, and records who asked for it."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.doubles.loopback_server import LoopbackServer


@dataclass
class Page:
    """An answer. A request with its `etag` gets 304; an `endless` body never ends, and a `silent` page never comes."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/rss+xml"
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str = ""
    endless: bool = False
    silent: bool = False


class WebSite:
    """`with WebSite() as site:` listens on a free port of 127.0.0.1 until the block ends, over https with a context.

    `pages` are its answers by path; `requests` are the paths and headers of the requests that it got.
    """

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, Page] = {}
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self._server = LoopbackServer(self._application, ssl_context)

    def __enter__(self) -> Self:
        self._server.start()
        self.port = self._server.tls_port or self._server.plain_port
        self.url = f"https://localhost:{self.port}" if self._server.tls_port else f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.stop()

    def _application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path_qs, dict(request.headers)))
        page = self.pages.get(request.path, Page(b"nothing here", 404, "text/plain"))
        headers = {"Content-Type": page.content_type, **page.headers}
        if page.silent:
            await self._server.stopping.wait()
        if page.endless:
            return await self._never_end(request, page, headers)
        if page.etag:
            headers["ETag"] = page.etag
            if request.headers.get("If-None-Match") == page.etag:
                return web.Response(status=304, headers=page.headers)
        return web.Response(body=page.body, status=page.status, headers=headers)

    async def _never_end(self, request: web.Request, page: Page, headers: dict[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        while not self._server.stopping.is_set():
            await response.write(page.body)
            await asyncio.sleep(0)
        return response
