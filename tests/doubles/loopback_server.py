"""An aiohttp application on free loopback ports, in a thread and an event loop of its own."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

from aiohttp import web

_SECONDS_TO_START = 10.0
_SECONDS_TO_END = 1.0


class LoopbackServer:
    """Serves an application over plain HTTP and, given an SSL context, on a second port over TLS.

    `start` returns when the ports listen, `stop` when the thread is gone; a stopped server can be started
    again and listens on the same ports. `stopping` is set as soon as `stop` is called: a handler that keeps
    its client waiting on purpose waits for it.
    """

    def __init__(
        self, make_application: Callable[[], web.Application], ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._make_application = make_application
        self._ssl_context = ssl_context
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.stopping = asyncio.Event()
        self.plain_port = 0
        self.tls_port = 0

    def start(self) -> None:
        """Listen, and raise what prevented it."""
        started: Future[None] = Future()
        self.stopping = asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="loopback-server", daemon=True
        )
        self._thread.start()
        started.result(_SECONDS_TO_START)

    def stop(self) -> None:
        """Break off what is still being answered and end the thread."""
        if self._thread and self._loop and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self.stopping.set)
            self._thread.join()
        self._thread = self._loop = None

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the server's loop and wait for its end."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the server is not running")
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS_TO_START)

    async def _serve(self, started: "Future[None]") -> None:
        self._loop = asyncio.get_running_loop()
        runner = web.AppRunner(self._make_application(), access_log=None, shutdown_timeout=_SECONDS_TO_END)
        try:
            await runner.setup()
            self.plain_port = await _listen(runner, self.plain_port, None)
            if self._ssl_context:
                self.tls_port = await _listen(runner, self.tls_port, self._ssl_context)
        except OSError as error:
            started.set_exception(error)
        else:
            started.set_result(None)
            await self.stopping.wait()
        finally:
            await _end(runner)


async def _listen(runner: web.AppRunner, port: int, context: ssl.SSLContext | None) -> int:
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    await web.SockSite(runner, listener, ssl_context=context).start()
    return int(listener.getsockname()[1])


async def _end(runner: web.AppRunner) -> None:
    for site in list(runner.sites):
        await site.stop()
    await asyncio.sleep(0.01)  # for what was just being accepted
    open_connections = [handler.transport for handler in runner.server.connections] if runner.server else []
    await runner.cleanup()
    for connection in open_connections:
        if connection is not None:
            connection.abort()  # a TLS client that keeps its connection would delay the polite way
    await asyncio.sleep(0.01)  # the loop closes the sockets a step later
