"""Conversations: answers to a message, what the visitor writes again, and the visitor's private link to both."""

import base64
import hmac
from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import joinedload

from feedback_push.auth.models import User
from feedback_push.config import current_settings
from feedback_push.database import db, utcnow
from feedback_push.feedback import lists
from feedback_push.feedback.models import Conversation, Message, MessageState, Reply
from feedback_push.ids import id_in
from feedback_push.push import followers, notification, outbox
from feedback_push.push.models import Follower, PreviewLevel
from feedback_push.push.notification import ANSWER, REPLY, Notification

TOKEN_LENGTH = 43  # characters: 256 bits in base64url
SESSION_KEY = "conversation"  # of the newest private link, for the thank-you page
MOST_FOLLOWERS = 20  # devices of one conversation
MOST_REPLIES = 500  # in one conversation
_REOPENED = (MessageState.READ, MessageState.ARCHIVED, MessageState.ANSWERED)


class Full(ValueError):
    """The conversation has as many replies, or as many devices, as one may have."""


def begin(message: Message) -> str:
    """Add the conversation of a new message and return the token of its private link. The caller commits."""
    conversation = Conversation(message_id=message.id, link_number=1)
    conversation.token_hash = _hash(token := _derive(message.id, 1))
    db.session.add(conversation)
    db.session.flush()
    return token


def find(token: str) -> Conversation | None:
    """Return the conversation of a private link; None if the link is unknown or ended, or its message was deleted."""
    if len(token) != TOKEN_LENGTH:
        return None
    that = select(Conversation).join(Message, Message.id == Conversation.message_id)
    there = (Conversation.token_hash == _hash(token), Message.deleted_at.is_(None))
    return db.session.scalar(that.where(*there).options(joinedload(Conversation.message)))


def of(message: Message) -> Conversation | None:
    """Return the conversation of a message; None for a message from before there were any."""
    return db.session.get(Conversation, message.id)


def replies(message: Message) -> Sequence[Reply]:
    """Return what was written after a message, the oldest first, with the administrators and notifications loaded."""
    these = select(Reply).where(Reply.message_id == message.id).order_by(Reply.id).limit(MOST_REPLIES)
    return db.session.scalars(these.options(joinedload(Reply.user), joinedload(Reply.outbox_entry))).all()


def answer(message: Message, user: User, content: str) -> int | None:
    """Add an administrator's answer, and mark the message as answered; return the outbox entry's id, if there is one.

    The devices that follow the conversation are notified. The caller commits and calls `outbox.wake`. Raise Full.
    """
    _make_sure_of_room(message)
    conversation = of(message)
    reply = Reply(message_id=message.id, is_answer=True, user_id=user.id, content=content)
    if conversation and conversation.token_hash and conversation.audience_id is not None:
        note = _for_visitor(conversation, content)
        reply.outbox_entry = outbox.enqueue(note, kind=ANSWER.code, audience_id=conversation.audience_id)
    db.session.add(reply)
    mark_answered(message)
    db.session.flush()
    return reply.outbox_id


def mark_answered(message: Message) -> None:
    """Move a message to the answered ones, also one that was answered by e-mail. The caller commits."""
    values = {"state": MessageState.ANSWERED, "spam_reason": None, "read_at": message.read_at or utcnow()}
    _update(update(Message).where(Message.id == message.id).values(values))


def write_again(conversation: Conversation, content: str, *, notify: bool) -> int | None:
    """Add what a visitor writes after the message, and reopen it; return the outbox entry's id, if there is one.

    The administrators are notified, unless the message is in spam or `notify` is False. The caller commits and calls
    `outbox.wake`. Raise Full.
    """
    message = conversation.message
    _make_sure_of_room(message)
    reply = Reply(message_id=message.id, is_answer=False, content=content)
    if notify and message.state != MessageState.SPAM:
        reply.outbox_entry = outbox.enqueue(_for_administrators(message, content), kind=REPLY.code)
    db.session.add(reply)
    reopened = (Message.id == message.id, Message.state.in_(_REOPENED))
    _update(update(Message).where(*reopened).values(state=MessageState.NEW))
    db.session.flush()
    return reply.outbox_id


def follow(conversation: Conversation, device_id: int, *, with_text: bool) -> None:
    """Notify a device of answers from now on, with their text or without it. The caller commits. Raise Full."""
    audience_id = _audience(conversation)
    theirs = set(db.session.scalars(select(Follower.subscription_id).where(Follower.audience_id == audience_id)))
    if device_id not in theirs and len(theirs) >= MOST_FOLLOWERS:
        raise Full
    allowed = with_text and current_settings().notification_answer_text
    followers.follow(device_id, {audience_id: PreviewLevel.ALL if allowed else PreviewLevel.NOTHING})


def end_link(conversation: Conversation) -> None:
    """End the private link, and stop notifying the devices that follow the conversation. The caller commits."""
    conversation.token_hash = None
    delete_audiences([conversation.message_id])


def renew_link(conversation: Conversation) -> str:
    """Replace the private link and return the new token; the old link has ended. The caller commits."""
    number = conversation.link_number + 1
    token = _derive(conversation.message_id, number)
    conversation.link_number, conversation.token_hash = number, _hash(token)
    return token


def token_of(conversation: Conversation) -> str | None:
    """Return the token of the private link; None if it has ended, or if the site's secret has changed since."""
    token = _derive(conversation.message_id, conversation.link_number)
    return token if conversation.token_hash == _hash(token) else None


def export(conversation: Conversation) -> dict[str, Any]:
    """Return all that is stored about a conversation, ready for JSON; the visitor's own data."""
    message = conversation.message
    devices = followers.count(conversation.audience_id) if conversation.audience_id is not None else 0
    return {
        "content": message.content,
        "name": message.submitter_name,
        "email": message.submitter_email,
        "written_at": message.created_at.isoformat(),
        "read_at": message.read_at.isoformat() if message.read_at else None,
        "devices": devices,
        "replies": [
            {
                "from": "site" if reply.is_answer else "visitor",
                "content": reply.content,
                "written_at": reply.created_at.isoformat(),
            }
            for reply in replies(message)
        ],
    }


def erase(conversation: Conversation) -> None:
    """Remove a message for good with its conversation, its notifications and the devices that follow nothing else.

    Each batch of deliveries is committed here; the caller commits the rest.
    """
    message = conversation.message
    entries = [*entries_of([message.id]), *([message.outbox_id] if message.outbox_id is not None else [])]
    while outbox.delete_deliveries(entries):
        db.session.commit()
    delete_audiences([message.id])
    db.session.execute(delete(Message).where(Message.id == message.id))
    outbox.remove(entries)


def entries_of(message_ids: Collection[int]) -> list[int]:
    """Return the outbox entries of the replies to these messages."""
    theirs = (id_in(Reply.message_id, message_ids), Reply.outbox_id.is_not(None))
    return [entry for entry in db.session.scalars(select(Reply.outbox_id).where(*theirs)) if entry is not None]


def _audience(conversation: Conversation) -> int:
    if conversation.audience_id is None:
        audience = followers.add_audience()
        free = (Conversation.message_id == conversation.message_id, Conversation.audience_id.is_(None))
        _update(update(Conversation).where(*free).values(audience_id=audience.id))
        db.session.refresh(conversation, ["audience_id"])
    if conversation.audience_id is None:
        raise Full  # it was erased meanwhile
    return conversation.audience_id


def delete_audiences(message_ids: Collection[int]) -> None:
    """Delete the audiences of these messages, which the database does not delete along with the messages."""
    theirs = (id_in(Conversation.message_id, message_ids), Conversation.audience_id.is_not(None))
    for audience_id in db.session.scalars(select(Conversation.audience_id).where(*theirs)).all():
        while audience_id is not None and followers.delete_audience(audience_id):
            pass


def _make_sure_of_room(message: Message) -> None:
    # Two requests at once may exceed the limit by one; the row lock makes them wait for each other.
    db.session.execute(select(Message.id).where(Message.id == message.id).with_for_update())
    if len(replies(message)) >= MOST_REPLIES:
        raise Full


def _for_visitor(conversation: Conversation, content: str) -> Notification:
    address = f"{current_settings().site_url}/conversations/{token_of(conversation) or ''}"
    return Notification(
        title=str(ANSWER.one),
        body=notification.beginning(content),
        navigate=address,
        tag=f"conversation-{conversation.message_id}",
    )


def _for_administrators(message: Message, content: str) -> Notification:
    settings = current_settings()
    return Notification(
        title=f"{notification.name(message.submitter_name)}:",
        body=notification.beginning(content),
        navigate=f"{settings.site_url}{settings.admin_url}messages/{message.id}",
        tag=f"message-{message.id}",
        app_badge=lists.unread(),
    )


def _derive(message_id: int, number: int) -> str:
    secret = current_settings().secret_key.encode()
    key = hmac.digest(secret, b"private link", "sha256")
    raw = hmac.digest(key, b"%d:%d" % (message_id, number), "sha256")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _update(statement: Any) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})
