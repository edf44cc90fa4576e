"""The Signer: one VAPID token (RFC 8292) per push service, signed anew when it gets old."""

import time
from dataclasses import dataclass

from py_vapid import Vapid02

_BETWEEN_TOKENS = 3600  # seconds; Apple wants no more than one new token an hour
# RFC 8292 allows 24 hours. The rest is room for a clock that is off.
_LIFETIME = 12 * 3600
_REUSE = 6 * 3600


@dataclass(frozen=True)
class _Token:
    header: str
    signed_at: float

    def usable(self, now: float) -> bool:
        # A token from the future was signed while the clock was wrong.
        return self.signed_at <= now < self.signed_at + _REUSE


class Signer:
    """Signs for one application server: a private key and the contact of its operator."""

    def __init__(self, private_key: str, subject: str) -> None:
        self._vapid = Vapid02.from_raw(private_key.encode())
        self._subject = subject
        self._tokens: dict[str, _Token] = {}

    def authorization(self, origin: str) -> str:
        """The Authorization header for pushes to one origin; signed once in six hours."""
        now = time.time()
        token = self._tokens.get(origin)
        if token is None or not token.usable(now):
            token = self._tokens[origin] = _Token(self._sign(origin, now), now)
        return token.header

    def forget(self, origin: str) -> None:
        """Sign anew next time, because the push service refused this token; but not more often than once an hour."""
        token = self._tokens.get(origin)
        if token and time.time() - token.signed_at >= _BETWEEN_TOKENS:
            del self._tokens[origin]

    def _sign(self, origin: str, now: float) -> str:
        claims = {"aud": origin, "exp": int(now) + _LIFETIME, "sub": self._subject}
        header: str = self._vapid.sign(claims)["Authorization"]
        return header
