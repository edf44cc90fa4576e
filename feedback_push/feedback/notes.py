"""Notes: draft a text to the writers of chosen messages, send it once, and list the notes that were sent."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Delete, Update, delete, exists, func, literal, select, update
from sqlalchemy.orm import joinedload

from feedback_push import maintenance
from feedback_push.auth.models import User
from feedback_push.database import db, insert, utcnow
from feedback_push.feedback import lists
from feedback_push.feedback.lists import Filter
from feedback_push.feedback.models import Message, MessageState
from feedback_push.feedback.note_models import Note, NoteRecipient
from feedback_push.ids import id_in

MOST = 10_000  # messages of one note; they are stored in one request
DRAFT_KEPT = timedelta(days=1)
PAGE_SIZE = 20
_BATCH = 20  # drafts, or empty notes, removed in one transaction


class TooMany(ValueError):
    """The search finds more messages than one note may have."""


class Nobody(ValueError):
    """Nothing was chosen but spam and deleted messages."""


def find_messages(shown: Filter) -> list[int]:
    """Return the ids of all messages that a filter selects; raise TooMany."""
    found = lists.ids(shown, MOST + 1)
    if len(found) > MOST:
        raise TooMany
    return found


def draft(user: User, message_ids: Iterable[int], selection: Mapping[str, str]) -> Note:
    """Add a draft for exactly these messages, without spam and deleted ones. The caller commits. Raise Nobody.

    The messages are stored now, so that the note goes to those that its author has seen counted.
    """
    note = Note(user_id=user.id, selection=dict(selection))
    db.session.add(note)
    db.session.flush()
    chosen = select(literal(note.id), Message.id).where(
        id_in(Message.id, message_ids), Message.deleted_at.is_(None), Message.state != MessageState.SPAM
    )
    db.session.execute(insert(NoteRecipient).from_select(["note_id", "message_id"], chosen))
    if not db.session.scalar(select(exists().where(NoteRecipient.note_id == note.id))):
        raise Nobody
    return note


def find(note_id: int, user: User) -> Note | None:
    """Return a note that was sent, or a draft of this administrator; None if there is none."""
    note = db.session.get(Note, note_id)
    return note if note and (note.sent_at or note.user_id == user.id) else None


def write(note: Note, content: str, *, marks_answered: bool) -> bool:
    """Store the text of a draft; return False if the note was sent before. The caller commits."""
    values = {"content": content, "marks_answered": marks_answered}
    return _change_draft(update(Note).values(values), note)


def send(note: Note) -> bool:
    """Let the workers send a draft from now on; return False if it was sent before or is empty. The caller commits."""
    return _change_draft(update(Note).values(sent_at=utcnow()).where(Note.content != ""), note)


def discard(note: Note) -> bool:
    """Remove a draft; return False if it was sent before. The caller commits."""
    return _change_draft(delete(Note), note)


def sent(before: int | None = None) -> Sequence[Note]:
    """Return the notes that were sent, or those before a cursor, newest first: one more than a page, if there is."""
    newest = select(Note).where(Note.sent_at.is_not(None)).order_by(Note.id.desc()).limit(PAGE_SIZE + 1)
    newest = newest if before is None else newest.where(Note.id < before)
    return db.session.scalars(newest.options(joinedload(Note.user))).all()


def drafts(user: User) -> Sequence[Note]:
    """Return the drafts of an administrator, newest first."""
    mine = select(Note).where(Note.user_id == user.id, Note.sent_at.is_(None)).order_by(Note.id.desc())
    return db.session.scalars(mine.limit(PAGE_SIZE)).all()


def count(note: Note) -> int:
    """Return the number of messages that a note is for."""
    return db.session.scalar(select(func.count()).where(NoteRecipient.note_id == note.id)) or 0


def remove_empty() -> None:
    """Remove notes whose messages are all removed for good: the text, and the search, may name their writer.

    The caller commits.
    """
    _remove(~exists().where(NoteRecipient.note_id == Note.id))


@maintenance.each_minute
def remove_old_drafts(now: datetime) -> None:
    """Remove drafts that nobody has sent within a day, and notes whose messages are all removed for good."""
    _remove(Note.sent_at.is_(None), Note.created_at < now - DRAFT_KEPT)
    remove_empty()


def _change_draft(change: Update | Delete, note: Note) -> bool:
    # One statement, so that only one of two requests finds the draft.
    draft_alone = change.where(Note.id == note.id, Note.sent_at.is_(None))
    changed = db.session.execute(draft_alone, execution_options={"synchronize_session": False})
    db.session.expire(note)
    return cast("CursorResult[Any]", changed).rowcount == 1


def _remove(*which: ColumnElement[bool]) -> None:
    some = select(Note.id).where(*which).order_by(Note.id).limit(_BATCH)
    if ids := db.session.scalars(some).all():
        these = delete(Note).where(id_in(Note.id, ids), *which)  # a draft may have been sent meanwhile
        db.session.execute(these, execution_options={"synchronize_session": False})
