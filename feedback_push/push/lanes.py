"""Lanes: how many requests may be under way at one push service, fewer when it asks for it."""

import math
import time
from collections import deque
from itertools import islice
from typing import Generic, TypeVar

from feedback_push.push.errors import ProxyFailed, PushError, Throttled, Unavailable

_Job = TypeVar("_Job")

# Seconds to wait for a turn: less where the service does not answer at all. What waits longer goes back to the database
# and lets others pass.
_PATIENCE = 10.0
_SILENCE = 1.0
_PAUSE = 0.3
_BETWEEN_LOOKS = 0.5
_FIRST = 32  # turns until the service has answered anything: one that hangs then takes no more time than these
_BETWEEN_CUTS = 1.0  # seconds; the requests already under way when a service complains count as one complaint


class Lane(Generic[_Job]):
    """The turns at one origin: few at first, one more for each push it accepts, halved when it complains.

    Every job that is put in comes out once, by `take` when it has its turn or by `give_up`. For one thread.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = min(most, _FIRST)
        self._under_way = 0
        self._waiting: deque[tuple[float, _Job]] = deque()
        self._last_cut = 0.0
        self._last_answer = 0.0

    @property
    def wait(self) -> float:
        """Seconds until `take` or `give_up` may have something to give."""
        if not self._waiting:
            return math.inf
        return _BETWEEN_LOOKS if self._under_way >= self._limit else 0.0

    @property
    def is_silent(self) -> bool:
        """Whether all turns are taken and the service answers none of them."""
        return self._under_way >= self._limit and time.monotonic() - self._last_answer > _PAUSE

    def put(self, job: _Job) -> None:
        """Let a job wait for its turn."""
        self._waiting.append((time.monotonic(), job))

    def take(self, most: int) -> list[_Job]:
        """The jobs whose turn it is, at most so many; each of them has to `leave`."""
        if not self._under_way:
            self._last_answer = time.monotonic()  # silence begins with the first question
        number = max(0, min(most, self._limit - self._under_way, len(self._waiting)))
        self._under_way += number
        return [self._waiting.popleft()[1] for _ in range(number)]

    def next(self, most: int) -> list[_Job]:
        """The jobs whose turn comes next, which stay."""
        return [job for _, job in islice(self._waiting, most)]

    def leave(self, error: PushError | None) -> None:
        """Give a turn back, with what came of it."""
        self._under_way -= 1
        if error is None or error.status:
            self._last_answer = time.monotonic()
        if isinstance(error, Throttled | Unavailable | ProxyFailed):
            self._slow_down()
        elif error is None:
            self._limit = min(self._most, self._limit + 1)

    def give_up(self) -> list[_Job]:
        """The jobs that have waited too long, where all turns are taken."""
        if self._under_way < self._limit:
            return []
        now = time.monotonic()
        return self._remove(now if now - self._last_answer > _SILENCE else now - _PATIENCE)

    def clear(self) -> list[_Job]:
        """All jobs that wait."""
        return self._remove(time.monotonic())

    def _remove(self, put_before: float) -> list[_Job]:
        removed = []
        while self._waiting and self._waiting[0][0] <= put_before:
            removed.append(self._waiting.popleft()[1])
        return removed

    def _slow_down(self) -> None:
        now = time.monotonic()
        if now - self._last_cut > _BETWEEN_CUTS:
            self._limit = max(1, self._limit // 2)
            self._last_cut = now
