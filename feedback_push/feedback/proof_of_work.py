"""A proof of work by ALTCHA: a browser computes for a moment while its owner types, a flood of messages for hours."""

import hmac
import secrets
from datetime import timedelta
from enum import Enum
from typing import Any

import altcha
from flask import current_app

from feedback_push import counters
from feedback_push.database import utcnow

# PBKDF2, because a browser computes it as fast as any other program. Both numbers together are about 0.1 s of a laptop
# and 0.4 s of a phone; making a challenge costs one part in 200 of that, checking a proof next to nothing.
_ALGORITHM = "PBKDF2/SHA-256"
_COST = 1000
_COUNTERS = range(100, 300)
LIFETIME = timedelta(minutes=20)
_LONGEST_PROOF = 4000


class Proof(Enum):
    """What a proof is worth."""

    VALID = "valid"
    REPLAYED = "replayed"
    MISSING = "missing"  # or expired, or not a proof at all


def challenge() -> dict[str, Any]:
    """A new challenge for a browser, as ALTCHA spells it."""
    made = altcha.create_challenge(
        _ALGORITHM,
        _COST,
        counter=secrets.choice(_COUNTERS),
        expires_at=utcnow() + LIFETIME,
        hmac_secret=_key("challenge"),
        hmac_key_secret=_key("solution"),
    )
    return made.to_dict()


def check(proof: str) -> Proof:
    """What a proof is worth; one that is valid has been used by this."""
    if not proof or len(proof) > _LONGEST_PROOF:
        return Proof.MISSING
    if not altcha.verify_solution(proof, _key("challenge"), hmac_key_secret=_key("solution")).verified:
        return Proof.MISSING
    name = altcha.Payload.from_base64(proof).challenge.parameters.nonce  # signed, so nobody can vary it
    lifetime = int(LIFETIME.total_seconds()) + 1
    uses = counters.ask(lambda storage: storage.incr(f"proof:{name}", lifetime))
    return Proof.VALID if uses == 1 else Proof.REPLAYED


def _key(purpose: str) -> bytes:
    return hmac.digest(current_app.config["SECRET_KEY"].encode(), f"feedback_push: {purpose}".encode(), "sha256")
