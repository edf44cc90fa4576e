"""A Message: what a visitor wrote."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_push.auth.models import User
from feedback_push.database import NO_ID_TWICE, Base, Id, utcnow
from feedback_push.push.models import OutboxEntry


class Message(Base):
    """One message; `user` is set when its writer was signed in, `outbox_id` names the notification about it."""

    __tablename__ = "feedback_message"

    id: Mapped[Id]
    content: Mapped[str] = mapped_column(Text)
    submitter_name: Mapped[str] = mapped_column(String(200))
    submitter_email: Mapped[str] = mapped_column(String(320))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    read_at: Mapped[datetime | None]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("auth_user.id", ondelete="SET NULL"), index=True)
    outbox_id: Mapped[int | None] = mapped_column(ForeignKey("push_outbox.id", ondelete="SET NULL"), index=True)

    user: Mapped[User | None] = relationship()
    outbox_entry: Mapped[OutboxEntry | None] = relationship()

    __table_args__ = (
        Index(
            "ix_feedback_message_unread",
            "id",
            sqlite_where=text("read_at IS NULL"),
            postgresql_where=text("read_at IS NULL"),
        ),
        NO_ID_TWICE,
    )
