"""notification_validators.py: which bursts and quiet hours are taken."""

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_push import notification_validators as rules
from feedback_push.notification_validators import Burst, QuietHours
from tests.refusals import is_refused


@pytest.mark.parametrize(("value", "spelled"), [("10/60", "10/60"), ("1000/3600", "1000/3600"), ("0", "0")])
def test_a_burst_is_a_number_in_so_many_seconds_or_never(value: str, spelled: str) -> None:
    assert str(rules.burst(value)) == spelled
    assert rules.burst("7/30") == Burst(count=7, seconds=30)


@pytest.mark.parametrize(
    "value", ["", "10", "0/60", "10/0", "1001/60", "10/3601", "-1/60", "10/60/2", "a/b", "10 / 60"]
)
def test_any_other_burst_is_refused(value: str) -> None:
    is_refused(rules.burst, value)


def test_quiet_hours_are_two_times_of_the_day_or_none() -> None:
    assert rules.quiet_hours("") is None
    assert rules.quiet_hours("22:00-07:30") == QuietHours(begin=time(22, 0), end=time(7, 30))
    assert str(rules.quiet_hours("00:05-23:59")) == "00:05-23:59"


@pytest.mark.parametrize(
    "value", ["22:00", "22-7", "24:00-07:00", "22:60-07:00", "22:00-22:00", "22:00-07:00 ", "9:00-10:00"]
)
def test_any_other_quiet_hours_are_refused(value: str) -> None:
    is_refused(rules.quiet_hours, value)


@given(begin=st.times(), end=st.times())
def test_quiet_hours_are_read_as_they_are_written(begin: time, end: time) -> None:
    hours = QuietHours(begin.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0))
    if hours.begin == hours.end:
        is_refused(rules.quiet_hours, str(hours))
    else:
        assert rules.quiet_hours(str(hours)) == hours
