"""What SQLite needs to be a safe neighbour: private files, durable commits, and a line for those who want to write."""

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

READS_FIRST = "reads_first"  # the name of a connection's option
_PATIENCE = 15.0  # seconds, in line and then once more for another process
_ASK_AGAIN = 0.002  # seconds
# One that has read and turns into a writer fails at once when another process has written since.
_BEGIN_TO_WRITE = "BEGIN IMMEDIATE"
_WAIT = f"PRAGMA busy_timeout={_PATIENCE * 1000:.0f}"  # for whatever is not the beginning of a transaction


def configure_engine(engine: Engine, *, reads_first: Callable[[], bool]) -> None:
    """Have every connection that the engine makes from now on keep what it is told, and stand in line to write.

    A transaction has the line's first place from its beginning, so that what it reads still holds when it writes; but
    where `reads_first` or the connection's option says so, only from the first statement that may write, like
    PostgreSQL's at READ COMMITTED.
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
        # The driver's own transaction handling autocommits WITH … UPDATE … RETURNING.
        connection.isolation_level = None
        connection.execute(_WAIT)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "do_connect", _prepare)
    event.listen(engine, "connect", configure)
    event.listen(engine, "begin", begin)
    event.listen(engine, "before_cursor_execute", _turn_into_writer)


def secure_delete(engine: Engine) -> None:
    """Write zeros over what is deleted from now on, and take what was out of the log; between transactions."""
    with closing(engine.raw_connection()) as connection:
        for pragma in ("secure_delete=ON", "wal_checkpoint(TRUNCATE)"):
            connection.execute(f"PRAGMA {pragma}")


class _Connection(sqlite3.Connection):
    """A connection for whose transactions the threads of a process stand in line.

    SQLite has one writer, and who finds another at it asks again after ever longer waits: with four threads some come
    at once and some after a second. So the first in line asks for all of them, and in short intervals: a worker that
    sends writes so often that whoever looks only every 100 ms may not find it between two transactions for long.
    """

    turn: Lock
    only_reads = False
    _has_turn = False

    def begin_to_read(self) -> None:
        """Begin a transaction that waits for nobody, as nobody waits for it."""
        self.execute("BEGIN")
        self.only_reads = True

    def begin_to_write(self) -> None:
        """Begin a transaction that may write; sqlite3.OperationalError after _PATIENCE, or twice that."""
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
        """End what only reads and begin anew; where that fails, the next statement that may write tries it again."""
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
    # SQLite itself would leave it to the umask, and messages and keys open to whoever else is on the machine.
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
