"""Subscription (a device), OutboxEntry (a notification to be fanned out) and Delivery (one of it for one device)."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, Integer, SmallInteger, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_push.auth.models import User
from feedback_push.database import NO_ID_TWICE, Base, Id, utcnow

LONGEST_ENDPOINT = 2048


class DeviceState(StrEnum):
    """Whether a device can be sent to."""

    LIVE = "live"
    STALE = "stale"  # made with another VAPID key: its browser must re-subscribe
    GONE = "gone"  # the push service has forgotten it


class DeliveryState(StrEnum):
    """How far one notification for one device has come; all but WAITING are final."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    FAILED = "failed"
    EXPIRED = "expired"


class Subscription(Base):
    """One browser of one administrator, as its PushSubscription describes it."""

    __tablename__ = "push_subscription"
    __table_args__ = NO_ID_TWICE

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), index=True)
    endpoint: Mapped[str] = mapped_column(String(LONGEST_ENDPOINT), unique=True)
    p256dh: Mapped[str] = mapped_column(String(88))
    auth: Mapped[str] = mapped_column(String(24))
    vapid_public_key: Mapped[str] = mapped_column(String(88))
    name: Mapped[str] = mapped_column(String(100))
    state: Mapped[DeviceState] = mapped_column(String(10), default=DeviceState.LIVE)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    added_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_accepted_at: Mapped[datetime | None]
    gone_at: Mapped[datetime | None]

    user: Mapped[User] = relationship()


class OutboxEntry(Base):
    """A finished notification; written in the transaction of whatever it tells about."""

    __tablename__ = "push_outbox"

    id: Mapped[Id]
    payload: Mapped[str] = mapped_column(Text)
    topic: Mapped[str] = mapped_column(String(32))
    urgency: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]
    last_subscription_id: Mapped[int] = mapped_column(default=0)  # how far the fan-out has come
    fanned_out_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "ix_push_outbox_open",
            "id",
            sqlite_where=text("fanned_out_at IS NULL"),
            postgresql_where=text("fanned_out_at IS NULL"),
        ),
        NO_ID_TWICE,
    )


class Delivery(Base):
    """One notification for one device. `due_at` is the only clock: when to look at it next, NULL once it is final."""

    __tablename__ = "push_delivery"

    id: Mapped[Id]
    outbox_id: Mapped[int] = mapped_column(ForeignKey("push_outbox.id", ondelete="CASCADE"))
    subscription_id: Mapped[int] = mapped_column(ForeignKey("push_subscription.id", ondelete="CASCADE"), index=True)
    state: Mapped[DeliveryState] = mapped_column(String(10))
    due_at: Mapped[datetime | None]
    claim: Mapped[str | None] = mapped_column(String(32))
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    reduced: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str | None] = mapped_column(String(20))
    status: Mapped[int | None] = mapped_column(SmallInteger)
    detail: Mapped[str | None] = mapped_column(String(200))
    accepted_at: Mapped[datetime | None]

    subscription: Mapped[Subscription] = relationship()

    __table_args__ = (
        UniqueConstraint("outbox_id", "subscription_id"),
        Index(
            "ix_push_delivery_due",
            "due_at",
            "id",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        NO_ID_TWICE,
    )


class HeldOrigin(Base):
    """A push service that refuses our key, contact or clock: nothing but one probe at a time is sent to it."""

    __tablename__ = "push_held_origin"

    origin: Mapped[str] = mapped_column(String(300), primary_key=True)
    held_until: Mapped[datetime]
    status: Mapped[int] = mapped_column(SmallInteger)
    detail: Mapped[str] = mapped_column(String(200))
