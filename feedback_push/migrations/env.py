"""Run Alembic's migrations on the application's own database connection, or on the connection of a restoration."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext

from feedback_push.database import Base, UTCDateTime, db


def _render(kind: str, item: Any, _: AutogenContext) -> str | Literal[False]:
    """Write a time column into a migration as its plain database type."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UTCDateTime) else False


def _is_described(name: str | None, _kind: str, _parents: Any) -> bool:
    """Return whether the models describe the object; only the migrations describe the search's tables and index."""
    return not (name or "").startswith(("feedback_search", "ix_feedback_message_search"))


def _migrate() -> None:
    given: sa.Connection | None = context.config.attributes.get("connection")
    if given is not None:  # its owner has locked the database, and commits everything together
        _configure(given, transaction_per_migration=False)
        with context.begin_transaction():
            context.run_migrations()
        return
    with db.engine.connect() as connection:
        _let_tables_be_made_anew(connection)
        _configure(connection, transaction_per_migration=True)
        with _alone(connection), context.begin_transaction():
            context.run_migrations()


def _configure(connection: sa.Connection, *, transaction_per_migration: bool) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=_render,
        include_name=_is_described,
        transaction_per_migration=transaction_per_migration,
    )


def _let_tables_be_made_anew(connection: sa.Connection) -> None:
    # To alter a table, SQLite copies it and drops the old one, which would delete all rows that refer to it.
    if connection.dialect.name == "sqlite":
        driver = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr] # no effect inside a transaction
        connection.detach()  # the next user of the pool gets a connection that enforces foreign keys


@contextmanager
def _alone(connection: sa.Connection) -> Iterator[None]:
    """Lock PostgreSQL, so that two machines that start together do not both migrate; SQLite has only one writer."""
    if connection.dialect.name != "postgresql":
        yield
        return
    connection.execute(sa.text("SELECT pg_advisory_lock(hashtext('feedback_push.migrations'))"))
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(sa.text("SELECT pg_advisory_unlock(hashtext('feedback_push.migrations'))"))
        connection.commit()


_migrate()
