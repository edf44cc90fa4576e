"""Make and use sign-in links: each signs its account in once, within ten minutes."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import Select, delete, select, update

from feedback_push import maintenance
from feedback_push.auth import audit, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import SignInLink, User
from feedback_push.auth.sessions import Ending
from feedback_push.database import db, insert, utcnow
from feedback_push.site_path import absolute_url

LASTS = timedelta(minutes=10)
LONGEST_TOKEN = 64  # characters; ours have 32
_BYTES = 24  # 192 bits, which nobody can guess; a QR code of the link stays small


class Used(NamedTuple):
    """A link that has been used: its user, and whether it replaces their second factor besides their password."""

    user: User
    without_second_factor: bool


def make(user: User, *, without_second_factor: bool = False) -> str:
    """Return the address of a new sign-in link for the user, which replaces their earlier one. The caller commits.

    It replaces the password, and the second factor only if told so. Only its hash is stored.
    Raise sessions.Ended if the current session, which asks for it, has just been ended.
    """
    sessions.lock(user)
    sessions.lock_current(user)
    token = secrets.token_urlsafe(_BYTES)
    fresh = {
        "token_hash": _hash(token),
        "expires_at": utcnow() + LASTS,
        "used_at": None,
        "without_second_factor": without_second_factor,
    }
    row = insert(SignInLink).values(user_id=user.id, **fresh)
    db.session.execute(row.on_conflict_do_update(index_elements=[SignInLink.user_id], set_=fresh))
    event = AuditEvent.FULL_SIGN_IN_LINK_MADE if without_second_factor else AuditEvent.SIGN_IN_LINK_MADE
    audit.record(event, user)
    # The fragment of an address is never sent, so no server, proxy or log sees the token.
    return absolute_url("auth.login_link", _anchor=token)


def find(token: str) -> User | None:
    """Return the user that a link with this token would sign in, or None if it does not work or no longer works."""
    still_open = (SignInLink.used_at.is_(None), SignInLink.expires_at > utcnow())
    return db.session.scalar(_owner(token).where(*still_open))


def owner(token: str) -> User | None:
    """Return the user of a link, even if it was used or has expired since; None if it is unknown."""
    return db.session.scalar(_owner(token))


def use(token: str) -> Used | None:
    """Use up the link and return its user and kind, or None if it does not work. The caller commits.

    The returned account is locked, so its password cannot change before the caller commits the new session.
    """
    user = find(token)
    if user is None:
        return None
    try:
        sessions.lock(user)  # first, as everything that ends sessions does, and it ends the link too
    except sessions.Ended:
        return None
    now = utcnow()
    mine = (SignInLink.token_hash == _hash(token), SignInLink.used_at.is_(None), SignInLink.expires_at > now)
    used = update(SignInLink).where(*mine).values(used_at=now).returning(SignInLink.without_second_factor)
    without = db.session.scalar(used, execution_options={"synchronize_session": False})
    return Used(user, without) if without is not None else None


@sessions.on_end
def end(ending: Ending) -> None:
    """End the user's link together with any of their sessions, because that session may have made it."""
    db.session.execute(delete(SignInLink).where(SignInLink.user_id == ending.user.id))


@maintenance.each_minute
def remove_expired(now: datetime) -> None:
    """Remove the links that have expired; there is one per account at most."""
    db.session.execute(delete(SignInLink).where(SignInLink.expires_at <= now))


def _owner(token: str) -> Select[User]:
    return select(User).join(SignInLink, SignInLink.user_id == User.id).where(SignInLink.token_hash == _hash(token))


def _hash(token: str) -> str:
    # A plain hash is enough, because the random bits cannot be guessed.
    return sha256(token.encode()).hexdigest()
