"""Quiet hours and bursts with real workers: one summary of the held messages, and none lost when a worker is killed."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from feedback_push.auth import accounts
from feedback_push.database import db, utcnow
from feedback_push.notification_validators import Burst
from feedback_push.push.models import Delivery, DeliveryState
from tests import servers
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.flow.deliveries import states, subscribe_many
from tests.push.stored_preferences import quiet_now, set_preferences
from tests.site import Site

MESSAGES = 4
SECONDS = 60  # of a burst's window; longer than the messages take to be written
pytestmark = pytest.mark.parametrize("serving_site", ["postgresql"], indirect=True)


def titles(device: Device) -> list[str]:
    return [push.json()["notification"]["title"] for push in device.pushes]


def wait_until_held(site: Site, count: int) -> None:
    servers.wait_until(lambda: states(site)[DeliveryState.HELD] == count, 60, "the last hold")


def end_holds(site: Site) -> None:
    past = utcnow() - timedelta(seconds=1)
    with site.database():
        db.session.execute(update(Delivery).where(Delivery.held_until.is_not(None)).values(held_until=past))
        db.session.commit()


def test_quiet_hours_end_in_one_summary_also_when_the_worker_was_killed_meanwhile(
    site: Site, service: PushService
) -> None:
    devices = subscribe_many(site, service, 2)
    with site.database():
        set_preferences(accounts.find("staff@example.org"), quiet_hours=quiet_now())  # type: ignore[arg-type]
    with site.work("--pool", "threads") as worker:
        for number in range(MESSAGES):
            site.visitor().write(f"Message {number}")
        wait_until_held(site, MESSAGES * len(devices))
        worker.kill()
    with site.database():
        set_preferences(accounts.find("staff@example.org"))  # type: ignore[arg-type]
    end_holds(site)
    with site.work("--pool", "threads"), site.work("--pool", "threads"):
        for device in devices:
            device.wait(1, timeout=60)
        servers.wait_until(lambda: states(site)[DeliveryState.ACCEPTED] == len(devices), 60, "the last result")
    assert [titles(device) for device in devices] == [["4 new messages"]] * 2
    assert states(site)[DeliveryState.SUMMARISED] == MESSAGES * len(devices)


def test_a_burst_comes_one_by_one_at_first_and_is_counted_then(site: Site, service: PushService) -> None:
    [device] = subscribe_many(site, service, 1)
    with site.database():
        set_preferences(accounts.find("staff@example.org"), burst=Burst(2, SECONDS))  # type: ignore[arg-type]
    with site.work("--pool", "threads"):
        visitor = site.visitor()
        for number in range(5):
            visitor.write(f"Message {number}")
        device.wait(2, timeout=60)
        wait_until_held(site, 3)
        end_holds(site)
        device.wait(3, timeout=60)
        servers.wait_until(lambda: states(site)[DeliveryState.ACCEPTED] == 3, 60, "the last result")
    assert sorted(titles(device)) == ["3 new messages", "Ada:", "Ada:"]
    assert states(site)[DeliveryState.SUMMARISED] == 3
