"""Set up the database: the session, the declarative base, UTC times, and SQL that works on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from flask import Flask, current_app, has_request_context, request
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
    Select,
    delete,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, mapped_column, registry
from sqlalchemy.types import TypeDecorator

from feedback_push import sqlite
from feedback_push.config import ConfigError, current_settings

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}  # RFC 9110, section 9.2.1: the client requests no change
# The server ends what hangs. Without the last two lines, the transaction of a machine that lost the network holds its
# locks for 15 minutes while the server has rows to send, and for two hours while it has none.
_SERVER_LIMITS = (
    "-c statement_timeout=15000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000"
    " -c tcp_user_timeout=10000"
    " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
)
MIGRATIONS = Path(__file__).with_name("migrations")


def utcnow() -> datetime:
    """Return the current time, aware, in UTC; all code reads the time here."""
    return datetime.now(UTC)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time, stored in UTC; SQLite stores no time zone, so UTC is added again on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Convert the time to UTC; raise ValueError for a naive time, whose meaning would depend on the machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime: use database.utcnow()")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return an aware time in UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


BigInt = BigInteger().with_variant(Integer(), "sqlite")
# Otherwise SQLite reuses the id of the last row after that row is deleted.
AUTOINCREMENT = {"sqlite_autoincrement": True}
Id = Annotated[int, mapped_column(BigInt, primary_key=True)]


class Base(DeclarativeBase):
    """The parent of every model; constraint names are the same on both databases, so that migrations can use them."""

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
_Row = TypeVar("_Row", bound=Base)
DATABASE_ERRORS = (DBAPIError, PoolTimeoutError)  # any use of the database may raise these


def init_app(app: Flask) -> None:
    """Connect the application to the database that DATABASE_URL names."""
    url = current_settings(app).database_url
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _engine_options(url)
    try:
        db.init_app(app)
    except (ArgumentError, ValueError):  # the error's text could repeat the URL
        raise ConfigError("The settings cannot be used:\n  DATABASE_URL: these options cannot be used.") from None
    if url.startswith("sqlite"):
        with app.app_context():
            sqlite.configure_engine(db.engine, reads_first=_only_asks)


def upgrade(app: Flask) -> None:
    """Upgrade the schema to the newest migration."""
    enable_migrations(app)
    with app.app_context():
        import_module("flask_migrate").upgrade()


def migrate(connection: Connection, revision: str) -> None:
    """Upgrade the schema of this connection's database to a revision; the caller commits, also on PostgreSQL."""
    app = current_app._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - Flask's documented way
    enable_migrations(app)
    config = app.extensions["migrate"].migrate.get_config()
    config.attributes["connection"] = connection
    import_module("alembic.command").upgrade(config, revision)


def revisions() -> list[str]:
    """Return the revisions of the schema that this program knows, the newest last; without Alembic, which is large."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def reader(engine: Engine) -> Connection:
    """Open a connection that reads without waiting for a writer; the caller ends each read with `rollback`."""
    if engine.dialect.name == "sqlite":
        return engine.connect().execution_options(**{sqlite.READS_FIRST: True})
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")  # one round trip per statement


def enable_migrations(app: Flask) -> None:
    """Enable the `flask db` commands; a server skips this, because Alembic is large and it never uses it."""
    options = {"directory": str(MIGRATIONS), "render_as_batch": True, "compare_type": True}
    import_module("flask_migrate").Migrate(app, db, **options)


def insert(model: type[Base]) -> postgresql.Insert | sqlite_dialect.Insert:
    """Return an INSERT that supports ON CONFLICT in the dialect of the session's database."""
    dialect = db.session.get_bind().dialect.name
    return postgresql.insert(model) if dialect == "postgresql" else sqlite_dialect.insert(model)


def claim(model: type[_Row], which: Select[int], **values: Any) -> _Row | None:
    """Set these values in the first row that `which` selects by its id, and return the row; None if there is none.

    Of several workers, each gets another row. The caller commits before it starts to work.
    """
    first = which.limit(1).with_for_update(skip_locked=True).scalar_subquery()
    claimed = update(model).where(model.__table__.c.id == first).values(values).returning(model)
    return db.session.scalar(claimed, execution_options={"synchronize_session": False, "populate_existing": True})


def delete_batch(model: type[Base], *which: ColumnElement[bool], most: int, oldest_first: Any = None) -> int:
    """Delete at most `most` rows that meet the conditions, and return how many were deleted; the caller commits.

    Deleting everything at once can take minutes, and nothing else can write during that time.
    """
    table = model.__table__
    some = select(table.c.id).where(*which).order_by(oldest_first).limit(most).scalar_subquery()
    return cast("CursorResult[Any]", db.session.execute(delete(model).where(table.c.id.in_(some)))).rowcount


def partial_index(name: str, *columns: str, where: str) -> Index:
    """Return an index over the rows that meet the SQL condition `where`, which both databases read the same way."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


def secure_delete() -> None:
    """Overwrite rows in SQLite's files when they are deleted from now on; PostgreSQL reuses the space by itself."""
    if db.engine.dialect.name == "sqlite":
        sqlite.secure_delete(db.engine)


def _only_asks() -> bool:
    """Return True in a request with a safe method; it may still write something small, such as the time of a visit."""
    return has_request_context() and request.method in _SAFE_METHODS


def _engine_options(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"hide_parameters": True}
    return {
        "hide_parameters": True,  # an error in the log must not contain a visitor's text
        "pool_pre_ping": True,
        "pool_timeout": 5,
        "connect_args": {"connect_timeout": 5, "tcp_user_timeout": 10000, "options": _SERVER_LIMITS},
    }
