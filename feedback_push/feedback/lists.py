"""The lists of messages: new, archived, spam and the inbox itself, filtered, page by page, and counted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select, text

from feedback_push.database import db
from feedback_push.feedback import search
from feedback_push.feedback.models import LISTS, Message
from feedback_push.feedback.search import Columns, Order

PAGE_SIZE = 50
MOST_COUNTED = 1000  # so that a million unread messages cost no more to count
PART_SIZE = 100  # messages of an export that are in memory at once
# Ids follow the clock, but not to the second: writers overtake each other, and clocks are set.
_OUT_OF_ORDER = 1000
_IN_A_LIST = (
    Message.id,
    Message.submitter_name,
    Message.created_at,
    Message.state,
    Message.spam_reason,
    func.substr(Message.content, 1, 300).label("beginning"),  # of what may be a very long text
)
_WHOLE = (
    Message.id,
    Message.created_at,
    Message.state,
    Message.submitter_name,
    Message.submitter_email,
    Message.content,
)


@dataclass(frozen=True)
class Filter:
    """Which messages: those of a list, that hold all these words, written since and before a time."""

    list: str = "inbox"
    words: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Page:
    """A page of a list, the newest first; `older` is the cursor of the next page, if there is one."""

    messages: Sequence[Row[Any]] = field(default_factory=list)  # id, submitter_name, created_at, state, beginning
    older: int | None = None
    is_first: bool = True


def page(shown: Filter, before: int | None = None) -> Page:
    """The messages before a cursor, or the newest; found by key, so that a late page costs what the first does."""
    rows = _find(_IN_A_LIST, shown, _below(before, PAGE_SIZE + 1))
    messages = rows[:PAGE_SIZE]
    return Page(messages, messages[-1].id if len(rows) > PAGE_SIZE else None, before is None)


def since(shown: Filter, message_id: int) -> Sequence[Row[Any]]:
    """What has come after a message, as it stands in a page; the newest first, and no more than fill one."""
    return _find(_IN_A_LIST, shown, Order(lowest=message_id + 1, limit=PAGE_SIZE))


def neighbours(shown: Filter, message_id: int) -> tuple[int | None, int | None]:
    """The messages before and after one in its list, which it need not be in itself: the newer and the older one."""
    newer = _find((Message.id,), shown, Order(lowest=message_id + 1, oldest_first=True))
    older = _find((Message.id,), shown, _below(message_id, 1))
    return (newer[0].id if newer else None, older[0].id if older else None)


def parts(shown: Filter) -> Iterator[Sequence[Row[Any]]]:
    """All messages with their whole text, the newest first, in parts; between them no transaction is open."""
    before: int | None = None
    while rows := _find(_WHOLE, shown, _below(before, PART_SIZE)):
        db.session.rollback()
        yield rows
        before = rows[-1].id
    db.session.rollback()


def counts() -> dict[str, int]:
    """How many messages each list has; MOST_COUNTED stands for that many or more."""
    return dict(db.session.execute(select(*(_count(name).label(name) for name in LISTS))).mappings().one())


def unread() -> int:
    """How many messages nobody has opened yet; MOST_COUNTED stands for that many or more."""
    return db.session.scalar(select(_count("new"))) or 0


def newest_unread() -> int:
    """The id of the newest message that nobody has opened yet, or 0."""
    return db.session.scalar(select(func.max(Message.id)).where(text(LISTS["new"]))) or 0


def _count(name: str) -> Any:
    some = select(Message.id).where(text(LISTS[name])).limit(MOST_COUNTED).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


def _below(before: int | None, limit: int) -> Order:
    return Order(limit=limit) if before is None else Order(highest=before - 1, limit=limit)


def _find(columns: Columns, shown: Filter, order: Order) -> Sequence[Row[Any]]:
    conditions: list[ColumnElement[bool]] = [text(LISTS[shown.list])]  # type: ignore[list-item]
    within = _narrowed(order, shown)
    if within is None:
        return []
    if shown.since:
        conditions.append(Message.created_at >= shown.since)
    if shown.until:
        conditions.append(Message.created_at < shown.until)
    if shown.words:
        return search.find(columns, shown.words, conditions, within)
    return db.session.execute(within.apply(select(*columns).where(*conditions), Message.id)).all()


def _narrowed(order: Order, shown: Filter) -> Order | None:
    """The order without the ids that the dates leave out, so that these are not gone through; None if none is left."""
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
