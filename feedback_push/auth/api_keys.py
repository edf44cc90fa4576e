"""API keys: made for an administrator, found by the token that a program sends, and ended."""

import re
import secrets
from collections.abc import Collection
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import joinedload

from feedback_push.auth.models import ApiKey, User
from feedback_push.database import db, utcnow

MOST = 50  # keys of one administrator
_PREFIX = "fp_"  # by which people and scanners of secrets recognise a key
_TOKEN = re.compile(rf"{_PREFIX}[\w-]{{43}}", re.ASCII)
_USE_INTERVAL = timedelta(minutes=1)


class Scope(StrEnum):
    """A part of the API that a key opens."""

    READ = "read"
    REPLY = "reply"
    NOTIFY = "notify"


class TooMany(Exception):
    """The administrator has as many keys as one may have."""


def make(user: User, name: str, scopes: Collection[Scope]) -> str:
    """Add a key and return its token, which is stored nowhere else. The caller commits. Raise TooMany."""
    db.session.scalar(select(User.id).where(User.id == user.id).with_for_update())
    mine = select(func.count()).select_from(ApiKey).where(ApiKey.user_id == user.id)
    if (db.session.scalar(mine) or 0) >= MOST:
        raise TooMany
    token = _PREFIX + secrets.token_urlsafe(32)
    ordered = " ".join(scope for scope in Scope if scope in scopes)
    db.session.add(ApiKey(user_id=user.id, name=name, token_hash=_hash(token), scopes=ordered))
    return token


def find(token: str) -> ApiKey | None:
    """Return the key with this token, with its administrator loaded; None if there is none or it was ended."""
    if not _TOKEN.fullmatch(token):
        return None
    this = select(ApiKey).where(ApiKey.token_hash == _hash(token))
    return db.session.scalar(this.options(joinedload(ApiKey.user, innerjoin=True)))


def record_use(key: ApiKey) -> bool:
    """Record that a key was used, unless a use was recorded in the last minute; return whether it was recorded."""
    now = utcnow()
    if key.last_used_at and now - key.last_used_at < _USE_INTERVAL:
        return False
    used = update(ApiKey).where(ApiKey.id == key.id).values(last_used_at=now)
    db.session.execute(used, execution_options={"synchronize_session": False})
    return True


def lock(key_id: int) -> bool:
    """Keep a key from being ended until the transaction is over; return False if it has been ended."""
    this = select(ApiKey.id).where(ApiKey.id == key_id)
    return db.session.scalar(this.with_for_update(read=True, key_share=True)) is not None


def of(user: User) -> list[ApiKey]:
    """Return the administrator's keys, the newest first."""
    return list(db.session.scalars(select(ApiKey).where(ApiKey.user_id == user.id).order_by(ApiKey.id.desc())))


def end(key_id: int, *, user: User) -> str | None:
    """End one of the administrator's keys and return its name; None if it is not theirs. The caller commits."""
    mine = (ApiKey.id == key_id, ApiKey.user_id == user.id)
    name = db.session.scalar(select(ApiKey.name).where(*mine).with_for_update())
    db.session.execute(delete(ApiKey).where(*mine))
    return name


def _hash(token: str) -> str:
    # A plain hash is enough, because 256 random bits cannot be guessed.
    return sha256(token.encode()).hexdigest()
