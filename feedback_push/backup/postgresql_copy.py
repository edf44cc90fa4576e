"""Copy the tables of a PostgreSQL database that is in use, and fill an empty schema with the copy.

Every table is one COPY in PostgreSQL's text format. So neither side needs pg_dump, which refuses a newer server, and a
copy can be restored on any later release of PostgreSQL.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from feedback_push import database
from feedback_push.backup.archive import Manifest
from feedback_push.backup.errors import BackupError
from feedback_push.database import Base

_AT_ONCE = 256 * 1024  # bytes
_NO_LIMITS = (
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
    " SET LOCAL tcp_user_timeout = 0"  # a slow disk here lets the server wait
)
_SAME_TEXT = "SET LOCAL datestyle = 'ISO'; SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 3"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('feedback_push.migrations'))"
_SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = current_schema()"


def snapshot(engine: Engine, folder: Path, manifest: Manifest) -> list[str]:
    """Write each table, as it is at this moment, into a file of the folder; complete the manifest; return the files."""
    with _transaction(engine, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY") as connection:
        connection.exec_driver_sql(_SAME_TEXT)
        manifest.revision = str(connection.scalar(text("SELECT version_num FROM alembic_version")))
        manifest.tables = {table: _columns(connection, table) for table in _ours(connection)}
        for table, columns in manifest.tables.items():
            _copy_out(connection, table, columns, folder / f"{table}.copy")
        # Sequences stand outside of transactions: read after the tables, so that they are never behind.
        known = connection.execute(text(_SEQUENCES))
        manifest.sequences = {name: last for name, last in known if last is not None and _is_ours(name)}
    return [f"{table}.copy" for table in manifest.tables]


def has_rows(engine: Engine) -> bool:
    """Return whether the database holds anything of this program but an empty schema."""
    with _transaction(engine) as connection:
        return any(connection.scalar(text(f'SELECT 1 FROM "{table}" LIMIT 1')) for table in _ours(connection))  # noqa: S608


def restore(engine: Engine, folder: Path, manifest: Manifest) -> None:
    """Replace all tables of this program with the copy, and upgrade them to the newest revision, in one transaction."""
    with _transaction(engine) as connection:
        connection.exec_driver_sql(_SAME_TEXT)
        connection.exec_driver_sql(_LOCK)
        for table in [*reversed(_ours(connection)), "alembic_version"]:
            connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{table}" CASCADE')
        database.migrate(connection, manifest.revision)
        made = _ours(connection)
        if made:
            connection.exec_driver_sql("TRUNCATE " + ", ".join(f'"{table}"' for table in made))
        for table, columns in manifest.tables.items():
            _copy_in(connection, table, columns, folder / f"{table}.copy")
        for name, last in manifest.sequences.items():
            connection.execute(text("SELECT setval(CAST(:name AS regclass), :last)"), {"name": name, "last": last})
        database.migrate(connection, "head")


@contextmanager
def _transaction(engine: Engine, *settings: str) -> Iterator[Connection]:
    """Open a transaction without the application's time limits; raise BackupError for every error of the database."""
    try:
        with engine.connect() as connection, connection.begin():
            for setting in settings:
                connection.exec_driver_sql(setting)
            connection.exec_driver_sql(_NO_LIMITS)
            yield connection
    except (DBAPIError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        reason = str(cause).partition("\n")[0]
        raise BackupError(f"The database cannot be used: {reason} Is the site still running?") from None


def _ours(connection: Connection) -> list[str]:
    """Return the tables of this program, each after those that it refers to."""
    ordered = inspect(connection).get_sorted_table_and_fkc_names()
    return [table for table, _ in ordered if table and _is_ours(table)]


def _is_ours(name: str) -> bool:
    features = {table.partition("_")[0] for table in Base.metadata.tables}
    return name.partition("_")[0] in features


def _columns(connection: Connection, table: str) -> list[str]:
    return [column["name"] for column in inspect(connection).get_columns(table)]


def _copy_out(connection: Connection, table: str, columns: list[str], target: Path) -> None:
    with target.open("wb") as file, _cursor(connection).copy(_copy("COPY {} ({}) TO STDOUT", table, columns)) as copy:
        for part in copy:
            file.write(part)


def _copy_in(connection: Connection, table: str, columns: list[str], source: Path) -> None:
    with source.open("rb") as file, _cursor(connection).copy(_copy("COPY {} ({}) FROM STDIN", table, columns)) as copy:
        while part := file.read(_AT_ONCE):
            copy.write(part)


def _cursor(connection: Connection) -> "psycopg.Cursor[Any]":
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    return driver.cursor()


def _copy(statement: LiteralString, table: str, columns: list[str]) -> sql.Composed:
    return sql.SQL(statement).format(sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns)))
