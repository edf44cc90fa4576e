"""feedback/confirmation.py: a browser without JavaScript confirms its own messages only."""

import pytest
from sqlalchemy import select

from feedback_push.database import db
from feedback_push.feedback.models import Message, MessageState
from feedback_push.feedback.spam_reasons import SpamReason
from tests.feedback.trapped_form import ARRIVED, ASKED, THANKED, Pass, opened, press, send, set_aside, stored
from tests.visits import Page, Visitor


def test_without_javascript_one_more_step_leads_to_the_inbox(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(60)
    assert send(visitor, form) == ASKED
    assert stored(visitor) == [set_aside(SpamReason.NO_PROOF)]  # nothing is lost, even if this is the end of it
    page = visitor.read("/feedback/confirm/")
    assert (page.status, page.alert) == (200, "")
    assert "Your message is stored" in page.one("main").words
    let_pass(1.1)
    answer = press(visitor)
    assert (answer.status_code, answer.location) == THANKED
    assert stored(visitor) == [ARRIVED]


def test_the_button_pressed_before_anybody_can_have_read_it_asks_again(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(60)
    send(visitor, form)
    page = Page(press(visitor))
    assert page.status == 422
    assert "press the button again" in page.alert
    assert stored(visitor) == [set_aside(SpamReason.NO_PROOF)]
    let_pass(1.1)
    assert visitor.post("/feedback/confirm/", data=page.fields).status_code == 303
    assert stored(visitor) == [ARRIVED]


def test_each_press_confirms_one_message_of_this_browser_and_nothing_of_others(
    visitor: Visitor, let_pass: Pass
) -> None:
    stranger = Visitor(visitor.application)
    for somebody in (visitor, visitor, stranger):
        form = opened(somebody)
        let_pass(60)
        assert send(somebody, form) == ASKED
    waits = set_aside(SpamReason.NO_PROOF)
    page = visitor.read("/feedback/confirm/")
    assert "2 of your messages are waiting" in page.one("main").words
    assert visitor.post("/feedback/confirm/", data=page.fields).location == "/feedback/confirm/"
    assert stored(visitor) == [waits, ARRIVED, waits]  # the newest first, which the page asked for
    assert visitor.post("/feedback/confirm/", data=page.fields).location == "/feedback/complete/"
    assert stored(visitor) == [waits, ARRIVED, waits]  # the same page again is about the same message
    answer = press(visitor)
    assert (answer.status_code, answer.location) == THANKED
    assert stored(visitor) == [ARRIVED, ARRIVED, waits]


def test_the_message_of_another_browser_cannot_be_named(visitor: Visitor, let_pass: Pass) -> None:
    stranger = Visitor(visitor.application)
    for somebody in (visitor, stranger):
        form = opened(somebody)
        let_pass(60)
        send(somebody, form)
    let_pass(1.1)
    assert press(stranger, message="1").status_code == 303
    assert stored(visitor) == [set_aside(SpamReason.NO_PROOF)] * 2


def test_a_confirmation_can_be_given_for_a_day(visitor: Visitor, let_pass: Pass) -> None:
    forms = [opened(visitor) for _ in range(2)]
    let_pass(60)
    send(visitor, forms[0])
    let_pass(86400 - 60)
    send(visitor, forms[1])
    let_pass(61)
    page = visitor.read("/feedback/confirm/")
    assert "waiting for this step" not in page.one("main").words
    assert press(visitor).location == "/feedback/complete/"
    assert stored(visitor) == [set_aside(SpamReason.NO_PROOF), ARRIVED]


def test_who_has_nothing_to_confirm_is_thanked_and_changes_nothing(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(60)
    send(visitor, form, website="x")
    for answer in (visitor.get("/feedback/confirm/"), visitor.post("/feedback/confirm/", data=form)):
        assert (answer.status_code, answer.location) == THANKED
    assert stored(visitor) == [set_aside(SpamReason.HONEYPOT)]


def test_what_an_administrator_has_decided_meanwhile_is_not_undone(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(60)
    send(visitor, form)
    with visitor.application.app_context():
        db.session.scalars(select(Message)).one().spam_reason = None
        db.session.commit()
    let_pass(1.1)
    assert press(visitor).status_code == 303
    assert stored(visitor) == [(MessageState.SPAM, None, False)]


def test_a_second_press_tells_nobody_twice(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(60)
    send(visitor, form)
    before = visitor.get_cookie("session", domain="127.0.0.1")
    let_pass(1.1)
    press(visitor)
    assert before
    visitor.set_cookie("session", before.value, domain="127.0.0.1")
    assert press(visitor).status_code == 303
    assert stored(visitor) == [ARRIVED]


def test_the_one_more_step_without_its_token_asks_again(visitor: Visitor, let_pass: Pass) -> None:
    form = opened(visitor)
    let_pass(60)
    send(visitor, form)
    let_pass(1.1)
    page = Page(press(visitor, csrf_token="old"))
    assert page.status == 400
    assert "again" in page.alert
    assert visitor.post("/feedback/confirm/", data=page.fields).status_code == 303
    assert stored(visitor) == [ARRIVED]


def test_a_confirmation_that_cannot_be_stored_can_be_sent_again(
    visitor: Visitor, let_pass: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = opened(visitor)
    let_pass(60)
    send(visitor, form)
    let_pass(1.1)
    rename(visitor, "push_outbox", "elsewhere")
    assert press(visitor).status_code == 503
    rename(visitor, "elsewhere", "push_outbox")
    assert press(visitor).status_code == 303
    assert stored(visitor) == [ARRIVED]


def rename(visitor: Visitor, table: str, name: str) -> None:
    with visitor.application.app_context():
        db.session.execute(db.text(f"ALTER TABLE {table} RENAME TO {name}"))
        db.session.commit()
