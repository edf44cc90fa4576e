"""Measure how long a message takes to the administrator's device while a broadcast is being sent."""

import time
from statistics import median

from benchmarks import followers, launcher, rows, sample, site, workers
from benchmarks.browser import Browser
from benchmarks.followers import Progress
from benchmarks.report import Table, Target, number
from benchmarks.site import KINDS, Kind, Site
from benchmarks.stage import Stage
from feedback_push.push.notification import Notification
from tests import servers

_LATENCY = 50  # ms
_LONGEST = 2.0  # seconds
_ENOUGH = 100


def measure(stage: Stage) -> Table:
    """Send messages spread over a broadcast, on what `make run` starts with each database."""
    sizes = {"SQLite": stage.scale.overtaken, "PostgreSQL": stage.scale.followers[1]}
    found = {kind: _measure(stage, kind, sizes[kind]) for kind in KINDS}
    p99 = {kind: sample.percentile(times, 99) for kind, times in found.items()}
    enough = min(_ENOUGH, stage.scale.alarms * 3 // 4)
    return Table(
        name="alarm",
        title="From sending the form to the administrator's push at the push service, during a broadcast, `make run`",
        columns=("database", "followers", "messages", "median ms", "p99 ms", "longest ms"),
        rows=[_row(kind, sizes[kind], times) for kind, times in found.items()],
        targets=[
            *(Target(f"p99, {kind}", value, "at most", _LONGEST, "s") for kind, value in p99.items()),
            *(Target(f"messages, {kind}", len(times), "at least", enough, "") for kind, times in found.items()),
        ],
        data=found,
    )


def _measure(stage: Stage, kind: Kind, devices: int) -> list[float]:
    run, alarms = stage.service.new_run(_LATENCY), stage.service.new_run(_LATENCY, records_topics=True)
    with (
        site.made(stage, kind, embedded_broker=kind == "SQLite") as made,
        launcher.running(stage, made.settings),
        made.app.app_context(),
    ):
        launcher.wait_until_ready(made.settings)
        rows.replace_devices(alarms.prefix, 1, made.settings.vapid_public_key)
        topic = followers.topic_with(made, run.prefix, devices)
        visitor = Browser(made.settings)
        visitor.open_form()
        visitor.send_message()  # opens the worker's connections
        servers.wait_until(lambda: workers.nothing_is_due(made), what="the first push")
        sent = _send(visitor, Progress(made, followers.broadcast(topic)), devices // stage.scale.alarms)
        servers.wait_until(lambda: _is_over(made), 3_600, "the end of the broadcast")
        arrived = alarms.arrivals().topics
    if missing := run.arrivals().lost(devices):
        raise RuntimeError(f"{missing} of {devices} pushes were lost")
    return [arrived[_topic(number)] - at for number, at in sent.items()]


def _send(visitor: Browser, progress: Progress, between: int) -> dict[int, float]:
    """Send a message whenever so many more devices are reached; return when each was sent, by the message's id."""
    sent: dict[int, float] = {}
    while not progress.is_over:
        number = len(sent) + 2  # the first message was sent before the broadcast
        progress.wait_for(between * len(sent) + 1)
        if progress.is_over:
            break
        sent[number] = time.monotonic()
        visitor.send_message()
    return sent


def _is_over(made: Site) -> bool:
    return bool(made.reader.value(workers.SETTLED))


def _topic(message_id: int) -> str:
    """Return the Topic header of the notification of a message."""
    return Notification(title="", body="", navigate="", tag=f"message-{message_id}").topic


def _row(kind: Kind, devices: int, times: list[float]) -> tuple[str, ...]:
    p50, p99, longest = median(times), sample.percentile(times, 99), max(times)
    figures = (number(1000 * value) for value in (p50, p99, longest))
    return kind, f"{devices:,}", f"{len(times):,}", *figures
