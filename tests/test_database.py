"""database.py and the migrations: safe for neighbours, times in UTC, and the schema that the models describe."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import create_engine, delete, func, inspect, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError

from feedback_push import database
from feedback_push.database import Base, among, db, utcnow
from feedback_push.feedback.models import Message
from tests import servers
from tests.environment import environment_of
from tests.feedback.messages import message
from tests.push.devices import nowhere, owner
from tests.push.notes import announce
from tests.push.workers import side_by_side

only_on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
WRITERS = 4
EACH = 15


def migrate(app: Flask, *command: str) -> bool:
    """Whether this flask db command succeeds."""
    db.session.remove()
    database.enable_migrations(app)
    return app.test_cli_runner().invoke(args=["db", *command]).exit_code == 0


def tables() -> set[str]:
    names = set(inspect(db.engine).get_table_names()) - {"alembic_version"}
    return {name for name in names if not name.startswith("feedback_search_")}  # which FTS5 makes for itself


@pytest.mark.usefixtures("app")
def test_every_sqlite_connection_is_durable_and_minds_foreign_keys() -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    for _ in range(2):
        assert {name: db.session.execute(text(f"PRAGMA {name}")).scalar() for name in wanted} == wanted
        db.session.remove()
        db.engine.dispose()  # so that the next connection is a new one


@pytest.mark.usefixtures("app")
def test_threads_stand_in_line_for_sqlite(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_ASK_AGAIN", -1.0)  # whoever finds the database taken would fail

    def write() -> None:
        for _ in range(EACH):
            db.session.add(message())
            time.sleep(0.001)
            db.session.commit()

    side_by_side(app, WRITERS, write)
    assert db.session.scalar(select(func.count()).select_from(Message)) == WRITERS * EACH


@pytest.mark.usefixtures("app")
def test_who_stands_in_line_for_too_long_is_told_and_holds_up_nobody(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 0.01)
    with db.engine.connect() as first, db.engine.connect() as second:
        first.execute(select(1))
        with pytest.raises(OperationalError, match="locked"):
            second.execute(select(1))
        first.rollback()
        second.rollback()
        assert second.execute(select(1)).scalar() == 1
        second.rollback()
        assert first.execute(select(1)).scalar() == 1
        first.invalidate()  # which ends its turn too
        assert second.execute(select(1)).scalar() == 1


@only_on_postgresql
@pytest.mark.usefixtures("any_app")
def test_postgresql_gives_up_on_what_hangs() -> None:
    wanted = {"statement_timeout": "15s", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "1min"}
    assert {name: db.session.execute(text(f"SHOW {name}")).scalar() for name in wanted} == wanted


@pytest.mark.usefixtures("any_app")
def test_a_row_that_points_nowhere_is_refused() -> None:
    db.session.add(message(user_id=4711))
    with pytest.raises(IntegrityError):
        db.session.commit()


@pytest.mark.usefixtures("any_app")
def test_many_ids_are_one_parameter() -> None:
    db.session.add_all(message() for _ in range(3))
    db.session.commit()
    ids = list(db.session.scalars(select(Message.id).order_by(Message.id)))
    for some in ([ids[0], ids[2]], {ids[1]}, ()):
        assert set(db.session.scalars(select(Message.id).where(among(Message.id, some)))) == set(some)
    assert set(db.session.scalars(select(Message.id).where(among(Message.id, iter(ids))))) == set(ids)


@pytest.mark.usefixtures("app")
def test_sqlite_looks_ids_up_instead_of_reading_the_table() -> None:
    statement = select(Message.id).where(among(Message.id, [1, 2])).compile(db.engine)
    with db.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("[1, 2]",)).all()
    assert [row.detail for row in plan if "feedback_message" in row.detail] == [
        "SEARCH feedback_message USING INTEGER PRIMARY KEY (rowid=?)"
    ]


@pytest.mark.usefixtures("any_app")
def test_an_id_is_never_given_twice() -> None:
    db.session.add(message())
    db.session.commit()
    first = db.session.scalars(select(Message.id)).one()
    db.session.execute(delete(Message))
    db.session.add(message())
    db.session.commit()
    assert db.session.scalars(select(Message.id)).one() > first


def test_writers_at_the_same_time_lose_nothing(any_app: Flask) -> None:
    start = Barrier(WRITERS)

    def write(number: int) -> None:
        start.wait()
        for count in range(EACH):
            with any_app.app_context():
                # Reading first: a transaction that begins as a reader cannot always become a writer.
                db.session.scalar(select(func.count()).select_from(Message))
                db.session.add(message(content=f"{number}/{count}"))
                db.session.commit()

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    stored = set(db.session.scalars(select(Message.content)))
    assert stored == {f"{number}/{count}" for number in range(WRITERS) for count in range(EACH)}


def test_the_clock_is_aware_and_in_utc() -> None:
    assert utcnow().utcoffset() == timedelta(0)
    assert abs(utcnow() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.usefixtures("any_app")
def test_a_naive_time_is_refused() -> None:
    db.session.add(message(created_at=datetime(2026, 1, 31, 12)))  # noqa: DTZ001
    with pytest.raises(StatementError, match="naive datetime"):
        db.session.commit()


@pytest.mark.usefixtures("any_app")
def test_a_naive_time_is_refused_in_a_question_too() -> None:
    with pytest.raises(StatementError, match="naive datetime"):
        db.session.scalars(select(Message).where(Message.created_at > datetime(2026, 1, 31))).all()  # noqa: DTZ001


@pytest.mark.usefixtures("any_app")
def test_a_time_comes_back_as_the_same_moment_in_utc() -> None:
    when = datetime(2026, 1, 31, 23, 30, 15, 123456, tzinfo=timezone(timedelta(hours=-5)))
    db.session.add(message(created_at=when, read_at=None))
    db.session.commit()
    db.session.expire_all()
    stored = db.session.scalars(select(Message)).one()
    assert stored.created_at == when
    assert stored.created_at.isoformat() == "2026-02-01T04:30:15.123456+00:00"
    assert stored.read_at is None
    assert db.session.scalar(select(Message.id).where(Message.created_at == when)) == stored.id


def test_the_migrations_make_what_the_models_describe(any_app: Flask) -> None:
    assert migrate(any_app, "check")
    assert tables() - {"feedback_search"} == set(Base.metadata.tables)


@pytest.mark.usefixtures("app")
def test_the_migrations_give_no_id_twice_where_the_models_do_not() -> None:
    described = {
        name for name, table in Base.metadata.tables.items() if table.dialect_options["sqlite"]["autoincrement"]
    }
    made = db.session.scalars(text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'"))
    assert set(made) == described
    assert {"feedback_message", "push_outbox", "push_delivery"} <= described


def test_the_migrations_go_down_and_up_again(any_app: Flask) -> None:
    assert migrate(any_app, "downgrade", "base")
    assert tables() == set()
    database.upgrade(any_app)
    assert migrate(any_app, "check")
    database.upgrade(any_app)  # a second time there is nothing to do


def test_devices_and_what_waits_for_them_get_the_number_of_their_push_service(any_app: Flask) -> None:
    nowhere(owner(), 2)
    nowhere(owner("other@example.org"), 1, origin="http://one.example")
    announce()
    numbers = text(
        "SELECT device.service, delivery.service FROM push_delivery AS delivery "
        "JOIN push_subscription AS device ON device.id = subscription_id ORDER BY delivery.id"
    )
    before = db.session.execute(numbers).all()
    assert migrate(any_app, "downgrade", "0003")
    database.upgrade(any_app)
    assert db.session.execute(numbers).all() == before
    assert [len(set(row)) for row in before] == [1, 1, 1]
    assert len(set(before)) == 2


@only_on_postgresql
def test_of_several_machines_that_migrate_at_once_each_waits_for_its_turn(any_app: Flask) -> None:
    assert migrate(any_app, "downgrade", "base")
    another = create_engine(any_app.extensions["settings"].database_url, isolation_level="AUTOCOMMIT")
    with another.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtext('feedback_push.migrations'))"))
        environment = environment_of(any_app.extensions["settings"])
        command = [str(servers.BIN / "flask"), "--app", "wsgi", "db", "upgrade"]
        with subprocess.Popen(command, cwd=servers.CHECKOUT, env=environment, stderr=subprocess.DEVNULL) as waiting:
            queue = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            servers.wait_until(lambda: connection.execute(queue).scalar() == 1, 30, "the wait for a turn")
            assert tables() == set()
            connection.execute(text("SELECT pg_advisory_unlock_all()"))
            assert waiting.wait(60) == 0
    another.dispose()
    assert tables() == set(Base.metadata.tables)


@only_on_postgresql
def test_a_process_that_has_migrated_keeps_nobody_waiting(any_app: Flask) -> None:
    database.upgrade(any_app)
    neighbour = create_engine(any_app.extensions["settings"].database_url)
    with neighbour.connect() as connection:
        question = text("SELECT pg_try_advisory_lock(hashtext('feedback_push.migrations'))")
        assert connection.execute(question).scalar()
    neighbour.dispose()
