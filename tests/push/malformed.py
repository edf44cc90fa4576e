"""Malformed subscriptions, each with a word of its refusal."""

import base64
import json
from typing import Any

from feedback_push.webpush import vapid

POINT = vapid.generate().public_key
SECRET = base64.urlsafe_b64encode(b"sixteen bytes :)").rstrip(b"=").decode()
GOOD: dict[str, Any] = {
    "endpoint": "http://127.0.0.1:8080/wpush/abc",
    "expirationTime": None,
    "keys": {"p256dh": POINT, "auth": SECRET},
}


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _with(**changes: Any) -> dict[str, Any]:
    return {**GOOD, **changes}


def _with_key(**changes: Any) -> dict[str, Any]:
    return _with(keys={**GOOD["keys"], **changes})


_RAW = base64.urlsafe_b64decode(POINT + "=")
SUBSCRIPTIONS: list[tuple[Any, str]] = [
    (None, "object"),
    (True, "object"),
    (7, "object"),
    ("text", "object"),
    ([], "object"),
    ([GOOD], "object"),
    ({}, "object"),
    ({"endpoint": GOOD["endpoint"]}, "object"),
    (_with(keys=None), "object"),
    (_with(keys=[]), "object"),
    (_with(keys="p256dh"), "object"),
    ({"keys": GOOD["keys"]}, "endpoint is missing"),
    (_with(endpoint=None), "endpoint is missing"),
    (_with(endpoint=""), "endpoint is missing"),
    (_with(endpoint=7), "endpoint is missing"),
    (_with(endpoint=["http://127.0.0.1/"]), "endpoint is missing"),
    (_with(endpoint={"href": "http://127.0.0.1/"}), "endpoint is missing"),
    (_with(endpoint="http://127.0.0.1/" + "a" * 2048), "not a push address"),
    (_with(endpoint="http://127.0.0.1/\ud800"), "not a push address"),
    (_with(endpoint="http://127.0.0.1/\u0000"), "not a push address"),
    (_with(endpoint="http://10.0.0.1/x"), "PUSH_ALLOWED_HOSTS"),
    (_with(endpoint="ftp://127.0.0.1/x"), "not https"),
    (_with(endpoint="http://me@127.0.0.1/x"), "user information"),
    (_with(keys={}), "p256dh is missing"),
    (_with_key(p256dh=None), "p256dh is missing"),
    (_with_key(p256dh=7), "p256dh is missing"),
    (_with_key(p256dh=[POINT]), "p256dh is missing"),
    (_with_key(p256dh=""), "p256dh is missing"),
    (_with_key(p256dh="A" * 201), "p256dh is missing"),
    (_with_key(p256dh="="), "p256dh is not"),
    (_with_key(p256dh="A"), "p256dh is not base64url"),
    (_with_key(p256dh="no base64url!"), "p256dh is not base64url"),
    (_with_key(p256dh="é" * 87), "p256dh is not base64url"),
    (_with_key(p256dh="\ud800" * 87), "p256dh is not base64url"),
    (_with_key(p256dh=POINT[:43] + "\n" + POINT[43:]), "p256dh is not base64url"),
    (_with_key(p256dh=_b64(_RAW[:-1])), "P-256"),
    (_with_key(p256dh=_b64(_RAW + b"\0")), "P-256"),
    (_with_key(p256dh=_b64(b"\2" + _RAW[1:33])), "P-256"),
    (_with_key(p256dh=_b64(b"\4" + bytes(64))), "P-256"),
    (_with_key(p256dh=_b64(_RAW[:-1] + bytes([_RAW[-1] ^ 1]))), "P-256"),
    (_with_key(p256dh=_b64(b"\5" + _RAW[1:])), "P-256"),
    (_with_key(auth=None), "auth is missing"),
    (_with_key(auth=""), "auth is missing"),
    (_with_key(auth=0), "auth is missing"),
    (_with_key(auth="A" * 21), "auth is not"),
    (_with_key(auth=_b64(bytes(15))), "auth is not 16 bytes"),
    (_with_key(auth=_b64(bytes(17))), "auth is not 16 bytes"),
    (_with_key(auth="******"), "auth is not base64url"),
]
UNREADABLE = [
    b"",
    b"{",
    b"\xff\xfe{}",
    b"\x00",
    b"endpoint=http%3A%2F%2F127.0.0.1%2F",
    json.dumps(GOOD).encode() + b"}",
    b"9" * 5000,
]
DEEP = [b"[" * 4000 + b"]" * 4000, b'{"a":' * 1300 + b"1" + b"}" * 1300, b"[" * 8000]
