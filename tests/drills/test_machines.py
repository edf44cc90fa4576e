"""A site on several machines, one of which loses the network in the middle of a broadcast."""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from flask import Flask
from sqlalchemy import ColumnElement, text

from feedback_push import create_app
from feedback_push.database import db
from feedback_push.push import followers
from feedback_push.push.browser_subscription import BrowserSubscription
from feedback_push.push.models import Delivery, DeliveryState, PreviewLevel
from feedback_push.topics import broadcasts, topics
from tests import servers
from tests.conftest import KEYS, make_settings, make_user, migrate
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.drills import machines
from tests.drills.harness import report
from tests.drills.machines import Machine
from tests.environment import environment_of
from tests.program import Program
from tests.topics.followed import DRAFT

FOLLOWERS = 3000
SESSIONS = """
import threading, time
from feedback_push import create_app
from feedback_push.database import db
from sqlalchemy import text

app = create_app()

def transaction(statement):
    with app.app_context():
        db.session.execute(text(statement))
        time.sleep(300)

receiving = "SELECT repeat('x', 100000), pg_sleep(0.02) FROM generate_series(1, 10000)"
for statement in (receiving, "SELECT 1"):
    threading.Thread(target=transaction, args=(statement,)).start()
"""
LONGEST = 240.0  # seconds for the broadcast: the cut-off worker's claims wait for a minute
SOON = 15.0  # seconds, within which nothing that waits for them is sent
IN_FLIGHT = Delivery.claim.is_not(None) & Delivery.due_at.is_not(None)


class Cluster:
    """The site's programs, each on a machine of its own."""

    def __init__(self, web: Machine, data: Machine, folder: Path, database_url: str) -> None:
        self.web, self.data, self._folder = web, data, folder
        redis_url = f"redis://{data.address}:6379/0"
        settings = make_settings(database_url, redis_url, folder)
        self.settings = replace(
            settings, site_url=f"http://{web.address}:8000", host=web.address, port=8000,
            push_allowed_hosts=(machines.SWITCH,),
        )  # fmt: skip
        self.app: Flask = create_app(self.settings)

    def serve(self) -> None:
        """Start Redis and the web server, and wait until the site answers."""
        command = ["redis-server", "--bind", self.data.address, "--protected-mode", "no", "--save", ""]
        self.data.run(command, self._folder / "redis.log", {})
        self._start(self.web, "feedback_push.web_server", "web")
        servers.wait_until(self._answers, what="the web server's start")

    def work(self, machine: Machine) -> Program:
        """Start a worker on this machine, wait until it is ready and return it."""
        worker = self._start(machine, "feedback_push.worker", machine.name, "--concurrency", "1", "--loglevel", "INFO")
        servers.wait_until(lambda: " ready." in worker.log, what="the worker's start")
        return worker

    def _start(self, machine: Machine, module: str, name: str, *options: str) -> Program:
        command = [sys.executable, "-m", module, *options]
        return machine.run(command, self._folder / f"{name}.log", environment_of(self.settings))

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.settings.site_url}/healthz", timeout=5).ok
        except requests.RequestException:
            return False


@pytest.fixture
def network(tmp_path: Path) -> Iterator[list[Machine]]:
    """Connect five machines, whose programs write their logs to `tmp_path`."""
    assert tmp_path.is_dir()
    if not machines.can_be_made():
        pytest.skip("network namespaces need root")
    with machines.network("web", "data", "one", "two", "three") as made:
        yield made


@pytest.mark.allow_hosts(["127.0.0.1", *(f"10.213.77.{number}" for number in range(1, 7))])
@pytest.mark.timeout(400)
def test_a_broadcast_survives_the_loss_of_a_machine_and_uses_a_new_one(network: list[Machine], tmp_path: Path) -> None:
    web, data, one, two, three = network
    url = machines.postgresql(data)
    with PushService(hostname=machines.SWITCH, address=machines.SWITCH) as service:
        migrate(url, tmp_path)
        cluster = Cluster(web, data, tmp_path, url)
        service.latency = 0.05
        cluster.serve()
        workers = {machine.address: (machine, cluster.work(machine)) for machine in (one, two)}
        devices = follow_and_broadcast(cluster, service)

        def received() -> int:
            time.sleep(0.2)  # because each look goes through all devices
            return sum(bool(device.pushes) for device in devices)

        servers.wait_until(lambda: received() >= FOLLOWERS // 4)
        cut, its_worker = workers[service.requests[-1].client[0]]  # the machine that sends, and so holds claims
        cut.pull_the_cable()
        cut_at, before, claimed = time.monotonic(), received(), count(cluster, IN_FLIGHT)
        cluster.work(three)
        servers.wait_until(lambda: received() == FOLLOWERS, LONGEST)
        last = time.monotonic() - cut_at
        cut.plug_it_in()
        servers.wait_until(lambda: not count(cluster, Delivery.due_at.is_not(None)), 60, "the last result")
        time.sleep(3)  # the machine that is back may still send what it had begun
        doubled = sum(len(device.pushes) for device in devices) - FOLLOWERS
        accepted = count(cluster, Delivery.state == DeliveryState.ACCEPTED)
        its_worker.kill()
    report(
        f"A machine of two is cut off after {before} of {FOLLOWERS} pushes, and another added",
        f"lost 0, doubled {doubled} of {claimed} in flight, the last push {last:.0f} s after the cut",
    )
    assert accepted == FOLLOWERS
    assert doubled <= claimed
    assert last > SOON, "the machine was to hold claims, which wait for a minute, when it was cut off"


@pytest.mark.allow_hosts(["127.0.0.1", *(f"10.213.77.{number}" for number in range(1, 7))])
@pytest.mark.timeout(120)
def test_the_database_ends_the_transactions_of_a_machine_that_is_cut_off(
    network: list[Machine], tmp_path: Path
) -> None:
    web, data, one, *_ = network
    cluster = Cluster(web, data, tmp_path, machines.postgresql(data))
    one.run([sys.executable, "-c", SESSIONS], tmp_path / "sessions.log", environment_of(cluster.settings))
    servers.wait_until(lambda: open_transactions(cluster, one) == ["ClientRead", "PgSleep"])
    one.pull_the_cable()
    cut_at = time.monotonic()
    servers.wait_until(lambda: open_transactions(cluster, one) == ["ClientRead", "ClientWrite"])
    servers.wait_until(lambda: not open_transactions(cluster, one), 40, "the end of both transactions")
    report(
        "A machine is cut off in two transactions", f"the last ended {time.monotonic() - cut_at:.0f} s after the cut"
    )


def open_transactions(cluster: Cluster, machine: Machine) -> list[str]:
    """Return for what the server waits in each open transaction of a machine."""
    waits = text(
        "SELECT wait_event FROM pg_stat_activity WHERE client_addr = CAST(:address AS inet) AND xact_start IS NOT NULL"
    )
    with cluster.app.app_context():
        found = db.session.scalars(waits, {"address": machine.address}).all()
        db.session.remove()
        db.engine.dispose()
    return sorted(str(wait) for wait in found)


def follow_and_broadcast(cluster: Cluster, service: PushService) -> list[Device]:
    """Make a topic with followers, send a broadcast to it, and return the devices."""
    devices = [service.new_device(KEYS.public_key) for _ in range(FOLLOWERS)]
    with cluster.app.app_context():
        make_user("staff@example.org")
        topic = topics.add(slug="tricks", name="Tricks")
        for device in devices:
            browser = BrowserSubscription(device.endpoint, device.p256dh, device.auth)
            saved = followers.save(browser, vapid_public_key=KEYS.public_key, name="Browser", language="en")
            followers.follow(saved, {topic.audience_id: PreviewLevel.ALL})
        broadcasts.start(broadcasts.add(topic, DRAFT))
        db.session.commit()
        db.session.remove()
        db.engine.dispose()
    return devices


def count(cluster: Cluster, which: ColumnElement[bool]) -> int:
    """Return how many deliveries meet a condition now."""
    with cluster.app.app_context():
        found = db.session.query(Delivery).filter(which).count()
        db.session.remove()
        db.engine.dispose()
    return found
