"""Configure SQLite for concurrent use: private files, durable commits, and a queue for writers."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from feedback_push import secret_files

READS_FIRST = "reads_first"  # the name of an execution option
_PATIENCE = 15.0  # seconds to wait in the queue, and then again for another process
_ASK_AGAIN = 0.002  # seconds
# A transaction that reads and then writes fails at once if another process has written in between.
_BEGIN_TO_WRITE = "BEGIN IMMEDIATE"
_WAIT = f"PRAGMA busy_timeout={_PATIENCE * 1000:.0f}"  # for every statement except BEGIN


def configure_engine(engine: Engine, *, reads_first: Callable[[], bool]) -> None:
    """Configure all new connections of the engine for durable commits, and let their transactions queue to write.

    A transaction takes the write lock when it begins, so that the rows it reads are still current when it writes. If
    `reads_first()` or the connection's READS_FIRST option is true, it takes the lock only at the first statement that
    may write. It then behaves like a PostgreSQL transaction at READ COMMITTED.
    """
    turn = Lock()

    def begin(connection: Connection) -> None:
        driver = _driver_of(connection)
        if reads_first() or connection.get_execution_options().get(READS_FIRST):
            driver.begin_to_read()
        else:
            _begin(driver.begin_to_write)

    def configure(connection: _Connection, _: ConnectionPoolEntry) -> None:
        connection.turn = turn
        # The driver's own transaction handling would autocommit WITH … UPDATE … RETURNING.
        connection.isolation_level = None
        connection.execute(_WAIT)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "do_connect", _prepare)
    event.listen(engine, "connect", configure)
    event.listen(engine, "begin", begin)
    event.listen(engine, "before_cursor_execute", _turn_into_writer)


def secure_delete(engine: Engine) -> None:
    """Overwrite deleted rows with zeros from now on, and empty the write-ahead log; call this between transactions."""
    with closing(engine.raw_connection()) as connection:
        for pragma in ("secure_delete=ON", "wal_checkpoint(TRUNCATE)"):
            connection.execute(f"PRAGMA {pragma}")


class _Connection(sqlite3.Connection):
    """A connection whose writing transactions wait in one queue per process.

    SQLite has one writer, and a connection that finds it busy retries after longer and longer waits: with four threads
    some start at once and others after a second. So only the first in the queue polls, for all of them, and often. A
    worker that sends notifications writes so frequently that a poll every 100 ms may miss its gaps for a long time.
    """

    turn: Lock
    only_reads = False
    _has_turn = False

    def begin_to_read(self) -> None:
        """Begin a transaction that only reads; it waits for no other transaction and blocks none."""
        self.execute("BEGIN")
        self.only_reads = True

    def begin_to_write(self) -> None:
        """Begin a transaction that may write; raise sqlite3.OperationalError after _PATIENCE, or twice that."""
        self._has_turn = self.turn.acquire(timeout=_PATIENCE)
        until = time.monotonic() + _PATIENCE
        try:
            self.execute("PRAGMA busy_timeout=0")
            while not self._has_begun(until):
                time.sleep(_ASK_AGAIN)
        except BaseException:
            self._end_turn()
            raise
        finally:
            self.execute(_WAIT)
        self.only_reads = False

    def turn_into_writer(self) -> None:
        """End the read-only transaction and begin one that may write.

        If that fails, the next statement that may write tries again.
        """
        super().rollback()
        self.begin_to_write()

    def _has_begun(self, until: float) -> bool:
        try:
            self.execute(_BEGIN_TO_WRITE)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            return False
        return True

    def commit(self) -> None:
        try:
            super().commit()
        finally:
            self._end()

    def rollback(self) -> None:
        try:
            super().rollback()
        finally:
            self._end()

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._end()

    def _end(self) -> None:
        self.only_reads = False
        self._end_turn()

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self.turn.release()


def _prepare(_dialect: Dialect, _record: ConnectionPoolEntry, named: list[Any], options: dict[str, Any]) -> None:
    options["factory"] = _Connection
    # SQLite itself would follow the umask, and other users of the machine could read messages and keys.
    path = Path(named[0])
    if path.is_absolute():
        secret_files.create_private(path)


def _turn_into_writer(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
    driver = _driver_of(connection)
    if driver.only_reads and not statement.startswith("SELECT"):
        _begin(driver.turn_into_writer)


def _begin(begin: Callable[[], None]) -> None:
    try:
        begin()
    except sqlite3.OperationalError as error:
        raise OperationalError(_BEGIN_TO_WRITE, None, error) from error


def _driver_of(connection: Connection) -> _Connection:
    return cast(_Connection, connection.connection.dbapi_connection)
