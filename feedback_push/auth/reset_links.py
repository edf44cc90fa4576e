"""Let an owner make a link with which another account sets a new password: once, within an hour."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import delete, select

from feedback_push import maintenance
from feedback_push.auth import accounts, audit, notices, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.factor_models import Passkey, RecoveryCode, Totp
from feedback_push.auth.models import NoticeEvent, ResetLink, User
from feedback_push.auth.sessions import Ending
from feedback_push.database import db, insert, utcnow
from feedback_push.site_path import absolute_url

LASTS = timedelta(hours=1)
_BYTES = 24  # 192 bits, which nobody can guess; a QR code of the link stays small


def make(user: User, by: User, *, drops_second_factor: bool = False) -> str:
    """Return the address of a new link for an account, which replaces its earlier one.

    It sets a new password, and with `drops_second_factor` it also removes the passkeys, the code app and the recovery
    codes. Only its hash is stored. The caller has locked the owners (`roles.lock_owners`), and commits. Raise
    sessions.Ended if the account was deleted.
    """
    sessions.lock(user)
    now, token = utcnow(), secrets.token_urlsafe(_BYTES)
    fresh = {"token_hash": _hash(token), "made_by": by.id, "created_at": now, "expires_at": now + LASTS}
    fresh["drops_second_factor"] = drops_second_factor
    row = insert(ResetLink).values(user_id=user.id, **fresh)
    db.session.execute(row.on_conflict_do_update(index_elements=[ResetLink.user_id], set_=fresh))
    event = AuditEvent.FULL_RESET_LINK_MADE if drops_second_factor else AuditEvent.RESET_LINK_MADE
    audit.record(event, by, account=user.email)
    notices.tell(user, NoticeEvent.RESET_LINK_MADE)
    # The fragment of an address is never sent, so no server, proxy or log sees the token.
    return absolute_url("auth.reset", _anchor=token)


def find(token: str) -> User | None:
    """Return the account of the link with this token, or None if it does not work or no longer works."""
    owner = select(User).join(ResetLink, ResetLink.user_id == User.id)
    return db.session.scalar(owner.where(ResetLink.token_hash == _hash(token), ResetLink.expires_at > utcnow()))


def use(token: str, password_hash: str) -> User | None:
    """Use the link up, set the password and end all sessions; return the account, or None if the link does not work.

    The caller commits.
    """
    user = find(token)
    if user is None:
        return None
    try:
        sessions.lock(user)  # first, as everything that ends sessions does
    except sessions.Ended:
        return None
    mine = (ResetLink.token_hash == _hash(token), ResetLink.expires_at > utcnow())
    used = delete(ResetLink).where(*mine).returning(ResetLink.drops_second_factor)
    row = db.session.execute(used, execution_options={"synchronize_session": False}).one_or_none()
    if row is None:
        return None
    if row.drops_second_factor:
        _drop_second_factor(user)
    audit.record(AuditEvent.RESET_LINK_USED, user, account=user.email)
    accounts.store_password(user, password_hash)
    return user


@sessions.on_end
def end(ending: Ending) -> None:
    """End the account's link with all of its other sessions, and so with a new password."""
    if ending.session_id is None:
        db.session.execute(delete(ResetLink).where(ResetLink.user_id == ending.user.id))


@maintenance.each_minute
def remove_expired(now: datetime) -> None:
    """Remove the links that have expired; there is one per account at most."""
    db.session.execute(delete(ResetLink).where(ResetLink.expires_at <= now))


def _drop_second_factor(user: User) -> None:
    for factor in (Passkey, Totp, RecoveryCode):
        db.session.execute(delete(factor).where(factor.user_id == user.id))
    notices.tell(user, NoticeEvent.SECOND_FACTOR_OFF)


def _hash(token: str) -> str:
    # A plain hash is enough, because the random bits cannot be guessed.
    return sha256(token.encode()).hexdigest()
