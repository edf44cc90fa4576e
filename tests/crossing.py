"""Let two transactions overlap: start the second while the first pauses between two of its statements."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, get_ident
from typing import Any, TypeVar

from flask import Flask
from sqlalchemy import event

from feedback_push.database import db
from tests import servers
from tests.push.statements import is_waiting_for_lock

_First = TypeVar("_First")
_Second = TypeVar("_Second")
_LONGEST = 20.0  # seconds


def cross(
    app: Flask, first: Callable[[], _First], statement: str, second: Callable[[], _Second], *, nth: int = 1
) -> tuple[_First, _Second]:
    """Pause `first` after the nth statement that contains this text, start `second`, then let both finish.

    `first` continues once `second` has ended or waits for a lock that `first` holds. SQLite has one lock for all
    writers.
    """
    db.session.rollback()
    on_postgresql = db.engine.dialect.name == "postgresql"
    stands, begun, go_on = Event(), Event(), Event()
    seen: list[int] = []

    def run_first() -> _First:
        seen.append(get_ident())
        with app.app_context():
            return first()

    def run_second() -> _Second:
        begun.set()
        with app.app_context():
            return second()

    def stop_after(_connection: Any, _cursor: Any, words: str, *_: Any) -> None:
        if seen and get_ident() == seen[0] and statement in words:
            seen.append(0)
            if len(seen) == nth + 1:
                stands.set()
                go_on.wait(_LONGEST)

    event.listen(db.engine, "after_cursor_execute", stop_after)
    try:
        with ThreadPoolExecutor(2) as threads:
            one = threads.submit(run_first)
            assert stands.wait(_LONGEST), f"no {statement!r}"
            other = threads.submit(run_second)
            assert begun.wait(_LONGEST)
            if on_postgresql:
                servers.wait_until(lambda: other.done() or is_waiting_for_lock(), _LONGEST, "the second")
            go_on.set()
            return one.result(_LONGEST), other.result(_LONGEST)
    finally:
        go_on.set()
        event.remove(db.engine, "after_cursor_execute", stop_after)
