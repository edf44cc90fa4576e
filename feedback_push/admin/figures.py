"""The figures of the last 30 days: messages a day, the share of notifications shown, and how soon they were."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from babel.dates import format_skeleton, format_timedelta
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal, format_percent, get_locale, gettext, ngettext

from feedback_push import event_counts
from feedback_push.admin.pages import blueprint, page
from feedback_push.database import utcnow
from feedback_push.push import answers

DAYS = 30
# The bars, in the units of the picture's view box.
WIDTH, HEIGHT = 640, 200
_TOP, _BOTTOM = 8, 40
_GAP = 4
_NONE = "–"  # noqa: RUF001 - where there is no number


class Day(NamedTuple):
    """The counts of a day in UTC; `shown` has the ends of the buckets of answers.SHOWN_WITHIN."""

    day: date
    messages: int
    sent: int
    shown: Counter[str]


class Bar(NamedTuple):
    """A bar of the picture, and the day below it."""

    x: float
    y: float
    width: float
    height: float
    label: str


@blueprint.get("/figures")
def figures() -> ResponseReturnValue:
    """Show the figures of the whole site, as bars and as a table."""
    days = _days(utcnow().date())
    return page(
        "admin/figures.html",
        totals=_row(days),
        bars=_bars(days),
        description=_description(days),
        rows=[(_date(day.day), *_row([day])) for day in reversed(days)],
        size=(WIDTH, HEIGHT),
        baseline=HEIGHT - _BOTTOM,
    )


def median(counts: Counter[str], ends: Sequence[float]) -> float | None:
    """Return the median in seconds, as if the durations of a bucket were evenly spread; None if there are none.

    Return infinity if it is longer than the last end.
    """
    half = counts.total() / 2
    if not half:
        return None
    start, below = 0.0, 0
    for end in ends:
        here = counts[f"{end:g}"]
        if here and below + here >= half:
            return start + (end - start) * (half - below) / here
        start, below = end, below + here
    return float("inf")


def _days(today: date) -> list[Day]:
    first = today - timedelta(days=DAYS - 1)
    messages, sent, shown = (event_counts.of_days(name, first) for name in ("message", "sent", "shown"))
    dates = [first + timedelta(days=number) for number in range(DAYS)]
    none: Counter[str] = Counter()
    return [
        Day(day, messages.get(day, none).total(), sent.get(day, none).total(), shown.get(day, none)) for day in dates
    ]


def _row(days: Sequence[Day]) -> tuple[str, str, str]:
    """Return the number of messages, the share shown, and the median time, as texts."""
    sent, shown = sum(day.sent for day in days), sum((day.shown for day in days), Counter[str]())
    share = str(format_percent(min(1.0, shown.total() / sent))) if sent else _NONE
    return str(format_decimal(sum(day.messages for day in days))), share, _duration(shown)


def _duration(shown: Counter[str]) -> str:
    seconds = median(shown, answers.SHOWN_WITHIN)
    if seconds is None:
        return _NONE
    if seconds > answers.SHOWN_WITHIN[-1]:
        return str(gettext("more than a day"))
    rounded = timedelta(seconds=max(1, round(seconds)))
    return format_timedelta(rounded, threshold=1.5, locale=get_locale())


def _bars(days: Sequence[Day]) -> list[Bar]:
    most, room = max(1, *(day.messages for day in days)), HEIGHT - _TOP - _BOTTOM
    step = WIDTH / DAYS
    found = []
    for number, day in enumerate(days):
        height = round(room * day.messages / most, 1)
        label = _date(day.day) if number % 7 == 2 else ""  # one at the edge would not fit
        found.append(
            Bar(round(step * number + _GAP / 2, 1), HEIGHT - _BOTTOM - height, round(step - _GAP, 1), height, label)
        )
    return found


def _description(days: Sequence[Day]) -> str:
    most = max(days, key=lambda day: day.messages)
    count = format_decimal(most.messages)
    text: str = ngettext(
        "Messages a day in the last 30 days; at most %(count)s message, on %(day)s.",
        "Messages a day in the last 30 days; at most %(count)s messages, on %(day)s.",
        most.messages,
        count=count,
        day=_date(most.day),
    )
    return text


def _date(day: date) -> str:
    return format_skeleton("MMMd", day, locale=get_locale())
