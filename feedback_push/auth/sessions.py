"""Sessions: who is signed in where, until when, and how that ends."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import joinedload

from feedback_push.auth.models import Session, User
from feedback_push.database import db, utcnow

# From the last visit, and at the latest from signing in: an open page asks for news by itself, and so visits for ever.
# A browser that is not remembered forgets its cookie when it is closed; the server does not rely on that.
REMEMBERED = timedelta(days=14)
NOT_REMEMBERED = timedelta(hours=12)
LONGEST_REMEMBERED = timedelta(days=90)
LONGEST_NOT_REMEMBERED = timedelta(hours=24)
_MOST = 100  # sessions of an account
_NOTED_EVERY = timedelta(minutes=5)


def begin(user: User, *, browser: str, remembered: bool) -> None:
    """Give the user a session; from now on `user.get_id()` is its token, which is nowhere else.

    A program that signs in again and again ends the session that was seen longest ago, so that all can be shown.
    """
    now = utcnow()
    db.session.execute(delete(Session).where(Session.user_id == user.id, Session.expires_at <= now))
    newest = (
        select(Session.id).where(Session.user_id == user.id).order_by(Session.last_seen_at.desc(), Session.id.desc())
    )
    kept = newest.limit(_MOST - 1).scalar_subquery()
    db.session.execute(delete(Session).where(Session.user_id == user.id, Session.id.not_in(kept)))
    user.token = secrets.token_urlsafe(32)
    expires_at = now + (REMEMBERED if remembered else NOT_REMEMBERED)
    row = Session(token_hash=_hash(user.token), browser=browser, remembered=remembered, expires_at=expires_at)
    row.user = user
    db.session.add(row)


def find(token: str) -> Session | None:
    """The session that a cookie with this token belongs to, unless it has ended."""
    mine = select(Session).where(Session.token_hash == _hash(token), Session.expires_at > utcnow())
    session = db.session.scalar(mine.options(joinedload(Session.user, innerjoin=True)))
    if session:
        session.user.token = token
    return session


def note_visit(session: Session) -> bool:
    """Write down that its user was here, unless that was done a moment ago; whether it was written."""
    now = utcnow()
    if now - session.last_seen_at < _NOTED_EVERY:
        return False
    idle = now + (REMEMBERED if session.remembered else NOT_REMEMBERED)
    seen = {"last_seen_at": now, "expires_at": min(idle, latest_end(session))}
    # Not through the object: somebody else may be ending this session right now.
    db.session.execute(
        update(Session).where(Session.id == session.id).values(seen), execution_options={"synchronize_session": False}
    )
    return True


def of(user: User) -> list[Session]:
    """Where the user is signed in, the latest visit first."""
    mine = select(Session).where(Session.user_id == user.id, Session.expires_at > utcnow())
    return list(db.session.scalars(mine.order_by(Session.last_seen_at.desc(), Session.id.desc())))


def latest_end(session: Session) -> datetime:
    """When it ends, however often its user visits."""
    return session.created_at + (LONGEST_REMEMBERED if session.remembered else LONGEST_NOT_REMEMBERED)


def is_current(session: Session, user: User) -> bool:
    """Whether it is the one in which the user asks."""
    return session.token_hash == _hash(user.token)


def is_remembered(user: User) -> bool:
    """Whether the browser in which the user asks is to be remembered."""
    return bool(db.session.scalar(select(Session.remembered).where(Session.token_hash == _hash(user.token))))


def end_current(user: User) -> None:
    """Sign the user out where they ask."""
    db.session.execute(delete(Session).where(Session.token_hash == _hash(user.token)))


def end(session_id: int, *, user: User) -> str | None:
    """Sign the user out of one of their sessions and name its browser; None where it is not theirs, or over."""
    mine = delete(Session).where(Session.id == session_id, Session.user_id == user.id)
    return db.session.scalar(mine.returning(Session.browser))


def end_others(user: User) -> int:
    """Sign the user out everywhere but where they ask; how many sessions that were."""
    return _end(user, Session.token_hash != _hash(user.token))


def end_all(user: User) -> int:
    """Sign the user out everywhere; how many sessions that were."""
    return _end(user)


def _end(user: User, *which: ColumnElement[bool]) -> int:
    ended = db.session.execute(delete(Session).where(Session.user_id == user.id, *which).returning(Session.id))
    return len(ended.all())


def _hash(token: str) -> str:
    # Plain: 256 random bits cannot be guessed, so nothing slower is needed.
    return sha256(token.encode()).hexdigest()
