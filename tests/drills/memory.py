"""Measure the memory of the web server during an attack."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.site import Site

_MEGABYTE = 1024 * 1024


class Memory:
    """The growth in memory since the beginning, in megabytes: the highest and the current value."""

    def __init__(self, site: Site) -> None:
        self._process = psutil.Process(site.web.process.pid)
        self._before = self._process.memory_info().rss
        self.most = 0.0

    @property
    def now(self) -> float:
        """The current growth; reading it also updates the highest value."""
        now = (self._process.memory_info().rss - self._before) / _MEGABYTE
        self.most = max(self.most, now)
        return now


@contextmanager
def watched(site: Site) -> Iterator[Memory]:
    """Measure the web server's memory ten times a second during the block."""
    memory, over = Memory(site), threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            _ = memory.now

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()
