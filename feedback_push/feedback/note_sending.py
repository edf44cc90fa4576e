"""Send notes in batches: an answer in each conversation, and one push for each device, however many it follows."""

import time
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Update, func, select, text, update

from feedback_push import maintenance
from feedback_push.database import db, utcnow
from feedback_push.feedback import conversations
from feedback_push.feedback.models import Conversation, Message, MessageState, Reply
from feedback_push.feedback.note_models import UNFINISHED, WAITING, Note, NoteRecipient, Outcome
from feedback_push.ids import id_in
from feedback_push.push import followers, outbox
from feedback_push.push.models import Follower, OutboxEntry, Priority
from feedback_push.push.notification import ANSWER

BATCH = 100  # messages in one transaction, so that no visitor waits for the database
_SECONDS = 1.0  # in one sweep or one task
_ANSWERABLE = (MessageState.NEW, MessageState.READ, MessageState.ARCHIVED)


@maintenance.register
def send_some(_now: datetime) -> None:
    """Send notes for about a second, in batches, each in its own transaction. The next sweep goes on after a crash."""
    run()


def run() -> bool:
    """Send notes for about a second, and wake the workers after each batch; return whether more are left."""
    stop_at = time.monotonic() + _SECONDS
    while (entry_ids := send_batch()) is not None:
        db.session.commit()
        if entry_ids:
            outbox.wake(entry_ids[0])  # the run that sends it finds the others
        if time.monotonic() > stop_at:
            return True
    return False


def send_batch() -> list[int] | None:
    """Write the next batch of the oldest note that nobody else is sending, and return the ids of its outbox entries.

    Return None if there is no such note. The caller commits and calls `outbox.wake`. The newest messages come first, so
    the push of a device that follows several of these conversations leads to the newest.
    """
    oldest = select(Note).where(text(UNFINISHED)).order_by(Note.id).limit(1)
    note = db.session.scalar(oldest.with_for_update(skip_locked=True))
    if note is None:
        return None
    waiting = select(NoteRecipient.message_id).where(NoteRecipient.note_id == note.id, text(WAITING))
    ids = db.session.scalars(waiting.order_by(NoteRecipient.message_id.desc()).limit(BATCH)).all()
    replies = _write(note, ids)
    if len(ids) < BATCH:
        note.finished_at = utcnow()
    return [reply.outbox_id for reply in replies if reply.outbox_id is not None]


def _write(note: Note, message_ids: Sequence[int]) -> list[Reply]:
    """Write the note into those of the conversations that can have it, and store the outcome for each message."""
    rows = _locked(message_ids)
    outcomes = {row.id: _outcome(row) for row in rows}
    for outcome in set(outcomes.values()):
        theirs = id_in(NoteRecipient.message_id, [id_ for id_, its in outcomes.items() if its == outcome])
        _update(update(NoteRecipient).where(NoteRecipient.note_id == note.id, theirs).values(outcome=outcome))
    written = [row for row in rows if outcomes[row.id] == Outcome.WRITTEN]
    entries = _entries(note, [row.Conversation for row in written])
    replies = [_reply(note, row.id, entries) for row in written]
    db.session.add_all(replies)
    db.session.flush()
    conversations.add_words([row.id for row in written], note.content)
    if note.marks_answered:
        _mark_answered(note, [row.id for row in written if row.state in _ANSWERABLE])
    return replies


def _locked(message_ids: Sequence[int]) -> Sequence[Row[Any]]:
    """Lock the messages, so that nobody ends, erases or answers them meanwhile; return each with its conversation."""
    theirs = id_in(Message.id, message_ids)
    db.session.execute(select(Message.id).where(theirs).order_by(Message.id).with_for_update())
    replies = select(func.count()).where(Reply.message_id == Message.id).correlate(Message).scalar_subquery()
    columns = select(Message.id, Message.state, Message.deleted_at, Conversation, replies.label("replies"))
    found = columns.outerjoin(Conversation, Conversation.message_id == Message.id).where(theirs)
    newest_first = found.order_by(Message.id.desc()).execution_options(populate_existing=True)
    return db.session.execute(newest_first).all()


def _outcome(row: Row[Any]) -> Outcome:
    if row.deleted_at is not None:
        return Outcome.DELETED
    if row.state == MessageState.SPAM:
        return Outcome.SPAM
    if row.Conversation is None:
        return Outcome.NO_LINK
    if row.Conversation.token_hash is None:
        return Outcome.ENDED
    return Outcome.FULL if row.replies >= conversations.MOST_REPLIES else Outcome.WRITTEN


def _entries(note: Note, written: Sequence[Conversation]) -> dict[int, OutboxEntry]:
    """Add an outbox entry for each conversation that devices follow, by message; it tells no device a second time."""
    following = followers.reachable([each.audience_id for each in written if each.audience_id is not None])
    entries = {
        conversation.message_id: outbox.enqueue(
            conversations.notification_of_answer(conversation, note.content),
            kind=ANSWER.code,
            audience_id=conversation.audience_id,
            priority=Priority.BROADCAST,  # thousands of these must keep neither an alarm nor a single answer waiting
        )
        for conversation in written
        if conversation.audience_id is not None and conversation.audience_id in following
    }
    db.session.flush()
    told = _told(note, {device for devices in following.values() for device in devices})
    for entry in entries.values():
        devices = following[entry.audience_id or 0]
        followers.leave_out(entry, {device: told[device] for device in devices if device in told})
        told = dict.fromkeys(devices, entry.id) | told
    return entries


def _told(note: Note, devices: Collection[int]) -> dict[int, int]:
    """Return those of the devices that earlier batches of the note notify, each with the outbox entry that does."""
    theirs = select(Follower.subscription_id, func.min(Reply.outbox_id))
    theirs = theirs.join(Conversation, Conversation.audience_id == Follower.audience_id)
    theirs = theirs.join(Reply, (Reply.message_id == Conversation.message_id) & (Reply.note_id == note.id))
    of_devices = theirs.where(id_in(Follower.subscription_id, devices), Reply.outbox_id.is_not(None))
    rows = db.session.execute(of_devices.group_by(Follower.subscription_id))
    return {device: entry_id for device, entry_id in rows if entry_id is not None}


def _reply(note: Note, message_id: int, entries: dict[int, OutboxEntry]) -> Reply:
    return Reply(
        message_id=message_id,
        is_answer=True,
        user_id=note.user_id,
        content=note.content,
        note_id=note.id,
        outbox_entry=entries.get(message_id),
    )


def _mark_answered(note: Note, message_ids: Sequence[int]) -> None:
    states = {"state": MessageState.ANSWERED, "read_at": func.coalesce(Message.read_at, utcnow())}
    _update(update(Message).where(id_in(Message.id, message_ids)).values(states))
    if note.user_id is not None:
        conversations.note_answered(message_ids, note.user_id)


def _update(statement: Update) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})
