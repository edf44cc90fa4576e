"""Answers: the table that turns a push service's refusal into a decision, its reason, and when to try again."""

import json
from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_push.database import utcnow
from feedback_push.webpush import responses
from feedback_push.webpush.responses import PushError

FCM = (
    "the VAPID credentials in the authorization header do not correspond "
    "to the credentials used to create the subscriptions.\n"
)
MOZILLA = {
    "code": 401,
    "errno": 109,
    "error": "Unauthorized",
    "message": "VAPID public key mismatch",
    "more_info": "http://autopush.readthedocs.io/en/latest/http.html#error-codes",
}
APPLE = {"reason": "VapidPkHashMismatch"}


def refusal(status: int, body: object = b"", headers: Mapping[str, str] | None = None) -> PushError:
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return responses.error_for(status, headers or {}, raw)


def test_every_success_is_an_acceptance() -> None:
    assert {200, 201, 202, 204} <= set(responses.ACCEPTED)
    assert not {199, 206, 300, 307, 400} & set(responses.ACCEPTED)


@pytest.mark.parametrize(
    ("status", "body", "decision"),
    [
        (404, b"", responses.Gone),
        (410, b"", responses.Gone),
        (410, APPLE, responses.Gone),
        (400, APPLE, responses.KeyMismatch),
        (403, FCM, responses.KeyMismatch),
        (403, "<TITLE>MismatchSenderId</TITLE>", responses.KeyMismatch),
        (401, MOZILLA, responses.KeyMismatch),
        (401, b"", responses.Misconfigured),
        (401, {**MOZILLA, "message": "Invalid VAPID token"}, responses.Misconfigured),
        (403, {"reason": "BadJwtToken"}, responses.Misconfigured),
        (403, b"", responses.Misconfigured),
        (400, b"", responses.Rejected),
        (400, {"reason": "BadWebPushTopic"}, responses.Rejected),
        (402, b"", responses.Rejected),
        (405, b"", responses.Rejected),
        (413, b"", responses.Rejected),
        (413, APPLE, responses.Rejected),
        (422, b"", responses.Rejected),
        (406, b"", responses.Throttled),
        (429, b"", responses.Throttled),
        (408, b"", responses.Unavailable),
        (500, b"", responses.Unavailable),
        (502, FCM, responses.Unavailable),
        (503, b"", responses.Unavailable),
        (599, b"", responses.Unavailable),
        (301, b"", responses.Unavailable),
        (307, b"", responses.Unavailable),
        (304, b"", responses.Unavailable),
    ],
)
def test_an_answer_is_a_decision(status: int, body: object, decision: type[PushError]) -> None:
    error = refusal(status, body)
    assert type(error) is decision
    assert error.status == status


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (APPLE, {}, "VapidPkHashMismatch"),
        (MOZILLA, {}, "VAPID public key mismatch"),
        (FCM, {}, FCM.strip()),
        ({"error": "no such app"}, {}, "no such app"),
        ({"error": {"code": 403}}, {}, '{"error": {"code": 403}}'),
        (["a", "list"], {}, '["a", "list"]'),
        ({"reason": 7}, {}, '{"reason": 7}'),
        ("<h1>Not\r\n   now</h1>", {}, "<h1>Not now</h1>"),
        ("ignored", {"x-wns-error-description": "Channel expired"}, "Channel expired"),
        (b"", {}, ""),
        (b"\xff\xfe\x00\x1b[31mred", {}, "��[31mred"),
        ({"reason": "half \ud800 a pair"}, {}, "half  a pair"),
        ("word " * 1000, {}, ("word " * 40)[:200]),
        ("[" * 10_000, {}, "[" * 200),
    ],
)
def test_the_reason_is_the_services_own_words(body: object, headers: dict[str, str], words: str) -> None:
    assert refusal(400, body, headers).detail == words


@pytest.mark.parametrize(
    "secret",
    [
        "https://fcm.googleapis.com/fcm/send/dGVzdA:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx",
        "http://127.0.0.1:8080/x",
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQi.abcdef",
        "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM",
        "BTBZMqHH6r4Tts7J_aSIgg==",
    ],
)
def test_possible_secrets_are_left_out_of_the_reason(secret: str) -> None:
    for body in (f"cannot push to {secret} today", {"reason": f"cannot push to {secret} today"}):
        assert refusal(400, body).detail == "cannot push to … today"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("999999999", 999_999_999),
        ("9999999999", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("١٢", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed Oct 21 07:28:00 2015", 0),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", 0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 99999999999999 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_nothing(value: str | None, seconds: float | None) -> None:
    headers = {} if value is None else {"retry-after": value}
    assert refusal(429, headers=headers).retry_after == seconds


def test_retry_after_may_be_a_date() -> None:
    at = utcnow() + timedelta(minutes=10)
    for value in (format_datetime(at, usegmt=True), f"{at:%a %b %d %H:%M:%S %Y}", f"{at:%A, %d-%b-%y %H:%M:%S} GMT"):
        assert refusal(503, headers={"retry-after": value}).retry_after == pytest.approx(600, abs=2)


@given(
    status=st.integers(100, 999),
    body=st.binary(max_size=300) | st.text(max_size=100).map(str.encode) | st.just(b'{"reason": "x"}'),
    retry_after=st.text(max_size=40) | st.integers().map(str) | st.datetimes().map(format_datetime),
    description=st.text(max_size=300),
)
def test_no_answer_can_break_the_table(status: int, body: bytes, retry_after: str, description: str) -> None:
    headers = {"retry-after": retry_after, "x-wns-error-description": description}
    error = responses.error_for(status, headers, body)
    assert len(error.detail) <= 200
    assert error.detail.isprintable()
    assert error.retry_after is None or error.retry_after >= 0
