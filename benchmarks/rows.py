"""Insert rows into a database, and read rows without the application."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import delete, insert, select, text, update

from benchmarks import devices
from benchmarks.stage import Stage
from feedback_push import search_text
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.push.models import DeviceState, OutboxEntry, Subscription

_AT_ONCE = 5_000
_MESSAGES_AT_ONCE = 20_000
_MESSAGES = """
    INSERT INTO feedback_message (content, submitter_name, submitter_email, created_at, search_text)
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)
    SELECT 'Message ' || n || :content, 'Ada Lovelace', 'ada@example.org', :now, :searched || ' ' || n FROM numbers
"""
_numbers = count()


class Reader:
    """A separate read-only connection; each query sees the newest rows, and no worker waits for it."""

    def __init__(self, url: str) -> None:
        self._connection: sqlite3.Connection | psycopg.Connection
        if url.startswith("sqlite"):
            path = url.removeprefix("sqlite:///")
            self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        else:
            self._connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)

    def value(self, query: str) -> Any:
        """Return the first column of the first row; None if there is no row."""
        row = self._connection.execute(query).fetchone()
        return row and row[0]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def fresh_database(stage: Stage, kind: str, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database, and remove the database at the end."""
    if kind == "SQLite":
        yield f"sqlite:///{folder / 'feedback_push.sqlite'}"
        return
    name = f"bench_{next(_numbers)}"
    _administer(stage, f"CREATE DATABASE {name}")
    yield f"{stage.postgresql_url}/{name}".replace("postgresql:", "postgresql+psycopg:")
    _administer(stage, f"DROP DATABASE {name} WITH (FORCE)")


def replace_devices(prefix: str, number: int, vapid_public_key: str) -> None:
    """Leave exactly this many devices and no notification in the session's database."""
    db.session.execute(delete(OutboxEntry))
    db.session.execute(delete(Subscription))
    add_devices(prefix, number, vapid_public_key)


def add_devices(prefix: str, number: int, vapid_public_key: str) -> None:
    """Add this many devices to the session's database."""
    user_id = db.session.scalar(select(User.id))
    common = {"user_id": user_id, "vapid_public_key": vapid_public_key, "name": "Firefox on Linux"}
    common |= {"state": DeviceState.LIVE, "failures": 0, "added_at": utcnow()}
    for start in range(0, number, _AT_ONCE):
        some = range(start, min(start + _AT_ONCE, number))
        browsers = (devices.subscription(prefix, n, devices.keys()) for n in some)
        rows = [common | {"endpoint": browser["endpoint"]} | browser["keys"] for browser in browsers]
        db.session.execute(insert(Subscription), rows)
    db.session.commit()
    analyze("push_subscription")


def retire_devices() -> None:
    """Mark all devices as gone: later notifications reach none, but pending deliveries are still sent."""
    db.session.execute(update(Subscription).values(state=DeviceState.GONE, gone_at=utcnow()))
    db.session.commit()


def add_messages(number: int) -> None:
    """Add unread messages, in batches small enough for any statement timeout."""
    content = " of many. " + devices.NOTE.body * 3
    searched = search_text.of("Ada Lovelace", "ada@example.org", "Message", content)
    values = {"content": content, "searched": searched, "now": utcnow()}
    for done in range(0, number, _MESSAGES_AT_ONCE):
        db.session.execute(text(_MESSAGES), values | {"count": min(_MESSAGES_AT_ONCE, number - done)})
        db.session.commit()
    analyze("feedback_message")


def analyze(table: str) -> None:
    """Let PostgreSQL count the rows of a table, as autovacuum would within a minute."""
    if db.engine.dialect.name == "postgresql":
        db.session.execute(text(f"ANALYZE {table}"))
        db.session.commit()


def _administer(stage: Stage, statement: str) -> None:
    with psycopg.connect(f"{stage.postgresql_url}/postgres", autocommit=True) as connection:
        connection.execute(statement.encode())
