"""vapid.py: matching key pairs, and one signed token for each push service while it is valid."""

import base64
import time
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from feedback_push.webpush import vapid
from feedback_push.webpush.vapid import Signer
from tests.doubles import vapid_rules

KEYS = vapid.generate()
ORIGIN = "https://fcm.googleapis.com"
SUBJECT = "mailto:staff@example.org"
HOUR = 3600.0


class Clock:
    """The time of day as this machine believes it to be."""

    def __init__(self) -> None:
        self.now = time.time()

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(vapid, "time", SimpleNamespace(time=clock.time))
    return clock


@pytest.fixture
def signer() -> Signer:
    return Signer(KEYS.private_key, SUBJECT)


def test_a_new_pair_is_32_and_65_bytes_of_base64url() -> None:
    pair = vapid.generate()
    assert len(base64.urlsafe_b64decode(pair.private_key + "=")) == 32
    assert len(base64.urlsafe_b64decode(pair.public_key + "=")) == 65
    assert "=" not in pair.private_key + pair.public_key
    assert pair != vapid.generate()


def test_the_halves_of_a_pair_belong_together() -> None:
    pair = vapid.generate()
    secret = int.from_bytes(base64.urlsafe_b64decode(pair.private_key + "="))
    numbers = ec.derive_private_key(secret, ec.SECP256R1()).public_key().public_numbers()
    point = b"\x04" + numbers.x.to_bytes(32) + numbers.y.to_bytes(32)
    assert base64.urlsafe_b64decode(pair.public_key + "=") == point


def test_a_push_service_accepts_the_token(signer: Signer) -> None:
    now = time.time()
    claims = vapid_rules.verified_claims(signer.authorization(ORIGIN), audience=ORIGIN, key=KEYS.public_key, now=now)
    assert claims["aud"] == ORIGIN
    assert claims["sub"] == SUBJECT
    assert now + 6 * HOUR < claims["exp"] <= now + 24 * HOUR


def test_one_token_serves_an_origin_for_hours(clock: Clock, signer: Signer) -> None:
    first = signer.authorization(ORIGIN)
    clock.now += 5 * HOUR
    assert signer.authorization(ORIGIN) == first


def test_a_token_is_still_good_for_hours_when_it_is_used_last(clock: Clock, signer: Signer) -> None:
    signer.authorization(ORIGIN)
    clock.now += 6 * HOUR - 1
    header = signer.authorization(ORIGIN)
    claims = vapid_rules.verified_claims(header, audience=ORIGIN, key=KEYS.public_key, now=clock.now)
    assert claims["exp"] > clock.now + 5 * HOUR


def test_each_origin_has_a_token_of_its_own(signer: Signer) -> None:
    headers = {origin: signer.authorization(origin) for origin in (ORIGIN, "https://web.push.apple.com")}
    for origin, header in headers.items():
        vapid_rules.verified_claims(header, audience=origin, key=KEYS.public_key, now=time.time())
    assert signer.authorization(ORIGIN) == headers[ORIGIN]


def test_a_token_is_signed_anew_before_it_is_old(clock: Clock, signer: Signer) -> None:
    first = signer.authorization(ORIGIN)
    clock.now += 6 * HOUR
    assert signer.authorization(ORIGIN) != first


@pytest.mark.parametrize("jump", [-48 * HOUR, -1, 48 * HOUR])
def test_a_token_is_signed_anew_after_the_clock_jumped(clock: Clock, signer: Signer, jump: float) -> None:
    signer.authorization(ORIGIN)
    clock.now += jump
    header = signer.authorization(ORIGIN)
    claims = vapid_rules.verified_claims(header, audience=ORIGIN, key=KEYS.public_key, now=clock.now)
    assert claims["exp"] == int(clock.now) + 12 * HOUR


def test_a_refused_token_is_signed_anew_but_not_within_an_hour(clock: Clock, signer: Signer) -> None:
    refused, other = signer.authorization(ORIGIN), signer.authorization("https://web.push.apple.com")
    clock.now += HOUR - 1
    signer.forget(ORIGIN)
    assert signer.authorization(ORIGIN) == refused
    clock.now += 1
    signer.forget(ORIGIN)
    signer.forget("https://nobody.example")
    assert signer.authorization(ORIGIN) != refused
    assert signer.authorization("https://web.push.apple.com") == other
