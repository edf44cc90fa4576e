"""Begin, find, renew and end sessions, each of which is one signed-in browser."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, delete, select, update
from sqlalchemy.orm import joinedload

from feedback_push.auth.models import Session, User
from feedback_push.database import db, utcnow
from feedback_push.ids import id_in

# The first two count from the last visit. The other two count from sign-in, because an open page polls and so keeps
# visiting. A browser that is not remembered drops its cookie when it is closed; the server does not rely on that.
REMEMBERED = timedelta(days=14)
NOT_REMEMBERED = timedelta(hours=12)
LONGEST_REMEMBERED = timedelta(days=90)
LONGEST_NOT_REMEMBERED = timedelta(hours=24)
_MOST = 100  # sessions per account
_VISIT_INTERVAL = timedelta(minutes=5)
_REPLACED_WITHIN = timedelta(minutes=2)
FRESH = timedelta(minutes=10)  # how long a proof of identity opens what asks for a fresh one


class Ended(Exception):
    """The current session was ended, or the account was deleted."""


class Ending(NamedTuple):
    """The sessions of an account that are being ended: the one with this id, or all except `kept`."""

    user: User
    session_id: int | None = None
    kept: int | None = None


_callbacks: list[Callable[[Ending], None]] = []
_callbacks_at_begin: list[Callable[[User, Session], None]] = []


def on_end(callback: Callable[[Ending], None]) -> Callable[[Ending], None]:
    """Register a function to call in the transaction that ends sessions, before their rows are deleted.

    It is not called for sessions that expire or make room for newer ones.
    """
    _callbacks.append(callback)
    return callback


def on_begin(callback: Callable[[User, Session], None]) -> Callable[[User, Session], None]:
    """Register a function to call in the transaction that begins a session, with the account and the new row."""
    _callbacks_at_begin.append(callback)
    return callback


def lock(user: User) -> None:
    """Block the user's sessions from beginning or ending until the caller's transaction is over.

    Raise Ended if the account was deleted.

    Every transaction locks in this order: account, sessions, devices, deliveries.
    """
    account = select(User.id).where(User.id == user.id).with_for_update(key_share=True)
    if db.session.scalar(account) is None:
        raise Ended


def begin(user: User, *, browser: str, remembered: bool) -> None:
    """Begin a session for the user; from now on `user.get_id()` is its token, which is stored nowhere else.

    Beyond 100 sessions, the one with the oldest visit is deleted, so that a page can show all of them even if a program
    signs in again and again.
    """
    lock(user)
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
    db.session.flush()
    for callback in _callbacks_at_begin:
        callback(user, row)


def find(token: str) -> Session | None:
    """Return the session with this token from a cookie, or None if it has ended."""
    mine = select(Session).where(Session.token_hash == _hash(token), Session.expires_at > utcnow())
    session = db.session.scalar(mine.options(joinedload(Session.user, innerjoin=True)))
    if session:
        session.user.token = token
    return session


def record_visit(session: Session) -> bool:
    """Record a visit, unless one was recorded in the last 5 minutes, and return whether it was recorded."""
    now = utcnow()
    if now - session.last_seen_at < _VISIT_INTERVAL:
        return False
    idle = now + (REMEMBERED if session.remembered else NOT_REMEMBERED)
    seen = {"last_seen_at": now, "expires_at": min(idle, latest_end(session))}
    # Not through the object, because another request may be ending this session right now.
    db.session.execute(
        update(Session).where(Session.id == session.id).values(seen), execution_options={"synchronize_session": False}
    )
    return True


def of(user: User) -> list[Session]:
    """Return the user's sessions, the latest visit first."""
    mine = select(Session).where(Session.user_id == user.id, Session.expires_at > utcnow())
    return list(db.session.scalars(mine.order_by(Session.last_seen_at.desc(), Session.id.desc())))


def latest_end(session: Session) -> datetime:
    """Return the time at which the session ends even if its user keeps visiting."""
    return session.created_at + (LONGEST_REMEMBERED if session.remembered else LONGEST_NOT_REMEMBERED)


def is_current(session: Session, user: User) -> bool:
    """Return whether this is the user's current session."""
    return session.token_hash == _hash(user.token)


def current_id(user: User) -> int | None:
    """Return the id of the user's current session; None if it is over, or in a command."""
    return db.session.scalar(current(user)) if user.token else None


def current(user: User) -> Select[int]:
    """Return the query for the id of the user's current session, for use in another query."""
    return select(Session.id).where(_is_here(user))


def lock_current(user: User) -> int | None:
    """Lock the user's current session, so that it cannot end before the caller's transaction is over; return its id.

    Return None for a command, which has no session. Raise Ended if the session is over.
    """
    if not user.token:
        return None
    mine = select(Session.id).where(_is_here(user), Session.expires_at > utcnow())
    session_id = db.session.scalar(mine.with_for_update(read=True, key_share=True))
    if session_id is None:
        raise Ended
    return session_id


def is_fresh(user: User) -> bool:
    """Return whether the user proved in the current session, within ten minutes, who they are."""
    proved_at = db.session.scalar(select(Session.authenticated_at).where(_is_here(user)))
    return proved_at is not None and utcnow() - proved_at < FRESH


def record_removal(user: User) -> None:
    """Record that the current session has just removed a device. The caller commits."""
    removed = update(Session).where(_is_here(user)).values(device_removed_at=utcnow())
    db.session.execute(removed, execution_options={"synchronize_session": False})


def has_just_removed(user: User) -> bool:
    """Return whether the current session removed a device in the last two minutes."""
    at = db.session.scalar(select(Session.device_removed_at).where(_is_here(user)))
    return at is not None and utcnow() - at < _REPLACED_WITHIN


def refresh(user: User) -> None:
    """Record that the user has just proved again who they are. The caller commits. Raise Ended."""
    lock_current(user)
    proved = update(Session).where(_is_here(user)).values(authenticated_at=utcnow())
    db.session.execute(proved, execution_options={"synchronize_session": False})


def renew(user: User) -> bool:
    """Give the user's current session, which the caller holds, a new token; return whether it is remembered.

    It stays the same session and keeps its devices, and lasts as long as a new one.
    """
    session = db.session.execute(select(Session).where(_is_here(user)).with_for_update()).scalar_one()
    user.token = secrets.token_urlsafe(32)
    session.token_hash = _hash(user.token)
    session.created_at = session.last_seen_at = session.authenticated_at = now = utcnow()
    session.expires_at = now + (REMEMBERED if session.remembered else NOT_REMEMBERED)
    return session.remembered


def end_current(user: User) -> None:
    """End the user's current session."""
    lock(user)
    _end(Ending(user, session_id=lock_current(user)))


def end(session_id: int, *, user: User) -> str | None:
    """End one of the user's sessions and return its browser; return None if it is not theirs or is over."""
    lock(user)
    ended = _end(Ending(user, session_id=session_id))
    return ended[0] if ended else None


def end_others(user: User) -> int:
    """End all of the user's sessions except the current one, and return how many ended."""
    lock(user)
    return len(_end(Ending(user, kept=lock_current(user))))


def end_all(user: User) -> int:
    """End all of the user's sessions, and return how many ended."""
    lock(user)
    return len(_end(Ending(user)))


def _end(ending: Ending) -> list[str]:
    """End the sessions and return their browsers."""
    which = [Session.user_id == ending.user.id]
    if ending.session_id is not None:
        which.append(Session.id == ending.session_id)
    elif ending.kept is not None:
        which.append(Session.id != ending.kept)
    # A request that holds one of them may be adding a device. Wait for it, so that the new device is suspended, too.
    rows = db.session.execute(select(Session.id, Session.browser).where(*which).order_by(Session.id).with_for_update())
    ended = {row.id: row.browser for row in rows}
    if ended or ending.session_id is None:
        for callback in _callbacks:
            callback(ending)
    db.session.execute(delete(Session).where(id_in(Session.id, ended)))
    return list(ended.values())


def _is_here(user: User) -> ColumnElement[bool]:
    return Session.token_hash == _hash(user.token)


def _hash(token: str) -> str:
    # A plain hash is enough, because 256 random bits cannot be guessed.
    return sha256(token.encode()).hexdigest()
