"""Quiet hours: by the clock of a zone, over midnight, and on the days when that clock jumps."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_push.notification_validators import QuietHours
from feedback_push.push import preferences

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(time(22), time(7))
NOON = QuietHours(time(12), time(13, 30))
MINUTE = timedelta(minutes=1)

times = st.times().map(lambda at: at.replace(second=0, microsecond=0))
hours = st.tuples(times, times).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: QuietHours(*pair))
moments = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
# Jumps of an hour in either half of the year, of half an hour, over midnight, of a whole day, and none.
zones = st.sampled_from(
    [
        "Europe/Berlin",
        "Australia/Sydney",
        "Australia/Lord_Howe",
        "America/Havana",
        "Pacific/Apia",
        "Asia/Kolkata",
        "UTC",
    ]
).map(ZoneInfo)


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("hours", "now", "end"),
    [
        (NIGHT, "2026-01-10 21:59:59", None),
        (NIGHT, "2026-01-10 22:00", "2026-01-11 07:00"),
        (NIGHT, "2026-01-10 23:59:59", "2026-01-11 07:00"),
        (NIGHT, "2026-01-11 00:00", "2026-01-11 07:00"),
        (NIGHT, "2026-01-11 06:59:59", "2026-01-11 07:00"),
        (NIGHT, "2026-01-11 07:00", None),
        (NOON, "2026-01-10 11:59", None),
        (NOON, "2026-01-10 12:00", "2026-01-10 13:30"),
        (NOON, "2026-01-10 13:30", None),
    ],
)
def test_they_begin_and_end_to_the_second(hours: QuietHours, now: str, end: str | None) -> None:
    assert preferences.quiet_hours_end(hours, BERLIN, at(now)) == (at(end) if end else None)


def test_the_clock_is_that_of_the_zone() -> None:
    now = datetime(2026, 1, 10, 21, 30, tzinfo=UTC)
    assert preferences.quiet_hours_end(NIGHT, BERLIN, now) == datetime(2026, 1, 11, 6, tzinfo=UTC)
    assert preferences.quiet_hours_end(NIGHT, ZoneInfo("UTC"), now) is None


@pytest.mark.parametrize(
    ("evening", "hours_long"), [("2026-03-28 22:00", 8), ("2026-10-24 22:00", 10), ("2026-06-24 22:00", 9)]
)
def test_a_night_in_which_the_clock_jumps_is_shorter_or_longer(evening: str, hours_long: int) -> None:
    begin = at(evening).astimezone(UTC)
    assert preferences.quiet_hours_end(NIGHT, BERLIN, begin) == begin + timedelta(hours=hours_long)


def test_an_end_that_the_clock_shows_twice_is_the_second_and_such_a_begin_the_first() -> None:
    until_half_past_two = QuietHours(time(22), time(2, 30))
    from_half_past_two = QuietHours(time(2, 30), time(5))
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 in Berlin, and an hour later again
    assert preferences.quiet_hours_end(until_half_past_two, BERLIN, first + MINUTE) == first + timedelta(hours=1)
    assert preferences.quiet_hours_end(from_half_past_two, BERLIN, first) == datetime(2026, 10, 25, 4, tzinfo=UTC)
    assert preferences.quiet_hours_end(from_half_past_two, BERLIN, first - MINUTE) is None


def test_an_end_that_the_clock_skips_is_not_missed() -> None:
    skipped = QuietHours(time(22), time(2, 30))
    end = preferences.quiet_hours_end(skipped, BERLIN, at("2026-03-29 01:59"))
    assert end == at("2026-03-29 03:30")
    assert preferences.quiet_hours_end(skipped, BERLIN, end) is None


@given(hours, zones, moments)
def test_it_is_no_longer_quiet_when_they_end(hours: QuietHours, zone: ZoneInfo, now: datetime) -> None:
    end = preferences.quiet_hours_end(hours, zone, now)
    if end is not None:
        assert now < end <= now + timedelta(hours=49)  # a day, another that is skipped as a whole, and an hour
        assert preferences.quiet_hours_end(hours, zone, end) is None
        assert preferences.quiet_hours_end(hours, zone, end - MINUTE / 2) == end


@given(hours, st.sampled_from([ZoneInfo("Asia/Kolkata"), ZoneInfo("UTC")]), moments)
def test_where_no_clock_jumps_the_time_of_the_day_decides(hours: QuietHours, zone: ZoneInfo, now: datetime) -> None:
    clock = now.astimezone(zone).time()
    over_midnight = hours.begin > hours.end
    inside = hours.begin <= clock or clock < hours.end if over_midnight else hours.begin <= clock < hours.end
    end = preferences.quiet_hours_end(hours, zone, now)
    assert (end is not None) == inside
    if end is not None:
        assert end.astimezone(zone).time() == hours.end


@given(hours, zones, moments)
def test_every_day_has_its_quiet_and_its_loud_moments(hours: QuietHours, zone: ZoneInfo, now: datetime) -> None:
    noon = now.astimezone(zone).replace(hour=12, minute=0, second=0, microsecond=0)
    if any(noon.utcoffset() != (noon + timedelta(days=days)).utcoffset() for days in (-2, -1, 1, 2)):
        return
    begin = noon.replace(hour=hours.begin.hour, minute=hours.begin.minute)
    end = noon.replace(hour=hours.end.hour, minute=hours.end.minute)
    assert preferences.quiet_hours_end(hours, zone, begin) is not None
    assert preferences.quiet_hours_end(hours, zone, end) is None
