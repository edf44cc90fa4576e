"""Workers that stop during a fan-out, or share one, miss no device and notify none twice."""

import re
from collections.abc import Callable

import psutil
import pytest

from feedback_push.database import utcnow
from feedback_push.push.models import DeliveryState
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.flow.deliveries import end_leases, pushes_of_each, received, states, subscribe_many, wait_until_final
from tests.program import Program
from tests.site import Site

DEVICES = 60
MANY = 150  # more than one run reaches four at a time
AT_ONCE = 6
BEFORE = 2 * AT_ONCE  # devices that are reached before the worker stops
LATENCY = 0.2  # seconds


@pytest.fixture
def devices(site: Site, service: PushService) -> list[Device]:
    """More than a run claims, at a push service so far away that two workers both have something to do."""
    service.latency = LATENCY
    return subscribe_many(site, service, DEVICES)


@pytest.mark.parametrize("serving_site", ["postgresql"], indirect=True)
def test_a_worker_that_is_asked_to_stop_leaves_the_rest_to_the_next_one(
    site: Site, service: PushService, devices: list[Device]
) -> None:
    devices += subscribe_many(site, service, MANY - DEVICES)
    with site.work("--pool", "threads", PUSH_CONCURRENCY="4"):
        site.visitor().write("Hello")
        service.wait_until(lambda: received(devices) >= BEFORE)
    assert BEFORE <= received(devices) < MANY, "it was to be stopped in the middle"
    with site.work("--pool", "threads"):
        wait_until_final(site)
    assert pushes_of_each(devices) == {1: MANY}
    assert states(site) == {DeliveryState.ACCEPTED: MANY}


def kill_worker(worker: Program) -> None:
    worker.kill()


def kill_pool_children(worker: Program) -> None:
    for child in psutil.Process(worker.process.pid).children():
        child.kill()


@pytest.mark.parametrize(
    ("serving_site", "pool", "kill"),
    [("sqlite", "threads", kill_worker), ("postgresql", "prefork", kill_pool_children)],
    indirect=["serving_site"],
    ids=["the whole worker", "the children of a pool"],
)
def test_a_killed_worker_loses_no_push_and_repeats_only_those_in_flight(
    site: Site, service: PushService, devices: list[Device], pool: str, kill: Callable[[Program], None]
) -> None:
    service.stop_after = BEFORE
    with site.work("--pool", pool, PUSH_CONCURRENCY=str(AT_ONCE)) as worker:
        site.visitor().write("Hello")
        service.wait_until(lambda: received(devices) == BEFORE)
        kill(worker)
        unfinished = end_leases(site, killed_at=utcnow())
        assert received(devices) == BEFORE, "it was to be killed in the middle"
        service.stop_after = None
        with worker if worker.is_alive else site.work("--pool", "threads"):
            wait_until_final(site)
    doubled = {device.endpoint for device in devices if len(device.pushes) == 2}
    assert pushes_of_each(devices) == {1: DEVICES - len(doubled), 2: len(doubled)}
    assert doubled <= unfinished
    assert len(doubled) <= 6 * AT_ONCE  # the most that a run has claimed
    assert states(site) == {DeliveryState.ACCEPTED: DEVICES}


def test_two_workers_share_the_devices_and_tell_nobody_twice(
    site: Site, service: PushService, devices: list[Device]
) -> None:
    one_task_at_a_time = ("--pool", "threads", "--concurrency", "1")
    visitor = site.visitor()
    with (
        site.work(*one_task_at_a_time, PUSH_CONCURRENCY=str(AT_ONCE)) as one,
        site.work(*one_task_at_a_time, PUSH_CONCURRENCY=str(AT_ONCE)) as other,
    ):
        for number in (1, 2):
            visitor.write(f"Message {number}")
        wait_until_final(site)
    for device in devices:
        bodies = [push.json()["notification"]["body"] for push in device.pushes]
        assert sorted(bodies) == ["Message 1", "Message 2"]
    assert sending_time(one) > LATENCY
    assert sending_time(other) > LATENCY
    assert service.refusals == []


def sending_time(worker: Program) -> float:
    """Return how many seconds a worker has spent on sending."""
    return sum(map(float, re.findall(r"push\.deliver\S+ succeeded in ([\d.]+)s", worker.log)))
