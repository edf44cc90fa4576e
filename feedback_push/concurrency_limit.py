"""Limit how many requests do the same expensive work at a time, so that it cannot occupy every thread."""

import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec

from flask import Flask, g, make_response
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from werkzeug.exceptions import ServiceUnavailable

_P = ParamSpec("_P")


def init_app(app: Flask) -> None:
    """Release places when a request ends."""
    app.teardown_request(_leave)


class Busy(ServiceUnavailable):
    """Too many requests do the same work right now; the client should retry after `retry_after` seconds."""


class ConcurrencyLimit:
    """A limit of `running` requests at a time; up to `waiting` more wait for at most `patience` seconds.

    A named caller gets at most `for_each` of these places. A trusted caller can use one extra waiting place, which
    strangers cannot take, and goes next. A thread that already has a place may enter again.
    """

    def __init__(
        self, running: int, *, waiting: int = 0, patience: float = 1.0, for_each: int | None = None, pause: int = 5
    ) -> None:
        self._most_running = running
        self._places = running + waiting
        self._patience = patience
        self._for_each = for_each or self._places
        self._pause = pause
        self._changed = threading.Condition()
        self._callers: Counter[str | None] = Counter()
        self._running = 0
        self._trusted = 0  # the number of trusted callers that wait
        self._thread = threading.local()

    @contextmanager
    def place(self, caller: str | None = None, *, trusted: bool = False) -> Iterator[None]:
        """Hold a place for the duration of the block. Raise Busy if none is free."""
        if getattr(self._thread, "has_place", False):
            yield
            return
        leave = self.enter(caller, trusted=trusted)
        self._thread.has_place = True
        try:
            yield
        finally:
            self._thread.has_place = False
            leave()

    def enter(self, caller: str | None = None, *, trusted: bool = False) -> Callable[[], None]:
        """Take a place and return a function that releases it; further calls do nothing. Raise Busy if none is free."""
        with self._changed:
            has_share = caller is not None and not trusted and self._callers[caller] >= self._for_each
            if has_share or self._callers.total() >= self._places + trusted:
                raise Busy(retry_after=self._pause)
            self._callers[caller] += 1
            if not self._wait(trusted=trusted):
                self._forget(caller)
                raise Busy(retry_after=self._pause)
            self._running += 1
        return self._leave_once(caller)

    def _wait(self, *, trusted: bool) -> bool:
        self._trusted += trusted
        try:
            return self._changed.wait_for(
                lambda: self._running < self._most_running and (trusted or not self._trusted), self._patience
            )
        finally:
            self._trusted -= trusted
            self._changed.notify_all()

    def enter_for_request(self) -> None:
        """Take a place until the request ends. Raise Busy if none is free."""
        g.setdefault("leave_at_end", []).append(self.enter())

    def share(self, view: Callable[_P, ResponseReturnValue]) -> Callable[_P, Response]:
        """Decorate a view to run in a place, which it keeps until its response has been sent."""

        @wraps(view)
        def limited(*args: _P.args, **kwargs: _P.kwargs) -> Response:
            leave = self.enter()
            try:
                response = make_response(view(*args, **kwargs))
            except BaseException:
                leave()
                raise
            response.call_on_close(leave)
            # For a response that passes a file through, the server closes the file but not the response.
            weakref.finalize(response, leave)
            g.setdefault("leave_on_failure", []).append(leave)  # if a later step fails, this response is never closed
            return response

        return limited

    def _leave_once(self, caller: str | None) -> Callable[[], None]:
        places = [caller]

        def leave() -> None:
            with self._changed:
                if places:
                    self._forget(places.pop())
                    self._running -= 1
                    self._changed.notify_all()

        return leave

    def _forget(self, caller: str | None) -> None:
        self._callers[caller] -= 1
        self._callers += Counter()  # drops callers without a place


def _leave(error: BaseException | None) -> None:
    on_failure = g.pop("leave_on_failure", [])
    for leave in [*g.pop("leave_at_end", []), *(on_failure if error else [])]:
        leave()
