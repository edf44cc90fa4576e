"""The models of topics: a topic that visitors follow, and a broadcast to its followers."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_push.auth.models import User
from feedback_push.database import AUTOINCREMENT, Base, Id, partial_index, utcnow
from feedback_push.push.models import Audience, OutboxEntry

LONGEST_SLUG = 64
LONGEST_NAME = 100
LONGEST_DESCRIPTION = 500
LONGEST_TITLE = 100
LONGEST_BODY = 1000
LONGEST_URL = 2000
LONGEST_FORM_TOKEN = 32
# Queries must repeat these words, or SQLite does not use the indexes.
TO_SEND = "send_at IS NOT NULL AND started_at IS NULL AND ended_at IS NULL"
UNFINISHED = "started_at IS NOT NULL AND finished_at IS NULL"
TO_COUNT = "count_at IS NOT NULL"


class Urgency(StrEnum):
    """The urgency of a push, as in RFC 8030, section 5.3."""

    VERY_LOW = "very-low"
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class BroadcastState(StrEnum):
    """The state of a broadcast; DONE and ENDED are final."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    PAUSED = "paused"
    DONE = "done"
    ENDED = "ended"  # by an administrator; the rest was not sent


class Topic(Base):
    """A topic that visitors' devices follow; `cap_count` broadcasts start within `cap_days` days at most, 0: any.

    A follower who has opened none of the last `pause_after` broadcasts is paused, 0: never.
    """

    __tablename__ = "topics_topic"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    slug: Mapped[str] = mapped_column(String(LONGEST_SLUG), unique=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    description: Mapped[str] = mapped_column(String(LONGEST_DESCRIPTION), default="")
    is_public: Mapped[bool] = mapped_column(default=True)  # others are followed only by who knows their slug
    position: Mapped[int] = mapped_column(Integer, default=0)  # in lists; equal ones in the order of their ids
    icon: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    icon_type: Mapped[str | None] = mapped_column(String(20))
    cap_count: Mapped[int] = mapped_column(Integer, default=0)
    cap_days: Mapped[int] = mapped_column(Integer, default=1)
    pause_after: Mapped[int] = mapped_column(Integer, default=20)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    removed_at: Mapped[datetime | None]  # by an administrator; its rows are deleted batch by batch
    audience_id: Mapped[int] = mapped_column(ForeignKey(Audience.id, ondelete="RESTRICT"), unique=True)


class Broadcast(Base):
    """A notification to everyone who follows a topic; a draft until it has `send_at` or was started.

    `followers` is the number of devices it is for, counted when it starts. `results` are its counts (see results.py),
    which outlive its deliveries.
    """

    __tablename__ = "topics_broadcast"
    __table_args__ = (
        Index("ix_topics_broadcast_topic_id", "topic_id", "id"),
        partial_index("ix_topics_broadcast_to_send", "send_at", "id", where=TO_SEND),
        partial_index("ix_topics_broadcast_unfinished", "id", where=UNFINISHED),
        partial_index("ix_topics_broadcast_to_count", "count_at", where=TO_COUNT),
        Index("ix_topics_broadcast_form_token", "form_token", unique=True),
        AUTOINCREMENT,
    )

    id: Mapped[Id]
    topic_id: Mapped[int] = mapped_column(ForeignKey(Topic.id, ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey(User.id, ondelete="SET NULL"), index=True)
    title: Mapped[str] = mapped_column(String(LONGEST_TITLE))
    body: Mapped[str] = mapped_column(String(LONGEST_BODY), default="")
    url: Mapped[str] = mapped_column(String(LONGEST_URL), default="")  # "": the page of the topics
    image_url: Mapped[str] = mapped_column(String(LONGEST_URL), default="")
    urgency: Mapped[Urgency] = mapped_column(String(10), default=Urgency.NORMAL)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    send_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    followers: Mapped[int] = mapped_column(Integer, default=0)
    results: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    count_at: Mapped[datetime | None]  # when the results are counted next; None: never again
    form_token: Mapped[str | None] = mapped_column(String(LONGEST_FORM_TOKEN))  # of the form that added it
    outbox_id: Mapped[int | None] = mapped_column(ForeignKey(OutboxEntry.id, ondelete="SET NULL"), unique=True)

    topic: Mapped[Topic] = relationship()
    user: Mapped[User | None] = relationship()
    outbox_entry: Mapped[OutboxEntry | None] = relationship()

    @property
    def state(self) -> BroadcastState:
        """The state, from the times and the outbox entry."""
        if self.ended_at is not None:
            return BroadcastState.ENDED
        if self.finished_at is not None:
            return BroadcastState.DONE
        if self.started_at is None:
            return BroadcastState.DRAFT if self.send_at is None else BroadcastState.SCHEDULED
        paused = self.outbox_entry is not None and self.outbox_entry.paused_at is not None
        return BroadcastState.PAUSED if paused else BroadcastState.SENDING
