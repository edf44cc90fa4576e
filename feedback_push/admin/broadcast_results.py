"""The results of a broadcast as its page shows them: a table by push service, and a plot over time."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from babel.dates import format_timedelta
from flask_babel import format_decimal, format_percent, get_locale, gettext, lazy_gettext

from feedback_push.database import utcnow
from feedback_push.topics import counts, results
from feedback_push.topics.models import Broadcast, BroadcastState

STATES = {
    BroadcastState.DRAFT: lazy_gettext("Draft"),
    BroadcastState.SCHEDULED: lazy_gettext("Scheduled"),
    BroadcastState.SENDING: lazy_gettext("Sending"),
    BroadcastState.PAUSED: lazy_gettext("Paused"),
    BroadcastState.DONE: lazy_gettext("Sent"),
    BroadcastState.ENDED: lazy_gettext("Ended"),
}
OUTCOMES = {
    "sent": lazy_gettext("Sent"),
    "shown": lazy_gettext("Shown"),
    "opened": lazy_gettext("Opened"),
    "gone": lazy_gettext("Gone"),
    "failed": lazy_gettext("Failed"),
    "expired": lazy_gettext("Expired"),
    "unsent": lazy_gettext("Not sent"),
}
LINES = ("sent", "shown", "opened")  # of the plot
_SERVICES = {
    "fcm.googleapis.com": "Google (Chrome, Brave, Opera, Samsung)",
    "updates.push.services.mozilla.com": "Mozilla (Firefox)",
    "web.push.apple.com": "Apple (Safari)",
}
_MICROSOFT = ".notify.windows.com"
_FEW = 20_000  # deliveries that are counted for every reader, in a tenth of a second
# The plot, in the units of its view box.
WIDTH, HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 32, 12, 36


class Row(NamedTuple):
    """A push service and its numbers, in the order of OUTCOMES."""

    name: str
    numbers: list[str]


class Point(NamedTuple):
    """A place on the plot's axis, and its label."""

    x: float
    label: str


class Line(NamedTuple):
    """A line of the plot: its outcome, the points, and the text of the legend."""

    outcome: str
    points: str
    label: str


class Plot(NamedTuple):
    """A plot over time, and the same numbers as rows of a table."""

    lines: list[Line]
    ticks: list[Point]
    rows: list[list[str]]
    description: str


class Results(NamedTuple):
    """The outcomes of a broadcast; `plot` is None in its first seconds."""

    counted_at: datetime
    totals: list[tuple[str, object, str, str]]  # of each outcome: its name, label, number, and share of those sent
    columns: list[object]
    services: list[Row]
    plot: Plot | None


def of(broadcast: Broadcast) -> Results | None:
    """Return the results of a broadcast that is over; None if it is not, or if nothing of it was counted."""
    if broadcast.started_at is None or broadcast.state not in (BroadcastState.DONE, BroadcastState.ENDED):
        return None
    counted = _counted(broadcast)
    if counted is None:
        return None
    services: dict[str, dict[str, int]] = counted["services"]
    totals = {name: sum(service[name] for service in services.values()) for name in OUTCOMES}
    if broadcast.state == BroadcastState.ENDED:
        reached = sum(totals[name] for name in ("sent", "gone", "failed", "expired", "unsent"))
        totals["unsent"] += max(0, broadcast.followers - reached)
    rows = [Row(_service(host), [format_decimal(row[name]) for name in OUTCOMES]) for host, row in services.items()]
    return Results(
        datetime.fromisoformat(counted["counted_at"]),
        [(name, label, format_decimal(totals[name]), _share(name, totals)) for name, label in OUTCOMES.items()],
        list(OUTCOMES.values()),
        rows,
        _plot(counted["timeline"]),
    )


def _counted(broadcast: Broadcast) -> dict[str, Any] | None:
    """Return the stored results, or newer ones if counting takes no time."""
    entry_id, started_at = broadcast.outbox_id, broadcast.started_at
    is_quick = broadcast.results is None or broadcast.followers <= _FEW
    if entry_id is not None and started_at is not None and is_quick:
        return counts.kept(("results", broadcast.id), lambda: results.count(entry_id, started_at, utcnow()))[0]
    return broadcast.results


def _share(name: str, totals: dict[str, int]) -> str:
    if name not in ("shown", "opened") or not totals["sent"]:
        return ""
    return str(format_percent(totals[name] / totals["sent"]))


def _service(host: str) -> str:
    return "Microsoft (Edge)" if host.endswith(_MICROSOFT) else _SERVICES.get(host, host)


def _plot(timeline: list[list[int]]) -> Plot | None:
    if not timeline:
        return None
    columns = [[0, *(row[place] for row in timeline)] for place in range(1, len(LINES) + 1)]
    highest = max(1, *(number for column in columns for number in column))
    step = (WIDTH - _LEFT - _RIGHT) / len(timeline)
    marks = [_duration(row[0]) for row in timeline]
    lines = [
        Line(
            outcome,
            " ".join(f"{_LEFT + step * at:.1f},{_height(number, highest):.1f}" for at, number in enumerate(column)),
            f"{OUTCOMES[outcome]} {format_decimal(column[-1])}",
        )
        for outcome, column in zip(LINES, columns, strict=True)
    ]
    ticks = [Point(round(_LEFT + step * at, 1), mark) for at, mark in enumerate(marks, 1)]
    rows = [[mark, *(format_decimal(number) for number in row[1:])] for mark, row in zip(marks, timeline, strict=True)]
    described = gettext(
        "Sent, shown and opened over time. After %(time)s: %(numbers)s.",
        time=marks[-1],
        numbers=", ".join(line.label for line in lines),
    )
    return Plot(lines, ticks, rows, str(described))


def _height(number: int, highest: int) -> float:
    return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - number / highest)


def _duration(seconds: int) -> str:
    return format_timedelta(timedelta(seconds=seconds), threshold=1, format="short", locale=get_locale())
