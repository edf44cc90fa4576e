"""The interest list: what libcurl waits for at which socket; an idle one stays, because it is soon used again."""

import os
import selectors
from collections.abc import Iterator
from typing import NamedTuple


class _Registered(NamedTuple):
    events: int
    inode: int


class InterestList:
    """A selector that asks the kernel for nothing when a socket pauses between two requests."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wanted: dict[int, int] = {}
        self._registered: dict[int, _Registered] = {}

    def set(self, descriptor: int, events: int) -> None:
        """Wait for these events at this descriptor, which are selectors' (and libcurl's) bits; 0 is for none."""
        self._wanted[descriptor] = events
        if not events:
            return
        # Nobody says when an idle connection is closed, and its number may then be that of another socket.
        now = _Registered(events, os.fstat(descriptor).st_ino)
        before = self._registered.get(descriptor)
        if now == before:
            return
        if before:
            self._selector.unregister(descriptor)
        self._selector.register(descriptor, events)
        self._registered[descriptor] = now

    def ready(self, longest: float | None) -> Iterator[tuple[int, int]]:
        """The descriptors at which something happens within so many seconds (None: without end), and what it is."""
        for key, events in self._selector.select(longest):
            if self._wanted[key.fd]:
                yield key.fd, events
            else:  # an idle connection that its peer has closed would be ready for ever
                self._selector.unregister(key.fd)
                del self._registered[key.fd]

    def close(self) -> None:
        """Let go of the selector."""
        self._selector.close()
