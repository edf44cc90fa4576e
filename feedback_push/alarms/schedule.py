"""The interval of drills: an owner's choice in the dashboard, or else DRILL_INTERVAL_DAYS."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from feedback_push.alarms import drills
from feedback_push.alarms.models import Setting
from feedback_push.config import current_settings
from feedback_push.database import db, insert

_NAME = "drill_interval_days"


def days() -> int:
    """Return the days from one drill to the next; 0 if none is scheduled."""
    chosen = choice()
    return setting() if chosen is None else chosen


def setting() -> int:
    """Return the operator's interval, in days."""
    return current_settings().drill_interval_days


def choice() -> int | None:
    """Return the interval that an owner has chosen, in days; None if the setting holds."""
    return db.session.scalar(select(Setting.value).where(Setting.name == _NAME))


def choose(interval: int | None) -> None:
    """Store the days between two drills, or 0 for none; None lets the setting hold again. The caller commits."""
    if interval is None:
        db.session.execute(delete(Setting).where(Setting.name == _NAME))
        return
    row = insert(Setting).values(name=_NAME, value=interval)
    row = row.on_conflict_do_update(index_elements=[Setting.name], set_={"value": row.excluded.value})
    db.session.execute(row)


def next_at(now: datetime) -> datetime | None:
    """Return when the next drill is due; None if none is scheduled."""
    interval, last = days(), drills.newest()
    if not interval:
        return None
    return last.started_at + timedelta(days=interval) if last else now


def start_due(now: datetime) -> None:
    """Start the drill that the schedule asks for. The caller commits."""
    due = next_at(now)
    if due is not None and due <= now:
        drills.start("", now, slot=f"{due:%Y-%m-%dT%H:%M:%S.%f}" if drills.newest() else "first")
