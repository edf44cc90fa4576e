"""The sweeper runs in every worker and every pool, and finds work without a published task."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask

from feedback_push.database import db, utcnow
from feedback_push.feedback.models import Message
from feedback_push.push import outbox, sender, sweeper
from feedback_push.push.sweeper import Sweeper
from tests import servers
from tests.conftest import KEYS, make_settings
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.feedback.messages import receive
from tests.published import PublishedTasks
from tests.push.devices import owner, subscribe_all
from tests.push.notes import note
from tests.site import Site

THREADS = ("--pool", "threads", "--concurrency", "4")
PREFORK = ("--pool", "prefork", "--concurrency", "1")


@pytest.fixture
def worker(app: Flask) -> Iterator[Sweeper]:
    """The sweeper of a worker that has just started."""
    worker = SimpleNamespace(app=app.extensions["celery"], hostname="celery@here")
    step = Sweeper(worker)
    step.start(worker)
    yield step
    step.stop(worker)


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
    """Store notifications without publishing a task, as when the broker is down."""
    with site.database():
        for number in range(count):
            outbox.enqueue(note(tag=f"m-{number}"))
        db.session.commit()


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "INTERVAL", 0.05)


@pytest.mark.usefixtures("often")
def test_a_sweep_is_published_at_once_and_again_until_the_worker_stops(
    published: PublishedTasks, worker: Sweeper
) -> None:
    assert [published.next() for _ in range(3)] == [("push.sweep", [])] * 3
    worker.stop(None)
    time.sleep(0.1)
    published.all()
    assert published.next(0.3) is None


def test_every_worker_of_the_application_gets_the_timer(app: Flask) -> None:
    celery = sweeper.install(app.extensions["celery"])
    assert celery is app.extensions["celery"]
    assert Sweeper in celery.steps["worker"]


def test_a_sweeper_that_never_started_can_be_stopped(app: Flask) -> None:
    Sweeper(None).stop(None)


@pytest.mark.usefixtures("often")
def test_where_the_broker_takes_no_sweep_the_worker_does_the_work_and_goes_on(
    app: Flask, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    app.extensions["celery"].conf.broker_url = "nosuchbroker://"
    held = receive(deleted_at=utcnow() - timedelta(days=2)).id
    db.session.rollback()
    request.getfixturevalue("worker")
    servers.wait_until(lambda: caplog.text.count("the broker did not accept the sweep (KeyError)") >= 3)

    def is_gone() -> bool:
        db.session.rollback()
        return db.session.get(Message, held) is None

    servers.wait_until(is_gone)


def test_a_process_forked_while_its_parent_sends_can_send(app: Flask) -> None:
    with sender._running:  # noqa: SLF001 - as a run of the parent holds it
        assert sender.run() is False
        sweeper._start_afresh()  # noqa: SLF001 - as a pool's child does
        assert sender._running.acquire(blocking=False)  # noqa: SLF001
    sender.start_afresh()


@pytest.mark.server
@pytest.mark.parametrize(
    ("database_url", "pool"), [("sqlite", THREADS), ("postgresql", PREFORK)], indirect=["database_url"]
)
def test_a_worker_sends_what_no_task_announced(site: Site, devices: list[Device], pool: tuple[str, ...]) -> None:
    worker = site.work(*pool)
    _enqueue(site)
    for device in devices:
        device.wait(1, timeout=60)
    worker.terminate()
    assert "Traceback" not in worker.log
    secrets = [KEYS.private_key, *(device.channel for device in devices), *(device.auth for device in devices)]
    assert [secret for secret in secrets if secret in worker.log] == []
