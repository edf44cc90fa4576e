"""The data of a conversation: export it, and erase it for good with everything that repeats it."""

from collections.abc import Collection, Iterator

from sqlalchemy import delete, select

from feedback_push.database import db
from feedback_push.feedback import conversations, notes, replies, streamed_json, tags
from feedback_push.feedback.models import Conversation, Message, Reply
from feedback_push.ids import id_in
from feedback_push.push import followers, outbox

_OF_REPLY = ("from", "content", "written_at")  # without the administrator's address


def export(conversation: Conversation) -> Iterator[str]:
    """Yield all that is stored about a conversation as JSON, in pieces: the visitor's own data.

    The replies are read in parts, each in a transaction of its own.
    """
    message = conversation.message
    devices = followers.count(conversation.audience_id) if conversation.audience_id is not None else 0
    before = {
        "content": message.content,
        "name": message.submitter_name,
        "email": message.submitter_email,
        "category": message.category,
        "rating": message.rating,
        "page_url": message.page_url,
        "page_title": message.page_title,
        "viewport": message.viewport,
        "language": message.language,
        "answers": message.answers or [],
        "written_at": message.created_at.isoformat(),
        "read_at": message.read_at.isoformat() if message.read_at else None,
    }
    written = ({name: replies.as_json(reply)[name] for name in _OF_REPLY} for reply in replies.of_message(message.id))
    return streamed_json.pieces(before, "replies", written, {"devices": devices}, indent=2)


def erase(conversation: Conversation) -> None:
    """Remove a message for good with its conversation, its notifications and the devices that follow nothing else.

    Each batch of deliveries is committed here; the caller commits the rest.
    """
    message_id = conversation.message_id
    while outbox.delete_deliveries(entries := _lock_with_entries(message_id)):
        db.session.commit()
    conversations.delete_audiences([message_id])
    db.session.execute(delete(Message).where(Message.id == message_id))
    outbox.remove(entries)
    tags.remove_unused()  # a tag may name the visitor, and a note, too
    notes.remove_empty()


def entries_of(message_ids: Collection[int]) -> list[int]:
    """Return the outbox entries of the replies to these messages."""
    theirs = (id_in(Reply.message_id, message_ids), Reply.outbox_id.is_not(None))
    return [entry for entry in db.session.scalars(select(Reply.outbox_id).where(*theirs)) if entry is not None]


def _lock_with_entries(message_id: int) -> list[int]:
    """Lock a message, so that nobody adds a reply meanwhile, and return the outbox entries that repeat its texts."""
    own = db.session.scalar(select(Message.outbox_id).where(Message.id == message_id).with_for_update())
    return [*entries_of([message_id]), *([] if own is None else [own])]
