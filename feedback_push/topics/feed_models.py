"""The models of feeds: the address that a topic's broadcasts come from, and the entries seen there."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_push.database import AUTOINCREMENT, Base, Id, utcnow
from feedback_push.http_client import LONGEST_URL
from feedback_push.topics.feed_reader import LONGEST_DATE, LONGEST_ETAG, Known
from feedback_push.topics.models import Broadcast, Topic

LONGEST_KEYS = 300


class Feed(Base):
    """The feed of a topic; its new entries become broadcasts, or drafts unless `is_automatic`.

    `next_read_at` is NULL if the feed is gone. While a worker reads it, `claimed_until` is in the future. An entry
    dated before `news_since` is never news. `held_id` is the broadcast that more entries are added to, as long as it
    is not sent; `held_count` counts its entries.
    """

    __tablename__ = "topics_feed"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    topic_id: Mapped[int] = mapped_column(ForeignKey(Topic.id, ondelete="CASCADE"), unique=True)
    url: Mapped[str] = mapped_column(String(LONGEST_URL))
    is_automatic: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    next_read_at: Mapped[datetime | None] = mapped_column(default=utcnow)
    claimed_until: Mapped[datetime | None]
    first_read_at: Mapped[datetime | None]
    last_read_at: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
    news_since: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(Integer, default=0)
    last_status: Mapped[int | None] = mapped_column(Integer)
    last_error: Mapped[str] = mapped_column(String(20), default="")  # a Fault or a Reason
    moved_to: Mapped[str] = mapped_column(String(LONGEST_URL), default="")
    etag: Mapped[str] = mapped_column(String(LONGEST_ETAG), default="")
    last_modified: Mapped[str] = mapped_column(String(LONGEST_DATE), default="")
    content_hash: Mapped[str] = mapped_column(String(64), default="")
    held_id: Mapped[int | None] = mapped_column(ForeignKey(Broadcast.id, ondelete="SET NULL"), index=True)
    held_count: Mapped[int] = mapped_column(Integer, default=0)

    topic: Mapped[Topic] = relationship()
    held: Mapped[Broadcast | None] = relationship()

    @property
    def known(self) -> Known:
        """The parts of the last answer that tell if the feed has changed."""
        return Known(self.etag, self.last_modified, self.content_hash)


class FeedEntry(Base):
    """An entry that was seen in a feed; `keys` are hashes of its id, link, title and date, separated by spaces."""

    __tablename__ = "topics_feed_entry"
    __table_args__ = (Index("ix_topics_feed_entry_feed_id", "feed_id", "id"), AUTOINCREMENT)

    id: Mapped[Id]
    feed_id: Mapped[int] = mapped_column(ForeignKey(Feed.id, ondelete="CASCADE"))
    keys: Mapped[str] = mapped_column(String(LONGEST_KEYS))
    seen_at: Mapped[datetime]
    broadcast_id: Mapped[int | None] = mapped_column(ForeignKey(Broadcast.id, ondelete="SET NULL"), index=True)
