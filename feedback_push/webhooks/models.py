"""The models of webhooks: a target that is told of messages and alarms, and one event for one target."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, SmallInteger, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_push.database import AUTOINCREMENT, Base, Id, partial_index, utcnow
from feedback_push.feedback.models import Message, Reply
from feedback_push.webpush.responses import LONGEST_DETAIL

LONGEST_NAME = 60
LONGEST_URL = 2000
LONGEST_PLACE = 300


class TargetKind(StrEnum):
    """The way in which a target is told."""

    WEBHOOK = "webhook"  # a signed POST
    APPRISE = "apprise"  # one of Apprise's services


class Wanted(StrEnum):
    """The messages, or the replies of visitors, that a target is told of."""

    EVERY = "every"
    UNSEEN = "unseen"  # that no device has shown, and nobody has opened, in the set time
    NONE = "none"


class PauseReason(StrEnum):
    """The reason why a target is sent nothing more."""

    OWNER = "owner"  # an administrator has paused it
    GONE = "gone"  # it has answered 410
    FAILING = "failing"  # it has failed for days


class Event(StrEnum):
    """The type of an event, as its payload names it."""

    MESSAGE = "message.created"
    UNSEEN = "message.unseen"
    REPLY = "reply.created"
    UNSEEN_REPLY = "reply.unseen"
    NOTIFICATION = "notification.created"  # of a program, for all administrators
    ALARM = "alarm.raised"
    OVER = "alarm.over"
    TEST = "test"


# The events that are sent only if nobody has seen what they are about, and the same events without this condition.
IF_UNSEEN = {Event.UNSEEN: Event.MESSAGE, Event.UNSEEN_REPLY: Event.REPLY}


class State(StrEnum):
    """The state of a delivery; all but WAITING are final."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Target(Base):
    """A target; `url` and `secret` are encrypted, and `place` is the part of the address that may be shown.

    While a worker sends to it, `claimed_until` is in the future. After a failure, nothing is sent before `retry_at`.
    `form_keys` is None for the messages of all forms, and their replies.
    """

    __tablename__ = "webhooks_target"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    kind: Mapped[TargetKind] = mapped_column(String(10))
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[str | None] = mapped_column(Text)
    place: Mapped[str] = mapped_column(String(LONGEST_PLACE))
    wanted: Mapped[Wanted] = mapped_column(String(10))
    wanted_replies: Mapped[Wanted] = mapped_column(String(10), default=Wanted.NONE, server_default=Wanted.NONE.value)
    takes_notifications: Mapped[bool] = mapped_column(default=False, server_default=false())
    takes_alarms: Mapped[bool]
    form_keys: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    language: Mapped[str] = mapped_column(String(8))  # of the texts that people read there
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    claimed_at: Mapped[datetime | None]  # the last time, so that each target gets its turn
    claimed_until: Mapped[datetime | None]
    retry_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(Integer, default=0)  # in a row
    failing_since: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    pause_reason: Mapped[PauseReason | None] = mapped_column(String(10))


class Delivery(Base):
    """One event for one target; `due_at` is when a worker sends it, NULL once it is final.

    It is about a message, or about a visitor's reply, whose payload is made when it is sent; `data` is the one of any
    other event. `webhook_id` is the same for every attempt, so that a receiver can tell a repetition.
    """

    __tablename__ = "webhooks_delivery"
    __table_args__ = (
        UniqueConstraint("message_id", "target_id", "event"),
        Index("ix_webhooks_delivery_target_id", "target_id", "id"),
        partial_index("ix_webhooks_delivery_due", "target_id", "due_at", "id", where="due_at IS NOT NULL"),
        Index(
            "uq_webhooks_delivery_reply_id_target_id_event", "reply_id", "target_id", "event", unique=True,
            sqlite_where=text("reply_id IS NOT NULL"), postgresql_where=text("reply_id IS NOT NULL"),
        ),
        AUTOINCREMENT,
    )  # fmt: skip

    id: Mapped[Id]
    target_id: Mapped[int] = mapped_column(ForeignKey(Target.id, ondelete="CASCADE"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey(Message.id, ondelete="CASCADE"))
    reply_id: Mapped[int | None] = mapped_column(ForeignKey(Reply.id, ondelete="CASCADE"))
    event: Mapped[Event] = mapped_column(String(20))
    webhook_id: Mapped[str] = mapped_column(String(40))
    data: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    state: Mapped[State] = mapped_column(String(10), default=State.WAITING)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    queued_at: Mapped[datetime] = mapped_column(default=utcnow)  # or sent again; from then on it is tried for days
    due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    status: Mapped[int | None] = mapped_column(SmallInteger)
    error: Mapped[str | None] = mapped_column(String(20))
    detail: Mapped[str | None] = mapped_column(String(LONGEST_DETAIL))
    sent_at: Mapped[datetime | None]

    target: Mapped[Target] = relationship()
    message: Mapped[Message | None] = relationship()
    reply: Mapped[Reply | None] = relationship()

    @property
    def about(self) -> Message | None:
        """The message, or the one that the reply belongs to; None for any other event."""
        return self.reply.message if self.reply else self.message
