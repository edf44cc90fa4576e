"""Samples: the speed and cost of one sender in one round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import psutil

from benchmarks import processes
from benchmarks.push_service import Run


@dataclass(frozen=True, kw_only=True)
class Sample:
    """CPU times in seconds: of the sender's processes, of the push service, and of the whole machine."""

    pushes: int
    seconds: float
    cpu: float
    service_cpu: float
    machine_cpu: float
    lost: int
    doubled: int

    @property
    def rate(self) -> float:
        """The rate in pushes a second."""
        return self.pushes / self.seconds


def take(run: Run, members: list[psutil.Process], pushes: int, send: Callable[[], float]) -> Sample:
    """Call `send`, which returns the seconds that it took, and measure its CPU time and the pushes that arrived."""
    before = _cpu_times(run, members)
    seconds = send()
    cpu, service_cpu, machine_cpu = (after - at for after, at in zip(_cpu_times(run, members), before, strict=True))
    arrivals = run.arrivals()
    return Sample(
        pushes=pushes,
        seconds=seconds,
        cpu=cpu,
        service_cpu=service_cpu,
        machine_cpu=machine_cpu,
        lost=arrivals.lost(pushes),
        doubled=arrivals.doubled,
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that this many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def median_of(samples: Sequence[Sample], measure: Callable[[Sample], float]) -> float:
    """Return the median of `measure` over all samples."""
    return median(measure(sample) for sample in samples)


def _cpu_times(run: Run, members: list[psutil.Process]) -> tuple[float, float, float]:
    return processes.cpu(members), run.service.cpu(), processes.machine_cpu()
