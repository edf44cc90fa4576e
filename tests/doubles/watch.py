"""The lock between a server's thread and the test's: changes wake whoever waits, nobody polls."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Watch:
    """Guards a double's records; safe to use from any thread. `story` ends the message of every timeout."""

    def __init__(self, story: Callable[[], str]) -> None:
        self._condition = threading.Condition()
        self._story = story

    @contextmanager
    def change(self) -> Iterator[None]:
        """Hold the lock while records change, then wake everybody who waits."""
        with self._condition:
            yield
            self._condition.notify_all()

    @contextmanager
    def read(self) -> Iterator[None]:
        """Hold the lock while records are copied."""
        with self._condition:
            yield

    def wait_until(self, predicate: Callable[[], bool], timeout: float, seen: Callable[[], str]) -> None:
        """Return once the predicate holds; else a TimeoutError that tells what was seen."""
        with self._condition:
            if not self._condition.wait_for(predicate, timeout):
                raise TimeoutError(f"after {timeout:g} s only {seen()}; {self._story()}")
