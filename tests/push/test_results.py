"""Results: each result changes its delivery, device and origin as the table says, and nothing else."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, select

from feedback_push.auth import accounts
from feedback_push.auth.models import Role, User
from feedback_push.database import db, utcnow
from feedback_push.push import circuit_breaker, claims, outbox, results, subscriptions
from feedback_push.push.claims import Claim
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, OpenCircuit, OutboxEntry, Subscription
from feedback_push.webpush.gateway import Result
from feedback_push.webpush.responses import (
    Gone,
    KeyMismatch,
    Misconfigured,
    Postponed,
    ProxyFailed,
    PushError,
    Rejected,
    Throttled,
    Unavailable,
)
from tests import servers
from tests.push.devices import owner, unreachable_devices
from tests.push.log_lines import warnings
from tests.push.notes import announce, claim, note, time_passes
from tests.push.statements import is_waiting_for_lock, recorded_statements
from tests.push.workers import side_by_side

ORIGIN = "http://127.0.0.1:1"
EVERY_ERROR = [
    Gone(410),
    KeyMismatch(403),
    Misconfigured(403, "BadJwtToken"),
    Rejected(400),
    Throttled(429),
    Unavailable(503),
    ProxyFailed(),
    Postponed(),
]


@pytest.fixture
def user(app: Flask) -> User:
    return owner()


@pytest.fixture
def claimed(app: Flask) -> Claim:
    """The delivery of a note for the only device, claimed."""
    unreachable_devices(owner(), 1)
    announce()
    [claimed] = claim()
    return claimed


def _record(*outcomes: tuple[Claim, PushError | None]) -> datetime:
    now = utcnow()
    made = [Result(key, error.status if error else 201, error) for key, error in outcomes]
    results.record(made, now)
    db.session.commit()
    return now


def _remove_device() -> None:
    subscriptions.remove(db.session.query(Subscription).one().endpoint, user=db.session.query(User).one())


def _remove_account() -> None:
    user = db.session.query(User).one()
    user.role = Role.MEMBER
    accounts.delete(user)


def _remove_entry() -> None:
    entries = [db.session.query(OutboxEntry).one().id]
    outbox.delete_deliveries(entries)
    outbox.remove(entries)


def _delivery() -> Delivery:
    db.session.rollback()
    return db.session.query(Delivery).one()


def _device() -> Subscription:
    db.session.rollback()
    return db.session.query(Subscription).one()


def _wait(claimed: Claim, error: PushError) -> float:
    """Return in how many seconds a refused delivery is due again."""
    now = _record((claimed, error))
    due_at = _delivery().due_at
    assert due_at is not None
    return (due_at - now).total_seconds()


def test_an_accepted_delivery_is_final_and_its_device_well(claimed: Claim) -> None:
    _record((claimed, Unavailable(503, "try later")))
    now = _record((claimed, None))
    delivery, device = _delivery(), _device()
    assert (delivery.state, delivery.due_at, delivery.accepted_at) == (DeliveryState.ACCEPTED, None, now)
    assert (delivery.error, delivery.detail) == (None, None)
    assert (device.state, device.failures, device.last_accepted_at) == (DeviceState.LIVE, 0, now)


def test_a_gone_device_is_kept_as_a_tombstone(claimed: Claim) -> None:
    now = _record((claimed, Gone(410, "NotRegistered")))
    delivery, device = _delivery(), _device()
    assert (delivery.state, delivery.due_at) == (DeliveryState.FAILED, None)
    assert (delivery.error, delivery.status, delivery.detail) == ("gone", 410, "NotRegistered")
    assert (device.state, device.gone_at, device.failures) == (DeviceState.GONE, now, 0)


def test_a_mismatched_device_is_stale(claimed: Claim) -> None:
    _record((claimed, KeyMismatch(403)))
    assert (_delivery().state, _delivery().due_at) == (DeliveryState.FAILED, None)
    assert (_device().state, _device().failures) == (DeviceState.STALE, 0)


@pytest.mark.parametrize("error", [Gone(410), KeyMismatch(403)])
def test_a_browser_that_has_subscribed_again_meanwhile_is_not_the_one_that_was_refused(
    claimed: Claim, error: PushError
) -> None:
    db.session.query(Subscription).update({"p256dh": "new", "vapid_public_key": "new"})
    db.session.commit()
    _record((claimed, error))
    assert _delivery().state == DeliveryState.FAILED
    assert (_device().state, _device().gone_at) == (DeviceState.LIVE, None)


def test_a_mismatch_that_no_service_saw_leaves_the_device_to_the_earlier_keys(claimed: Claim) -> None:
    _record((claimed, KeyMismatch()))
    assert _delivery().state == DeliveryState.FAILED
    assert _device().state == DeviceState.LIVE


def test_a_refused_signature_holds_the_origin_and_is_no_attempt(claimed: Claim) -> None:
    assert _wait(claimed, Misconfigured(403, "BadJwtToken")) == circuit_breaker.OPEN_FOR.total_seconds()
    delivery, device = _delivery(), _device()
    assert (delivery.state, delivery.attempts, delivery.error) == (DeliveryState.WAITING, 0, "misconfigured")
    assert (device.state, device.failures) == (DeviceState.LIVE, 0)
    assert [(held.origin, held.status, held.detail) for held in circuit_breaker.open_circuits()] == [
        (ORIGIN, 403, "BadJwtToken")
    ]


def test_a_rejected_message_is_sent_once_more_smaller_and_then_final(claimed: Claim) -> None:
    assert _wait(claimed, Rejected(413)) == 0
    assert (_delivery().state, _delivery().reduced) == (DeliveryState.WAITING, True)
    [again] = claim()
    assert again.reduced
    _record((again, Rejected(400, "BadRequest")))
    delivery, device = _delivery(), _device()
    assert (delivery.state, delivery.due_at) == (DeliveryState.FAILED, None)
    assert (delivery.error, delivery.status, delivery.detail) == ("rejected", 400, "BadRequest")
    assert (device.state, device.failures) == (DeviceState.LIVE, 0)


def test_a_throttled_delivery_leaves_the_device_alone(claimed: Claim) -> None:
    _record((claimed, Throttled(429)))
    assert (_delivery().state, _delivery().error) == (DeliveryState.WAITING, "throttled")
    assert (_device().state, _device().failures) == (DeviceState.LIVE, 0)


def test_an_unavailable_service_counts_as_a_failure_of_the_device(claimed: Claim) -> None:
    for count in (1, 2, 3):
        _record((claimed, Unavailable(503)))
        assert (_device().state, _device().failures) == (DeviceState.LIVE, count)


def test_a_postponed_delivery_waits_a_little_and_is_no_attempt(claimed: Claim) -> None:
    assert 0 < _wait(claimed, Postponed()) <= 10
    assert (_delivery().state, _delivery().attempts) == (DeliveryState.WAITING, 0)
    assert (_device().state, _device().failures) == (DeviceState.LIVE, 0)


def test_the_wait_doubles_with_each_attempt_up_to_four_hours(claimed: Claim) -> None:
    for error in (Unavailable(503), Throttled(429)):
        for attempts, seconds in ((1, 30), (2, 60), (3, 120), (8, 3840), (10, 14400), (300, 14400), (32_767, 14400)):
            assert _wait(claimed._replace(attempts=attempts), error) == pytest.approx(seconds, rel=0.2501)


def test_retries_do_not_fall_together(claimed: Claim) -> None:
    assert len({_wait(claimed, Unavailable(503)) for _ in range(5)}) > 1


def test_retry_after_is_a_floor_under_the_backoff(claimed: Claim) -> None:
    for error in (Unavailable, Throttled):
        assert _wait(claimed, error(429, retry_after=3600)) == 3600
        assert 20 < _wait(claimed, error(429, retry_after=1)) < 40
        assert 20 < _wait(claimed, error(429, retry_after=0)) < 40


def test_no_wait_is_longer_than_the_time_to_live(claimed: Claim) -> None:
    soon = claimed.entry._replace(expires_at=utcnow() + timedelta(seconds=10))
    for retry_after in (None, 40.0, 86_400.0, 999_999_999.0):
        _record((claimed._replace(entry=soon, attempts=5), Throttled(429, retry_after=retry_after)))
        assert _delivery().due_at == soon.expires_at


@pytest.mark.usefixtures("any_app")
def test_a_result_under_a_lost_claim_changes_nothing(user: User) -> None:
    unreachable_devices(user, len(EVERY_ERROR) + 1)
    announce()
    batch = claim()
    time_passes(claims.LEASE.total_seconds())
    theirs = {claimed.id: claimed for claimed in claim()}
    _record(*zip(batch, [None, *EVERY_ERROR], strict=True))
    for delivery in db.session.query(Delivery):
        assert (delivery.state, delivery.claim, delivery.attempts) == ("waiting", theirs[delivery.id].claim, 2)
        assert (delivery.error, delivery.reduced, delivery.accepted_at) == (None, False, None)
        assert delivery.due_at is not None
        assert delivery.due_at > utcnow() + claims.LEASE / 2
    _record(*((claimed, None) for claimed in theirs.values()))
    assert {delivery.state for delivery in db.session.query(Delivery)} == {DeliveryState.ACCEPTED}


def test_putting_back_or_giving_up_under_a_lost_claim_changes_nothing(claimed: Claim) -> None:
    time_passes(claims.LEASE.total_seconds())
    [theirs] = claim()
    results.put_back([claimed], utcnow())
    results.expire([claimed])
    db.session.commit()
    delivery = _delivery()
    assert (delivery.state, delivery.claim, delivery.attempts) == (DeliveryState.WAITING, theirs.claim, 2)


def test_a_delivery_that_is_put_back_was_no_attempt(claimed: Claim) -> None:
    until = utcnow() + timedelta(seconds=33)
    results.put_back([claimed], until)
    db.session.commit()
    assert (_delivery().due_at, _delivery().attempts) == (until, 0)


def test_a_delivery_that_is_given_up_keeps_its_last_reason(claimed: Claim) -> None:
    _record((claimed, Unavailable(503, "try later")))
    results.expire([claimed])
    db.session.commit()
    delivery = _delivery()
    assert (delivery.state, delivery.due_at) == (DeliveryState.EXPIRED, None)
    assert (delivery.error, delivery.status, delivery.detail) == ("unavailable", 503, "try later")


@pytest.mark.usefixtures("any_app")
@pytest.mark.parametrize("removed", [Subscription, OutboxEntry, User])
def test_rows_removed_meanwhile_are_no_error(user: User, removed: type, caplog: pytest.LogCaptureFixture) -> None:
    unreachable_devices(user, len(EVERY_ERROR) + 1)
    announce()
    batch = claim()
    db.session.query(removed).delete()
    db.session.commit()
    _record(*zip(batch, [None, *EVERY_ERROR], strict=True))
    assert db.session.query(Delivery).count() == 0
    assert warnings(caplog) == []


def _hold() -> None:
    circuit_breaker.trip(ORIGIN, Misconfigured(403, "BadJwtToken"), utcnow())
    db.session.commit()


def test_an_origin_that_took_our_signature_is_released(claimed: Claim) -> None:
    for error in (None, Gone(410), KeyMismatch(400), Rejected(413)):
        _hold()
        _record((claimed, error))
        assert circuit_breaker.open_circuits() == [], error


def test_an_origin_that_did_not_look_at_our_signature_stays_held(claimed: Claim) -> None:
    _hold()
    asked_in_vain = (Misconfigured(401), Throttled(429), Unavailable(503), Unavailable())
    for error in (*asked_in_vain, Postponed(), Rejected(), KeyMismatch()):  # the last three were never sent
        _record((claimed, error))
        assert [held.origin for held in circuit_breaker.open_circuits()] == [ORIGIN], error


@pytest.mark.usefixtures("any_app")
def test_each_result_of_a_mixed_batch_changes_its_own_delivery(user: User) -> None:
    unreachable_devices(user, len(EVERY_ERROR) + 1)
    announce(note(tag="earlier"))
    announce()
    batch = sorted(claim(), key=lambda claimed: claimed.id)[: len(EVERY_ERROR) + 1]
    _record(*zip(batch, [None, *EVERY_ERROR], strict=True))
    for claimed, error in zip(batch, [None, *EVERY_ERROR], strict=True):
        delivery = db.session.get_one(Delivery, claimed.id)
        assert (delivery.error, delivery.claim) == (error and error.code, claimed.claim)
    states = [db.session.get_one(Subscription, claimed.subscription_id).state for claimed in batch]
    assert states == [DeviceState.LIVE, DeviceState.GONE, DeviceState.STALE] + [DeviceState.LIVE] * 6


@pytest.mark.usefixtures("any_app")
def test_hundreds_of_results_are_written_with_few_statements(user: User) -> None:
    unreachable_devices(user, 500)
    announce()
    batch = claim()
    errors = [None, Gone(410), Unavailable(503), Throttled(429, retry_after=5), Rejected(400)]
    with recorded_statements() as statements:
        _record(*((claimed, errors[index % 5]) for index, claimed in enumerate(batch)))
    assert len([statement for statement in statements if not statement.startswith("BEGIN")]) <= 12
    by_state = [delivery.state for delivery in db.session.query(Delivery)]
    assert (by_state.count(DeliveryState.ACCEPTED), by_state.count(DeliveryState.FAILED)) == (100, 100)


def test_workers_that_record_for_the_same_devices_at_once_do_not_block_each_other(any_app: Flask, user: User) -> None:
    unreachable_devices(user, 60)
    for number in range(4):
        announce(note(tag=f"m-{number}"))
    batches = [claim(60) for _ in range(4)]
    errors = [None, Gone(410), Unavailable(503), Misconfigured(403, "no"), KeyMismatch(403)]

    def record_one() -> None:
        batch = batches.pop()
        batch = batch[::-1] if len(batches) % 2 else batch
        _record(*((claimed, errors[claimed.id % 5]) for claimed in batch))

    side_by_side(any_app, 4, record_one)
    assert db.session.query(Delivery).filter_by(state=DeliveryState.WAITING, error=None).count() == 0
    assert db.session.query(OpenCircuit).count() <= 1


@pytest.mark.parametrize("removal", [_remove_device, _remove_account, _remove_entry])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_removes_deliveries_in_steps_and_a_worker_that_records_do_not_wait_for_each_other(
    any_app: Flask, user: User, removal: Callable[[], None]
) -> None:
    unreachable_devices(user, 1)
    announce()
    [claimed] = claim()

    def remove() -> None:
        with any_app.app_context():
            removal()
            db.session.commit()

    with ThreadPoolExecutor(1) as other:
        db.session.execute(select(Subscription.id).with_for_update(key_share=True))  # as results.record does first
        removing = other.submit(remove)
        servers.wait_until(is_waiting_for_lock)
        _record((claimed, None))
        removing.result(10)
    assert db.session.query(Delivery).count() == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_worker_that_records_and_an_administrator_who_removes_the_device_do_not_wait_for_each_other(
    any_app: Flask, user: User
) -> None:
    unreachable_devices(user, 1)
    announce()
    [claimed] = claim()

    def record() -> None:
        with any_app.app_context():
            _record((claimed, Unavailable(503)))

    with ThreadPoolExecutor(1) as worker:
        db.session.execute(select(Subscription.id).with_for_update())  # as its removal does first
        recording = worker.submit(record)
        servers.wait_until(is_waiting_for_lock)
        db.session.execute(delete(Subscription))  # its deliveries go with it
        db.session.commit()
        recording.result(10)
    assert db.session.query(Delivery).count() == 0
