"""The tasks: each does its work also when it runs twice or in vain, and publishes the next."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import text

from feedback_push import create_app
from feedback_push.auth.models import User
from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.push import claims, digests, fanout, outbox, sender, tasks
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, OutboxEntry, Subscription
from tests.conftest import KEYS
from tests.doubles.push_service import PushService
from tests.published import PublishedTasks
from tests.push.devices import owner, subscribe, subscribe_all, unreachable_devices
from tests.push.log_lines import warnings
from tests.push.notes import NOTE, announce, claim, time_passes
from tests.push.stored_preferences import quiet_now, set_preferences

DELIVER: tuple[str, list[int]] = ("push.deliver", [])


@pytest.fixture
def user(app: Flask) -> User:
    return owner()


@pytest.fixture
def push_off(settings: Settings) -> Iterator[Flask]:
    """The application without VAPID keys."""
    app = create_app(replace(settings, vapid_private_key="", vapid_public_key="", vapid_subject=""))
    app.extensions["celery"].set_default()
    app.extensions["celery"].set_current()  # instead of the other application of the test
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def _enqueue() -> int:
    entry = outbox.enqueue(NOTE)
    db.session.commit()
    entry_id = entry.id
    db.session.commit()
    return entry_id


def _reached() -> int:
    db.session.rollback()
    count = db.session.query(Delivery).count()
    db.session.rollback()
    return count


def test_fanning_out_makes_the_deliveries_and_rings_for_their_sending(user: User, published: PublishedTasks) -> None:
    unreachable_devices(user, 3)
    tasks.fan_out(_enqueue())
    assert _reached() == 3
    assert published.next() == DELIVER


def test_a_fan_out_of_several_sets_rings_for_the_deliveries_and_then_for_itself(
    user: User, published: PublishedTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SET_SIZE", 2)
    unreachable_devices(user, 5)
    entry_id = _enqueue()
    for reached in (2, 4, 5):
        tasks.fan_out(entry_id)
        assert _reached() == reached
    again = ("push.fan_out", [entry_id])
    assert published.all() == [DELIVER, again, DELIVER, again, DELIVER]


def test_delivering_goes_on_with_the_fan_out(
    user: User, service: PushService, published: PublishedTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SET_SIZE", 2)
    devices = [service.new_device(KEYS.public_key) for _ in range(5)]
    subscribe_all(user, devices)
    tasks.fan_out(_enqueue())
    tasks.deliver()
    assert [len(device.pushes) for device in devices] == [1] * 5


def test_fanning_out_twice_or_for_nothing_is_no_error(user: User, published: PublishedTasks) -> None:
    unreachable_devices(user, 2)
    entry_id = _enqueue()
    for id_ in (entry_id, entry_id, 99):
        tasks.fan_out(id_)
    assert _reached() == 2


def test_delivering_sends_due_deliveries_and_publishes_nothing(
    user: User, service: PushService, published: PublishedTasks
) -> None:
    device = service.new_device(KEYS.public_key)
    subscribe(user, device)
    announce()
    tasks.deliver()
    tasks.deliver()
    assert len(device.pushes) == 1
    assert published.all() == []


def test_a_delivery_that_runs_out_of_time_rings_for_itself(
    user: User, published: PublishedTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "BUDGET", 0.0)
    unreachable_devices(user, 1)
    announce()
    tasks.deliver()
    assert published.all() == [DELIVER]


def test_sweeping_rings_for_entries_that_nobody_has_fanned_out(user: User, published: PublishedTasks) -> None:
    first, second = _enqueue(), _enqueue()
    tasks.sweep()
    assert published.all() == [("push.fan_out", [first]), ("push.fan_out", [second])]


def test_sweeping_rings_once_for_all_deliveries_that_are_due(user: User, published: PublishedTasks) -> None:
    unreachable_devices(user, 3)
    announce()
    tasks.sweep()
    assert published.all() == [DELIVER]


def test_sweeping_finds_the_claims_of_a_worker_that_died(user: User, published: PublishedTasks) -> None:
    unreachable_devices(user, 1)
    announce()
    claim()
    tasks.sweep()
    assert published.all() == []
    time_passes(claims.LEASE.total_seconds())
    tasks.sweep()
    assert published.all() == [DELIVER]


def test_sweeping_tells_what_was_held_and_rings_for_it(user: User, published: PublishedTasks) -> None:
    unreachable_devices(user, 1)
    set_preferences(user, quiet_hours=quiet_now())
    entries = [announce(), announce()]
    tasks.sweep()
    assert published.next(0.3) is None
    set_preferences(user)
    time_passes(3 * 3600)
    tasks.sweep()
    [summary] = published.all()
    assert summary[0] == "push.fan_out"
    assert db.session.get_one(OutboxEntry, summary[1][0]).counts == len(entries)


def test_one_whose_summary_fails_keeps_no_other_from_theirs_and_no_retry_from_its_task(
    user: User, published: PublishedTasks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = owner("other@example.org")
    for administrator in (user, other):
        unreachable_devices(administrator, 1)
        set_preferences(administrator, quiet_hours=quiet_now())
    announce()
    unreachable_devices(owner("awake@example.org"), 1)
    announce()
    for administrator in (user, other):
        set_preferences(administrator)
    time_passes(3 * 3600)
    user_id, make = user.id, digests.make
    db.session.rollback()

    def fail_or_make(user_id_of_summary: int, now: datetime) -> None:
        if user_id_of_summary == user_id:
            db.session.execute(text("SELECT * FROM nowhere"))
        make(user_id_of_summary, now)

    monkeypatch.setattr(digests, "make", fail_or_make)
    tasks.sweep()
    [told] = db.session.query(OutboxEntry).filter_by(user_id=other.id)
    assert published.all() == [("push.fan_out", [told.id]), DELIVER]
    assert [record.levelname for record in caplog.records if record.name == tasks.__name__] == ["ERROR"]


def test_sweeping_sends_a_single_message_that_was_held_as_itself(user: User, published: PublishedTasks) -> None:
    unreachable_devices(user, 1)
    set_preferences(user, quiet_hours=quiet_now())
    announce()
    set_preferences(user)
    time_passes(3 * 3600)
    tasks.sweep()
    assert published.all() == [DELIVER]


def test_sweeping_rings_for_nothing_when_nothing_is_due(user: User, published: PublishedTasks) -> None:
    unreachable_devices(user, 2)
    tasks.fan_out(announce())
    db.session.query(Delivery).update({"due_at": utcnow() + timedelta(seconds=60)})
    db.session.commit()
    published.all()
    tasks.sweep()
    assert published.all() == []


def test_sweeping_forgets_the_devices_that_went_long_ago(user: User) -> None:
    unreachable_devices(user, 2, DeviceState.GONE)
    kept = unreachable_devices(user, 1, DeviceState.GONE)
    long_ago = utcnow() - timedelta(days=31)
    db.session.query(Subscription).filter(Subscription.id.not_in(kept)).update({"gone_at": long_ago})
    db.session.commit()
    tasks.sweep()
    assert [device.id for device in db.session.query(Subscription)] == kept


def test_without_keys_everything_waits_quietly(
    app: Flask, push_off: Flask, service: PushService, published: PublishedTasks, caplog: pytest.LogCaptureFixture
) -> None:
    device = service.new_device(KEYS.public_key)
    subscribe(owner(), device)
    announce()
    entry_id = _enqueue()
    tasks.fan_out(entry_id)
    tasks.deliver()
    tasks.sweep()
    assert published.all() == []
    assert service.requests == []
    assert [delivery.state for delivery in db.session.query(Delivery)] == [DeliveryState.WAITING]
    assert [device.state for device in db.session.query(Subscription)] == [DeviceState.LIVE]
    said = [record.getMessage() for record in caplog.records if record.name == "feedback_push.push.tasks"]
    assert len(said) == 2
    assert all(line.startswith("push is off") for line in said)
    assert warnings(caplog) == []
    db.session.rollback()
    app.extensions["celery"].set_current()  # the keys are back
    tasks.fan_out(entry_id)
    tasks.deliver()
    assert len(device.pushes) == 2
