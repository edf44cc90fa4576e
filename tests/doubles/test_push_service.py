"""The push service double accepts and decrypts a correct push, and records every request."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pywebpush import webpush

from tests.doubles.certificates import LoopbackAuthority
from tests.doubles.push_service import PushService
from tests.doubles.senders import Sender, encrypted


def test_a_push_by_pywebpush_is_accepted_and_read(service: PushService, sender: Sender) -> None:
    device = service.new_device(sender.public_key)
    answer = webpush(
        device.as_json(),
        "Grüße",
        sender.vapid,
        {"sub": "https://feedback.test"},
        ttl=60,
        headers={"Topic": "a" * 32, "Urgency": "high"},
        timeout=5,
    )
    assert answer.status_code == 201
    [push] = device.wait()
    assert answer.headers["Location"] == f"{service.url}/m/{push.id}"
    assert (push.payload.decode(), push.ttl, push.topic, push.urgency) == ("Grüße", 60, "a" * 32, "high")
    assert push.claims["aud"] == service.url
    assert push.headers["content-encoding"] == "aes128gcm"
    assert time.monotonic() - push.received_at < 60
    assert service.refusals == []


def test_a_push_for_other_keys_is_accepted_but_unreadable(service: PushService, sender: Sender) -> None:
    mine, other = service.new_device(sender.public_key), service.new_device(sender.public_key)
    assert sender.post(mine.endpoint, encrypted(other.as_json(), b"secret")).status_code == 201
    with pytest.raises(ValueError, match="cannot be read"):
        _ = mine.pushes[0].payload


def test_a_subscription_given_up_is_gone(service: PushService, sender: Sender) -> None:
    device = service.new_device(sender.public_key)
    device.unsubscribe()
    assert sender.push(device).status_code == 410
    assert sender.post(f"{service.url}/wpush/unknown", b"").status_code == 410
    assert sender.post(f"{service.url}/elsewhere", b"").status_code == 404
    assert [request.status for request in service.requests] == [410, 410, 404]


def test_https_is_its_own_origin(tmp_path: Path, sender: Sender) -> None:
    authority = LoopbackAuthority(tmp_path)
    sender.trust(str(authority.ca_file))
    with PushService(ssl_context=authority.server_context(), hostname="localhost") as service:
        device = service.new_device(sender.public_key)
        assert device.endpoint.startswith("https://localhost:")
        assert sender.push(device).status_code == 201
        assert device.pushes[0].json() == {"hello": "world"}


def test_a_hundred_concurrent_pushes_all_arrive(service: PushService, sender: Sender) -> None:
    device = service.new_device(sender.public_key)
    service.latency = 0.05
    with ThreadPoolExecutor(10) as threads:
        list(threads.map(lambda _: sender.push(device), range(100)))
    assert len({push.id for push in device.wait(100)}) == 100
    assert 2 <= service.most_at_once <= 10


def test_a_stopped_service_handles_no_further_request_until_it_goes_on(service: PushService, sender: Sender) -> None:
    device = service.new_device(sender.public_key)
    service.stop_after = 2
    with ThreadPoolExecutor(5) as threads:
        pushed = threads.map(lambda _: sender.push(device).status_code, range(5))
        service.wait_requests(5)
        assert len(device.wait(2)) == 2
        service.stop_after = None
        assert list(pushed) == [201] * 5
    assert len(device.pushes) == 5


def test_waiting_in_vain_tells_what_happened_instead(service: PushService, sender: Sender) -> None:
    device = service.new_device(sender.public_key)
    sender.post(device.endpoint, b"", {"TTL": None})
    with pytest.raises(TimeoutError, match=r"0 of 1 pushes.*400.*Missing TTL"):
        device.wait(timeout=0.01)
