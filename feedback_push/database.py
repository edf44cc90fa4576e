"""The database: the session, the declarative base, UTC times, and what SQLite needs to be a safe neighbour."""

import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, cast

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    event,
    literal,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, QueryableAttribute, mapped_column, registry
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from feedback_push import secret_files

_PATIENCE = 15.0  # seconds, in line and then once more for another process
_ASK_AGAIN = 0.002  # seconds
# A deferred one that turns into a writer fails at once when another process has written since.
_BEGIN = "BEGIN IMMEDIATE"
MIGRATIONS = Path(__file__).with_name("migrations")


def utcnow() -> datetime:
    """The one clock: the current time, aware, in UTC."""
    return datetime.now(UTC)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time, stored in UTC; SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse a naive time, whose meaning would depend on the machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime: use database.utcnow()")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give back an aware time in UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


BigInt = BigInteger().with_variant(Integer(), "sqlite")
# SQLite would give the id of the last row again once that row is deleted.
NO_ID_TWICE = {"sqlite_autoincrement": True}
Id = Annotated[int, mapped_column(BigInt, primary_key=True)]


class Base(DeclarativeBase):
    """Parent of every model; the constraint names are the same on both databases, so migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    registry = registry(metadata=metadata, type_annotation_map={datetime: UTCDateTime, int: BigInt})


db = SQLAlchemy(model_class=Base)
UNAVAILABLE = (DBAPIError, PoolTimeoutError)  # what every use of the database may raise


def init_app(app: Flask) -> None:
    """Connect the application to the database that DATABASE_URL names."""
    url = app.extensions["settings"].database_url
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _engine_options(url)
    db.init_app(app)
    if url.startswith("sqlite"):
        with app.app_context():
            _make_safe_for_neighbours(db.engine)


def upgrade(app: Flask) -> None:
    """Bring the schema to the newest migration."""
    enable_migrations(app)
    with app.app_context():
        import_module("flask_migrate").upgrade()


def enable_migrations(app: Flask) -> None:
    """Let the `flask db` commands reach the migrations; Alembic is heavy, and a server that only serves needs none."""
    options = {"directory": str(MIGRATIONS), "render_as_batch": True, "compare_type": True}
    import_module("flask_migrate").Migrate(app, db, **options)


def insert(model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT in the dialect of the session's database."""
    dialect = db.session.get_bind().dialect.name
    return postgresql.insert(model) if dialect == "postgresql" else sqlite.insert(model)


def partial_index(name: str, *columns: str, where: str) -> Index:
    """An index over the rows that meet a condition, which both databases read the same."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Ids(TypeDecorator[Iterable[int]]):
    """Any number of ids as one parameter: a text, which a driver passes on faster than a list."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Iterable[int] | None, dialect: Dialect) -> str | None:
        """Spell an array of PostgreSQL's, or JSON for SQLite."""
        if value is None:
            return None
        spelt = str(list(value))
        return f"{{{spelt[1:-1]}}}" if dialect.name == "postgresql" else spelt


class _Among(FunctionElement[bool]):
    # Not of the type Boolean, which SQLAlchemy would compare with 1 for SQLite, and that reads the whole table.
    name = "among"
    inherit_cache = True


def among(
    column: QueryableAttribute[int] | ColumnElement[int], ids: Iterable[int] | BindParameter[Any]
) -> ColumnElement[bool]:
    """Whether the column is one of these, which are a single parameter: the statement is the same for any number."""
    given = ids if isinstance(ids, BindParameter) else literal(ids, Ids)
    return _Among(column, given)


@compiles(_Among, "postgresql")
def _array(among: _Among, compiler: SQLCompiler, **how: Any) -> str:
    column, ids = among.clauses
    return f"{compiler.process(column, **how)} = ANY (CAST({compiler.process(ids, **how)} AS BIGINT[]))"


@compiles(_Among, "sqlite")
def _json(among: _Among, compiler: SQLCompiler, **how: Any) -> str:
    column, ids = among.clauses
    return f"{compiler.process(column, **how)} IN {_values(compiler.process(ids, **how))}"


def _values(ids: str) -> str:
    return f"(SELECT value FROM json_each({ids}))"  # noqa: S608 - the name of a parameter


def overwrite_what_is_deleted() -> None:
    """Have SQLite write zeros over what is deleted from now on, and take what was out of its log; between transactions.

    PostgreSQL gives the room to other rows by itself.
    """
    if db.engine.dialect.name == "sqlite":
        with closing(db.engine.raw_connection()) as connection:
            for pragma in ("secure_delete=ON", "busy_timeout=15000", "wal_checkpoint(TRUNCATE)", "busy_timeout=0"):
                connection.execute(f"PRAGMA {pragma}")


def _engine_options(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"hide_parameters": True}
    limits = "-c statement_timeout=15000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000"
    return {
        "hide_parameters": True,  # an error in the log must not repeat what a visitor wrote
        "pool_pre_ping": True,
        "pool_timeout": 5,
        "connect_args": {"connect_timeout": 5, "tcp_user_timeout": 10000, "options": limits},
    }


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


def _make_safe_for_neighbours(engine: Engine) -> None:
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
