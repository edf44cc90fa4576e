"""Quiet hours: whether it is quiet at a moment, by the clock of a time zone, and until when."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from feedback_push.notification_rules import QuietHours

_DAY = timedelta(days=1)


def until(hours: QuietHours, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When the quiet hours end that `now` is in; None outside of them.

    An hour that the clock shows twice belongs to them as a whole; a time that it skips is the one it jumps to.
    """
    today = now.astimezone(zone).date()
    for day in (today - _DAY, today):
        end = _last(day if hours.begin < hours.end else day + _DAY, hours.end, zone)
        if _first(day, hours.begin, zone) <= now < end:
            return end
    return None


def _first(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)


def _last(day: date, at: time, zone: ZoneInfo) -> datetime:
    return max(_first(day, at, zone), _first(day, at.replace(fold=1), zone))
