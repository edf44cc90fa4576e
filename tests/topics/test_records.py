"""Records of topics: the words about how often each one sends are true."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from feedback_push.database import db, utcnow
from feedback_push.topics import records
from feedback_push.topics.models import Broadcast, Topic
from feedback_push.topics.records import Record
from tests.topics.followed import new_topic

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def sent(topic: Topic, *days_ago: float) -> None:
    """Commit broadcasts that were started so many days ago."""
    now = utcnow()
    for days in days_ago:
        db.session.add(Broadcast(topic=topic, title="x", started_at=now - timedelta(days=days)))
    db.session.add(Broadcast(topic=topic, title="a draft"))
    db.session.commit()


def record(*days_ago: float) -> Record:
    """Return the record of broadcasts at these times before NOW."""
    times = sorted(NOW - timedelta(days=days) for days in days_ago)
    recent = [when for when in times if when > NOW - timedelta(days=365)]
    return Record(max(times, default=None), len(recent), min(recent, default=None))


@pytest.mark.usefixtures("app")
def test_a_rate_is_told_only_where_there_is_one() -> None:
    every = {days: [days * number for number in range(1, int(360 / days))] for days in (0.5, 1, 3.5, 7, 15, 30, 60)}
    told = {days: records.text(record(*times), NOW).partition(";")[0] for days, times in every.items()}
    assert told == {
        0.5: "About twice a day",
        1: "About once a day",
        3.5: "About twice a week",
        7: "About once a week",
        15: "About twice a month",
        30: "About once a month",
        60: "About 5 times a year",
    }
    cases = {
        (): "Nothing sent yet",
        (3,): "One in the last twelve months, on November 25, 2026",
        (2, 40): "2 in the last twelve months; the last one on November 26, 2026",
        (1, 2, 3): "3 in the last twelve months; the last one on November 27, 2026",  # it has only begun
        (400, 500, 600): "Nothing for more than a year; the last one on October 24, 2025",
        (400, 500, 3): "One in the last twelve months, on November 25, 2026",
        (200, 207, 214, 221, 228): "5 in the last twelve months; the last one on May 12, 2026",  # and silent since
        (2, 14, 31, 45, 60, 75): "About twice a month; the last one on November 26, 2026",
    }
    assert {days: records.text(record(*days), NOW) for days in cases} == cases


def test_every_topic_has_the_record_of_its_own_broadcasts(any_app: Flask) -> None:
    tricks, goodies, silent = (new_topic(slug) for slug in ("tricks", "goodies", "silent"))
    sent(tricks, 2, 100, 500)
    sent(goodies, 400)
    found = records.of([tricks, goodies, silent])
    assert [found[topic.id].in_year for topic in (tricks, goodies, silent)] == [2, 0, 0]
    first, last = found[tricks.id].first_in_year, found[tricks.id].last
    assert first
    assert last
    assert (last - first).days == 98
    assert found[goodies.id].last
    assert found[silent.id] == Record()
    assert [broadcast.started_at for broadcast in records.latest(tricks, 2)] == [last, first]
