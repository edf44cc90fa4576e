"""Measure processes: their proportional memory, their CPU time, and their peak memory during a block."""

from collections.abc import Iterable
from threading import Event, Thread

import psutil

_BETWEEN_LOOKS = 0.2  # seconds


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def is_alive(member: psutil.Process) -> bool:
    """Return whether a process still runs."""
    return member.is_running() and member.status() != psutil.STATUS_ZOMBIE


def pss(members: Iterable[psutil.Process]) -> int:
    """Return the processes' memory in bytes; a shared page is divided among the processes that share it (PSS)."""
    return sum(member.memory_full_info().pss for member in members)


def cpu(members: Iterable[psutil.Process]) -> float:
    """Return the CPU time of the processes, in seconds."""
    return sum(times.user + times.system for times in (member.cpu_times() for member in members))


def machine_cpu() -> float:
    """Return the CPU time of the whole machine, in seconds."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


class Peak:
    """Sample the memory of processes during a `with` block."""

    def __init__(self, members: list[psutil.Process]) -> None:
        self.pss = 0
        self._members = members
        self._over = Event()
        self._thread = Thread(target=self._look, name="peak", daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.pss = max(self.pss, pss(self._members))
            if self._over.wait(_BETWEEN_LOOKS):
                return
