"""Define User (an administrator, who may read the inbox), Session, SignInLink, and AuditEntry (a row of the log)."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from flask_login import UserMixin
from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_push import email_address
from feedback_push.database import AUTOINCREMENT, Base, Id, partial_index, utcnow


class User(UserMixin, Base):  # type: ignore[misc]
    """An administrator; `token` is set while they are signed in, and their session's row stores only its hash."""

    __tablename__ = "auth_user"

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(String(email_address.LONGEST), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    language: Mapped[str | None] = mapped_column(String(8))  # None: the browser's
    time_zone: Mapped[str | None] = mapped_column(String(64))  # an IANA name; None: the site's

    token = ""

    def get_id(self) -> str:
        """Return the token, which Flask-Login stores in the session and in the remember cookie."""
        return self.token


class Session(Base):
    """One browser that is signed in; nobody can sign in with the contents of this table."""

    __tablename__ = "auth_session"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    browser: Mapped[str] = mapped_column(String(100))
    remembered: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_seen_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]

    user: Mapped[User] = relationship()


class SignInLink(Base):
    """The newest sign-in link of an account; nobody can sign in with the contents of this table."""

    __tablename__ = "auth_sign_in_link"

    user_id: Mapped[int] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class AuditEvent(StrEnum):
    """The events that the audit log records; auth/audit.py has their texts."""

    SIGNED_IN = "signed-in"
    SIGNED_IN_BY_LINK = "signed-in-by-link"
    SIGN_IN_LINK_MADE = "sign-in-link-made"
    SIGN_IN_LINK_REFUSED = "sign-in-link-refused"
    SIGN_IN_FAILED = "sign-in-failed"
    SIGN_IN_DELAYED = "sign-in-delayed"
    SIGNED_OUT = "signed-out"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 - not one
    SESSION_ENDED = "session-ended"
    SESSIONS_ENDED = "sessions-ended"
    ACCOUNT_CREATED = "account-created"
    ACCOUNT_DELETED = "account-deleted"
    DEVICE_ADDED = "device-added"
    DEVICE_REMOVED = "device-removed"
    DEVICE_RENAMED = "device-renamed"
    DEVICE_SUSPENDED = "device-suspended"
    DEVICE_RESUMED = "device-resumed"
    DEVICE_DROPPED = "device-dropped"
    KEY_ROTATED = "key-rotated"
    KEY_RETIRED = "key-retired"
    MESSAGES_EXPORTED = "messages-exported"
    MESSAGES_DELETED = "messages-deleted"
    MESSAGES_RESTORED = "messages-restored"
    MESSAGES_INTO_SPAM = "messages-into-spam"
    MESSAGES_OUT_OF_SPAM = "messages-out-of-spam"
    TAG_RENAMED = "tag-renamed"
    TAG_REMOVED = "tag-removed"


class AuditEntry(Base):
    """One event, or `count` events of a kind that strangers can repeat without limit; `counted_as` identifies these."""

    __tablename__ = "auth_audit"
    __table_args__ = (
        partial_index("ix_auth_audit_user_id", "user_id", "id", where="user_id IS NOT NULL"),
        AUTOINCREMENT,
    )

    id: Mapped[Id]
    at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("auth_user.id", ondelete="SET NULL"))
    email: Mapped[str] = mapped_column(String(email_address.LONGEST))  # kept when the account is deleted
    event: Mapped[str] = mapped_column(String(30))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    address_hash: Mapped[str] = mapped_column(String(32))  # see network_address.py; empty for a command
    browser: Mapped[str] = mapped_column(String(100))  # empty for a command
    count: Mapped[int] = mapped_column(default=1)
    counted_as: Mapped[str | None] = mapped_column(String(60), unique=True)
