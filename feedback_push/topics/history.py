"""History: read the broadcasts of a topic, those that wait and those that were sent."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select

from feedback_push.database import db
from feedback_push.topics.models import Broadcast, Topic

PER_PAGE = 25
_MOST_WAITING = 200  # drafts and scheduled broadcasts on one page


class Page(NamedTuple):
    """Broadcasts that were started or ended, the newest first; `older` is the cursor of the next page, or None."""

    broadcasts: Sequence[Broadcast]
    older: int | None


def page(topic: Topic, before: int | None = None) -> Page:
    """Return a page of a topic's history; `before` is the previous page's `older`."""
    over = Broadcast.started_at.is_not(None) | Broadcast.ended_at.is_not(None)
    of_topic = select(Broadcast).where(Broadcast.topic_id == topic.id, over)
    if before is not None:
        of_topic = of_topic.where(Broadcast.id < before)
    found = db.session.scalars(of_topic.order_by(Broadcast.id.desc()).limit(PER_PAGE + 1)).all()
    return Page(found[:PER_PAGE], found[PER_PAGE - 1].id if len(found) > PER_PAGE else None)


def waiting(topic: Topic) -> Sequence[Broadcast]:
    """Return the scheduled broadcasts of a topic by their time, then its drafts, the newest first."""
    not_over = (Broadcast.started_at.is_(None), Broadcast.ended_at.is_(None))
    of_topic = select(Broadcast).where(Broadcast.topic_id == topic.id, *not_over)
    order = (Broadcast.send_at.is_(None), Broadcast.send_at, Broadcast.id.desc())
    return db.session.scalars(of_topic.order_by(*order).limit(_MOST_WAITING)).all()


def last_started() -> dict[int, datetime]:
    """Return when the last broadcast of each topic started, by the topic's id."""
    last = select(Broadcast.topic_id, func.max(Broadcast.started_at)).where(Broadcast.started_at.is_not(None))
    rows = db.session.execute(last.group_by(Broadcast.topic_id)).all()
    return {topic_id: at for topic_id, at in rows if at is not None}
