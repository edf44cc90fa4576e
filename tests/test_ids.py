"""ids.py: any number of ids is one parameter, and an index still finds them."""

import pytest
from sqlalchemy import select

from feedback_push.database import db
from feedback_push.feedback.models import Message
from feedback_push.ids import id_in
from tests.feedback.messages import message


@pytest.mark.usefixtures("any_app")
def test_many_ids_are_one_parameter() -> None:
    db.session.add_all(message() for _ in range(3))
    db.session.commit()
    ids = list(db.session.scalars(select(Message.id).order_by(Message.id)))
    for some in ([ids[0], ids[2]], {ids[1]}, ()):
        assert set(db.session.scalars(select(Message.id).where(id_in(Message.id, some)))) == set(some)
    assert set(db.session.scalars(select(Message.id).where(id_in(Message.id, iter(ids))))) == set(ids)


@pytest.mark.usefixtures("app")
def test_sqlite_looks_ids_up_instead_of_reading_the_table() -> None:
    statement = select(Message.id).where(id_in(Message.id, [1, 2])).compile(db.engine)
    with db.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("[1, 2]",)).all()
    assert [row.detail for row in plan if "feedback_message" in row.detail] == [
        "SEARCH feedback_message USING INTEGER PRIMARY KEY (rowid=?)"
    ]
