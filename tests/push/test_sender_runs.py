"""Runs: many deliveries at once, changes during a run, its end, and its log."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from threading import Event, Lock
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from feedback_push import create_app
from feedback_push.auth.models import User
from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.push import claims, fanout, followers, in_flight, outbox, results, sender
from feedback_push.push.claims import Claim, Room
from feedback_push.push.models import Delivery, DeliveryState, OutboxEntry, PreviewLevel, Priority, Subscription
from feedback_push.webpush import concurrency
from feedback_push.webpush.concurrency import OriginQueue
from feedback_push.webpush.gateway import Gateway
from tests.conftest import KEYS
from tests.doubles.push_answers import HANG, RESET, Answer
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.push.devices import delivery_to, owner, row_of, subscribe, subscribe_all, unreachable_devices, visitors
from tests.push.log_lines import warnings
from tests.push.notes import NOTE, announce, note, time_passes
from tests.push.statements import recorded_statements
from tests.servers import wait_until
from tests.webpush.sending import impatient


def _new_devices(service: PushService, count: int) -> list[Device]:
    devices = [service.new_device(KEYS.public_key) for _ in range(count)]
    subscribe_all(owner(), devices)
    return devices


def _postponed() -> list[int]:
    """Return the numbers of attempts of the deliveries that were put back."""
    rows = db.session.query(Delivery).filter_by(state=DeliveryState.WAITING, error="postponed")
    attempts = [row.attempts for row in rows]
    db.session.rollback()  # or the sender could not write
    return attempts


@pytest.fixture
def long_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run, and a push that is not answered, go on until the test ends them."""
    impatient(monkeypatch, 120)
    monkeypatch.setattr(sender, "BUDGET", 120.0)


@contextmanager
def _running(app: Flask) -> Iterator["Future[bool]"]:
    """Run the sender in another thread, as in a worker, until the block ends."""

    def work() -> bool:
        with app.app_context():
            return sender.run()

    db.session.rollback()
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(work)


def test_hundreds_of_deliveries_go_out_together_and_are_written_with_few_statements(
    any_app: Flask, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "_FIRST", 100)
    service.held_until = 51
    devices = _new_devices(service, 500)
    announce()
    with recorded_statements() as statements:
        assert not sender.run()
    assert [len(device.pushes) for device in devices] == [1] * 500
    assert service.refusals == []
    written = [statement for statement in statements if not statement.startswith(("BEGIN", "SELECT"))]
    assert len(written) < 250
    assert {row.state for row in db.session.query(Delivery)} == {DeliveryState.ACCEPTED}


def test_a_run_goes_on_until_nothing_is_due(
    settings: Settings, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(replace(settings, push_concurrency=2))
    with app.app_context():
        devices = _new_devices(service, 30)
        announce()
        assert not sender.run()
        assert [len(device.pushes) for device in devices] == [1] * 30
        assert service.most_at_once <= 2
        db.session.remove()
        db.engine.dispose()


def test_a_run_without_time_leaves_the_rest_to_the_next(
    app: Flask, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    [device] = _new_devices(service, 1)
    announce()
    monkeypatch.setattr(sender, "BUDGET", 0.0)
    assert sender.run()
    assert service.requests == []
    monkeypatch.undo()
    assert not sender.run()
    assert len(device.pushes) == 1


def _fails(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, calls: set[int]) -> None:
    """Let some calls of a function fail as they do while a database is away; the first is number 1."""
    real, numbers = getattr(module, name), count(1)

    def fail_or_do(*args: Any) -> Any:
        if next(numbers) in calls:
            raise OperationalError("", {}, ConnectionError("the database is away"))
        return real(*args)

    monkeypatch.setattr(module, name, fail_or_do)


def _calls(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """Return the arguments of the calls of a function from now on."""
    real, calls = getattr(module, name), []

    def note_and_do(*args: Any) -> Any:
        calls.append(args)
        return real(*args)

    monkeypatch.setattr(module, name, note_and_do)
    return calls


def test_a_database_that_gives_no_more_still_gets_the_results(
    settings: Settings, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(replace(settings, push_concurrency=1))
    service.latency = 0.1
    with app.app_context():
        devices = _new_devices(service, 20)
        announce()
        _fails(monkeypatch, claims, "take", {2})
        assert not sender.run()
        recorded = db.session.query(Delivery).filter_by(state=DeliveryState.ACCEPTED).count()
        assert 0 < recorded < 20
        assert sum(len(device.pushes) for device in devices) == recorded
        db.session.commit()
        sender.run()
        assert [len(device.pushes) for device in devices] == [1] * 20
        db.session.remove()
        db.engine.dispose()


def test_a_database_that_gives_nothing_at_all_ends_the_run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    _fails(monkeypatch, claims, "take", {1})
    with pytest.raises(OperationalError):
        sender.run()


def test_results_wait_for_a_database_that_is_away(
    any_app: Flask, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = _new_devices(service, 3)
    announce()
    _fails(monkeypatch, results, "record", {1, 2})
    assert not sender.run()
    assert [len(device.pushes) for device in devices] == [1] * 3
    assert {row.state for row in db.session.query(Delivery)} == {DeliveryState.ACCEPTED}


def test_what_is_recorded_by_a_commit_that_seems_to_fail_is_not_sent_again(
    any_app: Flask, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = _new_devices(service, 3)
    devices[0].answers([413])  # and then takes it smaller
    devices[1].answers(410)
    announce()
    record, commit = results.record, db.session.commit

    def commit_and_fail() -> None:
        monkeypatch.setattr(db.session, "commit", commit)
        commit()
        raise OperationalError("", {}, ConnectionError("the connection broke before the answer"))

    def record_and_fail(*arguments: Any) -> None:
        monkeypatch.setattr(results, "record", record)
        record(*arguments)
        monkeypatch.setattr(db.session, "commit", commit_and_fail)

    monkeypatch.setattr(results, "record", record_and_fail)
    for _ in range(2):
        assert not sender.run()
    assert len(service.requests) == 4
    assert [len(device.pushes) for device in devices] == [1, 0, 1]
    assert [delivery_to(device).state for device in devices] == ["accepted", "failed", "accepted"]


def test_an_entry_that_no_push_can_be_made_of_keeps_no_other_from_being_sent(
    app: Flask, service: PushService, caplog: pytest.LogCaptureFixture
) -> None:
    [device] = _new_devices(service, 1)
    unknown, _ = announce(), announce(note(tag="m-2"))
    db.session.query(OutboxEntry).filter_by(id=unknown).update({"kind": "of-tomorrow"})
    db.session.query(Delivery).filter_by(outbox_id=unknown).update({"shows": PreviewLevel.NOTHING})
    db.session.commit()
    assert not sender.run()
    assert len(device.pushes) == 1
    by_entry = {row.outbox_id == unknown: (row.state, row.error) for row in db.session.query(Delivery)}
    assert by_entry == {True: ("waiting", "unavailable"), False: ("accepted", None)}
    assert "no push can be created for delivery" in caplog.text


def test_results_do_not_wait_for_ever(app: Flask, service: PushService, monkeypatch: pytest.MonkeyPatch) -> None:
    _new_devices(service, 1)
    announce()
    monkeypatch.setattr(in_flight, "_LONGEST_OUTAGE", 0.0)
    _fails(monkeypatch, results, "record", {1})
    with pytest.raises(OperationalError):
        sender.run()


def test_a_worker_that_was_stopped_until_another_took_its_claims_sends_nothing_again(
    any_app: Flask, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = _new_devices(service, 3)
    announce()
    lease = claims.LEASE
    monkeypatch.setattr(claims, "LEASE", timedelta(seconds=0.5))
    send, stopped, goes_on = Gateway.send, Event(), Event()

    def stop_and_send(*arguments: Any) -> None:
        monkeypatch.setattr(Gateway, "send", send)
        stopped.set()
        goes_on.wait(60)
        send(*arguments)

    monkeypatch.setattr(Gateway, "send", stop_and_send)
    with _running(any_app) as run:
        assert stopped.wait(60)
        time.sleep(0.5)  # until the lease has ended
        with monkeypatch.context() as patch:
            patch.setattr(sender, "_running", Lock())  # as another process has
            patch.setattr(claims, "LEASE", lease)
            assert not sender.run()
        assert [len(device.pushes) for device in devices] == [1] * 3
        goes_on.set()
        run.result(60)
    assert [len(device.pushes) for device in devices] == [1] * 3
    assert [(row.state, row.attempts) for row in db.session.query(Delivery)] == [(DeliveryState.ACCEPTED, 2)] * 3


def test_a_gateway_that_fails_holds_up_no_run_for_longer_than_a_claim_lasts(
    app: Flask, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    _new_devices(service, 1)
    announce()
    monkeypatch.setattr(claims, "LEASE", timedelta(seconds=1))
    with monkeypatch.context() as patch:
        patch.setattr(OriginQueue, "take", lambda *_: 1 / 0)
        assert not sender.run()
    assert service.requests == []


def test_a_run_with_nothing_to_do_waits_for_no_result(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight.InFlight, "record", lambda *_, **__: pytest.fail("nothing is in flight"))
    assert not sender.run()


@pytest.mark.parametrize("removed", [Subscription, OutboxEntry])
def test_rows_removed_while_their_push_is_in_flight_cause_no_error(
    any_app: Flask, service: PushService, removed: type, caplog: pytest.LogCaptureFixture
) -> None:
    service.held_until = 4
    _new_devices(service, 3)
    announce()
    with _running(any_app) as run:
        service.wait_requests(3)
        db.session.query(removed).delete()  # no wait: no transaction is open while a push is in flight
        db.session.commit()
        assert not run.done()
        service.held_until = 0
        assert not run.result(60)
    assert db.session.query(Delivery).count() == 0
    assert warnings(caplog) == []


def test_what_becomes_due_is_sent_although_an_old_push_hangs(app: Flask, service: PushService, long_runs: None) -> None:
    [hanging] = _new_devices(service, 1)
    hanging.answers(HANG)
    announce()
    with _running(app) as run:
        service.wait_requests(1)
        device = service.new_device(KEYS.public_key)
        subscribe(db.session.query(User).one(), device)
        hanging.answers_normally()
        announce(note(tag="m-2"))
        assert not sender.run()  # another is at it
        device.wait(1)
        assert not run.done()
        service.stop()
        run.result(60)


def test_a_push_that_waits_too_long_for_its_turn_goes_back_and_is_no_attempt(
    settings: Settings, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "_SILENCE", 0.1)
    app = create_app(replace(settings, push_concurrency=1))
    with app.app_context():
        devices = _new_devices(service, 3)
        service.held_until = 2
        announce()
        with _running(app) as run:
            wait_until(lambda: _postponed() == [0, 0])  # the numbers of their attempts
            service.held_until = 0
            run.result(60)
        assert [row_of(device).failures for device in devices] == [0] * 3
        time_passes(10)
        sender.run()
        assert [len(device.pushes) for device in devices] == [1] * 3
        assert [delivery_to(device).attempts for device in devices] == [1] * 3
        db.session.remove()
        db.engine.dispose()


@pytest.mark.parametrize(("stuck_devices", "in_flight"), [(20, 200), (100, 4)])
def test_a_service_that_hangs_holds_up_no_other(
    settings: Settings,
    service: PushService,
    monkeypatch: pytest.MonkeyPatch,
    long_runs: None,
    stuck_devices: int,
    in_flight: int,
) -> None:
    monkeypatch.setattr(fanout, "SET_SIZE", 30)
    monkeypatch.setattr(concurrency, "_PAUSE", 60.0)  # it need not even be noticed
    app = create_app(replace(settings, push_concurrency=in_flight))
    with app.app_context(), PushService() as stuck:
        stuck.answers(HANG)
        user = owner()
        subscribe_all(user, [stuck.new_device(KEYS.public_key) for _ in range(stuck_devices)])
        device = service.new_device(KEYS.public_key)
        subscribe(user, device)
        outbox.enqueue(NOTE)
        db.session.commit()
        with _running(app) as run:
            device.wait(1)
            assert not run.done()
            stuck.stop()
            run.result(60)
        db.session.remove()
        db.engine.dispose()


def test_a_service_that_is_silent_gets_no_more_until_it_has_answered(
    settings: Settings, service: PushService, monkeypatch: pytest.MonkeyPatch, long_runs: None
) -> None:
    monkeypatch.setattr(concurrency, "_PAUSE", 0.1)
    app = create_app(replace(settings, push_concurrency=1))
    with app.app_context():
        [device] = _new_devices(service, 1)
        service.held_until = 2
        announce()
        with _running(app) as run:
            service.wait_requests(1)
            time.sleep(0.2)  # until it is silent
            looks = _calls(monkeypatch, claims, "services_due")
            announce(note(tag="m-2"))
            assert not sender.run()  # another is at it
            wait_until(lambda: len(looks) > 5)  # it has looked for due deliveries some times
            assert [row.attempts for row in db.session.query(Delivery).order_by(Delivery.id)] == [1, 0]
            db.session.rollback()
            service.held_until = 0
            device.wait(2)
            run.result(60)
        db.session.remove()
        db.engine.dispose()


def test_no_secret_reaches_the_log_whether_pushes_succeed_or_fail(
    app: Flask, service: PushService, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("", "feedback_push", "asyncio", "celery", "pywebpush", "py_vapid"):
        caplog.set_level(logging.DEBUG, name or None)
    impatient(monkeypatch)
    answers: list[int | Answer] = [201, 410, 400, 429, 503, RESET, HANG, Answer(401, {"reason": "BadJwtToken"})]
    devices = _new_devices(service, len(answers))
    for device, answer in zip(devices, answers, strict=True):
        # As some services do, it repeats the address; that must not get any further either.
        device.answers(Answer(answer, f"cannot push to {device.endpoint}") if answer == 503 else answer)
    announce()
    sender.run()
    time_passes(100)
    sender.run()
    said = caplog.text + "".join(str(row.detail) for row in db.session.query(Delivery))
    tokens = [request.headers["Authorization"] for request in service.requests]
    secrets = [KEYS.private_key, *tokens, NOTE.title, app.config["SECRET_KEY"]]
    for device in devices:
        secrets += [device.endpoint, device.channel, device.auth, device.p256dh]
    assert [secret for secret in secrets if secret in said] == []


def _enqueue_three() -> None:
    for _ in range(3):
        outbox.enqueue(NOTE)
    db.session.commit()


def _broadcasts(*audiences: list[int]) -> None:
    """Commit an entry for each of these groups of visitors' devices."""
    for devices in audiences:
        audience = followers.add_audience()
        for device in devices:
            followers.follow(device, {audience.id: PreviewLevel.ALL})
        outbox.enqueue(NOTE, audience_id=audience.id, priority=Priority.BROADCAST)
    db.session.commit()


def test_a_broadcast_is_fanned_out_only_as_fast_as_it_is_sent(any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SET_SIZE", 5)
    monkeypatch.setattr(sender, "_AHEAD", 10)
    _broadcasts(visitors(60))
    unreachable_devices(owner(), 12)
    alarm = outbox.enqueue(NOTE)
    db.session.commit()
    # Everything in flight is for this push service, which answers, but slowly.
    monkeypatch.setattr(
        "feedback_push.push.sender._Run._room", lambda _: dict.fromkeys(claims.services_due(utcnow()), Room(0, 0))
    )
    sender.run()
    made = db.session.query(Delivery).filter_by(priority=Priority.BROADCAST).count()
    assert 10 <= made <= 15
    assert db.session.query(Delivery).filter_by(outbox_id=alarm.id).count() == 12  # they overtake it


def test_many_notifications_for_few_devices_are_claimed_together(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "_FAN_OUT_FOR", 60.0)
    _broadcasts(*([device] for device in visitors(30)))
    claimed: list[int] = []
    take = claims.take

    def count_claims(room: dict[int, Room], now: datetime) -> list[Claim]:
        batch = take(room, now)
        claimed.append(len(batch))
        return batch

    monkeypatch.setattr(claims, "take", count_claims)
    sender.run()
    assert [number for number in claimed if number] == [30]


@pytest.mark.usefixtures("app")
def test_entries_for_nobody_are_finished_in_transactions_of_their_own() -> None:
    _enqueue_three()
    commits: list[Any] = []
    note_commit = commits.append
    event.listen(db.engine, "commit", note_commit)
    assert not sender.run()
    event.remove(db.engine, "commit", note_commit)
    assert len(commits) > 3


@pytest.mark.usefixtures("app")
def test_a_run_looks_for_somebody_to_send_to_no_longer_than_results_can_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    _enqueue_three()
    found: list[int] = []
    monkeypatch.setattr(sender, "_FAN_OUT_FOR", -1.0)
    due = outbox.due

    def count_due(now: datetime, lowest: Priority) -> list[int]:
        entries = due(now, lowest)
        found.append(len(entries))
        return entries

    monkeypatch.setattr(outbox, "due", count_due)
    assert not sender.run()
    assert found == [3, 2, 1, 0]
