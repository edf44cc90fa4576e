"""The database: the session, the declarative base, UTC times, and the SQL that both kinds of it understand."""

from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, cast

from flask import Flask, has_request_context, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    CursorResult,
    DateTime,
    Dialect,
    Engine,
    Index,
    Integer,
    MetaData,
    delete,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, mapped_column, registry
from sqlalchemy.types import TypeDecorator

from feedback_push import sqlite
from feedback_push.config import ConfigError

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}  # RFC 9110: whoever uses them asks for no change
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
AUTOINCREMENT = {"sqlite_autoincrement": True}
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
DATABASE_ERRORS = (DBAPIError, PoolTimeoutError)  # what every use of the database may raise


def init_app(app: Flask) -> None:
    """Connect the application to the database that DATABASE_URL names."""
    url = app.extensions["settings"].database_url
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _engine_options(url)
    try:
        db.init_app(app)
    except (ArgumentError, ValueError):  # its text could repeat the address
        raise ConfigError("The settings cannot be used:\n  DATABASE_URL: its options cannot be used.") from None
    if url.startswith("sqlite"):
        with app.app_context():
            sqlite.configure_engine(db.engine, reads_first=_only_asks)


def upgrade(app: Flask) -> None:
    """Bring the schema to the newest migration."""
    enable_migrations(app)
    with app.app_context():
        import_module("flask_migrate").upgrade()


def reader(engine: Engine) -> Connection:
    """Open a connection to read without waiting for a writer; the caller ends each read with `rollback`."""
    if engine.dialect.name == "sqlite":
        return engine.connect().execution_options(**{sqlite.READS_FIRST: True})
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")  # one round trip for a statement


def enable_migrations(app: Flask) -> None:
    """Let the `flask db` commands reach the migrations; Alembic is heavy, and a server that only serves needs none."""
    options = {"directory": str(MIGRATIONS), "render_as_batch": True, "compare_type": True}
    import_module("flask_migrate").Migrate(app, db, **options)


def insert(model: type[Base]) -> postgresql.Insert | sqlite_dialect.Insert:
    """An INSERT that knows ON CONFLICT in the dialect of the session's database."""
    dialect = db.session.get_bind().dialect.name
    return postgresql.insert(model) if dialect == "postgresql" else sqlite_dialect.insert(model)


def delete_batch(model: type[Base], *which: ColumnElement[bool], most: int, oldest_first: Any = None) -> int:
    """Delete at most `most` rows that meet the conditions and return their number; the caller commits.

    To delete everything at once can take minutes, in which nobody else can write.
    """
    table = model.__table__
    some = select(table.c.id).where(*which).order_by(oldest_first).limit(most).scalar_subquery()
    return cast("CursorResult[Any]", db.session.execute(delete(model).where(table.c.id.in_(some)))).rowcount


def partial_index(name: str, *columns: str, where: str) -> Index:
    """An index over the rows that meet a condition, which both databases read the same."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


def secure_delete() -> None:
    """Leave nothing in the files of what is deleted from now on; PostgreSQL gives the room to other rows by itself."""
    if db.engine.dialect.name == "sqlite":
        sqlite.secure_delete(db.engine)


def _only_asks() -> bool:
    """Whether this is a request that may write something by the way, like a visit, but was not made for it."""
    return has_request_context() and request.method in _SAFE_METHODS


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
