"""A reverse proxy on loopback, as docs/deploy.md has one before the site: it ends TLS and says so in X-Forwarded-*."""

import ssl
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from tests.doubles.loopback_server import LoopbackServer

_OF_ONE_CONNECTION = ("Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length", "Date", "Server")


class HttpsProxy:
    """`with HttpsProxy(site, context) as proxy:` is the site at https://localhost and at a plain port too.

    Both stand for the usual ports: the proxy always forwards the https address to the site.
    """

    def __init__(self, site: str, context: ssl.SSLContext) -> None:
        self._site = site
        self._server = LoopbackServer(self._application, context)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        """The site's address for its visitors."""
        return f"https://localhost:{self.tls_port}"

    @property
    def plain_port(self) -> int:
        """The port for plain http."""
        return self._server.plain_port

    @property
    def tls_port(self) -> int:
        """The port for https."""
        return self._server.tls_port

    def _application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._forward)
        application.cleanup_ctx.append(self._client)
        return application

    async def _client(self, _application: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as self._http:
            yield

    async def _forward(self, request: web.Request) -> web.Response:
        headers = _without(request.headers)
        headers["X-Forwarded-For"] = request.remote or ""
        headers["X-Forwarded-Proto"] = request.scheme
        headers["X-Forwarded-Host"] = f"localhost:{self.tls_port}"
        body = await request.read()
        asked = self._http.request(
            request.method, self._site + request.raw_path, headers=headers, data=body, allow_redirects=False
        )
        async with asked as answer:
            return web.Response(status=answer.status, headers=_without(answer.headers), body=await answer.read())


def _without(headers: Mapping[str, str]) -> CIMultiDict[str]:
    kept = CIMultiDict(headers)
    for name in _OF_ONE_CONNECTION:
        kept.popall(name, None)
    return kept
