"""Run an aiohttp application on free ports of this machine, in its own thread and event loop."""

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
    """Serve an application over plain HTTP and, given an SSL context, on a second port over TLS.

    `start` returns when the ports listen, `stop` when the thread has ended. A stopped server can be started again, on
    the same ports. `stopping` is set as soon as `stop` is called; a handler that delays its answer on purpose must
    wait for it.
    """

    def __init__(
        self,
        make_application: Callable[[], web.Application],
        ssl_context: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self._make_application = make_application
        self._ssl_context = ssl_context
        self._address = address
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.stopping = asyncio.Event()
        self.plain_port = 0
        self.tls_port = 0

    def start(self) -> None:
        """Start to listen; raise the error if that fails."""
        started: Future[None] = Future()
        self.stopping = asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="loopback-server", daemon=True
        )
        self._thread.start()
        started.result(_SECONDS_TO_START)

    def stop(self) -> None:
        """Abort the requests in progress and end the thread."""
        if self._thread and self._loop and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self.stopping.set)
            self._thread.join()
        self._thread = self._loop = None

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the server's loop and wait until it ends."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the server is not running")
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS_TO_START)

    async def _serve(self, started: "Future[None]") -> None:
        self._loop = asyncio.get_running_loop()
        runner = web.AppRunner(self._make_application(), access_log=None, shutdown_timeout=_SECONDS_TO_END)
        listeners: list[socket.socket] = []
        try:
            await runner.setup()
            listeners.append(await _listen(runner, self._address, self.plain_port, None))
            self.plain_port = listeners[-1].getsockname()[1]
            if self._ssl_context:
                listeners.append(await _listen(runner, self._address, self.tls_port, self._ssl_context))
                self.tls_port = listeners[-1].getsockname()[1]
        except OSError as error:
            started.set_exception(error)
        else:
            started.set_result(None)
            await self.stopping.wait()
        finally:
            await _end(runner, listeners)


async def _listen(runner: web.AppRunner, address: str, port: int, context: ssl.SSLContext | None) -> socket.socket:
    listener = socket.create_server((address, port), backlog=1024)
    await web.SockSite(runner, listener, ssl_context=context).start()
    return listener


async def _end(runner: web.AppRunner, listeners: list[socket.socket]) -> None:
    await _refuse_newcomers(listeners)
    for site in list(runner.sites):
        await site.stop()
    open_connections = [handler.transport for handler in runner.server.connections] if runner.server else []
    await runner.cleanup()
    for connection in open_connections:
        if connection is not None:
            connection.abort()  # a TLS client that keeps its connection would delay a graceful close
    await asyncio.sleep(0.01)  # the loop closes the sockets in its next step


async def _refuse_newcomers(listeners: list[socket.socket]) -> None:
    """Close the connections that are just being made, which the runner does not know yet."""
    for listener in listeners:
        asyncio.get_running_loop().remove_reader(listener)
    # Accepted connections must start before their server closes, or asyncio would leave them open.
    await asyncio.sleep(0)
    newcomers = [task for task in asyncio.all_tasks() if "_accept_connection" in str(task.get_coro())]
    for task in newcomers:
        task.cancel()
    if newcomers:
        await asyncio.wait(newcomers)
