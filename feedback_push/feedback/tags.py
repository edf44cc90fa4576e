"""Tags: read typed ones, put them on messages and take them off, rename and remove them."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import regex
from sqlalchemy import ColumnElement, Row, delete, exists, func, literal, select

from feedback_push import maintenance, typed_text
from feedback_push.database import db, insert
from feedback_push.feedback.models import Message, MessageTag, Tag
from feedback_push.ids import id_in

LONGEST = 40  # characters
LONGEST_TYPED = 1_000  # characters of several tags, with their commas
MOST_PER_MESSAGE = 20
MOST = 500  # tags on the whole site
SEPARATOR = ","  # never part of a tag
_SEPARATORS = regex.compile(r"[,;\uff0c\uff1b\u3001\u060c\n\r]")
# Controls, bidi controls and other characters without a glyph. Joiners stay: Persian and Indic words contain them.
_INVISIBLE = regex.compile(r"(?V1)[\p{Cc}[\p{Cf}--[\u200c\u200d]]\p{Zl}\p{Zp}]+")


class TooMany(Exception):
    """The site has as many tags as it may have."""


class TooManyOnMessage(Exception):
    """The message has as many tags as it may have."""


class Used(NamedTuple):
    """A tag and the number of messages with it."""

    tag: Tag
    messages: int


def read(typed: str) -> list[str]:
    """Return the names of the tags in a typed text, each once, without invisible characters, in NFC.

    Raise ValueError if a name has more than LONGEST characters.
    """
    names: dict[str, str] = {}
    for part in _SEPARATORS.split(typed_text.storable(typed[:LONGEST_TYPED]) or ""):
        spaced = " ".join(unicodedata.normalize("NFC", part).split())
        name = _INVISIBLE.sub("", spaced).lstrip("# ").rstrip()
        if typed_text.is_blank(name):
            continue
        if len(name) > LONGEST:
            raise ValueError(name)
        names.setdefault(key(name), name)
    return list(names.values())


def key(name: str) -> str:
    """Return the same text for names that differ only in case."""
    return unicodedata.normalize("NFC", name[:LONGEST].casefold())[: 3 * LONGEST]


def add(message_id: int, names: Sequence[str]) -> None:
    """Put tags on a message; the first spelling of a tag stays. Raise TooMany or TooManyOnMessage.

    The caller has locked the message, so that its tags are counted correctly. It commits, or rolls back after an error.
    """
    # Always in the same order, because each is locked.
    rows = [{"message_id": message_id, "tag_id": _made(name)} for name in sorted(names, key=key)]
    if rows:
        db.session.execute(insert(MessageTag).values(rows).on_conflict_do_nothing())
    on_message = select(func.count()).select_from(MessageTag).where(MessageTag.message_id == message_id)
    if (db.session.scalar(on_message) or 0) > MOST_PER_MESSAGE:
        raise TooManyOnMessage
    if (db.session.scalar(select(func.count()).select_from(Tag)) or 0) > MOST:
        raise TooMany


def take_off(message_id: int, name: str) -> None:
    """Take a tag off a message, and remove the tag if no other message has it. The caller commits."""
    named = select(Tag.id).where(Tag.key == key(name)).scalar_subquery()
    db.session.execute(delete(MessageTag).where(MessageTag.message_id == message_id, MessageTag.tag_id == named))
    remove_unused()


def rename(tag: Tag, name: str) -> None:
    """Give a tag another name. If another tag has that name, the messages get that one. The caller commits."""
    other = db.session.scalar(select(Tag).where(Tag.key == key(name), Tag.id != tag.id).with_for_update())
    if other is None:
        tag.name, tag.key = name, key(name)
        return
    moved = select(MessageTag.message_id, literal(other.id)).where(MessageTag.tag_id == tag.id)
    columns = ["message_id", "tag_id"]
    db.session.execute(insert(MessageTag).from_select(columns, moved).on_conflict_do_nothing())
    remove(tag)


def remove(tag: Tag) -> None:
    """Remove a tag from all messages. The caller commits."""
    db.session.execute(delete(Tag).where(Tag.id == tag.id))


def remove_unused() -> None:
    """Remove the tags that no message has. The caller commits."""
    # Lock first, then look again: a message may get the tag between the two.
    unused = ~exists().where(MessageTag.tag_id == Tag.id)
    ids = db.session.scalars(select(Tag.id).where(unused).with_for_update(skip_locked=True)).all()
    if ids:
        db.session.execute(
            delete(Tag).where(id_in(Tag.id, ids), unused), execution_options={"synchronize_session": False}
        )


@maintenance.each_minute
def remove_tags_of_removed_messages(_now: datetime) -> None:
    """Remove the tags whose last message was removed for good."""
    remove_unused()


def find(tag_id: int) -> Tag | None:
    """Return a tag, locked until the transaction ends, or None."""
    return db.session.get(Tag, tag_id, with_for_update=True)


def list_all() -> list[Used]:
    """Return all tags with the number of messages that have them, in the order of their names."""
    counted = select(Tag, func.count(Message.id)).outerjoin(MessageTag, MessageTag.tag_id == Tag.id)
    shown = counted.outerjoin(Message, (Message.id == MessageTag.message_id) & Message.deleted_at.is_(None))
    return [Used(*row) for row in db.session.execute(shown.group_by(Tag.id).order_by(Tag.key))]


def names() -> list[str]:
    """Return the names of all tags in their order."""
    return list(db.session.scalars(select(Tag.name).order_by(Tag.key)))


def on(name: str) -> ColumnElement[bool]:
    """Return the condition that a message has a tag."""
    tagged = select(MessageTag.message_id).join(Tag, Tag.id == MessageTag.tag_id).where(Tag.key == key(name))
    return Message.id.in_(tagged)


def column() -> ColumnElement[Any]:
    """Return the column `tags` of a query of messages: the names, with SEPARATOR between them, in no order."""
    of_message = select(func.aggregate_strings(Tag.name, SEPARATOR)).join(MessageTag, MessageTag.tag_id == Tag.id)
    return of_message.where(MessageTag.message_id == Message.id).correlate(Message).scalar_subquery().label("tags")


def of_row(row: Row[Any]) -> list[str]:
    """Return the names in the column `tags` of a row, in their order."""
    return sorted(row.tags.split(SEPARATOR), key=key) if row.tags else []


def _made(name: str) -> int:
    """Return the id of the tag with this name, made if needed and locked, so that nothing removes it meanwhile."""
    made = insert(Tag).values(name=name, key=key(name))
    same = {"key": made.excluded.key}
    returned = made.on_conflict_do_update(index_elements=[Tag.key], set_=same).returning(Tag.id)
    tag_id: int = db.session.execute(returned).scalar_one()
    return tag_id
