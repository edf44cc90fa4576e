"""Check RFC 8292 as a push service does: find the signer of a request and its right to push to a subscription."""

import json
import re
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from tests.doubles import base64url

LONGEST_LIFE_SECONDS = 24 * 60 * 60
_HEADER = re.compile(r"vapid +(.+)", re.IGNORECASE)
_SUBJECT = re.compile(r"mailto:[^\s@]+@[^\s@]+|https://[^\s/]+\S*")


class VapidError(Exception):
    """The sender did not prove its right to push; the text is a real service's message."""


def verified_claims(authorization: str, *, audience: str, key: str, now: float) -> dict[str, Any]:
    """Check a token for a subscription made with `key`, and return its claims."""
    token, shown_key = _parameters(authorization)
    if shown_key != key:
        raise VapidError("VAPID public key mismatch")
    claims = _signed_claims(token, _public_key(shown_key))
    _check_claims(claims, audience, now)
    return claims


def _parameters(authorization: str) -> tuple[str, str]:
    scheme = _HEADER.fullmatch(authorization)
    if not scheme:
        raise VapidError("Unknown auth scheme")
    pairs = [part.strip().partition("=") for part in scheme[1].split(",")]
    parameters = {name: value for name, _, value in pairs}
    if "t" not in parameters:
        raise VapidError("Missing VAPID token")
    if "k" not in parameters:
        raise VapidError("Missing VAPID public key")
    return parameters["t"], parameters["k"]


def _public_key(text: str) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), base64url.decode(text))
    except ValueError:
        raise VapidError("Invalid VAPID public key") from None


def _signed_claims(token: str, key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    try:
        head, claims, signature = token.split(".")
        if json.loads(base64url.decode(head)).get("alg") != "ES256":
            raise VapidError("InvalidAlgorithm")
        key.verify(_der(base64url.decode(signature)), f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
        decoded = json.loads(base64url.decode(claims))
    except InvalidSignature:
        raise VapidError("InvalidSignature") from None
    except (ValueError, AttributeError):
        raise VapidError("InvalidToken") from None
    return decoded if isinstance(decoded, dict) else {}


def _der(signature: bytes) -> bytes:
    if len(signature) != 64:
        raise VapidError("InvalidSignature")
    return encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))


def _check_claims(claims: dict[str, Any], audience: str, now: float) -> None:
    expiry = claims.get("exp")
    if claims.get("aud") != audience:
        raise VapidError("Invalid VAPID audience")
    if not isinstance(expiry, int | float) or isinstance(expiry, bool):
        raise VapidError("Invalid VAPID expiry")
    if expiry <= now:
        raise VapidError("ExpiredSignature")
    if expiry > now + LONGEST_LIFE_SECONDS:
        raise VapidError("The VAPID token expiration is too long")
    if not isinstance(subject := claims.get("sub"), str) or not _SUBJECT.fullmatch(subject):
        raise VapidError("Invalid VAPID subject")
