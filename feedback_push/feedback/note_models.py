"""The models of notes: a text to the writers of many messages at once, and the messages that it is for."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_push.auth.models import User
from feedback_push.database import AUTOINCREMENT, Base, Id, partial_index, utcnow
from feedback_push.feedback.models import Message

# Queries must repeat these words, or SQLite does not use the indexes.
UNFINISHED = "sent_at IS NOT NULL AND finished_at IS NULL"
WAITING = "outcome IS NULL"


class Outcome(StrEnum):
    """The result of a note for one message."""

    WRITTEN = "written"  # the private page shows it
    NO_LINK = "no-link"  # the message is from before there were private links
    ENDED = "ended"  # the visitor has ended the private link
    FULL = "full"  # the conversation has as many replies as it may have
    SPAM = "spam"
    DELETED = "deleted"


class Note(Base):
    """A text for the private pages of many messages; a draft of its author until it has `sent_at`.

    `selection` has the parameters of the search that chose the messages; it is empty if they were chosen one by one.
    """

    __tablename__ = "feedback_note"
    __table_args__ = (partial_index("ix_feedback_note_unfinished", "id", where=UNFINISHED), AUTOINCREMENT)

    id: Mapped[Id]
    user_id: Mapped[int | None] = mapped_column(ForeignKey(User.id, ondelete="SET NULL"), index=True)
    content: Mapped[str] = mapped_column(Text, default="")
    selection: Mapped[dict[str, str]] = mapped_column(JSON)
    marks_answered: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    sent_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    user: Mapped[User | None] = relationship()


class NoteRecipient(Base):
    """A message whose writer a note is for; without an outcome, a worker has yet to write it."""

    __tablename__ = "feedback_note_recipient"
    __table_args__ = (
        Index("ix_feedback_note_recipient_message_id", "message_id"),
        partial_index("ix_feedback_note_recipient_waiting", "note_id", "message_id", where=WAITING),
    )

    note_id: Mapped[int] = mapped_column(ForeignKey(Note.id, ondelete="CASCADE"), primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey(Message.id, ondelete="CASCADE"), primary_key=True)
    outcome: Mapped[Outcome | None] = mapped_column(String(10))
