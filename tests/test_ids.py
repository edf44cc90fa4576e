"""ids.py: read ids from a request, and pass any number of them as one parameter that uses an index."""

import pytest
from sqlalchemy import select

from feedback_push import ids
from feedback_push.database import db
from feedback_push.feedback.models import Message
from feedback_push.ids import id_in
from tests.feedback.messages import message


@pytest.mark.usefixtures("any_app")
def test_many_ids_are_one_parameter() -> None:
    db.session.add_all(message() for _ in range(3))
    db.session.commit()
    stored = list(db.session.scalars(select(Message.id).order_by(Message.id)))
    for some in ([stored[0], stored[2]], {stored[1]}, ()):
        assert set(db.session.scalars(select(Message.id).where(id_in(Message.id, some)))) == set(some)
    assert set(db.session.scalars(select(Message.id).where(id_in(Message.id, iter(stored))))) == set(stored)


@pytest.mark.usefixtures("app")
def test_sqlite_looks_ids_up_instead_of_reading_the_table() -> None:
    statement = select(Message.id).where(id_in(Message.id, [1, 2])).compile(db.engine)
    with db.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("[1, 2]",)).all()
    assert [row.detail for row in plan if "feedback_message" in row.detail] == [
        "SEARCH feedback_message USING INTEGER PRIMARY KEY (rowid=?)"
    ]


def test_only_a_number_in_the_range_of_ids_is_read_as_an_id() -> None:
    assert [ids.parse(text) for text in ("0", "007", "9223372036854775807")] == [0, 7, 2**63 - 1]
    for text in ("", "x", "-1", "+1", " 1", "1_0", "\uff11", "\xb2", "9223372036854775808", "0" * 20, "1" * 5000):
        with pytest.raises(ValueError, match="not an id"):
            ids.parse(text)
