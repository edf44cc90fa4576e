"""Workers side by side: threads that each have the application to themselves, as processes have."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from flask import Flask

from feedback_push.database import db

_Done = TypeVar("_Done")


def side_by_side(app: Flask, count: int, work: Callable[[], _Done]) -> list[_Done]:
    """Run `work` in `count` workers that start together and commit at the end; return their results."""
    db.session.rollback()  # or SQLite would keep them waiting for this thread's transaction
    start = Barrier(count)

    def one(_: int) -> _Done:
        with app.app_context():
            start.wait(10)
            done = work()
            db.session.commit()
            return done

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))
