"""Daily counts of events that nobody is notified of, such as removed spam. The dashboard shows them."""

from datetime import date, timedelta
from enum import StrEnum

from sqlalchemy import delete, func, select

from feedback_push.database import db, insert, utcnow
from feedback_push.feedback.models import DailyCount

_KEPT = timedelta(days=30)


class Count(StrEnum):
    """An event that is counted."""

    SPAM_REMOVED = "spam-removed"  # because the spam list was full
    NOT_NOTIFIED = "not-notified"  # because its network had reached its daily notification limit


def add(what: Count, how_many: int = 1) -> None:
    """Add to today's count, in the caller's transaction."""
    statement = insert(DailyCount).values(name=what, day=utcnow().date(), count=how_many)
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=[DailyCount.name, DailyCount.day], set_={"count": DailyCount.count + how_many}
        )
    )


def recent() -> dict[str, int]:
    """Return the sums of today's and yesterday's counts (UTC days), by name."""
    since = utcnow().date() - timedelta(days=1)
    counts = select(DailyCount.name, func.sum(DailyCount.count)).where(DailyCount.day >= since)
    return {name: int(count) for name, count in db.session.execute(counts.group_by(DailyCount.name))}


def remove_old(today: date) -> None:
    """Remove the counts that are more than 30 days old. The caller commits."""
    db.session.execute(delete(DailyCount).where(DailyCount.day < today - _KEPT))
