"""Counts of events in the database: totals that only grow, and counts of a day; they outlive what they count.

All processes add to the same rows, so there is one truth. A row has several shards, so that transactions that count the
same event at the same time do not wait for each other.
"""

import random
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Date, SmallInteger, String, delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from feedback_push import maintenance
from feedback_push.database import Base, db, insert

KEPT = timedelta(days=31)  # the counts of days
_SHARDS = 8


class EventTotal(Base):
    """A total, or a part of it; `labels` are words in an order that belongs to the name."""

    __tablename__ = "event_total"

    name: Mapped[str] = mapped_column(String(30), primary_key=True)
    labels: Mapped[str] = mapped_column(String(150), primary_key=True)
    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    count: Mapped[int]


class EventDay(Base):
    """The count of a day in UTC, or a part of it."""

    __tablename__ = "event_day"

    name: Mapped[str] = mapped_column(String(30), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    labels: Mapped[str] = mapped_column(String(150), primary_key=True)
    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    count: Mapped[int]


def add(totals: Mapping[tuple[str, str], int]) -> None:
    """Add to totals, by name and labels, with one statement in the caller's transaction.

    Call it last in a transaction: until the commit, a few others wait for these rows.
    """
    _add(EventTotal, [{"name": name, "labels": labels, "count": count} for (name, labels), count in totals.items()])


def add_to_days(days: Mapping[tuple[str, date, str], int]) -> None:
    """Add to the counts of days, by name, day and labels; as `add` does."""
    rows = [{"name": name, "day": day, "labels": labels, "count": count} for (name, day, labels), count in days.items()]
    _add(EventDay, rows)


def totals() -> dict[tuple[str, str], int]:
    """Return all totals by name and labels."""
    parts = select(EventTotal.name, EventTotal.labels, func.sum(EventTotal.count))
    rows = db.session.execute(parts.group_by(EventTotal.name, EventTotal.labels))
    return {(name, labels): int(count) for name, labels, count in rows}


def of_days(name: str, since: date) -> dict[date, Counter[str]]:
    """Return the counts of an event by day and labels, from this day on."""
    parts = select(EventDay.day, EventDay.labels, func.sum(EventDay.count))
    found: dict[date, Counter[str]] = {}
    rows = parts.where(EventDay.name == name, EventDay.day >= since).group_by(EventDay.day, EventDay.labels)
    for day, labels, count in db.session.execute(rows):
        found.setdefault(day, Counter())[labels] += int(count)
    return found


@maintenance.each_minute
def remove_old(now: datetime) -> None:
    """Remove the counts of days that are too old. The caller commits."""
    db.session.execute(delete(EventDay).where(EventDay.day < now.date() - KEPT))


def _add(model: type[EventTotal] | type[EventDay], rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    shard = _shard()
    keys = [column.name for column in model.__table__.primary_key]
    # Sorted, so that two transactions never wait for each other's rows.
    rows = sorted(({**row, "shard": shard} for row in rows), key=lambda row: [row[key] for key in keys])
    statement = insert(model)
    grown = {"count": model.count + statement.excluded.count}
    # As parameters: a statement with the values in it would be compiled each time, which takes milliseconds.
    db.session.connection().execute(statement.on_conflict_do_update(index_elements=keys, set_=grown), rows)


def _shard() -> int:
    if db.session.get_bind().dialect.name == "sqlite":  # which has one writer at a time
        return 0
    return random.randrange(_SHARDS)  # noqa: S311 - it only spreads writes
