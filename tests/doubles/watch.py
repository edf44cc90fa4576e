"""The lock between a server's thread and the test's; a change wakes all waiting threads, so none must poll."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Watch:
    """Guard a double's records; safe to use from any thread. Each timeout's message ends with `story`."""

    def __init__(self, story: Callable[[], str]) -> None:
        self._condition = threading.Condition()
        self._story = story

    @contextmanager
    def change(self) -> Iterator[None]:
        """Hold the lock while records change, then wake all waiting threads."""
        with self._condition:
            yield
            self._condition.notify_all()

    @contextmanager
    def read(self) -> Iterator[None]:
        """Hold the lock while records are copied."""
        with self._condition:
            yield

    def wait_until(self, predicate: Callable[[], bool], timeout: float, seen: Callable[[], str]) -> None:
        """Wait until the predicate is true; else raise a TimeoutError that describes the records."""
        with self._condition:
            if not self._condition.wait_for(predicate, timeout):
                raise TimeoutError(f"after {timeout:g} s only {seen()}; {self._story()}")
