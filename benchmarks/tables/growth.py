"""Measure the time and the memory for each push as the number of devices grows."""

from dataclasses import asdict, dataclass
from statistics import median

from benchmarks import processes, site, workers
from benchmarks.report import Table, Target, number
from benchmarks.sample import Sample
from benchmarks.stage import Stage

_LATENCY = 50
_MB = 1024 * 1024
_FLAT = 1.15


@dataclass(frozen=True)
class _Growth:
    sample: Sample
    peak: int

    @property
    def time(self) -> float:
        """The seconds for each push."""
        return self.sample.seconds / self.sample.pushes


def measure(stage: Stage) -> Table:
    """Run the same worker command, started anew each time, on ten and a hundred times as many devices."""
    found: dict[int, list[_Growth]] = {devices: [] for devices, _ in stage.scale.growth}
    for turn in range(max(rounds for _, rounds in stage.scale.growth)):
        for devices, rounds in stage.scale.growth:
            if turn < rounds:
                found[devices].append(_measure(stage, devices))
    times = {devices: median(growth.time for growth in growths) for devices, growths in found.items()}
    peaks = {devices: median(growth.peak for growth in growths) for devices, growths in found.items()}
    some, many = sorted(found)[-2:]
    return Table(
        name="growth",
        title=f"Growth: one worker, PostgreSQL, push service answering after {_LATENCY} ms",
        columns=("devices", "rounds", "us/push", "worker's peak PSS, MB", "lost", "doubled"),
        rows=[_row(devices, growths, times[devices], peaks[devices]) for devices, growths in found.items()],
        targets=[
            Target(f"time per push, {many:,} devices to {some:,}", times[many] / times[some], "at most", _FLAT, "x"),
            Target(f"worker's peak, {many:,} devices to {some:,}", peaks[many] / peaks[some], "at most", _FLAT, "x"),
        ],
        data={f"{devices} devices": [asdict(growth) for growth in growths] for devices, growths in found.items()},
    )


def _measure(stage: Stage, devices: int) -> _Growth:
    with site.made(stage, "PostgreSQL") as made, workers.running(stage, made, 1) as started:
        with processes.Peak(started.members) as peak:
            taken = workers.push_to_all(started, stage.service.new_run(_LATENCY), devices)
        return _Growth(taken, peak.pss)


def _row(devices: int, growths: list[_Growth], time: float, peak: float) -> tuple[str, ...]:
    lost, doubled = (sum(getattr(growth.sample, what) for growth in growths) for what in ("lost", "doubled"))
    return f"{devices:,}", str(len(growths)), number(time * 1e6), number(peak / _MB), str(lost), str(doubled)
