"""Count SQL statements, and detect one that waits for a lock."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text

from feedback_push.database import db


@contextmanager
def recorded_statements() -> Iterator[list[str]]:
    """Record every statement of the block; an executemany counts as one."""
    statements: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", listen)
    try:
        yield statements
    finally:
        event.remove(db.engine, "before_cursor_execute", listen)


def is_waiting_for_lock() -> bool:
    """Return whether a statement on this PostgreSQL database waits for another transaction's lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with db.engine.connect() as connection:
        return bool(connection.scalar(text(waiting)))
