"""The inbox: receive messages, notify administrators, and mark messages as read."""

from collections.abc import Callable, Iterable

from sqlalchemy import case, func, or_, select, text, update
from sqlalchemy.orm import joinedload

from feedback_push import event_counts
from feedback_push.database import db, utcnow
from feedback_push.feedback import daily_counts, lists, site_forms
from feedback_push.feedback.daily_counts import Count
from feedback_push.feedback.models import LISTS, Message, MessageState
from feedback_push.feedback.spam_reasons import SpamReason
from feedback_push.ids import id_in
from feedback_push.push import notification, outbox
from feedback_push.push.notification import Action, Notification
from feedback_push.site_path import absolute_url

_on_received: list[Callable[[Message], None]] = []


def on_received(listener: Callable[[Message], None]) -> Callable[[Message], None]:
    """Register a function to call for each message that is not spam, in the transaction that stores or releases it.

    A message that nobody is notified of has no `outbox_id`.
    """
    _on_received.append(listener)
    return listener


def receive(
    message: Message,
    spam_reason: SpamReason | None = None,
    *,
    notify: bool = True,
    recipients: list[int] | None = None,
) -> int | None:
    """Add a message and its outbox entry to the session, in one transaction; return the entry's id, or None.

    A message with a suspicion goes to spam, without a notification. If `notify` is False, the message goes to the inbox
    without a notification, and is counted as not notified. Without a notification there is no entry. If there are
    `recipients`, only the administrators with these ids are notified.
    """
    db.session.add(message)
    if spam_reason:
        message.state, message.spam_reason = MessageState.SPAM, spam_reason
    db.session.flush()  # the notification needs the message's id
    if not spam_reason and _count_silent(notify):
        message.outbox_entry = outbox.enqueue(_notification(message), recipients=recipients)
        db.session.flush()
    if not spam_reason:
        _tell(message)
    _count(message, spam_reason)
    return message.outbox_id


def release(message_ids: Iterable[int], *, notify: bool = True) -> list[int]:
    """Move messages out of spam, and enqueue each notification not made before; return the new outbox entries' ids."""
    held = select(Message).where(id_in(Message.id, message_ids), text(LISTS["spam"])).order_by(Message.id)
    entries = []
    released = db.session.scalars(held.with_for_update()).all()
    for message in released:
        message.state, message.spam_reason = MessageState.NEW, None
        if message.outbox_id is None and _count_silent(notify):
            recipients = site_forms.recipients(message.form_key)
            message.outbox_entry = outbox.enqueue(_notification(message), recipients=recipients)
            entries.append(message.outbox_entry)
        event_counts.add_to_days({("message", message.created_at.date(), ""): 1})
    db.session.flush()
    for message in released:
        _tell(message)
    return [entry.id for entry in entries]


def notify_again(message_id: int) -> int | None:
    """Enqueue the notification of a message once more; return the outbox entry's id.

    Return None if the message is missing, deleted or in spam. The history then shows the new notification.
    """
    there = (Message.id == message_id, Message.deleted_at.is_(None), Message.state != MessageState.SPAM)
    message = db.session.scalar(select(Message).where(*there).with_for_update())
    if message is None:
        return None
    message.outbox_entry = outbox.enqueue(_notification(message), recipients=site_forms.recipients(message.form_key))
    db.session.flush()
    return message.outbox_id


def find(message_id: int) -> Message | None:
    """Return a message with its user loaded, or None if it is missing or deleted."""
    there = (Message.id == message_id, Message.deleted_at.is_(None))
    return db.session.scalar(select(Message).where(*there).options(joinedload(Message.user)))


def lock(message_id: int) -> bool:
    """Lock a message until the transaction ends; return False if it is missing or deleted."""
    there = (Message.id == message_id, Message.deleted_at.is_(None))
    return db.session.scalar(select(Message.id).where(*there).with_for_update()) is not None


def mark_read(message: Message) -> None:
    """Mark a new message as read, and record when it was first opened."""
    if message.read_at and message.state != MessageState.NEW:
        return  # an UPDATE would wait for the write lock, only to change nothing
    # Decide by the row as it is now, not as it was loaded: another administrator may be moving or erasing it.
    unopened = or_(Message.read_at.is_(None), Message.state == MessageState.NEW)
    opened = {
        "read_at": func.coalesce(Message.read_at, utcnow()),
        "state": case((Message.state == MessageState.NEW, MessageState.READ), else_=Message.state),
    }
    db.session.execute(
        update(Message).where(Message.id == message.id, unopened).values(opened),
        execution_options={"synchronize_session": False},
    )


def _tell(message: Message) -> None:
    for listener in _on_received:
        listener(message)


def _count(message: Message, spam_reason: SpamReason | None) -> None:
    if spam_reason:
        event_counts.add({("form_post", "spam"): 1, ("spam", spam_reason): 1})
        return
    event_counts.add({("form_post", "accepted"): 1})
    event_counts.add_to_days({("message", message.created_at.date(), ""): 1})


def _count_silent(notify: bool) -> bool:
    if not notify:
        daily_counts.add(Count.NOT_NOTIFIED)
    return notify


def _notification(message: Message) -> Notification:
    address = absolute_url("admin.message", message_id=message.id)
    answer = Action("answer", "Answer", f"{address}#answer")  # the service worker translates the title
    return Notification(
        title=f"{notification.name(message.submitter_name)}:",
        body=notification.beginning(message.content),
        navigate=address,
        tag=f"message-{message.id}",
        app_badge=lists.unread(),
        actions=(answer,),
    )
