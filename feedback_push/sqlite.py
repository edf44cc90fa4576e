"""What SQLite needs to be a safe neighbour: private files, durable commits, and a line for those who want to write."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from feedback_push import secret_files

_PATIENCE = 15.0  # seconds, in line and then once more for another process
_ASK_AGAIN = 0.002  # seconds
# A deferred one that turns into a writer fails at once when another process has written since.
_BEGIN = "BEGIN IMMEDIATE"


def make_safe_for_neighbours(engine: Engine) -> None:
    """Have every connection that the engine makes from now on keep what it is told, and stand in line to write."""
    turn = Lock()

    def configure(connection: _Connection, _: ConnectionPoolEntry) -> None:
        connection.turn = turn
        # The driver's own transaction handling autocommits WITH … UPDATE … RETURNING.
        connection.isolation_level = None
        for pragma in ("busy_timeout=15000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA busy_timeout=0")  # from now on `begin` is what waits

    event.listen(engine, "do_connect", _prepare)
    event.listen(engine, "connect", configure)
    event.listen(engine, "begin", _begin_immediate)


def overwrite_what_is_deleted(engine: Engine) -> None:
    """Write zeros over what is deleted from now on, and take what was out of the log; between transactions."""
    with closing(engine.raw_connection()) as connection:
        for pragma in ("secure_delete=ON", "busy_timeout=15000", "wal_checkpoint(TRUNCATE)", "busy_timeout=0"):
            connection.execute(f"PRAGMA {pragma}")


class _Connection(sqlite3.Connection):
    """A connection for whose transactions the threads of a process stand in line.

    SQLite has one writer, and who finds another at it asks again after ever longer waits: with four threads some come
    at once and some after a second. So the first in line asks for all of them, and in short intervals: a worker that
    sends writes so often that whoever looks only every 100 ms may not find it between two transactions for long.
    """

    turn: Lock
    _has_turn = False

    def take_turn(self) -> None:
        self._has_turn = self.turn.acquire(timeout=_PATIENCE)

    def begin(self) -> bool:
        """Begin a transaction that may write, within _PATIENCE; whether it has begun."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self.execute(_BEGIN)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    return False
                time.sleep(_ASK_AGAIN)
            else:
                return True

    def commit(self) -> None:
        try:
            super().commit()
        finally:
            self.end_turn()

    def rollback(self) -> None:
        try:
            super().rollback()
        finally:
            self.end_turn()

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.end_turn()

    def end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self.turn.release()


def _prepare(_dialect: Dialect, _record: ConnectionPoolEntry, named: list[Any], options: dict[str, Any]) -> None:
    options["factory"] = _Connection
    # SQLite itself would leave it to the umask, and messages and keys open to whoever else is on the machine.
    path = Path(named[0])
    if path.is_absolute():
        secret_files.create_private(path)


def _begin_immediate(connection: Connection) -> None:
    driver = cast(_Connection, connection.connection.dbapi_connection)
    driver.take_turn()
    try:
        if not driver.begin():
            connection.exec_driver_sql(_BEGIN)  # for the error, as SQLAlchemy gives it
    except BaseException:
        driver.end_turn()
        raise
