"""Fan-out: one entry becomes one delivery for each device, set by set, however often and by whomever it is done."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import delete, select

from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.notification_validators import Burst
from feedback_push.push import fanout, history, outbox, preferences
from feedback_push.push.history import LeftOut
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, OutboxEntry, PreviewLevel, Subscription
from tests import servers
from tests.conftest import KEYS
from tests.push.devices import owner, unreachable_devices
from tests.push.notes import NOTE, fan_out, time_passes
from tests.push.statements import is_waiting_for_lock, recorded_statements
from tests.push.workers import side_by_side

ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def user(app: Flask) -> User:
    return owner()


@pytest.fixture
def entry_id(app: Flask) -> int:
    outbox.enqueue(NOTE)  # so that no entry has the number of a delivery
    entry = outbox.enqueue(NOTE)
    db.session.commit()
    return entry.id


def _next_set(entry_id: int) -> bool:
    more = fanout.next_set(entry_id, KEYS.public_key) == fanout.SET_SIZE
    db.session.commit()
    return more


def _enqueued(user_id: int | None = None, subscription_id: int | None = None) -> int:
    entry = outbox.enqueue(NOTE, kind="test", user_id=user_id, subscription_id=subscription_id)
    db.session.commit()
    return entry.id


def _reached() -> list[int]:
    db.session.rollback()
    return sorted(delivery.subscription_id for delivery in db.session.query(Delivery))


def test_every_administrators_every_device_gets_a_delivery_that_is_due_at_once(user: User, entry_id: int) -> None:
    ids = [*unreachable_devices(user, 2), *unreachable_devices(owner("other@example.org"), 1)]
    assert fan_out(entry_id) == 1
    assert _reached() == ids
    for delivery in db.session.query(Delivery):
        assert (delivery.outbox_id, delivery.state) == (entry_id, DeliveryState.WAITING)
        assert (delivery.attempts, delivery.reduced, delivery.error) == (0, False, None)
        assert delivery.due_at is not None
        assert delivery.due_at <= utcnow()


def test_an_entry_for_one_administrator_reaches_their_devices_only(user: User) -> None:
    unreachable_devices(owner("other@example.org"), 2)
    ids = unreachable_devices(user, 2)
    fan_out(_enqueued(user_id=user.id))
    assert _reached() == ids


def test_an_entry_for_one_device_reaches_that_one_only(user: User) -> None:
    ids = unreachable_devices(user, 3)
    fan_out(_enqueued(subscription_id=ids[1]))
    assert _reached() == [ids[1]]


def test_a_paused_device_gets_only_what_is_for_it_alone(user: User, entry_id: int) -> None:
    paused, other = unreachable_devices(user, 2)
    db.session.get_one(Subscription, paused).paused_at = utcnow()
    db.session.commit()
    fan_out(entry_id)
    fan_out(_enqueued(user_id=user.id))
    assert _reached() == [other, other]
    fan_out(_enqueued(subscription_id=paused))
    assert _reached() == [paused, other, other]


def test_a_device_that_is_gone_gets_none(user: User, entry_id: int) -> None:
    unreachable_devices(user, 2, DeviceState.GONE)
    fan_out(entry_id)
    assert _reached() == []


def test_a_device_that_must_subscribe_again_gets_one_that_says_so(user: User, entry_id: int) -> None:
    unreachable_devices(user, 1, DeviceState.STALE)
    unreachable_devices(user, 1, DeviceState.LIVE, key="another")
    unreachable_devices(user, 1, DeviceState.STALE, key="another")
    fan_out(entry_id)
    told = [(delivery.state, delivery.error, delivery.due_at) for delivery in db.session.query(Delivery)]
    assert told == [(DeliveryState.FAILED, "key-mismatch", None)] * 3


def test_doing_it_again_adds_nothing(user: User, entry_id: int) -> None:
    ids = unreachable_devices(user, 3)
    for _ in range(3):
        fan_out(entry_id)
    assert _reached() == ids
    assert db.session.get_one(OutboxEntry, entry_id).fanned_out_at is not None


def test_who_subscribes_after_it_is_done_gets_none(user: User, entry_id: int) -> None:
    ids = unreachable_devices(user, 1)
    fan_out(entry_id)
    unreachable_devices(user, 1)
    fan_out(entry_id)
    assert _reached() == ids


@pytest.mark.parametrize(("devices", "sets"), [(0, 1), (2, 1), (3, 2), (7, 3), (9, 4)])
def test_many_devices_are_reached_in_several_sets(
    user: User, entry_id: int, monkeypatch: pytest.MonkeyPatch, devices: int, sets: int
) -> None:
    monkeypatch.setattr(fanout, "SET_SIZE", 3)
    unreachable_devices(user, 1, DeviceState.GONE)
    ids = unreachable_devices(user, devices)
    assert fan_out(entry_id) == sets
    assert _reached() == ids
    assert db.session.get_one(OutboxEntry, entry_id).fanned_out_at is not None


def test_it_goes_on_where_a_worker_that_died_left_off(
    user: User, entry_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SET_SIZE", 2)
    ids = unreachable_devices(user, 5)
    assert _next_set(entry_id)
    fanout.next_set(entry_id, KEYS.public_key)
    db.session.rollback()  # as a database does when the worker is killed
    assert _reached() == ids[:2]
    assert db.session.get_one(OutboxEntry, entry_id).fanned_out_at is None
    ids += unreachable_devices(user, 1)
    fan_out(entry_id)
    assert _reached() == ids


@pytest.mark.usefixtures("any_app")
def test_deliveries_that_are_there_already_are_no_obstacle(user: User, entry_id: int) -> None:
    ids = unreachable_devices(user, 3)
    db.session.add(Delivery(outbox_id=entry_id, subscription_id=ids[1], state=DeliveryState.ACCEPTED, attempts=1))
    db.session.commit()
    fan_out(entry_id)
    assert _reached() == ids
    assert db.session.query(Delivery).filter_by(state=DeliveryState.ACCEPTED).count() == 1


def test_an_entry_whose_time_is_over_is_left_alone(app: Flask, user: User, entry_id: int) -> None:
    unreachable_devices(user, 1)
    time_passes(app.extensions["settings"].push_ttl)
    assert not _next_set(entry_id)
    assert _reached() == []


def test_an_entry_that_is_no_longer_there_is_no_error(user: User, entry_id: int) -> None:
    unreachable_devices(user, 1)
    db.session.query(OutboxEntry).delete()
    db.session.commit()
    assert not _next_set(entry_id)
    assert _reached() == []


@pytest.mark.usefixtures("any_app")
def test_the_number_of_statements_does_not_grow_with_the_devices(user: User, entry_id: int) -> None:
    unreachable_devices(user, 400)
    with recorded_statements() as statements:
        fan_out(entry_id)
    assert len(_reached()) == 400
    assert len([statement for statement in statements if not statement.startswith("BEGIN")]) <= 4


def test_workers_that_do_it_at_once_reach_each_device_once(
    any_app: Flask, user: User, entry_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SET_SIZE", 3)
    ids = unreachable_devices(user, 40)
    side_by_side(any_app, 4, lambda: fan_out(entry_id))
    fan_out(entry_id)  # as the sweep does for a task that gave up because another locked the entry
    assert _reached() == ids


@ON_POSTGRESQL
def test_nobody_waits_for_a_worker_that_is_at_it(any_app: Flask, user: User, entry_id: int) -> None:
    unreachable_devices(user, 1)
    fanout.next_set(entry_id, KEYS.public_key)
    db.session.flush()
    with any_app.app_context():
        assert not _next_set(entry_id)
        assert db.session.query(Delivery).count() == 0
    db.session.commit()
    assert db.session.query(Subscription).count() == db.session.query(Delivery).count() == 1


@ON_POSTGRESQL
def test_a_device_that_is_just_being_removed_keeps_no_other_from_its_delivery(
    any_app: Flask, user: User, entry_id: int
) -> None:
    removed, *others = unreachable_devices(user, 3)

    def fan_out_meanwhile() -> bool:
        with any_app.app_context():
            return _next_set(entry_id)

    with ThreadPoolExecutor(1) as worker:
        db.session.execute(delete(Subscription).where(Subscription.id == removed))
        fanning_out = worker.submit(fan_out_meanwhile)
        servers.wait_until(is_waiting_for_lock)
        db.session.commit()
        assert not fanning_out.result(10)
    assert _reached() == others


def test_a_notification_for_some_administrators_reaches_no_other_and_says_why(any_app: Flask) -> None:
    chosen, other = owner(), owner("other@example.org")
    theirs, not_theirs = unreachable_devices(chosen, 2), unreachable_devices(other, 1)
    entry = outbox.enqueue(NOTE, recipients=[chosen.id])
    db.session.commit()
    fan_out(entry.id)
    assert db.session.scalars(select(Delivery.subscription_id).order_by(Delivery.subscription_id)).all() == theirs
    left_out = history.load(entry, other).left_out
    assert [(device.id, why) for device, why in left_out] == [(not_theirs[0], LeftOut.NOT_CHOSEN)]


def test_the_messages_of_other_administrators_are_no_burst(any_app: Flask) -> None:
    chosen, other = owner(), owner("other@example.org")
    for user in (chosen, other):
        preferences.save(user, shows=PreviewLevel.ALL, quiet_hours=None, burst=Burst(2, 60), muted=())
    unreachable_devices(chosen, 1)
    unreachable_devices(other, 1)
    for _ in range(4):
        outbox.enqueue(NOTE, recipients=[chosen.id])
    for_all = outbox.enqueue(NOTE)
    db.session.commit()
    fan_out(for_all.id)
    assert {each.state for each in db.session.scalars(select(Delivery))} == {DeliveryState.WAITING}
    flood = [outbox.enqueue(NOTE, recipients=[chosen.id]) for _ in range(3)]
    db.session.commit()
    fan_out(flood[-1].id)
    assert [each.state for each in db.session.scalars(select(Delivery).order_by(Delivery.id))][-1] == DeliveryState.HELD
