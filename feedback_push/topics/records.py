"""Records of topics: how often each one really sends, in words for the people who think about following it."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from flask_babel import format_date, format_decimal, gettext, lazy_gettext, ngettext
from sqlalchemy import case, func, select

from feedback_push.database import db, utcnow
from feedback_push.ids import id_in
from feedback_push.topics.models import Broadcast, Topic

_YEAR = timedelta(days=365)
_FEWEST = 3  # broadcasts within a year; fewer show no rate
_SHORTEST = timedelta(days=14)  # since the first of them; less shows no rate
_SILENT = 3  # times the usual interval; after a longer silence, the rate says nothing about the future
_LEAST = 0.8  # broadcasts in a unit of time; for fewer, the next unit is used
_UNITS = {"day": 1.0, "week": 7.0, "month": 30.44, "year": 365.0}
_TWICE = {
    "day": lazy_gettext("About twice a day"),
    "week": lazy_gettext("About twice a week"),
    "month": lazy_gettext("About twice a month"),
    "year": lazy_gettext("About twice a year"),
}


class Record(NamedTuple):
    """The broadcasts of a topic that were started: the last of all, and the number and the first within a year."""

    last: datetime | None = None
    in_year: int = 0
    first_in_year: datetime | None = None


def of(topics: Collection[Topic]) -> dict[int, Record]:
    """Return the record of each topic, by the topic's id."""
    when, recent = Broadcast.started_at, Broadcast.started_at > utcnow() - _YEAR
    columns = (func.max(when), func.count(case((recent, 1))), func.min(case((recent, when))))
    theirs = (id_in(Broadcast.topic_id, [topic.id for topic in topics]), when.is_not(None))
    rows = db.session.execute(select(Broadcast.topic_id, *columns).where(*theirs).group_by(Broadcast.topic_id))
    found = {topic_id: Record(*counted) for topic_id, *counted in rows}
    return {topic.id: found.get(topic.id, Record()) for topic in topics}


def latest(topic: Topic, most: int) -> Sequence[Broadcast]:
    """Return the topic's broadcasts that were started last, the newest first."""
    theirs = select(Broadcast).where(Broadcast.topic_id == topic.id, Broadcast.started_at.is_not(None))
    return db.session.scalars(theirs.order_by(Broadcast.started_at.desc(), Broadcast.id.desc()).limit(most)).all()


def text(record: Record, now: datetime) -> str:
    """Return the record as a text in the current language; it states a rate only where there is one."""
    if record.last is None:
        return str(gettext("Nothing sent yet"))
    date = format_date(record.last, "long")
    if often := _often(record, now):
        return str(gettext("%(often)s; the last one on %(date)s", often=often, date=date))
    if not record.in_year:
        return str(gettext("Nothing for more than a year; the last one on %(date)s", date=date))
    few = ngettext(
        "One in the last twelve months, on %(date)s",
        "%(count)s in the last twelve months; the last one on %(date)s",
        record.in_year,
        count=format_decimal(record.in_year),
        date=date,
    )
    return str(few)


def _often(record: Record, now: datetime) -> str:
    """Return how often the topic sends; "" if it sent too rarely, too recently or too long ago to say so."""
    if record.in_year < _FEWEST or record.first_in_year is None or record.last is None:
        return ""
    span = now - record.first_in_year
    interval = span / (record.in_year - 1)
    if span < _SHORTEST or now - record.last > _SILENT * interval:
        return ""
    in_a_day = timedelta(days=1) / interval
    unit = next(unit for unit, days in _UNITS.items() if in_a_day * days >= _LEAST)
    return _times(max(1, round(in_a_day * _UNITS[unit])), unit)


def _times(count: int, unit: str) -> str:
    if count == 2:
        return str(_TWICE[unit])
    number = format_decimal(count)
    match unit:
        case "day":
            return str(ngettext("About once a day", "About %(count)s times a day", count, count=number))
        case "week":
            return str(ngettext("About once a week", "About %(count)s times a week", count, count=number))
        case "month":
            return str(ngettext("About once a month", "About %(count)s times a month", count, count=number))
    return str(ngettext("About once a year", "About %(count)s times a year", count, count=number))
