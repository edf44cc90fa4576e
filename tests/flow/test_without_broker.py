"""A broker that is down or hangs costs a visitor nothing, and a message nothing but time."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from socket import create_server

import pytest

from tests import servers
from tests.conftest import KEYS, make_settings
from tests.doubles.push_service import PushService
from tests.site import Site


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

    def hang(self) -> None:
        """From now on connections are accepted by nobody but the system, and nothing is answered."""
        self.stop()
        self._running.enter_context(create_server(("127.0.0.1", self.port)))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    redis = Broker(tmp_path)
    redis.start()
    yield redis
    redis.stop()


@pytest.mark.parametrize("fail", [Broker.stop, Broker.hang])
def test_a_message_is_taken_at_once_without_the_broker_and_delivered_when_it_is_back(
    sqlite_url: str, broker: Broker, service: PushService, tmp_path: Path, fail: Callable[[Broker], None]
) -> None:
    settings = replace(make_settings(sqlite_url, broker.url, tmp_path), ratelimit_enabled=True)
    with Site(settings) as site:
        site.serve()
        site.work("--pool", "threads")
        device = service.new_device(KEYS.public_key)
        site.staff().subscribe(device)
        fail(broker)
        thanks = site.visitor().write("Hello")
        assert thanks.url.endswith("/feedback/complete/")
        assert thanks.history[0].elapsed < timedelta(seconds=1)
        broker.stop()
        broker.start()
        assert device.wait(1, timeout=45)[0].json()["notification"]["body"] == "Hello"
