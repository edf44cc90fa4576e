"""Sessions: who is signed in where, until when, and how that ends."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import joinedload

from feedback_push.auth.models import Session, User
from feedback_push.database import db, utcnow
from feedback_push.ids import id_in

# From the last visit, and at the latest from signing in: an open page asks for news by itself, and so visits for ever.
# A browser that is not remembered forgets its cookie when it is closed; the server does not rely on that.
REMEMBERED = timedelta(days=14)
NOT_REMEMBERED = timedelta(hours=12)
LONGEST_REMEMBERED = timedelta(days=90)
LONGEST_NOT_REMEMBERED = timedelta(hours=24)
_MOST = 100  # sessions of an account
_NOTED_EVERY = timedelta(minutes=5)


class Ended(Exception):
    """Somebody has ended the session in which the user asks, or deleted the account."""


class Ending(NamedTuple):
    """The sessions of an account that somebody ends: the one with this id, or all of them but `kept`."""

    user: User
    session_id: int | None = None
    kept: int | None = None


_reactions: list[Callable[[Ending], None]] = []


def when_ended(reaction: Callable[[Ending], None]) -> Callable[[Ending], None]:
    """Call this in the transaction that ends sessions, before their rows are deleted.

    Sessions that only expire, or make room for newer ones, are not ended by anybody and call nothing.
    """
    _reactions.append(reaction)
    return reaction


def lock(user: User) -> None:
    """Let no session of the user begin or end before the caller's transaction is over; Ended for a deleted account.

    Every transaction locks in this order: account, sessions, devices, deliveries.
    """
    account = select(User.id).where(User.id == user.id).with_for_update(key_share=True)
    if db.session.scalar(account) is None:
        raise Ended


def begin(user: User, *, browser: str, remembered: bool) -> None:
    """Give the user a session; from now on `user.get_id()` is its token, which is nowhere else.

    A program that signs in again and again ends the session that was seen longest ago, so that all can be shown.
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


def hold(user: User) -> int | None:
    """Return the id of the session in which the user asks; nobody can end it before the caller's transaction is over.

    None for a command, which asks in none; Ended where the session is over.
    """
    if not user.token:
        return None
    mine = select(Session.id).where(_is_here(user), Session.expires_at > utcnow())
    session_id = db.session.scalar(mine.with_for_update(read=True, key_share=True))
    if session_id is None:
        raise Ended
    return session_id


def renew(user: User) -> bool:
    """Give the session in which the user asks, which the caller holds, another token; return whether it is remembered.

    It stays the same session, with its devices, and lasts as long as if it had just begun.
    """
    session = db.session.execute(select(Session).where(_is_here(user)).with_for_update()).scalar_one()
    user.token = secrets.token_urlsafe(32)
    session.token_hash = _hash(user.token)
    session.created_at = session.last_seen_at = now = utcnow()
    session.expires_at = now + (REMEMBERED if session.remembered else NOT_REMEMBERED)
    return session.remembered


def end_current(user: User) -> None:
    """Sign the user out where they ask."""
    lock(user)
    _end(Ending(user, session_id=hold(user)))


def end(session_id: int, *, user: User) -> str | None:
    """Sign the user out of one of their sessions and name its browser; None where it is not theirs, or over."""
    lock(user)
    ended = _end(Ending(user, session_id=session_id))
    return ended[0] if ended else None


def end_others(user: User) -> int:
    """Sign the user out everywhere but where they ask; how many sessions that were."""
    lock(user)
    return len(_end(Ending(user, kept=hold(user))))


def end_all(user: User) -> int:
    """Sign the user out everywhere; how many sessions that were."""
    lock(user)
    return len(_end(Ending(user)))


def _end(ending: Ending) -> list[str]:
    """Return the browsers of the sessions that were ended."""
    which = [Session.user_id == ending.user.id]
    if ending.session_id is not None:
        which.append(Session.id == ending.session_id)
    elif ending.kept is not None:
        which.append(Session.id != ending.kept)
    # A request that holds one of them may be adding a device: wait for it, so that the device is there to be suspended.
    rows = db.session.execute(select(Session.id, Session.browser).where(*which).order_by(Session.id).with_for_update())
    ended = {row.id: row.browser for row in rows}
    if ended or ending.session_id is None:
        for react in _reactions:
            react(ending)
    db.session.execute(delete(Session).where(id_in(Session.id, ended)))
    return list(ended.values())


def _is_here(user: User) -> ColumnElement[bool]:
    return Session.token_hash == _hash(user.token)


def _hash(token: str) -> str:
    # Plain: 256 random bits cannot be guessed, so nothing slower is needed.
    return sha256(token.encode()).hexdigest()
