"""Define User (an administrator), Session, SignInLink, Invitation, ResetLink, Notice and ApiKey."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from flask_login import UserMixin
from sqlalchemy import JSON, ForeignKey, String, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_push import email_address
from feedback_push.database import AUTOINCREMENT, Base, Id, partial_index, utcnow

LONGEST_NAME = 60


class Role(StrEnum):
    """The role of an administrator: owners may do everything, members only what auth/roles.py leaves to them."""

    OWNER = "owner"
    MEMBER = "member"


class User(UserMixin, Base):  # type: ignore[misc]
    """An administrator; `token` is set while they are signed in, and their session's row stores only its hash."""

    __tablename__ = "auth_user"

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(String(email_address.LONGEST), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    language: Mapped[str | None] = mapped_column(String(8))  # None: the browser's
    time_zone: Mapped[str | None] = mapped_column(String(64))  # an IANA name; None: the site's
    name: Mapped[str] = mapped_column(String(LONGEST_NAME), default="", server_default="")
    role: Mapped[Role] = mapped_column(String(10), default=Role.OWNER, server_default=Role.OWNER.value)
    second_factor_since: Mapped[datetime | None]  # the time from which the site has demanded a second factor of it

    token = ""

    @property
    def display_name(self) -> str:
        """The name that other administrators see: the chosen one, or the e-mail address."""
        return self.name or self.email

    @property
    def is_owner(self) -> bool:
        """True for an owner, who may do everything."""
        return self.role == Role.OWNER

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
    authenticated_at: Mapped[datetime | None] = mapped_column(default=utcnow)  # when its user last proved who they are
    device_removed_at: Mapped[datetime | None]  # when it last removed a device of its own, which it may replace
    expires_at: Mapped[datetime]

    user: Mapped[User] = relationship()


class SignInLink(Base):
    """The newest sign-in link of an account; nobody can sign in with the contents of this table."""

    __tablename__ = "auth_sign_in_link"

    user_id: Mapped[int] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    without_second_factor: Mapped[bool] = mapped_column(default=False, server_default=false())


class Invitation(Base):
    """An offer of an account, by a link that works once; nobody can use the contents of this table as a link."""

    __tablename__ = "auth_invitation"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(String(email_address.LONGEST), unique=True)
    role: Mapped[Role] = mapped_column(String(10))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    made_by: Mapped[int] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]


class ResetLink(Base):
    """The newest link with which an account sets a new password; nobody can use the contents of this table as one."""

    __tablename__ = "auth_reset_link"

    user_id: Mapped[int] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    made_by: Mapped[int] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]
    drops_second_factor: Mapped[bool] = mapped_column(default=False)


class NoticeEvent(StrEnum):
    """The events that an account is told of; auth/notices.py has their texts."""

    NEW_SIGN_IN = "new-sign-in"
    NEW_DEVICE = "new-device"
    NEW_PASSKEY = "new-passkey"
    PASSKEY_REMOVED = "passkey-removed"
    SECOND_FACTOR_ON = "second-factor-on"
    SECOND_FACTOR_OFF = "second-factor-off"
    RECOVERY_CODE_USED = "recovery-code-used"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 - not one
    ROLE_CHANGED = "role-changed"
    RESET_LINK_MADE = "reset-link-made"
    INVITATION_MADE = "invitation-made"
    ACCOUNT_REMOVED = "account-removed"


class Notice(Base):
    """An event that its account should know of; the dashboard shows it until somebody of the account has looked."""

    __tablename__ = "auth_notice"
    __table_args__ = (
        partial_index("ix_auth_notice_unseen", "user_id", "id", where="seen_at IS NULL"),
        AUTOINCREMENT,
    )

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), index=True)
    event: Mapped[NoticeEvent] = mapped_column(String(20))
    at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    address_hash: Mapped[str] = mapped_column(String(32))  # as in the audit log; empty for a command
    browser: Mapped[str] = mapped_column(String(100))  # empty for a command
    # The account's own session that did it; None if that has ended, or for another account or a command.
    session_id: Mapped[int | None] = mapped_column(ForeignKey(Session.id, ondelete="SET NULL"), index=True)
    seen_at: Mapped[datetime | None]


class ApiKey(Base):
    """A key with which a program acts for an administrator; nobody can use the contents of this table as a key."""

    __tablename__ = "auth_api_key"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[str] = mapped_column(String(60))  # with spaces between them, as OAuth writes them
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_used_at: Mapped[datetime | None]

    user: Mapped[User] = relationship()
