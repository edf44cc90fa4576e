"""Faults during a fan-out: no device is missed or notified twice, and every thanked visitor's message is stored."""

import resource
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import ColumnElement, delete

from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.push import circuit_breaker
from feedback_push.push.models import Delivery, DeliveryState, OutboxEntry, Subscription
from tests import servers
from tests.conftest import make_settings
from tests.doubles.push_answers import HANG
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.flow.deliveries import let_time_pass, pushes_of_each, received, states, subscribe_many, wait_until_final
from tests.flow.failing import Broker, Database, running
from tests.site import OFTEN, Site
from tests.visits import Page

DEVICES = 60
BEFORE = 20  # devices that are reached before the fault
SLOWLY = {"PUSH_CONCURRENCY": "8"}  # so that a run claims 48 of them at most
DAY_AND_MORE = 26 * 3600.0


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running(Broker(tmp_path_factory.mktemp("redis"))) as broker:
        yield broker


@pytest.fixture(scope="module")
def serving_sqlite(redis: Broker, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(migrated_sqlite, folder / "site.sqlite")
    settings = make_settings(f"sqlite:///{folder / 'site.sqlite'}", redis.url, folder)
    with Site(settings, sweep_interval=OFTEN) as site:
        site.serve()
        yield site


@pytest.fixture
def sqlite_site(serving_sqlite: Site) -> Iterator[Site]:
    yield serving_sqlite
    serving_sqlite.empty()


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Database]:
    folder = Path("/tmp") / f"feedback-push-tests-{uuid4().hex[:12]}"  # noqa: S108 - PostgreSQL's user must get in
    folder.mkdir(mode=0o755)
    with running(Database(folder)) as database:
        yield database
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def serving_postgresql(postgresql: Database, redis: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    settings = make_settings(postgresql.make_site(folder), redis.url, folder)
    with Site(settings, sweep_interval=OFTEN) as site:
        site.serve()
        yield site


@pytest.fixture
def postgresql_site(serving_postgresql: Site) -> Iterator[Site]:
    yield serving_postgresql
    serving_postgresql.empty()


def in_the_middle(site: Site, service: PushService, fault: Callable[[], object]) -> list[Device]:
    """Let a message go out to many devices and the fault happen after some; the devices."""
    devices = subscribe_many(site, service, DEVICES)
    service.stop_after = BEFORE
    site.visitor().write("Hello")
    service.wait_until(lambda: received(devices) == BEFORE)
    fault()
    assert received(devices) == BEFORE, "it was to happen in the middle"
    service.stop_after = None
    return devices


@pytest.mark.parametrize("fault", [Broker.restart, Broker.flush])
def test_a_broker_that_forgets_everything_delays_nothing_for_long(
    sqlite_site: Site, redis: Broker, service: PushService, fault: Callable[[Broker], None]
) -> None:
    with sqlite_site.work("--pool", "threads", **SLOWLY) as worker:
        devices = in_the_middle(sqlite_site, service, lambda: fault(redis))
        wait_until_final(sqlite_site)
        sqlite_site.visitor().write("Hello again")
        wait_until_final(sqlite_site)
        assert worker.is_alive
    assert pushes_of_each(devices) == {2: DEVICES}


def test_a_database_that_restarts_costs_time_and_neither_messages_nor_doubles(
    postgresql_site: Site, postgresql: Database, service: PushService
) -> None:
    site = postgresql_site
    with site.work("--pool", "threads", **SLOWLY) as worker:
        devices = in_the_middle(site, service, postgresql.stop)
        page = site.visitor().read("/feedback/")  # a form needs no database
        servers.wait_until(lambda: "the database did not store" in worker.log)
        postgresql.start()
        wait_until_final(site)
    assert page.one("form")
    assert pushes_of_each(devices) == {1: DEVICES}
    assert states(site) == {DeliveryState.ACCEPTED: DEVICES}


def test_a_visitor_is_thanked_only_for_what_the_database_has_taken(postgresql_site: Site, postgresql: Database) -> None:
    visitor = postgresql_site.visitor()
    postgresql.stop()
    refused = visitor.write("A long story", name="Zoë")
    assert refused.status_code == 503
    assert "It is still here" in refused.text
    assert Page(refused).one("textarea", name="content").raw.strip() == "A long story"
    postgresql.start()
    assert visitor.write("A long story").url.endswith("/feedback/complete/")


def test_a_locked_database_costs_time_only(sqlite_site: Site, service: PushService) -> None:
    file = sqlite_site.settings.database_url.removeprefix("sqlite:///")
    with (
        closing(sqlite3.connect(file, isolation_level=None)) as neighbour,
        ThreadPoolExecutor() as at_once,
        sqlite_site.work("--pool", "threads", **SLOWLY),
    ):
        devices = in_the_middle(sqlite_site, service, partial(neighbour.execute, "BEGIN IMMEDIATE"))
        posting = at_once.submit(sqlite_site.visitor().write, "While it is locked")
        time.sleep(6)  # longer than SQLite's own patience
        assert not posting.done()
        neighbour.execute("COMMIT")
        assert posting.result().url.endswith("/feedback/complete/")
        wait_until_final(sqlite_site)
    assert pushes_of_each(devices) == {2: DEVICES}
    assert states(sqlite_site) == {DeliveryState.ACCEPTED: 2 * DEVICES}


def test_a_full_disk_is_said_and_the_typed_text_stays(sqlite_site: Site) -> None:
    visitor = sqlite_site.visitor()
    visitor.write("There is room")
    _limit_files(sqlite_site, 4096)
    refused = visitor.write("A long story", name="Zoë", email="zoe@example.org")
    assert refused.status_code == 503
    assert "It is still here" in refused.text
    assert Page(refused).one("textarea", name="content").raw.strip() == "A long story"
    _limit_files(sqlite_site, resource.RLIM_INFINITY)
    assert visitor.write("A long story").url.endswith("/feedback/complete/")


def test_a_service_that_hangs_keeps_the_others_from_nothing(sqlite_site: Site, service: PushService) -> None:
    with PushService() as other, PushService() as third, PushService() as hanging:
        hanging.answers(HANG)
        stuck = subscribe_many(sqlite_site, hanging, 20)
        served = [device for each in (service, other, third) for device in subscribe_many(sqlite_site, each, 20)]
        with sqlite_site.work("--pool", "threads", **SLOWLY):
            sqlite_site.visitor().write("Hello")
            servers.wait_until(lambda: received(served) == len(served), 60)
            assert received(stuck) == 0
            hanging.answers_normally()
            hanging.stop()  # which ends the requests that hang, as the sender does after ten seconds
            hanging.start()
            refused_once = (Delivery.attempts == 1, Delivery.error.is_not(None))
            servers.wait_until(lambda: _released(sqlite_site, stuck, *refused_once), 60)
    assert pushes_of_each([*served, *stuck]) == {1: 80}


def test_a_wrong_clock_loses_nobody(sqlite_site: Site, service: PushService) -> None:
    with PushService() as other:
        service.ahead, other.ahead = DAY_AND_MORE, -DAY_AND_MORE
        devices = [device for each in (service, other) for device in subscribe_many(sqlite_site, each, 30)]
        with sqlite_site.work("--pool", "threads", **SLOWLY):
            sqlite_site.visitor().write("Hello")
            servers.wait_until(lambda: _are_refused(sqlite_site, 2), 60)
            requests = {each: len(each.requests) for each in (service, other)}
            assert max(requests.values()) <= 8, "only what was under way"
            not_in_flight = Delivery.attempts == 0  # an attempt that is refused because of the clock does not count
            let_time_pass(sqlite_site, not_in_flight)
            for each, before in requests.items():
                each.wait_requests(before + 1)
            time.sleep(OFTEN)  # the others would follow by then
            for each, before in requests.items():
                assert len(each.requests) <= before + 2, "one probe at a time"
            service.ahead = other.ahead = 0.0
            servers.wait_until(lambda: _released(sqlite_site, devices, not_in_flight), 60)
    assert pushes_of_each(devices) == {1: 60}
    assert states(sqlite_site) == {DeliveryState.ACCEPTED: 60}


@pytest.mark.parametrize("removed", [OutboxEntry, Subscription, User])
def test_a_deletion_during_the_run_causes_no_error(sqlite_site: Site, service: PushService, removed: type) -> None:
    def remove() -> None:
        with sqlite_site.database():
            db.session.execute(delete(removed))
            db.session.commit()

    earlier = sqlite_site.failures
    with sqlite_site.work("--pool", "threads", **SLOWLY) as worker:
        devices = in_the_middle(sqlite_site, service, remove)
        wait_until_final(sqlite_site)
        assert [event for event in worker.events if event["level"] in ("error", "critical")] == []
    assert received(devices) <= DEVICES
    assert max(len(device.pushes) for device in devices) == 1
    assert sqlite_site.failures == earlier


def _released(site: Site, devices: list[Device], *which: ColumnElement[bool]) -> bool:
    """Return whether every device has its push; if not, make those of the waiting deliveries due."""
    if received(devices) >= len(devices):
        return True
    let_time_pass(site, *which)
    time.sleep(OFTEN)
    return False


def _are_refused(site: Site, services: int) -> bool:
    """Return whether so many circuits are open, and no result is outstanding that would open one for longer."""
    with site.database():
        in_flight = db.session.query(Delivery).filter(Delivery.attempts > 0).count()
        return len(circuit_breaker.open_circuits()) == services and in_flight == 0


def _limit_files(site: Site, size: int) -> None:
    """Let the web server's processes write no file beyond this size, as on a disk that is full."""
    for process in site.web.family():
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
