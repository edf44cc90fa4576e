"""The memory of the web server while something happens to it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.site import Site

_MEGABYTE = 1024 * 1024


class Memory:
    """Megabytes above those at the beginning: the most there were, and those that there are now."""

    def __init__(self, site: Site) -> None:
        self._process = psutil.Process(site.web.process.pid)
        self._before = self._process.memory_info().rss
        self.most = 0.0

    @property
    def now(self) -> float:
        """Look, and remember it where it is the most."""
        now = (self._process.memory_info().rss - self._before) / _MEGABYTE
        self.most = max(self.most, now)
        return now


@contextmanager
def watched(site: Site) -> Iterator[Memory]:
    """Look at the web server's memory ten times a second for as long as the block lasts."""
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
