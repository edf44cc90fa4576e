"""Lanes: how many requests may be under way at one push service, fewer when it asks for it."""

import asyncio
import time
from collections import deque

from feedback_push.push.errors import Postponed, PushError, Throttled, Unavailable

# Seconds to wait for a turn: less where the service does not answer at all. What waits longer goes back to the database
# and lets others pass.
_PATIENCE = 10.0
_SILENCE = 2.0
_BETWEEN_CUTS = 1.0  # seconds; the requests already under way when a service complains count as one complaint


class Lane:
    """The turns at one origin: halved when it complains, one more for each push it accepts."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = most
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._last_cut = 0.0
        self._last_answer = 0.0

    async def enter(self) -> None:
        """Wait for a turn; Postponed when it takes too long."""
        if self._under_way < self._limit:
            self._under_way += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        patience = time.monotonic() + _PATIENCE
        while not turn.done():
            await asyncio.wait([turn], timeout=_SILENCE)
            now = time.monotonic()
            if not turn.done() and (now > patience or now - self._last_answer > _SILENCE):
                turn.cancel()
                raise Postponed(detail="the push service answers slowly")

    def leave(self, error: PushError | None) -> None:
        """Give the turn back, with what came of it."""
        self._under_way -= 1
        self._last_answer = time.monotonic()
        if isinstance(error, Throttled | Unavailable):
            self._slow_down()
        elif error is None:
            self._limit = min(self._most, self._limit + 1)
        while self._waiting and self._under_way < self._limit:
            self._hand_over(self._waiting.popleft())

    def _slow_down(self) -> None:
        now = time.monotonic()
        if now - self._last_cut > _BETWEEN_CUTS:
            self._limit = max(1, self._limit // 2)
            self._last_cut = now

    def _hand_over(self, turn: "asyncio.Future[None]") -> None:
        if not turn.done():  # else it was cancelled: nobody waits for it any more
            self._under_way += 1
            turn.set_result(None)
