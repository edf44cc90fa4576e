"""A device whose session was ended gets no push, not even a pending one, until its browser signs in again."""

import socket
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, update

from feedback_push import create_app
from feedback_push.admin import labels
from feedback_push.auth import accounts, audit, sessions
from feedback_push.auth.models import Role, Session, User
from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.push import claims, digests, in_flight, keys, receipts, results, sender
from feedback_push.push.claims import SessionEnded
from feedback_push.push.in_flight import InFlight
from feedback_push.push.models import Delivery, DeliveryState, Subscription
from feedback_push.webpush import concurrency, responses, transport
from feedback_push.webpush.endpoints import EndpointPolicy
from feedback_push.webpush.gateway import Result
from feedback_push.webpush.transport import Cancelled, Transport
from tests.conftest import KEYS, make_user
from tests.crossing import cross
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.push.devices import delivery_to, row_of, subscribe, unreachable_devices
from tests.push.notes import announce, claim, note
from tests.push.test_sender_runs import _running

EMAIL = "ada@example.org"


@pytest.fixture
def user(app: Flask) -> User:
    return make_user(EMAIL, Role.MEMBER)


def sign_in(user: User) -> str:
    """Begin a session, use it from now on, and return its token."""
    sessions.begin(user, browser="Firefox on Linux", remembered=True)
    db.session.commit()
    return user.token


def device_in_new_session(user: User, service: PushService) -> tuple[Device, str]:
    """Return a device and the token of the session that has added it."""
    token = sign_in(user)
    device = service.new_device(KEYS.public_key)
    subscribe(user, device)
    return device, token


def session_of(token: str) -> int:
    session = sessions.find(token)
    assert session
    return session.id


def why(device: Device) -> str | None:
    """Return the dashboard's text about a device's only delivery."""
    return labels.reason(delivery_to(device))


@pytest.mark.usefixtures("any_app")
def test_each_way_to_end_sessions_suspends_their_devices_and_no_others(user: User, service: PushService) -> None:
    other = make_user("bob@example.org")

    def end_one(there: str) -> None:
        sessions.end(session_of(there), user=user)

    def leave(there: str) -> None:
        here, user.token = user.token, there
        sessions.end_current(user)
        user.token = here

    ways: dict[str, tuple[Callable[[str], Any], bool]] = {  # and a device without a known session
        "end one": (end_one, False),
        "sign out": (leave, False),
        "end the others": (lambda _: sessions.end_others(user), True),
        "change the password": (lambda _: accounts.set_password(user, "battery staple", keep_current=True), True),
    }
    for name, (end, reaches_unknown) in ways.items():
        strangers, _ = device_in_new_session(other, service)
        user.token = ""
        unknown = service.new_device(KEYS.public_key)
        subscribe(user, unknown)
        there, token = device_in_new_session(user, service)
        here, _ = device_in_new_session(user, service)
        end(token)
        db.session.commit()
        suspended = [bool(row_of(device).suspended_at) for device in (strangers, here, there, unknown)]
        assert suspended == [False, False, True, reaches_unknown], name
    told = [entry.detail["device"] for entry in audit.page().entries if entry.event == "device-suspended"]
    assert len(told) == 3 * len(ways) - 1  # each once, except the last, which stays active
    user.token = ""
    accounts.set_password(user, "a third password")
    db.session.commit()
    assert all(device.suspended_at for device in db.session.query(Subscription).filter_by(user_id=user.id))


def test_time_alone_suspends_nothing_but_a_later_end_reaches_the_device(
    user: User, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, _ = device_in_new_session(user, service)
    db.session.execute(update(Session).values(expires_at=utcnow() - timedelta(days=1)))
    db.session.commit()
    pushed_out, _ = device_in_new_session(user, service)
    monkeypatch.setattr(sessions, "_MOST", 1)
    sign_in(user)
    announce()
    sender.run()
    assert [len(device.pushes) for device in (phone, pushed_out)] == [1, 1]
    sessions.end_others(user)
    db.session.commit()
    announce(note(tag="m-2"))
    sender.run()
    assert [len(device.pushes) for device in (phone, pushed_out)] == [1, 1]


def test_waiting_deliveries_are_cancelled_and_the_history_says_why(user: User, service: PushService) -> None:
    device, token = device_in_new_session(user, service)
    kept, _ = device_in_new_session(user, service)
    announce()
    sessions.end(session_of(token), user=user)
    db.session.commit()
    sender.run()
    assert (device.pushes, len(kept.pushes)) == ([], 1)
    assert why(device) == "The session of this device was ended."
    assert "Sign in again on that device" in (labels.next_step(delivery_to(device)) or "")
    announce(note(tag="m-2"))  # a later message has a delivery that is cancelled at once
    db.session.query(Delivery).filter(Delivery.error.is_(None)).update({"due_at": None})
    db.session.commit()
    assert [row.error for row in db.session.query(Delivery).order_by(Delivery.id)] == [
        *("session-ended", None, "session-ended", None)
    ]
    assert device.pushes == []


@pytest.mark.usefixtures("any_app")
def test_what_is_more_than_one_transaction_takes_is_not_sent_either(
    user: User, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_MOST_CANCELLED", 1)
    device, _ = device_in_new_session(user, service)
    for number in range(3):
        announce(note(tag=f"m-{number}"))
    sessions.end_all(user)
    db.session.commit()
    assert len(claim()) == 2
    db.session.query(Delivery).filter(Delivery.due_at.is_not(None)).update({"due_at": utcnow(), "claim": None})
    db.session.commit()
    sender.run()
    assert device.pushes == []
    assert {row.error for row in db.session.query(Delivery)} == {"session-ended"}


def test_a_claimed_delivery_is_not_sent(user: User, service: PushService) -> None:
    device, token = device_in_new_session(user, service)
    kept, _ = device_in_new_session(user, service)
    announce()
    batch = claim()
    sessions.end(session_of(token), user=user)
    db.session.commit()
    flight = InFlight(receipts.signing_key("x"))
    flight.send(batch, keys.cached().live.values(), time.monotonic())
    while flight:
        flight.record(patient=True)
    flight.close()
    assert ([request.path.rpartition("/")[2] for request in service.requests]) == [kept.channel]
    assert (why(device), delivery_to(device).state) == ("The session of this device was ended.", DeliveryState.FAILED)
    assert delivery_to(kept).state == DeliveryState.ACCEPTED


def test_a_push_queued_for_its_service_is_not_sent(
    settings: Settings, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "_SILENCE", 60)
    app = create_app(replace(settings, push_concurrency=1))
    with app.app_context():
        user = make_user(EMAIL)
        first, _ = device_in_new_session(user, service)
        queued, token = device_in_new_session(user, service)
        announce()
        service.latency = 3
        with _running(app) as run:
            service.wait_requests(1)
            sessions.end(session_of(token), user=user)
            db.session.commit()
            service.latency = 0
            assert run.result(20) is False
        assert (len(first.pushes), queued.pushes) == (1, [])
        assert why(queued) == "The session of this device was ended."
        db.session.remove()
        db.engine.dispose()


def test_a_push_waiting_for_a_connection_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_CHECK_AGAIN_AFTER", 0)
    outcomes: list[Any] = []
    policy = EndpointPolicy(hosts=("localhost",), private_allowed=True)
    with socket.create_server(("127.0.0.1", 0)) as listener, closing(Transport(policy.open_socket)) as client:
        url = f"http://localhost:{listener.getsockname()[1]}/"
        client.post(url, (), b"a secret", outcomes.append, SessionEnded)
        while not outcomes:
            client.step(5)
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1) == b""
    assert outcomes == [Cancelled(SessionEnded())]


def test_without_the_database_a_push_waits(app: Flask) -> None:
    unreachable_devices(make_user(EMAIL), 1)
    announce()
    nowhere_at_all = create_engine("sqlite:////nowhere/at/all.sqlite")
    [objection] = claims.Watch(nowhere_at_all.connect).refusals(claim())
    assert isinstance(objection, responses.Postponed)


def test_an_answer_of_the_database_is_good_for_a_moment_only(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    unreachable_devices(user, 2)
    announce()
    batch = claim()
    watch = in_flight.InFlight(b"")._watch  # noqa: SLF001 - as a run has it
    assert watch.refusals(batch[:1], batch[1:]) == [None]
    sessions.end_all(user)
    db.session.commit()
    now = time.monotonic()
    monkeypatch.setattr("feedback_push.push.claims.time.monotonic", lambda: now + claims.FRESH)
    assert [type(objection) for objection in watch.refusals(batch)] == [SessionEnded] * 2
    watch.end()


def test_a_push_sent_before_the_session_ended_counts_as_sent(user: User, app: Flask, service: PushService) -> None:
    device, _ = device_in_new_session(user, service)
    announce()
    service.latency = 3
    with _running(app) as run:
        service.wait_requests(1)
        sessions.end_all(user)
        db.session.commit()
        run.result(20)
    assert len(device.pushes) == 1
    assert delivery_to(device).state == DeliveryState.ACCEPTED


def test_a_browser_that_signs_in_again_goes_on_with_its_name_and_its_history(user: User, service: PushService) -> None:
    device, _ = device_in_new_session(user, service)
    row_of(device).name = "My phone"
    announce()
    sessions.end_all(user)
    db.session.commit()
    before = row_of(device).id
    sign_in(user)
    subscribe(user, device)
    row = row_of(device)
    assert (row.id, row.name, row.suspended_at, row.session_id) == (before, "My phone", None, session_of(user.token))
    announce(note(tag="m-2"))
    sender.run()
    assert len(device.pushes) == 1
    assert [entry.event for entry in audit.page().entries][:2] == ["device-resumed", "device-suspended"]


def test_a_message_that_is_planned_meanwhile_is_not_sent(user: User, any_app: Flask, service: PushService) -> None:
    device, _ = device_in_new_session(user, service)
    ended = user.id

    def end() -> None:
        sessions.end_all(db.session.get_one(User, ended))
        db.session.commit()

    cross(any_app, announce, "INTO push_delivery", end)
    sender.run()
    assert device.pushes == []
    assert why(device) == "The session of this device was ended."


@pytest.mark.usefixtures("any_app")
def test_nothing_is_sent_to_the_devices_of_an_account_that_was_deleted_meanwhile(
    user: User, service: PushService
) -> None:
    device, _ = device_in_new_session(user, service)
    announce()
    batch = claim()
    accounts.delete(user)
    db.session.commit()
    flight = InFlight(receipts.signing_key("x"))
    flight.send(batch, keys.cached().live.values(), time.monotonic())
    while flight:
        flight.record(patient=True)
    flight.close()
    assert (device.pushes, service.requests) == ([], [])


def test_a_failure_that_arrives_after_the_end_is_not_tried_again(user: User, service: PushService) -> None:
    device, _ = device_in_new_session(user, service)
    announce()
    [claimed] = claim()
    sessions.end_all(user)
    db.session.commit()
    results.record([Result(claimed, 503, responses.Unavailable(503))], utcnow())
    db.session.commit()
    delivery = delivery_to(device)
    assert (delivery.state, delivery.due_at) == (DeliveryState.FAILED, None)
    assert why(device) == "The session of this device was ended."
