"""The inbox: receiving messages, and reading them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import current_app
from sqlalchemy import Row, func, select, text
from sqlalchemy.orm import joinedload

from feedback_push.database import among, db, utcnow
from feedback_push.feedback.models import LISTS, Message, MessageState
from feedback_push.feedback.suspicion import Suspicion
from feedback_push.push import notification, outbox
from feedback_push.push.notification import Action, Notification

PAGE_SIZE = 50
MOST_COUNTED = 1000  # so that a million unread messages cost no more to count
_IN_A_LIST = (
    Message.id,
    Message.submitter_name,
    Message.created_at,
    Message.read_at,
    func.substr(Message.content, 1, 300).label("beginning"),  # of what may be a very long text
)


@dataclass(frozen=True)
class Page:
    """A page of the list, the newest first; `older` is the cursor of the next page, if there is one."""

    messages: Sequence[Row[Any]]  # id, submitter_name, created_at, read_at, and the beginning of the content
    older: int | None
    is_first: bool


def receive(message: Message, suspicion: Suspicion | None = None) -> int | None:
    """Add a message and the outbox entry about it to the session, in one transaction; the id of the entry.

    With a suspicion the message is set aside, and nobody is told of it.
    """
    db.session.add(message)
    if suspicion:
        message.state, message.spam_reason = MessageState.SPAM, suspicion
    db.session.flush()  # the notification names the message by its id
    if suspicion:
        return None
    message.outbox_entry = entry = outbox.enqueue(_notification(message))
    db.session.flush()
    return entry.id


def release(message_ids: Iterable[int]) -> list[int]:
    """Bring messages back from spam, each with the notification that it has not had; the ids of the new entries."""
    held = select(Message).where(among(Message.id, message_ids), text(LISTS["spam"])).order_by(Message.id)
    entries = []
    for message in db.session.scalars(held.with_for_update()).all():
        message.state, message.spam_reason = MessageState.NEW, None
        if message.outbox_id is None:
            message.outbox_entry = outbox.enqueue(_notification(message))
            entries.append(message.outbox_entry)
    db.session.flush()
    return [entry.id for entry in entries]


def page(before: int | None) -> Page:
    """The messages before a cursor, or the newest; found by key, so that a late page costs what the first does."""
    query = select(*_IN_A_LIST).where(text(LISTS["inbox"])).order_by(Message.id.desc()).limit(PAGE_SIZE + 1)
    rows = db.session.execute(query.where(Message.id < before) if before is not None else query).all()
    messages = rows[:PAGE_SIZE]
    return Page(messages, messages[-1].id if len(rows) > PAGE_SIZE else None, before is None)


def unread() -> int:
    """How many messages nobody has opened yet; MOST_COUNTED stands for that many or more."""
    some = select(Message.id).where(text(LISTS["new"])).limit(MOST_COUNTED).subquery()
    return db.session.scalar(select(func.count()).select_from(some)) or 0


def newest_unread() -> int:
    """The id of the newest message that nobody has opened yet, or 0."""
    return db.session.scalar(select(func.max(Message.id)).where(text(LISTS["new"]))) or 0


def find(message_id: int) -> Message | None:
    """One message with its user, if it is there."""
    return db.session.get(Message, message_id, options=[joinedload(Message.user)])


def mark_read(message: Message) -> None:
    """Remember when a message was opened first."""
    message.read_at = message.read_at or utcnow()
    if message.state == MessageState.NEW:
        message.state = MessageState.READ


def _notification(message: Message) -> Notification:
    settings = current_app.extensions["settings"]
    address = f"{settings.site_url}{settings.admin_url}messages/{message.id}"
    answer = Action("answer", "Answer", f"{address}#answer")  # the service worker has its title in every language
    return Notification(
        title=notification.printable(f"{message.submitter_name}:"),
        body=notification.excerpt(notification.printable(message.content)),
        navigate=address,
        tag=f"message-{message.id}",
        app_badge=unread(),
        actions=(answer,) if message.submitter_email else (),
    )
