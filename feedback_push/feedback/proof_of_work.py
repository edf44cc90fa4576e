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
from feedback_push.feedback import difficulty

# PBKDF2, because a browser computes it as fast as any other program. Both numbers together are about 0.1 s of a laptop
# and 0.4 s of a phone; making a challenge costs one part in 200 of that, checking a proof next to nothing. A level of
# difficulty doubles the counter and not the cost, so that making a hard challenge costs us no more.
_ALGORITHM = "PBKDF2/SHA-256"
_COST = 1000
_COUNTERS = range(100, 300)
LIFETIME = timedelta(minutes=20)
# So long a proof is good as it was asked for; then it must also be as hard as what is asked for now.
GRACE = timedelta(minutes=10)
_LONGEST_PROOF = 4000


class Proof(Enum):
    """The worth of a proof."""

    VALID = "valid"
    REPLAYED = "replayed"
    STALE = "stale"  # once good, but expired, or older than GRACE and too easy by now
    MISSING = "missing"  # or no proof at all


def challenge() -> dict[str, Any]:
    """Make a challenge for the browser of this request, as ALTCHA spells it."""
    level = difficulty.of_new_challenge()
    made = altcha.create_challenge(
        _ALGORITHM,
        _COST,
        counter=secrets.choice(_COUNTERS) << level,
        expires_at=utcnow() + LIFETIME,
        data={"level": level},
        hmac_secret=_key("challenge"),
        hmac_key_secret=_key("solution"),
    )
    return made.to_dict()


def check(proof: str) -> Proof:
    """Return the worth of a proof; one that is valid has been used by this."""
    if not proof or len(proof) > _LONGEST_PROOF:
        return Proof.MISSING
    result = altcha.verify_solution(proof, _key("challenge"), hmac_key_secret=_key("solution"))
    if not result.verified:
        return Proof.STALE if result.expired else Proof.MISSING
    parameters = altcha.Payload.from_base64(proof).challenge.parameters  # signed, so nobody can vary them
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


def _key(purpose: str) -> bytes:
    return hmac.digest(current_app.config["SECRET_KEY"].encode(), f"feedback_push: {purpose}".encode(), "sha256")
