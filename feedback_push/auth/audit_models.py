"""Define AuditEntry, a row of the audit log, and the events that the log records."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from feedback_push import email_address
from feedback_push.database import AUTOINCREMENT, Base, Id, partial_index, utcnow


class AuditEvent(StrEnum):
    """The events that the audit log records; auth/audit.py has their texts."""

    SIGNED_IN = "signed-in"
    SIGNED_IN_BY_LINK = "signed-in-by-link"
    SIGNED_IN_BY_PASSKEY = "signed-in-by-passkey"
    SECOND_FACTOR_REFUSED = "second-factor-refused"
    RECOVERY_CODE_USED = "recovery-code-used"
    PASSKEY_REFUSED = "passkey-refused"
    PASSKEY_CLONED = "passkey-cloned"
    PASSKEY_ADDED = "passkey-added"
    PASSKEY_RENAMED = "passkey-renamed"
    PASSKEY_REMOVED = "passkey-removed"
    TOTP_ADDED = "totp-added"
    TOTP_REMOVED = "totp-removed"
    RECOVERY_CODES_MADE = "recovery-codes-made"
    CONFIRMED = "confirmed"
    CONFIRMATION_FAILED = "confirmation-failed"
    SIGN_IN_LINK_MADE = "sign-in-link-made"
    FULL_SIGN_IN_LINK_MADE = "full-sign-in-link-made"
    SIGN_IN_LINK_REFUSED = "sign-in-link-refused"
    SIGN_IN_FAILED = "sign-in-failed"
    SIGN_IN_DELAYED = "sign-in-delayed"
    SIGNED_OUT = "signed-out"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 - not one
    SESSION_ENDED = "session-ended"
    SESSIONS_ENDED = "sessions-ended"
    ACCOUNT_CREATED = "account-created"
    ACCOUNT_DELETED = "account-deleted"
    ACCOUNT_REMOVED = "account-removed"
    NAME_CHANGED = "name-changed"
    ROLE_CHANGED = "role-changed"
    INVITATION_MADE = "invitation-made"
    INVITATION_REVOKED = "invitation-revoked"
    INVITATION_ACCEPTED = "invitation-accepted"
    RESET_LINK_MADE = "reset-link-made"
    FULL_RESET_LINK_MADE = "full-reset-link-made"
    RESET_LINK_USED = "reset-link-used"
    ACCOUNT_LINK_REFUSED = "account-link-refused"
    NOT_ME = "not-me"
    DEVICE_ADDED = "device-added"
    DEVICE_REMOVED = "device-removed"
    DEVICE_RENAMED = "device-renamed"
    DEVICE_SUSPENDED = "device-suspended"
    DEVICE_RESUMED = "device-resumed"
    DEVICE_DROPPED = "device-dropped"
    KEY_ROTATED = "key-rotated"
    KEY_RETIRED = "key-retired"
    SECRET_ROTATED = "secret-rotated"  # noqa: S105 - not one
    API_KEY_MADE = "api-key-made"
    API_KEY_ENDED = "api-key-ended"
    FORM_SECRET_SHOWN = "form-secret-shown"  # noqa: S105 - not one
    NOTIFICATION_SENT = "notification-sent"
    DATA_IMPORTED = "data-imported"
    MESSAGES_EXPORTED = "messages-exported"
    MESSAGES_DELETED = "messages-deleted"
    MESSAGES_RESTORED = "messages-restored"
    MESSAGES_INTO_SPAM = "messages-into-spam"
    MESSAGES_OUT_OF_SPAM = "messages-out-of-spam"
    TAG_RENAMED = "tag-renamed"
    TAG_REMOVED = "tag-removed"
    TOPIC_ADDED = "topic-added"
    FEED_SET = "feed-set"
    FEED_REMOVED = "feed-removed"
    TOPIC_REMOVED = "topic-removed"
    BROADCAST_STARTED = "broadcast-started"
    BROADCAST_SCHEDULED = "broadcast-scheduled"
    BROADCAST_PAUSED = "broadcast-paused"
    BROADCAST_RESUMED = "broadcast-resumed"
    BROADCAST_ENDED = "broadcast-ended"
    NOTE_SENT = "note-sent"
    FORM_ADDED = "form-added"
    FORM_CHANGED = "form-changed"
    FORM_CLOSED = "form-closed"
    FORM_OPENED = "form-opened"
    FORM_DELETED = "form-deleted"
    LIMITS_CHANGED = "limits-changed"
    WEBHOOK_ADDED = "webhook-added"
    WEBHOOK_CHANGED = "webhook-changed"
    WEBHOOK_SECRET_REPLACED = "webhook-secret-replaced"  # noqa: S105 - not one
    WEBHOOK_PAUSED = "webhook-paused"
    WEBHOOK_RESUMED = "webhook-resumed"
    WEBHOOK_REMOVED = "webhook-removed"
    DRILL_STARTED = "drill-started"
    DRILL_INTERVAL_CHANGED = "drill-interval-changed"


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
