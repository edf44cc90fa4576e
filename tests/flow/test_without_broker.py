"""A broker that is down or hangs costs a visitor nothing, and a message nothing but time."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import KEYS, make_settings
from tests.doubles.push_service import PushService
from tests.flow.failing import Broker, running
from tests.site import OFTEN, Site


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running(Broker(tmp_path)) as redis:
        yield redis


@pytest.mark.parametrize("fail", [Broker.stop, Broker.hang])
def test_a_message_is_taken_at_once_without_the_broker_and_delivered_when_it_is_back(
    sqlite_url: str, broker: Broker, service: PushService, tmp_path: Path, fail: Callable[[Broker], None]
) -> None:
    settings = replace(make_settings(sqlite_url, broker.url, tmp_path), ratelimit_enabled=True)
    with Site(settings, sweep_interval=OFTEN) as site:
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
        assert device.wait(1, timeout=60)[0].json()["notification"]["body"] == "Hello"
