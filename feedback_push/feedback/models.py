"""The models of feedback: a visitor's message, its conversation, tags and assignee, saved searches, counts, undos."""

from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Date, ForeignKey, Index, Integer, String, Text, UniqueConstraint, event, inspect, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_push import email_address, search_text
from feedback_push.auth.models import Session, User
from feedback_push.database import AUTOINCREMENT, Base, Id, partial_index, utcnow
from feedback_push.feedback.form_models import (
    LONGEST_KEY,
    LONGEST_LABEL,
    LONGEST_LANGUAGE,
    LONGEST_TITLE,
    LONGEST_URL,
    LONGEST_VIEWPORT,
)
from feedback_push.push.models import Audience, OutboxEntry


class MessageState(StrEnum):
    """The state of a message. The inbox shows new and read messages."""

    NEW = "new"
    READ = "read"
    ANSWERED = "answered"
    ARCHIVED = "archived"
    SPAM = "spam"


# The dashboard's lists, each with its own partial index. A query must use exactly these conditions: with bound
# parameters, neither database can tell that the index contains all matching rows.
LISTS = {
    "inbox": "deleted_at IS NULL AND state IN ('new', 'read')",
    "new": "deleted_at IS NULL AND state = 'new'",
    "answered": "deleted_at IS NULL AND state = 'answered'",
    "archived": "deleted_at IS NULL AND state = 'archived'",
    "spam": "deleted_at IS NULL AND state = 'spam'",
}
_SEARCHED = ("submitter_name", "submitter_email", "content", "category", "page_title", "answers")
_ASKED = ("form_key", "category", "rating", "page_url")  # by which an administrator finds the messages of a form
# SQLite checks the columns of the condition again. If they were not in the index, it would read past every text.
_IN_INDEX = ("id", "state", "deleted_at")
_MORE_IN_INDEX = {"spam": ("size",)}  # every sweep adds up the sizes


def person_of(email: str) -> str | None:
    """Return the normalised e-mail address by which a person's messages are found, or None if it is empty."""
    return email.strip()[: email_address.LONGEST].casefold()[: email_address.LONGEST] or None


def _person_of_row(row: Any) -> str | None:
    return person_of(row.get_current_parameters()["submitter_email"])


def _size_of_row(row: Any) -> int:
    values = row.get_current_parameters()
    answers = (answer["answer"] for answer in values.get("answers") or ())
    return sum(len(text.encode()) for text in (values["content"], *answers))


def _search_text_of_row(row: Any) -> str:
    values = row.get_current_parameters()
    return _search_text_of(values.get(name) for name in _SEARCHED)


def _search_text_of(values: Iterable[Any]) -> str:
    texts: list[str] = []
    for value in values:
        texts += [answer["answer"] for answer in value] if isinstance(value, list) else [value or ""]
    return search_text.of(*texts)


class Message(Base):
    """A message from a visitor.

    `user` is set if the writer was signed in. `outbox_id` refers to the notification about the message. A message with
    `deleted_at` is shown nowhere, and can be restored until it is removed for good. `form_key` is None for the default
    form; it stays when its form is deleted. `answers` has a dict for each answered question: `question` and `answer`.
    """

    __tablename__ = "feedback_message"

    id: Mapped[Id]
    content: Mapped[str] = mapped_column(Text)
    submitter_name: Mapped[str] = mapped_column(String(200))
    submitter_email: Mapped[str] = mapped_column(String(email_address.LONGEST))
    person: Mapped[str | None] = mapped_column(String(email_address.LONGEST), default=_person_of_row)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    read_at: Mapped[datetime | None]
    state: Mapped[MessageState] = mapped_column(
        String(10), default=MessageState.NEW, server_default=MessageState.NEW.value
    )
    spam_reason: Mapped[str | None] = mapped_column(String(20))
    deleted_at: Mapped[datetime | None]
    size: Mapped[int] = mapped_column(default=_size_of_row, server_default="0")  # of the content, in UTF-8 bytes
    user_id: Mapped[int | None] = mapped_column(ForeignKey("auth_user.id", ondelete="SET NULL"), index=True)
    outbox_id: Mapped[int | None] = mapped_column(ForeignKey("push_outbox.id", ondelete="SET NULL"), index=True)
    form_key: Mapped[str | None] = mapped_column(String(LONGEST_KEY))
    category: Mapped[str | None] = mapped_column(String(LONGEST_LABEL))
    rating: Mapped[str | None] = mapped_column(String(4))  # one of RatingScale.values
    page_url: Mapped[str | None] = mapped_column(String(LONGEST_URL))  # of the page that the form was sent from
    page_title: Mapped[str | None] = mapped_column(String(LONGEST_TITLE))
    viewport: Mapped[str | None] = mapped_column(String(LONGEST_VIEWPORT))  # width and height in CSS pixels
    language: Mapped[str | None] = mapped_column(String(LONGEST_LANGUAGE))  # of the visitor's browser
    answers: Mapped[list[dict[str, str]] | None] = mapped_column(JSON(none_as_null=True))

    host_user: Mapped[str | None] = mapped_column(
        String(200)
    )  # the id of a user whom the site with the form has proven

    # The text that searches read. Adding or changing a Message object sets it; a bulk UPDATE must set it itself.
    search_text: Mapped[str] = mapped_column(Text, default=_search_text_of_row, server_default="", deferred=True)

    user: Mapped[User | None] = relationship()
    outbox_entry: Mapped[OutboxEntry | None] = relationship()
    tags: Mapped[list["Tag"]] = relationship(secondary="feedback_message_tag", order_by="Tag.key", viewonly=True)
    assignee: Mapped[User | None] = relationship(secondary="feedback_assignment", viewonly=True)

    __table_args__ = (
        *(
            partial_index(f"ix_feedback_message_{name}", *_IN_INDEX, *_MORE_IN_INDEX.get(name, ()), where=rows)
            for name, rows in LISTS.items()
        ),
        partial_index("ix_feedback_message_deleted_at", "deleted_at", where="deleted_at IS NOT NULL"),
        Index("ix_feedback_message_created_at", "created_at"),
        partial_index("ix_feedback_message_person", "person", "id", where="person IS NOT NULL"),
        *(partial_index(f"ix_feedback_message_{name}", name, "id", where=f"{name} IS NOT NULL") for name in _ASKED),
        AUTOINCREMENT,
    )


@event.listens_for(Message, "before_update")
def _follow_changes(_mapper: object, _connection: object, message: Message) -> None:
    state = inspect(message)
    if any(state.attrs[name].history.has_changes() for name in _SEARCHED):
        message.search_text = _search_text_of(getattr(message, name) for name in _SEARCHED)


class Tag(Base):
    """A label that administrators put on messages; `key` is the same for spellings that differ only in case."""

    __tablename__ = "feedback_tag"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(120), unique=True)  # a character folds to at most three


class MessageTag(Base):
    """A tag on a message."""

    __tablename__ = "feedback_message_tag"
    __table_args__ = (Index("ix_feedback_message_tag_tag_id", "tag_id", "message_id"),)

    message_id: Mapped[int] = mapped_column(ForeignKey(Message.id, ondelete="CASCADE"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(ForeignKey(Tag.id, ondelete="CASCADE"), primary_key=True)


class Assignment(Base):
    """The administrator who takes care of a message."""

    __tablename__ = "feedback_assignment"
    __table_args__ = (Index("ix_feedback_assignment_user_id", "user_id", "message_id"),)

    message_id: Mapped[int] = mapped_column(ForeignKey(Message.id, ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))


class Answered(Base):
    """The administrator who last marked a message as answered, by a reply or by other means."""

    __tablename__ = "feedback_answered"

    message_id: Mapped[int] = mapped_column(ForeignKey(Message.id, ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey(User.id, ondelete="SET NULL"), index=True)
    at: Mapped[datetime] = mapped_column(default=utcnow)

    user: Mapped[User | None] = relationship()


class SavedSearch(Base):
    """An administrator's name for a search; `query` has the parameters of its address."""

    __tablename__ = "feedback_saved_search"
    __table_args__ = (UniqueConstraint("user_id", "name"), AUTOINCREMENT)

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(60))
    query: Mapped[dict[str, str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class Conversation(Base):
    """The private link of a message for its visitor, and the audience that is notified of answers.

    The link's token is derived from a key of the site, the message and `link_number`; only its hash is stored. Without
    a hash the visitor has ended the link.
    """

    __tablename__ = "feedback_conversation"

    message_id: Mapped[int] = mapped_column(ForeignKey(Message.id, ondelete="CASCADE"), primary_key=True)
    token_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    link_number: Mapped[int] = mapped_column(Integer, default=1)
    link_key_id: Mapped[int | None]  # a SiteSecret; None: the first key, see private_links.py
    audience_id: Mapped[int | None] = mapped_column(ForeignKey(Audience.id, ondelete="SET NULL"), unique=True)

    message: Mapped[Message] = relationship()


class Reply(Base):
    """A text after the message: an administrator's answer, or a reply of the visitor.

    With `note_id`, it is the text of that note, which a message gets once.
    """

    __tablename__ = "feedback_reply"
    __table_args__ = (
        Index("ix_feedback_reply_message_id", "message_id", "id"),
        Index(
            "uq_feedback_reply_note_id_message_id", "note_id", "message_id", unique=True,
            sqlite_where=text("note_id IS NOT NULL"), postgresql_where=text("note_id IS NOT NULL"),
        ),
        AUTOINCREMENT,
    )  # fmt: skip

    id: Mapped[Id]
    message_id: Mapped[int] = mapped_column(ForeignKey(Message.id, ondelete="CASCADE"))
    is_answer: Mapped[bool]
    user_id: Mapped[int | None] = mapped_column(ForeignKey(User.id, ondelete="SET NULL"), index=True)
    content: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    outbox_id: Mapped[int | None] = mapped_column(ForeignKey(OutboxEntry.id, ondelete="SET NULL"), index=True)
    note_id: Mapped[int | None] = mapped_column(ForeignKey("feedback_note.id", ondelete="SET NULL"))

    message: Mapped[Message] = relationship()
    user: Mapped[User | None] = relationship()
    outbox_entry: Mapped[OutboxEntry | None] = relationship()


class DailyCount(Base):
    """The number of times that something happened on a day, in UTC."""

    __tablename__ = "feedback_daily_count"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    count: Mapped[int]


class Undo(Base):
    """The earlier states of messages that a session has moved. The row is deleted when it is used."""

    __tablename__ = "feedback_undo"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    session_id: Mapped[int] = mapped_column(ForeignKey(Session.id, ondelete="CASCADE"), index=True)
    before: Mapped[list[Any]] = mapped_column(JSON)
    expires_at: Mapped[datetime] = mapped_column(index=True)
