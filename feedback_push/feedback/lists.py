"""Read the lists of messages: filter them, page through them, count them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, func, literal_column, select, text

from feedback_push.database import db
from feedback_push.feedback import assignments, replies, search, tags
from feedback_push.feedback.form_models import DEFAULT_KEY
from feedback_push.feedback.models import LISTS, Message, MessageState, person_of
from feedback_push.feedback.search import Columns, Order

ALL = "all"
DELETED = "deleted"
# Every list that a page can show. `all` has the messages of all other lists but the deleted ones.
_CONDITIONS = {**LISTS, DELETED: "deleted_at IS NOT NULL", ALL: "deleted_at IS NULL"}  # an index has each but the last
NAMES = tuple(_CONDITIONS)
COUNTED = (*LISTS, DELETED)
PAGE_SIZE = 50
MOST_COUNTED = 1000  # limits the cost of counting, even with a million unread messages
PART_SIZE = 100  # messages of an export in memory at a time
# Ids follow `created_at` only roughly: concurrent writers overtake each other, and clocks are adjusted.
_OUT_OF_ORDER = 1000
_ROW = (
    Message.id,
    Message.submitter_name,
    Message.created_at,
    Message.state,
    Message.spam_reason,
    Message.deleted_at,
    tags.column(),
    replies.column(),
    Message.form_key,
    Message.category,
    Message.rating,
)
# The whole text may be very long. A search reads more of it, to show the part around the first word found.
_IN_A_LIST = (*_ROW, func.substr(Message.content, 1, 300).label("beginning"))
_IN_A_SEARCH = (*_ROW, func.substr(Message.content, 1, 3000).label("beginning"))
LONGEST_FOR_PROGRAM = 2000  # characters; a list for a program has the beginning of a message
_FOR_PROGRAM = (
    *_ROW,
    Message.submitter_email,
    Message.read_at,
    func.substr(Message.content, 1, LONGEST_FOR_PROGRAM + 1).label("beginning"),
    assignments.column(),
    *(getattr(Message, name) for name in ("form_key", "category", "rating", "page_url", "page_title", "host_user")),
)
_WHOLE = (
    Message.id,
    Message.created_at,
    Message.state,
    Message.submitter_name,
    Message.submitter_email,
    Message.form_key,
    Message.category,
    Message.rating,
    Message.page_url,
    Message.page_title,
    Message.answers,
    Message.content,
    tags.column(),
    assignments.column(),
)


@dataclass(frozen=True)
class Filter:
    """The messages of a list that contain all of `words`, written at or after `since` and before `until`.

    They have the tag, come from the person's e-mail address, are assigned to the administrator with this id, are in one
    of these states, and have the form's key, the category, the rating and the page's address, if these are given.
    """

    list: str = "inbox"
    words: str = ""
    since: datetime | None = None
    until: datetime | None = None
    tag: str = ""
    person: str = ""
    assignee: int | None = None
    states: tuple[MessageState, ...] = ()
    form: str = ""
    category: str = ""
    rating: str = ""
    page: str = ""


@dataclass(frozen=True)
class Page:
    """A page of a list, newest first. `older` is the cursor of the next page, or None on the last page."""

    messages: Sequence[Row[Any]] = field(default_factory=list)  # the columns of _ROW, and `beginning`
    older: int | None = None
    is_first: bool = True


class Whole(NamedTuple):
    """A message with its whole text, and its replies, which may be read while they are iterated."""

    message: Row[Any]  # the columns of _WHOLE
    replies: Iterable[Row[Any]]


def page(shown: Filter, before: int | None = None) -> Page:
    """Return the messages before a cursor, or the newest.

    Messages are found by key, so a late page costs no more than the first.
    """
    rows = _find(_columns(shown), shown, _below(before, PAGE_SIZE + 1))
    messages = rows[:PAGE_SIZE]
    return Page(messages, messages[-1].id if len(rows) > PAGE_SIZE else None, before is None)


def for_program(shown: Filter, before: int | None, limit: int) -> Sequence[Row[Any]]:
    """Return at most `limit` messages before a cursor, or the newest, as rows with the columns of _FOR_PROGRAM."""
    return _find(_FOR_PROGRAM, shown, _below(before, limit))


def since(shown: Filter, message_id: int) -> Sequence[Row[Any]]:
    """Return the messages after the given one, with the columns of a page: newest first, at most one page."""
    return _find(_columns(shown), shown, Order(lowest=message_id + 1, limit=PAGE_SIZE))


def neighbours(shown: Filter, message_id: int) -> tuple[int | None, int | None]:
    """Return the ids of the next newer and the next older message in a list, each None if there is none.

    The given message need not be in the list itself.
    """
    newer = _find((Message.id,), shown, Order(lowest=message_id + 1, oldest_first=True))
    older = _find((Message.id,), shown, _below(message_id, 1))
    return (newer[0].id if newer else None, older[0].id if older else None)


def parts(shown: Filter) -> Iterator[Sequence[Whole]]:
    """Yield all messages with their whole text, newest first, in parts. No transaction is open between the parts."""
    before: int | None = None
    while rows := _find(_WHOLE, shown, _below(before, PART_SIZE)):
        written = replies.by_message([row.id for row in rows])
        db.session.rollback()
        yield [Whole(row, written.get(row.id, ())) for row in rows]
        before = rows[-1].id
    db.session.rollback()


def counts() -> dict[str, int]:
    """Return the number of messages in each list. MOST_COUNTED means that many or more."""
    return dict(db.session.execute(select(*(_count(name).label(name) for name in COUNTED))).mappings().one())


def count(shown: Filter) -> int:
    """Return the number of messages that a filter selects. MOST_COUNTED means that many or more."""
    within = _narrowed(Order(limit=MOST_COUNTED), shown)
    if within is None:
        return 0
    conditions = _conditions(shown)
    if shown.words:
        return search.count(shown.words, conditions, within)
    some = within.limited(select(Message.id).where(*conditions), _key(shown)).subquery()
    return db.session.scalar(select(func.count()).select_from(some)) or 0


def ids(shown: Filter, most: int) -> list[int]:
    """Return the ids of the newest messages that a filter selects, at most so many."""
    return [row.id for row in _find((Message.id,), shown, Order(limit=most))]


def unread() -> int:
    """Return the number of unread messages. MOST_COUNTED means that many or more."""
    return db.session.scalar(select(_count("new"))) or 0


def newest_unread() -> int:
    """Return the id of the newest unread message, or 0."""
    return db.session.scalar(select(func.max(Message.id)).where(text(LISTS["new"]))) or 0


def has_any(*, from_visitors: bool = False) -> bool:
    """Return whether a message was ever received, other than spam; optionally from somebody who was not signed in."""
    wanted = select(Message.id).where(Message.state != MessageState.SPAM)
    return bool(
        db.session.scalar(select((wanted.where(Message.user_id.is_(None)) if from_visitors else wanted).exists()))
    )


def _count(name: str) -> Any:
    some = select(Message.id).where(text(_CONDITIONS[name])).limit(MOST_COUNTED).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


def _below(before: int | None, limit: int) -> Order:
    return Order(limit=limit) if before is None else Order(highest=before - 1, limit=limit)


def _columns(shown: Filter) -> Columns:
    return _IN_A_SEARCH if shown.words else _IN_A_LIST


def _conditions(shown: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [text(_CONDITIONS[shown.list])]  # type: ignore[list-item]
    if shown.since:
        conditions.append(Message.created_at >= shown.since)
    if shown.until:
        conditions.append(Message.created_at < shown.until)
    if shown.tag:
        conditions.append(tags.on(shown.tag))
    if shown.person:
        conditions.append(Message.person == (person_of(shown.person) or ""))
    if shown.states:
        conditions.append(Message.state.in_(shown.states))
    if shown.assignee is not None:
        conditions.append(assignments.to(shown.assignee))
    if shown.form:
        is_default = shown.form == DEFAULT_KEY
        conditions.append(Message.form_key.is_(None) if is_default else Message.form_key == shown.form)
    asked = {Message.category: shown.category, Message.rating: shown.rating, Message.page_url: shown.page}
    return [*conditions, *(column == value for column, value in asked.items() if value)]


def _find(columns: Columns, shown: Filter, order: Order) -> Sequence[Row[Any]]:
    within = _narrowed(order, shown)
    if within is None:
        return []
    conditions = _conditions(shown)
    if shown.words:
        return search.find(columns, shown.words, conditions, within)
    return db.session.execute(within.apply(select(*columns).where(*conditions), _key(shown))).all()


def _key(shown: Filter) -> Any:
    # A few messages are deleted. The plus keeps both databases from looking for them among all ids, the newest first.
    return literal_column("+feedback_message.id") if shown.list == DELETED else Message.id


def _narrowed(order: Order, shown: Filter) -> Order | None:
    """Return the order without the ids that the dates exclude, so that they are not scanned; None if none is left."""
    lowest, highest = order.lowest, order.highest
    if shown.since:
        first = select(Message.id).where(Message.created_at >= shown.since).order_by(Message.created_at, Message.id)
        found = db.session.scalar(first.limit(1))
        if found is None:
            return None
        lowest = max(lowest, found - _OUT_OF_ORDER)
    if shown.until:
        last = select(Message.id).where(Message.created_at < shown.until)
        found = db.session.scalar(last.order_by(Message.created_at.desc(), Message.id.desc()).limit(1))
        if found is None:
            return None
        highest = min(highest, found + _OUT_OF_ORDER)
    return replace(order, lowest=lowest, highest=highest)
