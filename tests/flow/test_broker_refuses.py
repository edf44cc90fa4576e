"""A broker that takes no writes, because it is full or for want of replicas: pushes go on, and /readyz says it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from tests.conftest import KEYS, make_settings
from tests.doubles.push_service import PushService
from tests.flow.failing import Broker, running
from tests.site import OFTEN, Site

FULL = {"maxmemory": "1", "maxmemory-policy": "noeviction"}
WITHOUT_REPLICAS = {"min-replicas-to-write": "1"}
USUAL = {"maxmemory": "0", "min-replicas-to-write": "0"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running(Broker(tmp_path)) as server:
        yield server


def configure(broker: Broker, changes: dict[str, str]) -> None:
    with redis.Redis.from_url(broker.url) as client:
        for name, value in changes.items():
            client.config_set(name, value)


@pytest.mark.parametrize(
    ("database_url", "pool", "refusing"),
    [("sqlite", "threads", FULL), ("postgresql", "prefork", WITHOUT_REPLICAS)],
    indirect=["database_url"],
)
def test_pushes_go_on_while_the_broker_takes_no_writes(
    database_url: str, broker: Broker, service: PushService, tmp_path: Path, pool: str, refusing: dict[str, str]
) -> None:
    with Site(make_settings(database_url, broker.url, tmp_path), sweep_interval=OFTEN) as site:
        site.serve(RATELIMIT_ENABLED="true")
        worker = site.work("--pool", pool, "--concurrency", "2")
        device = service.new_device(KEYS.public_key)
        site.staff().subscribe(device)
        assert site.visitor().get("/readyz").status_code == 200
        configure(broker, refusing)
        thanks = site.visitor().write("Hello")
        assert thanks.url.endswith("/feedback/complete/")
        assert thanks.history[0].elapsed < timedelta(seconds=2)
        ready = site.visitor().get("/readyz")
        assert (ready.status_code, ready.json()["problems"].keys()) == (503, {"broker", "worker"})
        assert device.wait(1, timeout=60)[0].json()["notification"]["body"] == "Hello"
        site.visitor().write("Hello again")
        assert device.wait(2, timeout=60)[1].json()["notification"]["body"] == "Hello again"
        assert worker.is_alive
        configure(broker, USUAL)
        site.visitor().write("And now")
        device.wait(3, timeout=60)
