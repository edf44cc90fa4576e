"""What processes cost: proportional memory, CPU time, and the peak of either while something runs."""

from collections.abc import Iterable
from threading import Event, Thread

import psutil

_BETWEEN_LOOKS = 0.2  # seconds


def family(pid: int) -> list[psutil.Process]:
    """A process with all its descendants."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def is_alive(member: psutil.Process) -> bool:
    """Whether it still runs."""
    return member.is_running() and member.status() != psutil.STATUS_ZOMBIE


def pss(members: Iterable[psutil.Process]) -> int:
    """Their memory in bytes, shared pages divided among those who share them."""
    return sum(member.memory_full_info().pss for member in members)


def cpu(members: Iterable[psutil.Process]) -> float:
    """The CPU seconds that they have used."""
    return sum(times.user + times.system for times in (member.cpu_times() for member in members))


def machine_cpu() -> float:
    """The CPU seconds that the whole machine has used."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


class Peak:
    """Looks at the memory of processes for as long as the block lasts."""

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
