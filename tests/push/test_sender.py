"""Sender: claim and send due deliveries, and record the push service's answer by the table."""

from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from flask import Flask

from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.push import circuit_breaker, claims, sender
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, OutboxEntry
from tests.doubles.push_answers import ACCEPTED_THEN_RESET, CUT, ENDLESS, HANG, RESET, SLOW, Answer, redirect
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.push.devices import delivery_to, new_device, owner, row_of, subscribe
from tests.push.notes import announce, claim, note, time_passes
from tests.push.outcomes import assert_final, assert_unchanged, banner, due_in
from tests.webpush.sending import impatient
from tests.webpush.test_gateway import MISMATCHES

TTL = 86400


def test_a_due_delivery_reaches_the_browser_and_is_recorded(any_app: Flask, service: PushService) -> None:
    device = new_device(owner(), service)
    announce()
    assert not sender.run()
    [push] = device.pushes
    assert push.json()["notification"]["title"] == "Ada:"
    assert (push.urgency, len(push.topic or "")) == ("high", 32)
    assert_final(device, DeliveryState.ACCEPTED, None)
    assert service.refusals == []


def test_every_device_of_every_administrator_gets_every_note_once(app: Flask, service: PushService) -> None:
    first, second = owner("first@example.org"), owner("second@example.org")
    devices = [new_device(user, service) for user in (first, second, first)]
    for number in range(3):
        announce(note(tag=f"m-{number}", title=f"{number}:"))
    sender.run()
    sender.run()
    for device in devices:
        assert sorted(push.json()["notification"]["title"] for push in device.pushes) == ["0:", "1:", "2:"]


@pytest.mark.parametrize("answer", [200, 201, 202, CUT, ENDLESS], ids=["200", "201", "202", "cut", "endless"])
def test_an_accepted_push_is_final_and_the_device_well(device: Device, answer: int | Answer) -> None:
    row_of(device).failures = 3
    db.session.commit()
    device.answers([answer])
    announce()
    before = utcnow()
    sender.run()
    sender.run()
    assert_final(device, DeliveryState.ACCEPTED, None)
    assert_unchanged(device)
    assert (row_of(device).last_accepted_at or before) > before
    assert len(device.pushes) == 1


@pytest.mark.parametrize("status", [404, 410])
def test_a_device_that_is_gone_is_sent_nothing_until_it_subscribes_again(
    user: User, service: PushService, device: Device, status: int
) -> None:
    device.answers([status])
    announce()
    sender.run()
    assert_final(device, DeliveryState.FAILED, "gone")
    assert row_of(device).state == DeviceState.GONE
    announce(note(tag="m-2"))
    sender.run()
    assert len(service.requests) == 1
    subscribe(user, device)
    announce(note(tag="m-3"))
    sender.run()
    assert len(device.pushes) == 1
    assert_unchanged(device)


@pytest.mark.parametrize("answer", MISMATCHES)
def test_a_device_of_another_key_is_sent_nothing_until_it_subscribes_again(
    user: User, service: PushService, device: Device, answer: Answer
) -> None:
    device.answers([answer])
    announce()
    sender.run()
    assert_final(device, DeliveryState.FAILED, "key-mismatch")
    assert row_of(device).state == DeviceState.STALE
    assert circuit_breaker.open_circuits() == []
    announce(note(tag="m-2"))
    sender.run()
    assert len(service.requests) == 1
    subscribe(user, device)
    announce(note(tag="m-3"))
    sender.run()
    assert len(device.pushes) == 1


def test_the_dashboard_raises_an_alarm_when_every_device_is_of_another_key(
    user: User, service: PushService, device: Device
) -> None:
    other = new_device(user, service)
    device.answers(MISMATCHES[0])
    announce()
    sender.run()
    assert banner() == ""
    other.answers(MISMATCHES[0])
    announce(note(tag="m-2"))
    sender.run()
    assert "another VAPID key" in banner()


@pytest.mark.parametrize("status", [400, 402, 413])
def test_a_rejected_message_is_sent_once_more_smaller_and_without_topic(
    service: PushService, device: Device, status: int
) -> None:
    device.answers([status])
    announce(note(body="x" * 120))
    sender.run()
    assert due_in(device) <= 0
    sender.run()
    first, second = service.requests
    assert "Topic" in first.headers
    assert "Topic" not in second.headers
    assert len(second.body) < len(first.body) - 100
    [push] = device.pushes
    assert "body" not in push.json()["notification"]
    assert push.json()["notification"]["title"] == "Ada:"
    assert_final(device, DeliveryState.ACCEPTED, None)


@pytest.mark.parametrize("status", [400, 402, 413])
def test_a_message_that_is_rejected_twice_is_given_up_with_the_reason(
    service: PushService, device: Device, status: int
) -> None:
    device.answers(status, body={"reason": "PayloadTooLarge"})
    announce()
    sender.run()
    sender.run()
    assert len(service.requests) == 2
    assert_final(device, DeliveryState.FAILED, "rejected")
    assert (delivery_to(device).status, delivery_to(device).detail) == (status, "PayloadTooLarge")
    assert_unchanged(device)
    assert circuit_breaker.open_circuits() == []


@pytest.mark.parametrize("status", [406, 429, 503])
@pytest.mark.parametrize("spell", [str, lambda seconds: format_datetime(utcnow() + timedelta(seconds=seconds))])
def test_nothing_is_sent_before_retry_after(
    service: PushService, device: Device, status: int, spell: Callable[[int], str]
) -> None:
    device.answers([Answer(status, headers={"Retry-After": spell(600)})])
    announce()
    sender.run()
    assert due_in(device) == pytest.approx(600, abs=5)
    time_passes(590)
    sender.run()
    assert len(service.requests) == 1
    time_passes(15)
    sender.run()
    assert len(device.pushes) == 1


@pytest.mark.parametrize("status", [406, 429])
@pytest.mark.parametrize("headers", [{}, {"Retry-After": "1"}, {"Retry-After": "soon"}])
def test_a_throttled_push_waits_at_least_the_backoff_and_blames_no_device(
    device: Device, status: int, headers: dict[str, str]
) -> None:
    device.answers(status, headers=headers)
    announce()
    sender.run()
    assert 20 < due_in(device) < 40
    assert (delivery_to(device).state, delivery_to(device).error) == ("waiting", "throttled")
    assert_unchanged(device)


def test_retry_after_beyond_the_time_to_live_ends_with_it(service: PushService, device: Device) -> None:
    device.answers(429, headers={"Retry-After": str(10 * TTL)})
    announce()
    sender.run()
    assert due_in(device) == pytest.approx(TTL, abs=10)
    time_passes(TTL)
    sender.run()
    assert_final(device, DeliveryState.EXPIRED, "throttled")
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        *(408, 500, 502, 503, 504),
        *(RESET, ACCEPTED_THEN_RESET, HANG, SLOW),
        Answer(503, manner="endless"),
        Answer(500, "x" * 5000, manner="cut"),
        redirect("http://127.0.0.1:1/"),
    ],
    ids=lambda answer: str(answer) if isinstance(answer, int) else f"{answer.manner}-{answer.status}",
)
def test_a_service_that_fails_is_tried_again_after_a_while(
    service: PushService, device: Device, answer: int | Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch, 0.5)
    device.answers([answer])
    announce()
    sender.run()
    assert (delivery_to(device).state, delivery_to(device).error) == ("waiting", "unavailable")
    assert 20 < due_in(device) < 40
    assert (row_of(device).state, row_of(device).failures) == (DeviceState.LIVE, 1)
    assert len(service.requests) == 1
    time_passes(40)
    sender.run()
    assert_final(device, DeliveryState.ACCEPTED, None)
    assert_unchanged(device)


def test_a_service_that_is_down_is_tried_again_until_the_time_to_live_ends(
    service: PushService, device: Device
) -> None:
    service.stop()
    announce()
    waits = []
    for failures in range(1, 9):
        sender.run()
        assert row_of(device).failures == failures
        waits.append(due_in(device))
        time_passes(waits[-1])
    assert all(later > sooner for sooner, later in pairwise(waits))
    time_passes(TTL)
    service.start()
    sender.run()
    assert_final(device, DeliveryState.EXPIRED, "unavailable")
    assert service.requests == []


@pytest.mark.parametrize(("age", "ttl"), [(0, TTL), (TTL - 600, 600), (TTL - 2.5, 2)])
def test_the_time_to_live_sent_is_what_remains_of_it(device: Device, age: float, ttl: int) -> None:
    announce()
    time_passes(age)
    sender.run()
    [push] = device.pushes
    assert ttl - 5 <= push.ttl <= ttl
    assert push.ttl > 0


def test_a_time_to_live_of_0_is_never_sent(service: PushService, device: Device) -> None:
    announce()
    db.session.query(OutboxEntry).update({"expires_at": utcnow() + timedelta(seconds=0.9)})
    db.session.commit()
    sender.run()
    assert [request.headers["TTL"] for request in service.requests] in (["1"], [])


def test_an_expired_delivery_is_not_sent(service: PushService, device: Device) -> None:
    announce()
    time_passes(TTL)
    assert not sender.run()
    assert_final(device, DeliveryState.EXPIRED, None)
    assert service.requests == []


def test_a_dead_workers_claims_are_sent_when_the_lease_ends(app: Flask, service: PushService) -> None:
    device = new_device(owner(), service)
    announce()
    claim()
    sender.run()
    assert service.requests == []
    time_passes(claims.LEASE.total_seconds())
    sender.run()
    assert len(device.pushes) == 1
    assert db.session.query(Delivery).one().attempts == 2
