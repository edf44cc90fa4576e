"""The tests' own PostgreSQL databases: no test sees anything of an earlier one."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.databases import Databases

_CHANGES = (
    "INSERT INTO auth_user (email, password_hash, created_at) VALUES ('a@example.org', 'x', now())",
    "SELECT nextval('auth_user_id_seq')",
    "ALTER TABLE push_outbox RENAME TO elsewhere",
    "DROP INDEX ix_feedback_message_search",
    "ANALYZE auth_user",
    "BEGIN; LOCK TABLE auth_user",
)


@pytest.fixture
def opened(postgresql: Databases) -> Iterator[list[psycopg.Connection]]:
    """Connections to close at the end."""
    connections: list[psycopg.Connection] = []
    yield connections
    for connection in connections:
        connection.close()


def test_nothing_of_an_earlier_test_is_left(postgresql: Databases, opened: list[psycopg.Connection]) -> None:
    def connect() -> psycopg.Connection:
        url = make_url(postgresql.empty()).set(drivername="postgresql").render_as_string()
        opened.append(psycopg.connect(url, autocommit=True))
        return opened[-1]

    before = _content(connect())
    for change in _CHANGES:
        connect().execute(change)
        assert _content(opened[-1]) != before or "LOCK" in change, change
        assert _content(connect()) == before, change


def _content(connection: psycopg.Connection) -> list[object]:
    counted = "SELECT relname, relnatts FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname"
    asked = (
        "SELECT count(*) FROM auth_user",
        "SELECT version_num FROM alembic_version",
        "SELECT last_value, is_called FROM auth_user_id_seq",
        "SELECT reltuples FROM pg_class WHERE relname = 'auth_user'",
        counted,
    )
    return [connection.execute(statement).fetchall() for statement in asked]
