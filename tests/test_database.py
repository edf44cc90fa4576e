"""database.py: times in UTC, ids that are given once, and writers that lose nothing."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from feedback_push.database import db, utcnow
from feedback_push.feedback.models import Message
from tests.feedback.messages import message

WRITERS = 4
EACH = 15


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
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
