"""Invite people by link: it works once, within a week, and lets the invited person choose a name and a password."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256

from flask_babel import gettext
from sqlalchemy import ColumnElement, delete, func, select

from feedback_push import email_address, maintenance
from feedback_push.auth import accounts, audit, notices
from feedback_push.auth.accounts import AccountError
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import Invitation, NoticeEvent, Role, User
from feedback_push.database import db, insert, utcnow
from feedback_push.site_path import absolute_url

LASTS = timedelta(days=7)
MOST = 100  # open invitations of a site
_BYTES = 24  # 192 bits, which nobody can guess; a QR code of the link stays small


def make(email: str, role: Role, by: User) -> str:
    """Return the address of a new invitation, which replaces an earlier one of the same e-mail address.

    Only its hash is stored. The caller has locked the owners (`roles.lock_owners`), and commits. Raise AccountError if
    the address is invalid, if it has an account, or if there are too many invitations.
    """
    address = email.strip().lower()
    if email_address.problem(address):
        raise AccountError(gettext("This does not look like an e-mail address."))
    if accounts.find(address):
        raise AccountError(gettext("There is already an account for this e-mail address."))
    now, token = utcnow(), secrets.token_urlsafe(_BYTES)
    remove_expired(now)
    if (db.session.scalar(select(func.count()).select_from(Invitation)) or 0) >= MOST:
        raise AccountError(gettext("There are %(max)d open invitations. Please revoke one first.", max=MOST))
    fresh = {"token_hash": _hash(token), "role": role, "made_by": by.id, "created_at": now, "expires_at": now + LASTS}
    row = insert(Invitation).values(email=address, **fresh)
    db.session.execute(row.on_conflict_do_update(index_elements=[Invitation.email], set_=fresh))
    audit.record(AuditEvent.INVITATION_MADE, by, account=address, role=role)
    notices.tell(by, NoticeEvent.INVITATION_MADE, account=address, role=role)
    # The fragment of an address is never sent, so no server, proxy or log sees the token.
    return absolute_url("auth.invitation", _anchor=token)


def find(token: str) -> Invitation | None:
    """Return the invitation with this token, or None if it does not work or no longer works."""
    return db.session.scalar(select(Invitation).where(*_open(token)))


def accept(token: str, *, name: str, password_hash: str) -> User | None:
    """Use the invitation up and return its new account, or None if it does not work. The caller commits.

    Of two requests with the same token, the database lets one have it. Raise AccountError if there is an account for
    its e-mail address meanwhile.
    """
    used = delete(Invitation).where(*_open(token)).returning(Invitation.email, Invitation.role)
    invited = db.session.execute(used, execution_options={"synchronize_session": False}).one_or_none()
    if invited is None:
        return None
    user = accounts.add(invited.email, password_hash, invited.role, name)
    audit.record(AuditEvent.INVITATION_ACCEPTED, user, account=user.email)
    return user


def pending() -> list[Invitation]:
    """Return the invitations that still work, the newest first."""
    still_open = select(Invitation).where(Invitation.expires_at > utcnow())
    return list(db.session.scalars(still_open.order_by(Invitation.created_at.desc(), Invitation.id.desc())))


def revoke(invitation_id: int) -> str | None:
    """End an invitation and return its e-mail address; None if there is no such invitation. The caller commits."""
    gone = delete(Invitation).where(Invitation.id == invitation_id).returning(Invitation.email)
    return db.session.scalar(gone, execution_options={"synchronize_session": False})


@maintenance.each_minute
def remove_expired(now: datetime) -> None:
    """Remove the invitations that have expired."""
    db.session.execute(delete(Invitation).where(Invitation.expires_at <= now))


def _open(token: str) -> tuple[ColumnElement[bool], ...]:
    return (Invitation.token_hash == _hash(token), Invitation.expires_at > utcnow())


def _hash(token: str) -> str:
    # A plain hash is enough, because the random bits cannot be guessed.
    return sha256(token.encode()).hexdigest()
