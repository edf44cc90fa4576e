"""Issue the challenges that passkeys sign: each for one purpose, account and browser session, for ten minutes, once.

A challenge is a signed text, so a stranger who asks for a million of them stores nothing. The server stores the ones
that a passkey has answered until they expire.
"""

import hmac
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from flask import session
from flask_wtf.csrf import generate_csrf
from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import delete

from feedback_push import maintenance, secret_keys
from feedback_push.auth.factor_models import UsedChallenge
from feedback_push.auth.models import User
from feedback_push.database import db, insert, utcnow

LASTS = timedelta(minutes=10)
_LONGEST = 500  # bytes
_RANDOM = 32  # bytes


class Purpose(StrEnum):
    """The use of a challenge; an answer to one for another purpose is refused."""

    SIGN_IN = "sign-in"
    SECOND_FACTOR = "second-factor"
    CONFIRM = "confirm"
    ADD = "add"


def issue(purpose: Purpose, user: User | None = None) -> bytes:
    """Return a new challenge for this browser, and for this account if one is given."""
    generate_csrf()  # gives the session the token that `_session` binds to
    whom = user.id if user else None
    return _signer().dumps([secrets.token_urlsafe(_RANDOM), purpose, whom, _session()]).encode()


def fits(challenge: bytes, purpose: Purpose, user: User | None = None) -> bool:
    """Return whether this site issued the challenge for this use, account and session, within ten minutes."""
    if len(challenge) > _LONGEST:
        return False
    try:
        _, used_for, whom, asked_in = _signer().loads(challenge, max_age=int(LASTS.total_seconds()))
    except (BadData, ValueError, TypeError):
        return False
    is_mine = hmac.compare_digest(str(asked_in), _session())
    return is_mine and used_for == purpose and whom == (user.id if user else None)


def use(challenge: bytes) -> bool:
    """Record that the challenge has been answered; return False if it was before. The caller commits."""
    row = {"challenge_hash": sha256(challenge).hexdigest(), "expires_at": utcnow() + LASTS}
    fresh = insert(UsedChallenge).values(row).on_conflict_do_nothing().returning(UsedChallenge.challenge_hash)
    return db.session.scalar(fresh) is not None


@maintenance.each_minute
def forget_expired(now: datetime) -> None:
    """Remove the used challenges that have expired."""
    db.session.execute(delete(UsedChallenge).where(UsedChallenge.expires_at <= now))


def _session() -> str:
    """Return a hash of what only this browser's session has."""
    return sha256(str(session.get("csrf_token", "")).encode()).hexdigest()[:32]


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret_keys.oldest_first(), salt="feedback_push: challenges")
