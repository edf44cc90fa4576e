"""Check requests as strictly as RFC 8030 and RFC 8291 allow, and refuse them with a push service's messages.

Numbers and messages are Mozilla's, if Mozilla has any. Its errno 109 means any fault in VAPID: only the message
distinguishes a key mismatch from, say, an expired token.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from tests.doubles import vapid_rules
from tests.doubles.push_answers import Answer

LARGEST_BODY = 4096
_SALT, _RECORD_SIZE, _KEY = 16, 4, 65
_HEADER = _SALT + _RECORD_SIZE + 1 + _KEY
_DELIMITER_AND_TAG = 17
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
_URGENCIES = {"very-low", "low", "normal", "high"}


@dataclass(eq=False)
class RefusalError(Exception):
    """The service refuses this request."""

    status: int
    errno: int | None
    message: str

    def answer(self) -> Answer:
        """Return the service's answer: an error in Mozilla's format."""
        error = HTTPStatus(self.status).phrase
        return Answer(
            self.status,
            body={"code": self.status, "errno": self.errno, "error": error, "message": self.message},
        )


@dataclass(frozen=True)
class Checked:
    """The data read from an acceptable request."""

    ttl: int
    topic: str | None
    urgency: str | None
    claims: dict[str, Any]


def check(headers: Mapping[str, str], body: bytes, *, audience: str, key: str | None, now: float) -> Checked:
    """Check a request to a subscription made with the VAPID key `key`; raise RefusalError if it breaks a rule.

    A subscription made without a key accepts requests without VAPID, as in Firefox. `now` is the service's clock.
    """
    claims = _check_vapid(headers.get("Authorization"), audience, key, now)
    if len(body) > LARGEST_BODY:
        raise RefusalError(413, 104, "The message is larger than 4096 bytes")
    checked = Checked(_ttl(headers), _topic(headers), _urgency(headers), claims)
    _check_encoding(headers)
    _check_framing(body)
    return checked


def _check_vapid(authorization: str | None, audience: str, key: str | None, now: float) -> dict[str, Any]:
    if key is None:
        return {}
    if authorization is None:
        raise RefusalError(401, 109, "Missing VAPID token")
    try:
        return vapid_rules.verified_claims(authorization, audience=audience, key=key, now=now)
    except vapid_rules.VapidError as refused:
        raise RefusalError(401, 109, str(refused)) from refused


def _ttl(headers: Mapping[str, str]) -> int:
    ttl = headers.get("TTL", "")
    if not re.fullmatch(r"[0-9]+", ttl):
        raise RefusalError(400, 111, "Missing TTL value")
    if int(ttl) == 0:  # allowed by the RFC, but Edge answers 400, so a sender must not use it
        raise RefusalError(400, 114, "TTL must be greater than 0")
    return int(ttl)


def _topic(headers: Mapping[str, str]) -> str | None:
    topic = headers.get("Topic")
    if topic is not None and not _TOPIC.fullmatch(topic):
        raise RefusalError(400, 113, "Topic must be at most 32 characters of the base64url alphabet")
    return topic


def _urgency(headers: Mapping[str, str]) -> str | None:
    urgency = headers.get("Urgency")
    if urgency is not None and urgency not in _URGENCIES:
        raise RefusalError(400, None, "Urgency must be very-low, low, normal or high")
    return urgency


def _check_encoding(headers: Mapping[str, str]) -> None:
    if headers.get("Content-Encoding") != "aes128gcm":
        raise RefusalError(400, 110, "Unknown Content-Encoding header")
    if "Encryption" in headers or "Crypto-Key" in headers:
        raise RefusalError(400, 110, "Encryption and Crypto-Key do not go with aes128gcm")


def _check_framing(body: bytes) -> None:
    if len(body) < _HEADER + _DELIMITER_AND_TAG:
        raise RefusalError(400, 110, "The body is shorter than an aes128gcm header and one record")
    record_size = int.from_bytes(body[_SALT : _SALT + _RECORD_SIZE])
    if body[_SALT + _RECORD_SIZE] != _KEY:
        raise RefusalError(400, 110, "The key id is not a P-256 point")
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), body[_HEADER - _KEY : _HEADER])
    except ValueError:
        raise RefusalError(400, 110, "The key id is not a P-256 point") from None
    if record_size <= _DELIMITER_AND_TAG:
        raise RefusalError(400, 110, "The record size is too small")
    if len(body) - _HEADER > record_size:
        raise RefusalError(400, 110, "The body has more than one record")
