"""Delivery to a push service that refuses our signature: one probe at a time, and everything once it takes one."""

import pytest

from feedback_push.auth.models import User
from feedback_push.push import circuit_breaker, sender
from feedback_push.push.models import DeliveryState
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.push.devices import delivery_to, new_device
from tests.push.notes import announce, note, time_passes
from tests.push.outcomes import assert_final, assert_unchanged, banner, due_in

HOLD = circuit_breaker.OPEN_FOR.total_seconds()
TTL = 86400


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_signature_holds_the_origin_and_blames_no_device(
    service: PushService, device: Device, status: int
) -> None:
    device.answers(status, body={"reason": "BadJwtToken"})
    announce()
    sender.run()
    assert_unchanged(device)
    row = delivery_to(device)
    assert (row.state, row.error, row.status, row.detail) == ("waiting", "misconfigured", status, "BadJwtToken")
    assert [(held.origin, held.status) for held in circuit_breaker.open_circuits()] == [(service.url, status)]
    assert f"{service.url}: {status} BadJwtToken" in banner()


def test_a_held_origin_gets_one_probe_a_minute_and_everything_once_it_takes_one(
    user: User, service: PushService
) -> None:
    devices = [new_device(user, service) for _ in range(5)]
    service.answers(403)
    announce()
    sender.run()
    assert len(service.requests) == 5
    for probes in (1, 2, 3):
        time_passes(HOLD)
        sender.run()
        sender.run()
        assert len(service.requests) == 5 + probes
    service.answers_normally()
    time_passes(HOLD)
    sender.run()
    assert len(service.requests) == 9
    assert circuit_breaker.open_circuits() == []
    assert banner() == ""
    time_passes(circuit_breaker.BETWEEN_LOOKS.total_seconds())
    sender.run()
    for device in devices:
        assert len(device.pushes) == 1
        assert_final(device, DeliveryState.ACCEPTED, None)
        assert_unchanged(device)


def test_what_is_new_for_a_held_origin_waits_unsent(user: User, service: PushService, device: Device) -> None:
    service.answers(403)
    announce()
    sender.run()
    other = new_device(user, service)
    announce(note(tag="m-2"))
    sender.run()
    assert len(service.requests) == 1
    assert (delivery_to(other).attempts, delivery_to(other).error) == (0, None)
    assert HOLD - 10 < due_in(other) <= HOLD


def test_a_clock_that_ran_ahead_holds_nothing_up_once_it_is_right(
    user: User, service: PushService, device: Device
) -> None:
    service.answers(403)  # as a push service does to a token that ends more than a day ahead
    announce()
    sender.run()
    time_passes(-2 * TTL)  # the clock is put back
    service.answers_normally()
    devices = [new_device(user, service) for _ in range(2)]
    announce(note(tag="m-2"))
    sender.run()
    time_passes(circuit_breaker.BETWEEN_LOOKS.total_seconds())
    sender.run()
    assert [len(each.pushes) for each in devices] == [1, 1]


def test_a_held_origin_holds_up_no_other(user: User, service: PushService, device: Device) -> None:
    with PushService() as other_service:
        other = new_device(user, other_service)
        service.answers(401)
        for number in range(2):
            announce(note(tag=f"m-{number}"))
            sender.run()
        assert len(service.requests) == 1
        assert len(other.pushes) == 2


def test_a_probe_that_meets_another_fault_leaves_the_hold(user: User, service: PushService, device: Device) -> None:
    device.answers([403, 503, 429])
    announce()
    for requests in (1, 2, 3):
        sender.run()
        assert len(service.requests) == requests
        assert [held.origin for held in circuit_breaker.open_circuits()] == [service.url]
        time_passes(10 * HOLD)
    sender.run()
    assert len(device.pushes) == 1
    assert circuit_breaker.open_circuits() == []


def test_a_device_that_is_refused_for_ever_does_not_keep_the_probe_from_the_others(
    user: User, service: PushService, device: Device
) -> None:
    device.answers(403, body="a reason of its own")
    announce()
    sender.run()
    other = new_device(user, service)
    announce(note(tag="m-2"))
    for _ in range(60):
        if other.pushes:
            break
        sender.run()
        time_passes(HOLD + circuit_breaker.BETWEEN_LOOKS.total_seconds())
    assert len(other.pushes) == 1


def test_a_delivery_held_beyond_its_ttl_expires_unsent(service: PushService, device: Device) -> None:
    device.answers([403])
    announce()
    sender.run()
    time_passes(TTL)
    sender.run()
    assert_final(device, DeliveryState.EXPIRED, "misconfigured")
    assert len(service.requests) == 1
