"""The requests that the push service double refuses."""

import os
import time
from typing import Any

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.doubles import base64url
from tests.doubles.push_service import PushService
from tests.doubles.senders import Sender, encrypted


def test_the_largest_body_is_accepted_and_one_byte_more_is_not(service: PushService, sender: Sender) -> None:
    device = service.new_device(sender.public_key)
    assert sender.push(device, b"x" * 3993).status_code == 201
    refused = sender.push(device, b"x" * 3994)
    assert (refused.status_code, refused.json()["errno"]) == (413, 104)
    assert [len(push.body) for push in device.pushes] == [4096]


def test_two_records_are_refused(service: PushService, sender: Sender) -> None:
    device = service.new_device(sender.public_key)
    answers = [
        sender.post(device.endpoint, _encrypted_in_records_of(size, device.as_json()["keys"]))
        for size in (4096, 100 + 17, 99 + 17)
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 400]
    assert "more than one record" in answers[-1].json()["message"]


@pytest.mark.parametrize(
    ("headers", "status", "errno"),
    [
        ({"TTL": None}, 400, 111),
        ({"TTL": "soon"}, 400, 111),
        ({"TTL": "-1"}, 400, 111),
        ({"TTL": "0"}, 400, 114),
        ({"Topic": "a" * 33}, 400, 113),
        ({"Topic": "not/base64url"}, 400, 113),
        ({"Urgency": "now"}, 400, None),
        ({"Content-Encoding": None}, 400, 110),
        ({"Content-Encoding": "aesgcm"}, 400, 110),
        ({"Crypto-Key": "dh=abc"}, 400, 110),
        ({"Authorization": None}, 401, 109),
        ({"Authorization": "Bearer abc"}, 401, 109),
        ({"Authorization": "vapid t=abc"}, 401, 109),
    ],
)
def test_bad_headers_are_refused(
    service: PushService, sender: Sender, headers: dict[str, str | None], status: int, errno: int | None
) -> None:
    device = service.new_device(sender.public_key)
    refused = sender.post(device.endpoint, encrypted(device.as_json(), b"{}"), headers)
    assert (refused.status_code, refused.json()["errno"]) == (status, errno)
    assert device.pushes == []
    assert len(service.refusals) == 1


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"aud": "https://updates.push.services.mozilla.com"}, "Invalid VAPID audience"),
        ({"exp": 1}, "ExpiredSignature"),
        ({"exp": int(time.time()) + 25 * 3600}, "The VAPID token expiration is too long"),
        ({"exp": str(int(time.time()) + 60)}, "Invalid VAPID expiry"),
        ({"sub": "mailto: owner@feedback.test"}, "Invalid VAPID subject"),
        ({"sub": "owner@feedback.test"}, "Invalid VAPID subject"),
    ],
)
def test_bad_claims_are_refused(
    service: PushService,
    sender: Sender,
    claims: dict[str, Any],
    message: str,
) -> None:
    device = service.new_device(sender.public_key)
    refused = sender.post(
        device.endpoint,
        encrypted(device.as_json(), b"{}"),
        {"Authorization": sender.authorization(device.endpoint, **claims)},
    )
    assert (refused.status_code, refused.json()["message"]) == (401, message)


def test_another_vapid_key_is_a_mismatch(service: PushService, sender: Sender, other_sender: Sender) -> None:
    refused = other_sender.push(service.new_device(sender.public_key))
    assert (refused.status_code, refused.json()["errno"]) == (401, 109)
    assert "public key mismatch" in refused.json()["message"]


def test_a_signature_by_another_key_is_refused(
    service: PushService,
    sender: Sender,
    other_sender: Sender,
) -> None:
    device = service.new_device(sender.public_key)
    token = other_sender.authorization(device.endpoint).partition(",")[0]
    refused = sender.post(
        device.endpoint,
        encrypted(device.as_json(), b"{}"),
        {"Authorization": f"{token},k={sender.public_key}"},
    )
    assert (refused.status_code, refused.json()["message"]) == (401, "InvalidSignature")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "shorter"),
        (os.urandom(16) + bytes([0, 0, 16, 0, 0]) + os.urandom(100), "not a P-256 point"),
        (os.urandom(16) + bytes([0, 0, 16, 0, 65]) + bytes(100), "not a P-256 point"),
    ],
)
def test_bad_framing_is_refused(service: PushService, sender: Sender, body: bytes, message: str) -> None:
    refused = sender.post(service.new_device(sender.public_key).endpoint, body)
    assert refused.status_code == 400
    assert message in refused.json()["message"]


def _encrypted_in_records_of(size: int, keys: dict[str, str]) -> bytes:
    body: bytes = http_ece.encrypt(
        b"x" * 100,
        private_key=ec.generate_private_key(ec.SECP256R1()),
        dh=base64url.decode(keys["p256dh"]),
        auth_secret=base64url.decode(keys["auth"]),
        rs=size,
    )
    return body
