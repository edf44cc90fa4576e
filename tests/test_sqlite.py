"""sqlite.py: every connection is durable, and threads stand in line to write."""

import time

import pytest
from flask import Flask
from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.exc import OperationalError

from feedback_push import sqlite
from feedback_push.database import db
from feedback_push.feedback.models import Message
from tests.feedback.messages import message
from tests.push.workers import side_by_side

WRITERS = 4
EACH = 15


@pytest.mark.usefixtures("app")
def test_every_sqlite_connection_is_durable_and_minds_foreign_keys() -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    for _ in range(2):
        assert {name: db.session.execute(text(f"PRAGMA {name}")).scalar() for name in wanted} == wanted
        db.session.remove()
        db.engine.dispose()  # so that the next connection is a new one


@pytest.mark.usefixtures("app")
def test_threads_stand_in_line_for_sqlite(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_ASK_AGAIN", -1.0)  # a writer that finds the database locked would fail

    def write() -> None:
        for _ in range(EACH):
            db.session.add(message())
            time.sleep(0.001)
            db.session.commit()

    side_by_side(app, WRITERS, write)
    assert db.session.scalar(select(func.count()).select_from(Message)) == WRITERS * EACH


@pytest.mark.usefixtures("app")
def test_a_waiting_caller_times_out_and_delays_no_other(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.01)
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


def test_a_request_that_only_asks_waits_for_nobody_and_keeps_nobody_waiting(app: Flask) -> None:
    with db.engine.connect() as writer:
        _write(writer, "first")
        with app.test_request_context():
            assert _names() == []
            writer.commit()
            _write(writer, "second")
            writer.commit()
            assert _names() == []  # still as at its beginning
            db.session.rollback()
            assert _names() == ["first", "second"]


def test_a_request_that_writes_after_all_stands_in_line_and_then_sees_what_has_come(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.01)
    with db.engine.connect() as other:
        _write(other, "first")
        with app.test_request_context():
            assert _names() == []
            for _ in range(2):  # the second time too: nothing may be written outside a transaction
                with pytest.raises(OperationalError, match="locked"):
                    _change()
            other.commit()  # a connection with an older snapshot could no longer write
            _change()
            assert _names() == ["changed"]
            with pytest.raises(OperationalError, match="locked"):
                other.execute(update(Message).values(submitter_name="lost"))
            db.session.commit()
    assert _names() == ["changed"]


def _names() -> list[str]:
    return list(db.session.scalars(select(Message.submitter_name)))


def _change() -> None:
    db.session.execute(update(Message).values(submitter_name="changed"))


def _write(connection: Connection, name: str) -> None:
    connection.execute(insert(Message).values(submitter_name=name, submitter_email="", content="…"))
