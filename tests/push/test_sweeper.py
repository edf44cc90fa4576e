"""The sweeper: in every worker, whatever its pool, and all that finds what nobody has knocked for."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery.utils.timer2 import Timer
from flask import Flask

from feedback_push.database import db
from feedback_push.push import outbox, sweeper
from feedback_push.push.sweeper import Sweeper
from tests import servers
from tests.conftest import KEYS, make_settings
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.push.devices import owner, subscribe_all
from tests.push.knocks import Knocks
from tests.push.notes import note
from tests.site import Site

THREADS = ("--pool", "threads", "--concurrency", "4")
PREFORK = ("--pool", "prefork", "--concurrency", "1")


@pytest.fixture
def timer() -> Iterator[Timer]:
    timer = Timer()
    yield timer
    timer.stop()


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site without a web server, and with a broker that no worker of another test listens to."""
    with servers.redis_server(tmp_path) as redis_url, Site(make_settings(database_url, redis_url, tmp_path)) as site:
        yield site


@pytest.fixture
def devices(site: Site, service: PushService) -> list[Device]:
    devices = [service.new_device(KEYS.public_key) for _ in range(3)]
    with site.database():
        subscribe_all(owner(), devices)
    return devices


def _enqueue(site: Site, count: int = 1) -> None:
    """Store notifications without a knock, as when the broker was down."""
    with site.database():
        for number in range(count):
            outbox.enqueue(note(tag=f"m-{number}"))
        db.session.commit()


def test_a_sweep_is_published_at_once_and_again_until_the_worker_stops(
    app: Flask, knocks: Knocks, timer: Timer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "INTERVAL", 0.05)
    worker = SimpleNamespace(timer=timer)
    step = Sweeper(worker)
    step.start(worker)
    assert [knocks.next() for _ in range(3)] == [("push.sweep", [])] * 3
    step.stop(worker)
    time.sleep(0.1)
    knocks.all()
    assert knocks.next(0.3) is None


def test_every_worker_of_the_application_gets_the_timer(app: Flask) -> None:
    celery = sweeper.install(app.extensions["celery"])
    assert celery is app.extensions["celery"]
    assert Sweeper in celery.steps["worker"]


def test_a_sweeper_that_never_started_can_be_stopped(app: Flask) -> None:
    Sweeper(None).stop(None)


def test_a_sweep_that_the_broker_does_not_take_stops_no_timer(
    app: Flask, timer: Timer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sweeper, "INTERVAL", 0.05)
    app.extensions["celery"].conf.broker_url = "nosuchbroker://"
    worker = SimpleNamespace(timer=timer)
    step = Sweeper(worker)
    step.start(worker)
    servers.wait_until(lambda: caplog.text.count("the broker did not take the sweep (KeyError)") >= 3)
    step.stop(worker)


@pytest.mark.parametrize(
    ("database_url", "pool"), [("sqlite", THREADS), ("postgresql", PREFORK)], indirect=["database_url"]
)
def test_a_worker_sends_what_nobody_has_knocked_for(site: Site, devices: list[Device], pool: tuple[str, ...]) -> None:
    worker = site.work(*pool)
    _enqueue(site)
    for device in devices:
        device.wait(1, timeout=20)
    worker.terminate()
    assert "Traceback" not in worker.log
    secrets = [KEYS.private_key, *(device.channel for device in devices), *(device.auth for device in devices)]
    assert [secret for secret in secrets if secret in worker.log] == []
