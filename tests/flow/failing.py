"""Servers that fail on purpose: each stops and starts again on the same port."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from socket import create_server
from typing import TypeVar

import psycopg
import redis

from tests import servers
from tests.conftest import migrate


class Server:
    """A server that is run with a folder and a port, and then has a URL."""

    run: Callable[[Path, int], AbstractContextManager[str]]

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = ExitStack()
        self.port = servers.free_port()
        self.url = ""

    def start(self) -> None:
        self.url = self._running.enter_context(self.run(self._folder, self.port))

    def stop(self) -> None:
        self._running.close()


class Broker(Server):
    """A Redis server."""

    run = staticmethod(servers.redis_server)

    def restart(self) -> None:
        """Restart the server, which loses its queues, because it stores nothing, and breaks every connection."""
        self.stop()
        self.start()

    def flush(self) -> None:
        """Delete all queues and keep the connections."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def hang(self) -> None:
        """Stop answering; only the operating system still accepts connections."""
        self.stop()
        self._running.enter_context(create_server(("127.0.0.1", self.port)))


class Database(Server):
    """A PostgreSQL server."""

    run = staticmethod(servers.postgresql)

    def make_site(self, folder: Path) -> str:
        """Create a database for a site and return its URL."""
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE site")
        url = f"{self.url}/site".replace("postgresql:", "postgresql+psycopg:")
        migrate(url, folder)
        return url


_Any = TypeVar("_Any", bound=Server)


@contextmanager
def running(server: _Any) -> Iterator[_Any]:
    """Run the server for the block."""
    server.start()
    try:
        yield server
    finally:
        server.stop()
