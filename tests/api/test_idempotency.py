"""api/idempotency.py: of two requests at once one is carried out, and the rows have an end."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from feedback_push.api import idempotency
from feedback_push.api.idempotency import Once
from feedback_push.api.models import IdempotentRequest
from feedback_push.database import Base, db, utcnow
from feedback_push.feedback.models import Message, Reply
from tests.api.page import GOOD, SHOP_FORM, OtherPage
from tests.api.program import Program
from tests.feedback.messages import own_form
from tests.visitors.conversations import begun

KEY = "4f5e0d1c-9a55-4f5e-8d3c"


def count(model: type[Base]) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_of_two_requests_at_once_one_is_carried_out_and_both_get_its_answer(
    any_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, message = Program(any_app), begun()[0]
    own_form(**SHOP_FORM)
    page, replies = OtherPage(any_app), f"/messages/{message.id}/replies"
    note = {"to": "administrators", "title": "x"}
    first = [
        program.call("POST", replies, {"content": "Thanks"}, Idempotency_Key=KEY),
        program.call("POST", "/notifications", note, Idempotency_Key=f"{KEY}2"),
        page.post(GOOD, Idempotency_Key=KEY),
    ]
    assert [answer.status_code for answer in first] == [201, 201, 201]
    # The second request looks before the first has committed, so it finds nothing and goes on.
    result = Once.result
    looked: set[str] = set()

    def look_too_early(once: Once) -> int | None:
        if once.key_hash in looked:
            return result(once)
        looked.add(once.key_hash)
        return None

    monkeypatch.setattr(Once, "result", look_too_early)
    second = [
        program.call("POST", replies, {"content": "Thanks"}, Idempotency_Key=KEY),
        program.call("POST", "/notifications", note, Idempotency_Key=f"{KEY}2"),
        page.post(GOOD, Idempotency_Key=KEY),
    ]
    assert [answer.get_json() for answer in second] == [answer.get_json() for answer in first]
    assert (count(Reply), count(Message), count(IdempotentRequest)) == (1, 2, 3)


def test_rows_are_removed_after_a_day_and_the_oldest_beyond_the_limit(
    any_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(number: int, hours: int) -> None:
        made = {"key_hash": f"{number}", "fingerprint": "", "created_at": utcnow() - timedelta(hours=hours)}
        db.session.add(IdempotentRequest(result_id=number, **made))
        db.session.commit()

    for number, hours in enumerate((30, 25, 23, 0, 0)):
        add(number, hours)
    idempotency.remove_old(utcnow())
    db.session.commit()
    assert count(IdempotentRequest) == 3
    monkeypatch.setattr(idempotency, "MOST", 2)
    idempotency.remove_old(utcnow())
    db.session.commit()
    assert db.session.scalars(select(IdempotentRequest.result_id).order_by(IdempotentRequest.id)).all() == [3, 4]
