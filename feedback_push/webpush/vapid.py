"""VAPID (RFC 8292): key pairs, and the signed tokens that tell a push service who sends."""

import base64
import time
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

_BETWEEN_REFUSED_TOKENS = 3600  # seconds; Apple asks for no more than one new token an hour
_LIFETIME = 12 * 3600  # seconds; RFC 8292 allows 24 hours, and the rest is room for a clock that is off
_REUSE = 6 * 3600  # seconds


class VapidKeys(NamedTuple):
    """A P-256 key pair in base64url without padding: a private key of 32 bytes, a public key of 65 bytes."""

    private_key: str
    public_key: str


def generate() -> VapidKeys:
    """Make a new key pair."""
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return VapidKeys(_encode(key.private_numbers().private_value.to_bytes(32, "big")), _encode(point))


class Signer:
    """Sign for one application server: a private key and its operator's contact (`mailto:` or `https:`)."""

    def __init__(self, private_key: str, subject: str) -> None:
        self._vapid = Vapid02.from_raw(private_key.encode())
        self._subject = subject
        self._tokens: dict[str, _Token] = {}

    def authorization(self, origin: str) -> str:
        """Return the Authorization header for pushes to one origin; a token is signed once in six hours."""
        now = time.time()
        token = self._tokens.get(origin)
        if token is None or not token.usable(now):
            token = self._tokens[origin] = _Token(self._sign(origin, now), now)
        return token.header

    def forget(self, origin: str) -> None:
        """Sign a new token next time, because the push service refused this one; at most one an hour."""
        token = self._tokens.get(origin)
        if token and time.time() - token.signed_at >= _BETWEEN_REFUSED_TOKENS:
            del self._tokens[origin]

    def _sign(self, origin: str, now: float) -> str:
        # A dict of its own for each token: py_vapid changes the claims it is given.
        claims = {"aud": origin, "exp": int(now) + _LIFETIME, "sub": self._subject}
        header: str = self._vapid.sign(claims)["Authorization"]
        return header


@dataclass(frozen=True)
class _Token:
    header: str
    signed_at: float

    def usable(self, now: float) -> bool:
        # A token from the future was signed while the clock was wrong.
        return self.signed_at <= now < self.signed_at + _REUSE


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
