"""Conversations: answers to a message, replies of its visitor, and the visitor's private link to both."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import contains_eager, joinedload

from feedback_push import private_links, search_text
from feedback_push.auth.models import User
from feedback_push.config import current_settings
from feedback_push.database import db, insert, utcnow
from feedback_push.encryption import UnreadableError
from feedback_push.feedback import daily_counts, lists, site_forms
from feedback_push.feedback.daily_counts import Count
from feedback_push.feedback.models import Answered, Conversation, Message, MessageState, Reply
from feedback_push.ids import id_in
from feedback_push.push import followers, notification, outbox
from feedback_push.push.models import Follower, PreviewLevel
from feedback_push.push.notification import ANSWER, REPLY, Action, Notification
from feedback_push.site_path import absolute_url

SESSION_KEY = "conversation"  # of the newest private link, for the thank-you page
MOST_FOLLOWERS = 20  # devices of one conversation
MOST_REPLIES = 500  # in one conversation
_on_reply: list[Callable[[Reply], None]] = []
_REOPENED = (MessageState.READ, MessageState.ARCHIVED, MessageState.ANSWERED)


class Full(ValueError):
    """The conversation has as many replies, or as many devices, as one may have."""


def on_reply(listener: Callable[[Reply], None]) -> Callable[[Reply], None]:
    """Register a function to call for each reply of a visitor to a message that is not spam, in its transaction.

    A reply that nobody is notified of has no `outbox_id`.
    """
    _on_reply.append(listener)
    return listener


def begin(message: Message) -> str:
    """Add the conversation of a new message and return the token of its private link. The caller commits."""
    key_id = private_links.newest_key()
    token = private_links.token(message.id, 1, key_id)
    token_hash = private_links.hashed(token)
    db.session.add(Conversation(message_id=message.id, link_number=1, link_key_id=key_id, token_hash=token_hash))
    db.session.flush()
    return token


def find(token: str, *, lock: bool = False) -> Conversation | None:
    """Return the conversation of a private link; None if the link is unknown or ended, or its message was deleted.

    `lock` keeps others from changing or erasing it until the transaction ends. Lock it before any device.
    """
    if not private_links.is_token(token):
        return None
    that = select(Conversation).join(Message, Message.id == Conversation.message_id)
    there = (Conversation.token_hash == private_links.hashed(token), Message.deleted_at.is_(None))
    that = that.where(*there).options(contains_eager(Conversation.message))
    if lock:
        that = that.with_for_update(of=Message).execution_options(populate_existing=True)
    return db.session.scalar(that)


def is_accepted(token: str) -> bool:
    """Return whether a private link leads to a message that is not in spam."""
    conversation = find(token)
    return conversation is not None and conversation.message.state != MessageState.SPAM


def of(message: Message) -> Conversation | None:
    """Return the conversation of a message; None for a message from before there were any."""
    return db.session.get(Conversation, message.id)


def replies(message: Message) -> Sequence[Reply]:
    """Return the replies to a message, the oldest first, with the administrators and notifications loaded."""
    these = select(Reply).where(Reply.message_id == message.id).order_by(Reply.id).limit(MOST_REPLIES)
    return db.session.scalars(these.options(joinedload(Reply.user), joinedload(Reply.outbox_entry))).all()


def find_reply(message: Message, reply_id: int) -> Reply | None:
    """Return a reply to a message; None if it is none of its replies."""
    this = select(Reply).where(Reply.id == reply_id, Reply.message_id == message.id)
    return db.session.scalar(this.options(joinedload(Reply.outbox_entry)))


def answer(message: Message, user: User, content: str) -> int | None:
    """Add an administrator's answer, and mark the message as answered; return the outbox entry's id, if there is one.

    The devices that follow the conversation are notified. The caller commits and calls `outbox.wake`. Raise Full.
    """
    _lock(message)
    conversation = db.session.get(Conversation, message.id, populate_existing=True)
    reply = Reply(message_id=message.id, is_answer=True, user_id=user.id, content=content)
    if conversation and conversation.token_hash and conversation.audience_id is not None:
        note = notification_of_answer(conversation, content)
        reply.outbox_entry = outbox.enqueue(note, kind=ANSWER.code, audience_id=conversation.audience_id)
    _add(reply)
    opened = {"read_at": func.coalesce(Message.read_at, utcnow()), "spam_reason": None}
    _update(update(Message).where(Message.id == message.id).values(state=MessageState.ANSWERED, **opened))
    note_answered([message.id], user.id)
    return reply.outbox_id


def notification_of_answer(conversation: Conversation, content: str) -> Notification:
    """Return the notification of an answer, as the devices that follow its conversation get it."""
    settings = current_settings()
    address = private_links.unfinished(conversation.message_id, conversation.link_number, conversation.link_key_id)
    # After a loss of the site's secret nobody knows the token, so the visitor must open the link that they have kept.
    return Notification(
        title=str(ANSWER.title),
        body=notification.beginning(content) if settings.notification_answer_text else "",
        navigate=address if token_of(conversation) else absolute_url("feedback.home"),
        tag=f"conversation-{conversation.message_id}",
    )


def note_answered(message_ids: Collection[int], user_id: int) -> None:
    """Record who has answered these messages, by a reply or by other means. The caller commits."""
    if not message_ids:
        return
    rows = [{"message_id": message_id, "user_id": user_id, "at": utcnow()} for message_id in message_ids]
    row = insert(Answered).values(rows)
    latest = {"user_id": row.excluded.user_id, "at": row.excluded.at}
    db.session.execute(row.on_conflict_do_update(index_elements=[Answered.message_id], set_=latest))


def answered(message: Message) -> Answered | None:
    """Return who has answered a message that is marked as answered, and when; None otherwise."""
    if message.state != MessageState.ANSWERED:
        return None
    this = select(Answered).where(Answered.message_id == message.id).options(joinedload(Answered.user))
    return db.session.scalar(this)


def write_again(conversation: Conversation, content: str, *, notify: bool) -> int | None:
    """Add a visitor's reply to their message, and reopen it; return the outbox entry's id, if there is one.

    The administrators are notified, unless the message is in spam or `notify` is False. The caller commits and calls
    `outbox.wake`. Raise Full.
    """
    message = conversation.message
    state = _lock(message)
    reply = Reply(message_id=message.id, is_answer=False, content=content)
    reopened = (Message.id == message.id, Message.state.in_(_REOPENED))
    _update(update(Message).where(*reopened).values(state=MessageState.NEW))
    if state != MessageState.SPAM:  # after the update, because the notification counts the unread
        if notify:
            recipients = site_forms.recipients(message.form_key)
            note = _for_administrators(message, content)
            reply.outbox_entry = outbox.enqueue(note, kind=REPLY.code, recipients=recipients)
        else:
            daily_counts.add(Count.NOT_NOTIFIED)
    _add(reply)
    for listener in _on_reply if state != MessageState.SPAM else ():
        listener(reply)
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
    """Replace the private link and return the new token; the old link has ended. The caller commits.

    No device is notified any more: one that the old link has subscribed would be sent the new link.
    """
    conversation.link_number += 1
    conversation.link_key_id = private_links.newest_key()
    token = private_links.token(conversation.message_id, conversation.link_number, conversation.link_key_id)
    conversation.token_hash = private_links.hashed(token)
    delete_audiences([conversation.message_id])
    return token


def token_of(conversation: Conversation) -> str | None:
    """Return the token of the private link; None if it has ended, or if the site's secret has been lost since."""
    try:
        token = private_links.token(conversation.message_id, conversation.link_number, conversation.link_key_id)
    except UnreadableError:
        return None
    return token if conversation.token_hash == private_links.hashed(token) else None


def add_words(message_ids: Collection[int], content: str) -> None:
    """Let searches find these messages by the words of a reply too. The caller commits."""
    found_by = func.substr(Message.search_text + f" {search_text.of(content)}", 1, search_text.LONGEST)
    _update(update(Message).where(id_in(Message.id, message_ids)).values(search_text=found_by))


def delete_audiences(message_ids: Collection[int]) -> None:
    """Delete the audiences of these messages, which the database does not delete along with the messages."""
    theirs = (id_in(Conversation.message_id, message_ids), Conversation.audience_id.is_not(None))
    for audience_id in db.session.scalars(select(Conversation.audience_id).where(*theirs)).all():
        while audience_id is not None and followers.delete_audience(audience_id):
            pass


def _audience(conversation: Conversation) -> int:
    if conversation.audience_id is None:
        audience = followers.add_audience()
        free = (Conversation.message_id == conversation.message_id, Conversation.audience_id.is_(None))
        _update(update(Conversation).where(*free).values(audience_id=audience.id))
        db.session.refresh(conversation, ["audience_id"])
    if conversation.audience_id is None:
        raise Full  # it was erased meanwhile
    return conversation.audience_id


def _lock(message: Message) -> MessageState | None:
    """Lock a message and return its state; raise Full if it has as many replies as it may have."""
    state = db.session.scalar(select(Message.state).where(Message.id == message.id).with_for_update())
    count = select(func.count()).select_from(Reply).where(Reply.message_id == message.id)
    if (db.session.scalar(count) or 0) >= MOST_REPLIES:
        raise Full
    return MessageState(state) if state else None


def _add(reply: Reply) -> None:
    db.session.add(reply)
    db.session.flush()
    add_words([reply.message_id], reply.content)


def _for_administrators(message: Message, content: str) -> Notification:
    address = absolute_url("admin.message", message_id=message.id)
    return Notification(
        title=f"{notification.name(message.submitter_name)}:",
        body=notification.beginning(content),
        navigate=address,
        tag=f"message-{message.id}",
        app_badge=lists.unread(),
        actions=(Action("answer", "Answer", f"{address}#answer"),),  # the service worker translates the title
    )


def _update(statement: Any) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})
