"""Proof of work with ALTCHA. A browser computes for a moment during typing; a flood of messages takes hours."""

import secrets
from datetime import timedelta
from enum import Enum
from typing import Any

import altcha

from feedback_push import counters, secret_keys
from feedback_push.database import utcnow
from feedback_push.feedback import difficulty

# PBKDF2, because a browser computes it as fast as any other program. Cost and counter together take about 0.1 s on a
# laptop and 0.4 s on a phone. Making a challenge takes 1/200 of that, and checking a proof almost nothing. A difficulty
# level doubles the counter, not the cost, so the server makes a hard challenge as quickly as an easy one.
ALGORITHM = "PBKDF2/SHA-256"
_COST = 1000
_COUNTERS = range(100, 300)
LIFETIME = timedelta(minutes=20)
# For this long, a proof needs only the level of its challenge; after that, it also needs the level demanded now.
GRACE = timedelta(minutes=10)
_LONGEST_PROOF = 4000


class Proof(Enum):
    """The result of checking a proof."""

    VALID = "valid"
    REPLAYED = "replayed"
    STALE = "stale"  # once valid, but expired, or older than GRACE and too easy by now
    MISSING = "missing"  # or invalid


def challenge() -> dict[str, Any]:
    """Return a challenge for this request's browser, in ALTCHA's format."""
    level = difficulty.of_new_challenge()
    made = altcha.create_challenge(
        ALGORITHM,
        _COST,
        counter=secrets.choice(_COUNTERS) << level,
        expires_at=utcnow() + LIFETIME,
        data={"level": level},
        hmac_secret=_keys("challenge")[0],
        hmac_key_secret=_keys("solution")[0],
    )
    return made.to_dict()


def check(proof: str) -> Proof:
    """Check a proof and return the result. A valid proof is used up by the check."""
    if not proof or len(proof) > _LONGEST_PROOF:
        return Proof.MISSING
    keys = zip(_keys("challenge"), _keys("solution"), strict=True)
    results = [altcha.verify_solution(proof, of_challenge, hmac_key_secret=key) for of_challenge, key in keys]
    if not any(result.verified for result in results):
        return Proof.STALE if any(result.expired for result in results) else Proof.MISSING
    parameters = altcha.Payload.from_base64(proof).challenge.parameters  # signed, so nobody can change them
    if _is_too_easy(parameters):
        return Proof.STALE
    lifetime = int(LIFETIME.total_seconds()) + 1
    uses = counters.ask(lambda storage: storage.incr(f"proof:{parameters.nonce}", lifetime))
    if uses > 1:
        return Proof.REPLAYED
    difficulty.count_proven()
    return Proof.VALID


def _is_too_easy(parameters: altcha.ChallengeParameters) -> bool:
    left = (parameters.expires_at or 0) - utcnow().timestamp()
    if left > (LIFETIME - GRACE).total_seconds():
        return False
    level: int = (parameters.data or {}).get("level", 0)
    return level < difficulty.demanded()


def _keys(purpose: str) -> tuple[bytes, ...]:
    return secret_keys.derived(f"feedback_push: {purpose}")
