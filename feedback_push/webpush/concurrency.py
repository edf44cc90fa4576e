"""Limit the requests in flight to one origin: additive increase, multiplicative decrease (AIMD)."""

import math
import time
from collections import deque
from itertools import chain, islice
from typing import Generic, TypeVar

from feedback_push.webpush.responses import ProxyFailed, PushError, Throttled, Unavailable

_Job = TypeVar("_Job")

_PATIENCE = 10.0  # seconds that a job waits for its turn before it is handed back, so that others can pass
_SILENCE = 1.0  # seconds without any answer, after which jobs are handed back at once
_PAUSE = 0.3  # seconds without any answer that make an origin silent
_BETWEEN_LOOKS = 0.5  # seconds
_FIRST = 32  # requests until the origin has answered anything, so that one that hangs takes no more time than these
_BETWEEN_CUTS = 1.0  # seconds; the requests already in flight when a service complains count as one complaint


class OriginQueue(Generic[_Job]):
    """The jobs for one origin: few in flight at first, one more for each accepted push, half after a complaint.

    Every job that is put in comes out once: through `take` when it may be sent, or through `take_overdue` or
    `take_all`. For use by one thread.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = min(most, _FIRST)
        self._in_flight = 0
        self._urgent: deque[tuple[float, _Job]] = deque()
        self._waiting: deque[tuple[float, _Job]] = deque()
        self._last_cut = 0.0
        self._last_answer = 0.0

    @property
    def wait(self) -> float:
        """Seconds until `take` or `take_overdue` may return something."""
        if not self._urgent and not self._waiting:
            return math.inf
        return _BETWEEN_LOOKS if self._in_flight >= self._limit else 0.0

    @property
    def is_silent(self) -> bool:
        """True if the limit is reached and no answer has come for a moment."""
        return self._in_flight >= self._limit and time.monotonic() - self._last_answer > _PAUSE

    def put(self, job: _Job, *, overtakes: bool = False) -> None:
        """Add a job to the end of the queue; one that `overtakes` goes before all that do not."""
        (self._urgent if overtakes else self._waiting).append((time.monotonic(), job))

    def take(self, most: int) -> list[_Job]:
        """Take at most so many jobs to send; call `finish` once for each of them."""
        if not self._in_flight:
            self._last_answer = time.monotonic()  # silence begins with the first request
        number = max(0, min(most, self._limit - self._in_flight, len(self._urgent) + len(self._waiting)))
        self._in_flight += number
        return [(self._urgent or self._waiting).popleft()[1] for _ in range(number)]

    def peek(self, most: int) -> list[_Job]:
        """Return the next jobs without taking them."""
        return [job for _, job in islice(chain(self._urgent, self._waiting), most)]

    def finish(self, error: PushError | None) -> None:
        """Count a request as finished and adapt the limit to its outcome."""
        self._in_flight -= 1
        if error is None or error.status:
            self._last_answer = time.monotonic()
        if isinstance(error, Throttled | Unavailable | ProxyFailed):
            self._slow_down()
        elif error is None:
            self._limit = min(self._most, self._limit + 1)

    def take_overdue(self) -> list[_Job]:
        """Take the jobs that have waited too long while the limit was reached."""
        if self._in_flight < self._limit:
            return []
        now = time.monotonic()
        return self._remove(now if now - self._last_answer > _SILENCE else now - _PATIENCE)

    def take_all(self) -> list[_Job]:
        """Take every job that waits."""
        return self._remove(time.monotonic())

    def _remove(self, put_before: float) -> list[_Job]:
        removed = []
        for queue in (self._urgent, self._waiting):
            while queue and queue[0][0] <= put_before:
                removed.append(queue.popleft()[1])
        return removed

    def _slow_down(self) -> None:
        now = time.monotonic()
        if now - self._last_cut > _BETWEEN_CUTS:
            self._limit = max(1, self._limit // 2)
            self._last_cut = now
