"""Copy a SQLite database that is in use, and put a copy in its place."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import create_engine

from feedback_push import database, secret_files
from feedback_push.backup.errors import BackupError

NAME = "database.sqlite"
_PATIENCE = 15.0  # seconds to wait for another connection


def snapshot(source: Path, target: Path) -> str:
    """Write the database as it is at this moment into a new file, and return its revision; writers need not wait.

    Deleted rows are not copied.
    """
    with _opened(source) as connection:
        revision = str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
        connection.execute("VACUUM INTO ?", (str(target),))
    return revision


def verify(copy: Path) -> None:
    """Raise BackupError if SQLite finds a fault in the extracted copy."""
    with _opened(copy) as connection:
        if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
            raise BackupError("The database in the backup is damaged. Use another backup.")


def has_rows(path: Path) -> bool:
    """Return whether the database at this path holds anything but an empty schema."""
    if not path.exists() or not path.stat().st_size:
        return False
    with _opened(path) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        tables = [name for [name] in names if not name.startswith(("sqlite_", "alembic_", "feedback_search"))]
        return any(connection.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone() for name in tables)  # noqa: S608


def upgrade(copy: Path) -> None:
    """Upgrade the schema of the extracted copy to the newest revision."""
    engine = create_engine(f"sqlite:///{quote(str(copy))}")
    try:
        with engine.connect() as connection:
            database.migrate(connection, "head")
            connection.commit()
    finally:
        engine.dispose()


def put_in_place(copy: Path, path: Path) -> None:
    """Replace the content of the database with the copy's in one transaction, also if its file does not exist yet."""
    secret_files.create_private(path)
    with _opened(copy) as source, closing(sqlite3.connect(path, timeout=_PATIENCE)) as target:
        try:
            source.execute("PRAGMA foreign_keys=OFF")
            target.execute("PRAGMA synchronous=FULL")
            source.backup(target)
        except sqlite3.OperationalError as error:
            raise BackupError(f"The database {path} cannot be replaced: {error}. Stop the site first.") from None


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an existing database; raise BackupError for every error of SQLite."""
    try:
        address = f"file:{quote(str(path.absolute()))}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE, isolation_level=None)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise BackupError(f"The database {path} cannot be used: {error}.") from None
