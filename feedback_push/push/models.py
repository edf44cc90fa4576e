"""The tables of push: devices, audiences, notifications, deliveries, preferences, keys, open circuits and workers."""

from datetime import datetime
from enum import IntEnum, StrEnum

from sqlalchemy import JSON, ForeignKey, Integer, SmallInteger, String, Text, UniqueConstraint
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_push.auth.models import Session, User
from feedback_push.database import AUTOINCREMENT, Base, Id, partial_index, utcnow
from feedback_push.webpush import endpoints
from feedback_push.webpush.endpoints import LONGEST_ENDPOINT


class DeviceState(StrEnum):
    """The state of a device; only a LIVE one is sent to."""

    LIVE = "live"
    STALE = "stale"  # made with another VAPID key: its browser must re-subscribe
    GONE = "gone"  # the push service has forgotten it


class DeliveryState(StrEnum):
    """The state of one notification for one device; all but WAITING, HELD and PAUSED are final."""

    WAITING = "waiting"
    HELD = "held"  # by quiet hours or a burst, until a summary includes it
    PAUSED = "paused"  # with its entry, until that is resumed or ended
    CANCELLED = "cancelled"  # its entry was ended, or its device left the audience, before it was sent
    SUMMARISED = "summarised"
    ACCEPTED = "accepted"
    FAILED = "failed"
    EXPIRED = "expired"


class Priority(IntEnum):
    """The order in which a worker sends what is due: everything with a lower number goes first."""

    ALARM = 0  # for administrators, and single answers to visitors
    BROADCAST = 1  # to the followers of a topic, and notes to many visitors


class PreviewLevel(StrEnum):
    """The parts of a message that a notification shows."""

    ALL = "all"
    NAME = "name"
    NOTHING = "nothing"  # only that there is a message


def _service(row: DefaultExecutionContext) -> int:
    values: dict[str, str] = row.get_current_parameters()  # type: ignore[no-untyped-call]
    return endpoints.service(values["endpoint"])


# Visitors' devices that only failed; a query must repeat these words, or SQLite does not use the index.
NEVER_REACHED = "user_id IS NULL AND last_accepted_at IS NULL AND (failures >= 5 OR state = 'gone')"
TO_ASK = "paused_at IS NOT NULL AND asked_at IS NULL"  # of followers; repeat these words as well


class Subscription(Base):
    """One browser, from its PushSubscription: of an administrator, or of a visitor, whose only identity it is."""

    __tablename__ = "push_subscription"
    __table_args__ = (
        partial_index("ix_push_subscription_administrators", "id", where="user_id IS NOT NULL"),
        partial_index("ix_push_subscription_never_reached", "id", where=NEVER_REACHED),
        partial_index("ix_push_subscription_session_id", "session_id", where="session_id IS NOT NULL"),
        AUTOINCREMENT,
    )

    id: Mapped[Id]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), index=True)
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
    language: Mapped[str] = mapped_column(String(8), default="en", server_default="en")  # of its notifications
    paused_at: Mapped[datetime | None]
    last_shown_at: Mapped[datetime | None]
    service: Mapped[int] = mapped_column(Integer, default=_service, server_default="0")
    # The session that added or last confirmed it; None if that has expired or was never known.
    session_id: Mapped[int | None] = mapped_column(ForeignKey(Session.id, ondelete="SET NULL"))
    suspended_at: Mapped[datetime | None]  # when its session was ended; nothing is sent until it signs in again
    seen_at: Mapped[datetime | None]  # the last visit of its browser

    user: Mapped[User | None] = relationship()


class Audience(Base):
    """The devices that follow one conversation or one topic; the feature that owns it stores its id."""

    __tablename__ = "push_audience"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]


class Follower(Base):
    """A device in an audience, and the parts of a notification that its owner wants to see."""

    __tablename__ = "push_follower"

    audience_id: Mapped[int] = mapped_column(ForeignKey(Audience.id, ondelete="CASCADE"), primary_key=True)
    subscription_id: Mapped[int] = mapped_column(
        ForeignKey(Subscription.id, ondelete="CASCADE"), primary_key=True, index=True
    )
    shows: Mapped[PreviewLevel] = mapped_column(String(10))
    added_at: Mapped[datetime] = mapped_column(default=utcnow)
    opened_at: Mapped[datetime | None]  # the last click on a notification of this audience
    paused_at: Mapped[datetime | None]  # nothing is sent, because nothing was opened for too long
    asked_at: Mapped[datetime | None]  # when a paused one was asked whether to go on

    __table_args__ = (partial_index("ix_push_follower_to_ask", "audience_id", "subscription_id", where=TO_ASK),)


class OutboxEntry(Base):
    """A finished notification, stored in the same transaction as the event that it notifies.

    It is for every administrator who wants its kind, for one administrator, for one device, or for an audience. If
    there are `recipients`, it is only for the administrators with these ids.
    """

    __tablename__ = "push_outbox"

    id: Mapped[Id]
    payload: Mapped[str] = mapped_column(Text)
    topic: Mapped[str] = mapped_column(String(32))
    urgency: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]
    last_subscription_id: Mapped[int] = mapped_column(default=0)  # the last device that the fan-out has reached
    fanned_out_at: Mapped[datetime | None]
    kind: Mapped[str] = mapped_column(String(20), default="feedback", server_default="feedback")
    counts: Mapped[int] = mapped_column(Integer, default=1, server_default="1")  # the number of messages it notifies
    user_id: Mapped[int | None] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"))
    subscription_id: Mapped[int | None] = mapped_column(ForeignKey("push_subscription.id", ondelete="CASCADE"))
    audience_id: Mapped[int | None] = mapped_column(ForeignKey(Audience.id, ondelete="CASCADE"))
    priority: Mapped[Priority] = mapped_column(SmallInteger, default=Priority.ALARM, server_default="0")
    paused_at: Mapped[datetime | None]  # nothing more is fanned out or sent until it is resumed
    unopened_since: Mapped[datetime | None]  # followers who have opened nothing since are paused; None: nobody is
    recipients: Mapped[list[int] | None] = mapped_column(JSON(none_as_null=True))
    except_session_id: Mapped[int | None]  # devices of this session get nothing; no foreign key, as it may end first
    request_id: Mapped[str | None] = mapped_column(String(32))  # of the request that stored it, for the log

    __table_args__ = (
        partial_index("ix_push_outbox_open", "priority", "id", where="fanned_out_at IS NULL"),
        partial_index("ix_push_outbox_audience_id", "audience_id", where="audience_id IS NOT NULL"),
        partial_index("ix_push_outbox_user_id", "user_id", where="user_id IS NOT NULL"),
        partial_index("ix_push_outbox_subscription_id", "subscription_id", where="subscription_id IS NOT NULL"),
        AUTOINCREMENT,
    )


class Delivery(Base):
    """One notification for one device; `due_at` is when a worker looks at it next, NULL once it is final."""

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
    shows: Mapped[PreviewLevel] = mapped_column(
        String(10), default=PreviewLevel.ALL, server_default=PreviewLevel.ALL.value
    )
    shown_at: Mapped[datetime | None]  # from the report of the device's service worker, if it sends one
    clicked_at: Mapped[datetime | None]
    held_until: Mapped[datetime | None]
    summary_id: Mapped[int | None] = mapped_column(ForeignKey("push_outbox.id", ondelete="SET NULL"))
    service: Mapped[int] = mapped_column(Integer, default=0, server_default="0")  # copied from its device
    priority: Mapped[Priority] = mapped_column(SmallInteger, default=Priority.ALARM, server_default="0")  # of its entry

    entry: Mapped[OutboxEntry] = relationship(foreign_keys=outbox_id)
    subscription: Mapped[Subscription] = relationship()

    __table_args__ = (
        UniqueConstraint("outbox_id", "subscription_id"),
        partial_index("ix_push_delivery_due", "service", "priority", "due_at", "id", where="due_at IS NOT NULL"),
        partial_index("ix_push_delivery_held", "held_until", "id", where="held_until IS NOT NULL"),
        partial_index("ix_push_delivery_failed", "subscription_id", "id", where="error IS NOT NULL"),
        partial_index("ix_push_delivery_paused", "outbox_id", where="state = 'paused'"),
        partial_index("ix_push_delivery_summary_id", "summary_id", where="summary_id IS NOT NULL"),
        AUTOINCREMENT,
    )


class Preference(Base):
    """The preferences of one administrator; without a row, the site's defaults apply."""

    __tablename__ = "push_preference"

    user_id: Mapped[int] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), primary_key=True)
    shows: Mapped[PreviewLevel] = mapped_column(String(10))
    quiet_from: Mapped[str | None] = mapped_column(String(5))  # "22:00" in the user's time zone; None: no quiet hours
    quiet_until: Mapped[str | None] = mapped_column(String(5))
    burst_count: Mapped[int] = mapped_column(Integer)  # more within burst_seconds become one summary; 0: never
    burst_seconds: Mapped[int] = mapped_column(Integer)


class MutedKind(Base):
    """A kind of notification that one administrator has turned off."""

    __tablename__ = "push_muted_kind"

    user_id: Mapped[int] = mapped_column(ForeignKey("auth_user.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)


class VapidKey(Base):
    """A VAPID key that was rotated in or out; `private_key` is encrypted, and None once it is retired."""

    __tablename__ = "push_vapid_key"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    public_key: Mapped[str] = mapped_column(String(88), unique=True)
    private_key: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    retired_at: Mapped[datetime | None]


class OpenCircuit(Base):
    """A push service that refuses our key, contact or clock; one probe at a time is sent to it, and nothing else."""

    __tablename__ = "push_held_origin"

    origin: Mapped[str] = mapped_column(String(300), primary_key=True)
    held_until: Mapped[datetime]
    status: Mapped[int] = mapped_column(SmallInteger)
    detail: Mapped[str] = mapped_column(String(200))


class Worker(Base):
    """A Celery worker, from its start to its end; its sweeper writes `seen_at` again and again."""

    __tablename__ = "push_worker"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)  # as Celery knows it: celery@host
    pid: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    host: Mapped[str] = mapped_column(String(255))
    version: Mapped[str] = mapped_column(String(40))
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
