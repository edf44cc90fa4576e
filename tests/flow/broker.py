"""A Redis server that fails on purpose."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import create_server

import redis

from tests import servers


class Broker:
    """A Redis server that can be stopped and started on the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = ExitStack()
        self.port = servers.free_port()
        self.url = ""

    def start(self) -> None:
        self.url = self._running.enter_context(servers.redis_server(self._folder, self.port))

    def stop(self) -> None:
        self._running.close()

    def restart(self) -> None:
        """It keeps nothing on disk: all that was queued is gone, and every connection broken."""
        self.stop()
        self.start()

    def flush(self) -> None:
        """Lose all that is queued, the connections stay."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def hang(self) -> None:
        """From now on connections are accepted by nobody but the system, and nothing is answered."""
        self.stop()
        self._running.enter_context(create_server(("127.0.0.1", self.port)))


@contextmanager
def running(folder: Path) -> Iterator[Broker]:
    """A broker that has started."""
    broker = Broker(folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
