"""Measure a broadcast as its followers grow to a million: time and memory, the first push, a killed worker, disk."""

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from statistics import median

from benchmarks import followers, processes, senders, site, workers
from benchmarks.followers import Sizes
from benchmarks.push_service import Run
from benchmarks.report import Table, Target, number
from benchmarks.site import Site
from benchmarks.stage import Stage
from feedback_push.config import Settings

_LATENCY = 50  # ms
_MB = 1024 * 1024
_FLAT = 1.15
_ENCRYPTED = 10_000  # pushes
# What a worker has claimed without a recorded result.
_CLAIMED = "SELECT count(*) FROM push_delivery WHERE state = 'waiting' AND claim IS NOT NULL AND due_at > now()"


@dataclass(frozen=True)
class _Broadcast:
    devices: int
    seconds: float  # from "send" to the last result
    first: float  # to the first push
    lost: int
    doubled: int
    sizes: Sizes  # of what was added
    peak: int = 0  # bytes
    cpu: float = 0.0  # seconds of the worker's processes
    in_flight: int = 0  # when the worker was killed

    @property
    def time(self) -> float:
        """The seconds for each push."""
        return self.seconds / self.devices


def measure(stage: Stage) -> Table:
    """Send to few and to many followers, then to many while a worker is killed; each time with a new worker."""
    few, many = stage.scale.followers
    ceilings = [_encryption(stage)]
    small, large = (_measure(stage, devices) for devices in (few, many))
    killed = _measure_killed(stage, many)
    ceilings.append(_encryption(stage))
    found = {f"{few:,}": small, f"{many:,}": large, f"{many:,}, worker killed": killed}
    return Table(
        name="broadcast",
        title=f"A broadcast: one worker, PostgreSQL, push service answering after {_LATENCY} ms",
        columns=(
            "followers",
            "us/push",
            "CPU ms/push",
            "first push, s",
            "worker's peak PSS, MB",
            "in flight",
            "lost",
            "doubled",
        ),
        rows=[_row(name, sent) for name, sent in found.items()],
        notes=[f"Encryption alone: {number(median(ceilings))} a second on one core.", *_on_disk(large)],
        targets=_targets(small, large, killed, median(ceilings)),
        data={name: asdict(sent) for name, sent in found.items()} | {"encryption": ceilings},
    )


def _targets(small: _Broadcast, large: _Broadcast, killed: _Broadcast, ceiling: float) -> list[Target]:
    many = f"{large.devices:,} followers"
    grown = f"{many} to {small.devices:,}"
    lost = small.lost + large.lost + killed.lost
    return [
        Target(f"time per push, {grown}", large.time / small.time, "at most", _FLAT, "x"),
        Target(f"worker's peak, {grown}", large.peak / small.peak, "at most", _FLAT, "x"),
        Target(f"whole, {many}, to encryption alone", 1 / large.time / ceiling, "at least", 0.4, "x"),
        Target(f"first push, {many}", large.first, "at most", 1, "s"),
        Target("lost", lost, "at most", 0, "pushes"),
        Target("doubled", small.doubled + large.doubled, "at most", 0, "pushes"),
        Target("doubled by a killed worker", killed.doubled, "at most", killed.in_flight, "pushes"),
    ]


def _measure(stage: Stage, devices: int) -> _Broadcast:
    run = stage.service.new_run(_LATENCY)
    with (
        site.made(stage, "PostgreSQL") as made,
        workers.running(stage, made, 1) as started,
        made.app.app_context(),
    ):
        before = followers.sizes(made)
        topic = followers.topic_with(made, run.prefix, devices)
        with processes.Peak(started.members) as peak:
            at, used = time.monotonic(), processes.cpu(started.members)
            followers.broadcast(topic)
            workers.wait_until_settled(started)
            seconds, used = time.monotonic() - at, processes.cpu(started.members) - used
        return replace(_result(run, made, devices, at, seconds, before), peak=peak.pss, cpu=used)


def _measure_killed(stage: Stage, devices: int) -> _Broadcast:
    """Kill the worker's processes after a third, and start another one that goes on."""
    run = stage.service.new_run(_LATENCY)
    with ExitStack() as stack:
        made = stack.enter_context(site.made(stage, "PostgreSQL"))
        first = stack.enter_context(workers.running(stage, made, 1))
        stack.enter_context(made.app.app_context())
        before = followers.sizes(made)
        topic = followers.topic_with(made, run.prefix, devices)
        at = time.monotonic()
        progress = followers.Progress(made, followers.broadcast(topic))
        progress.wait_for(devices // 3)
        for member in first.members:
            member.kill()
        in_flight = made.reader.value(_CLAIMED)
        second = stack.enter_context(workers.running(stage, made, 1, is_first=False))
        workers.wait_until_settled(second)
        return replace(_result(run, made, devices, at, time.monotonic() - at, before), in_flight=in_flight)


def _result(run: Run, made: Site, devices: int, at: float, seconds: float, before: Sizes) -> _Broadcast:
    arrivals = run.arrivals()
    added = Sizes(*(now - then for now, then in zip(followers.sizes(made), before, strict=True)))
    first, lost = arrivals.first_at - at, arrivals.lost(devices)
    return _Broadcast(devices, seconds, first, lost, arrivals.doubled, added)


def _encryption(stage: Stage) -> float:
    """Return how many pushes one core encrypts in a second."""
    with senders.running(stage, senders.python("encode")) as sender:
        run = stage.service.new_run(0)
        sender.send(run, 300)
        return sender.send(run, _ENCRYPTED).rate


def _on_disk(large: _Broadcast) -> list[str]:
    each = [f"{name} {number(size / large.devices)}" for name, size in large.sizes._asdict().items()]
    total = sum(large.sizes) / _MB
    days = Settings.retain_deliveries_days
    return [
        f"{large.devices:,} followers and one broadcast: {total:,.0f} MB. Bytes with all indexes: {', '.join(each)}.",
        f"The deliveries stay for {days} days (RETAIN_DELIVERIES_DAYS), the rest until the browser leaves.",
    ]


def _row(name: str, sent: _Broadcast) -> tuple[str, ...]:
    peak, in_flight = (f"{value:,.0f}" if value else "-" for value in (sent.peak / _MB, sent.in_flight))
    cpu = number(1000 * sent.cpu / sent.devices) if sent.cpu else "-"
    return name, number(sent.time * 1e6), cpu, number(sent.first), peak, in_flight, str(sent.lost), str(sent.doubled)
