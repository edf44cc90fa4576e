"""Measure how long pushes still arrive after a broadcast is paused."""

import time

from benchmarks import followers, site, workers
from benchmarks.followers import Progress
from benchmarks.report import Table, Target, number
from benchmarks.site import KINDS, Kind
from benchmarks.stage import Stage
from feedback_push.database import db
from feedback_push.push import outbox
from feedback_push.topics import broadcasts

_LATENCY = 50  # ms
_LONGEST = 2.0  # seconds
_PAUSES = 3  # of each broadcast
_QUIET = 4.0  # seconds in which nothing may arrive


def measure(stage: Stage) -> Table:
    """Pause a broadcast several times, on each database with two workers, and let it go on."""
    found = {kind: _measure(stage, kind) for kind in KINDS}
    return Table(
        name="pausing",
        title=f"Pausing a broadcast to {stage.scale.paused:,} followers: two workers, answers after {_LATENCY} ms",
        columns=("database", "pauses", "longest until the last push, s", "lost", "doubled"),
        rows=[
            (kind, str(len(times)), number(max(times)), str(lost), str(doubled))
            for kind, (times, lost, doubled) in found.items()
        ],
        targets=[
            Target(f"the last push after a pause, {kind}", max(times), "at most", _LONGEST, "s")
            for kind, (times, _, _) in found.items()
        ],
        data=found,
    )


def _measure(stage: Stage, kind: Kind) -> tuple[list[float], int, int]:
    """Return the seconds from each pause to the last push, and how many pushes were lost and doubled."""
    devices = stage.scale.paused
    run, times, pushes, reached = stage.service.new_run(_LATENCY), [], 0, 0
    with (
        site.made(stage, kind) as made,
        workers.running(stage, made, 2) as started,
        made.app.app_context(),
    ):
        broadcast_id = followers.broadcast(followers.topic_with(made, run.prefix, devices))
        for turn in range(1, _PAUSES + 1):
            Progress(made, broadcast_id).wait_for(devices * turn // (_PAUSES + 1))
            at = time.monotonic()
            _pause(broadcast_id)
            time.sleep(_QUIET)
            arrivals = run.arrivals()
            times.append(max(0.0, arrivals.last_at - at))
            pushes, reached = pushes + arrivals.pushes, reached + arrivals.devices
            _resume(broadcast_id)
        workers.wait_until_settled(started)
        rest = run.arrivals()
        accepted = made.reader.value(f"{workers.ACCEPTED} AND priority = 1")
    return times, devices - accepted, pushes + rest.pushes - devices


def _pause(broadcast_id: int) -> None:
    broadcast = broadcasts.find(broadcast_id)
    assert broadcast
    broadcasts.pause(broadcast)
    db.session.commit()


def _resume(broadcast_id: int) -> None:
    broadcast = broadcasts.find(broadcast_id)
    assert broadcast
    entry_id = broadcasts.resume(broadcast)
    db.session.commit()
    outbox.wake(entry_id)
