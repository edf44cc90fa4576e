"""feedback/inbox.py: a message and the notification about it, and the pages of messages."""

import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from feedback_push.database import db, utcnow
from feedback_push.feedback import inbox, lists
from feedback_push.feedback.models import Message, MessageState
from feedback_push.push.models import OutboxEntry
from tests.conftest import make_user
from tests.feedback.messages import message, receive

FAMILY = "👩‍👩‍👧‍👦"  # one character to a reader, seven to Python


def count(model: type[Message] | type[OutboxEntry]) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def notification_of(stored: Message) -> dict[str, str]:
    assert stored.outbox_entry
    told = json.loads(stored.outbox_entry.payload)
    assert told["web_push"] == 8030
    notification: dict[str, str] = told["notification"]
    return notification


def test_a_message_is_stored_with_the_notification_about_it(app: Flask) -> None:
    entry_id = inbox.receive(message(content="It works", submitter_name="Ada"))
    db.session.commit()
    stored = db.session.scalars(select(Message)).one()
    assert stored.outbox_id == entry_id
    assert stored.read_at is None
    assert abs(stored.created_at - utcnow()) < timedelta(minutes=1)
    told = notification_of(stored)
    assert (told["title"], told["body"]) == ("Ada:", "It works")
    assert told["navigate"] == f"http://127.0.0.1:8000/admin/messages/{stored.id}"
    assert told["tag"] == f"message-{stored.id}"
    assert stored.outbox_entry
    assert stored.outbox_entry.fanned_out_at is None
    ttl = app.extensions["settings"].push_ttl
    assert stored.outbox_entry.expires_at - stored.outbox_entry.created_at == timedelta(seconds=ttl)


@pytest.mark.usefixtures("app")
def test_the_notification_says_how_many_are_unread() -> None:
    receive(state=MessageState.READ)
    receive()
    stored = receive()
    assert stored.outbox_entry
    assert json.loads(stored.outbox_entry.payload)["app_badge"] == 2


@pytest.mark.usefixtures("app")
def test_the_notification_offers_to_answer() -> None:
    told: dict[str, Any] = dict(notification_of(stored := receive(submitter_email="")))
    address = f"http://127.0.0.1:8000/admin/messages/{stored.id}#answer"
    assert told["actions"] == [{"action": "answer", "title": "Answer", "navigate": address}]


@pytest.mark.usefixtures("app")
def test_a_message_that_is_no_spam_becomes_new_and_notifies_once() -> None:
    told, untold = receive(state=MessageState.SPAM), message(state=MessageState.SPAM, spam_reason="links")
    deleted, archived = receive(state=MessageState.SPAM, deleted_at=utcnow()), receive(state=MessageState.ARCHIVED)
    db.session.add(untold)
    db.session.commit()
    ids = [told.id, untold.id, deleted.id, archived.id, 4711]
    new_entries = inbox.release(ids)
    db.session.commit()
    assert [untold.outbox_id] == new_entries
    assert notification_of(untold)["tag"] == f"message-{untold.id}"
    assert (untold.state, untold.spam_reason, told.state) == (MessageState.NEW, None, MessageState.NEW)
    assert (deleted.state, archived.state) == (MessageState.SPAM, MessageState.ARCHIVED)
    assert inbox.release(ids) == []


@pytest.mark.usefixtures("app")
def test_both_are_there_or_neither_when_the_caller_gives_up() -> None:
    inbox.receive(message())
    db.session.rollback()
    assert (count(Message), count(OutboxEntry)) == (0, 0)


@pytest.mark.usefixtures("any_app")
@pytest.mark.parametrize(("missing", "other"), [("push_outbox", Message), ("feedback_message", OutboxEntry)])
def test_a_message_and_its_outbox_entry_are_not_stored_without_each_other(missing: str, other: type) -> None:
    db.session.execute(text(f"ALTER TABLE {missing} RENAME TO elsewhere"))
    db.session.commit()
    with pytest.raises(DBAPIError):
        inbox.receive(message())
    db.session.rollback()
    assert count(other) == 0


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("content", "body"),
    [
        ("short", "short"),
        ("x" * 120, "x" * 120),
        ("x" * 121, "x" * 120 + "..."),
        ("x" * 119 + FAMILY, "x" * 119 + "..."),
        ("x" * 110 + FAMILY + "and more", "x" * 110 + FAMILY + "and..."),
        ("a\x07b\x1b[31mc\x00", "ab[31mc"),
        ("first\nsecond", "first\nsecond"),
        ("👍🏽" * 70, "👍🏽" * 60 + "..."),
    ],
)
def test_the_notification_holds_the_first_120_characters(content: str, body: str) -> None:
    stored = receive(content=content.replace("\0", ""))
    assert notification_of(stored)["body"] == body


@pytest.mark.usefixtures("app")
def test_the_longest_message_from_the_longest_name_still_makes_a_notification() -> None:
    stored = receive(content="𐍈\u0301" * 100_000, submitter_name="\U0010ffff" * 200)
    assert stored.outbox_entry
    assert len(stored.outbox_entry.payload.encode()) <= 3000
    assert notification_of(stored)["title"] == "\U0010ffff" * 200 + ":"
    db.session.expire_all()
    assert stored.content == "𐍈\u0301" * 100_000


@pytest.mark.usefixtures("app")
def test_a_message_is_unread_until_it_is_opened_first() -> None:
    first, second = receive(), receive()
    assert lists.unread() == 2
    inbox.mark_read(first)
    db.session.commit()
    assert lists.unread() == 1
    opened_at = first.read_at
    inbox.mark_read(first)
    assert first.read_at == opened_at
    assert second.read_at is None


@pytest.mark.usefixtures("any_app")
def test_opening_a_message_that_somebody_is_just_moving_does_not_move_it_back() -> None:
    opened = receive()
    assert opened.read_at is None
    move = update(Message).values(state=MessageState.ARCHIVED)
    db.session.execute(move, execution_options={"synchronize_session": False})
    inbox.mark_read(opened)
    db.session.commit()
    assert opened.state == MessageState.ARCHIVED
    assert opened.read_at


@pytest.mark.usefixtures("app")
def test_opening_a_message_that_somebody_is_just_erasing_is_no_error() -> None:
    opened = receive()
    assert opened.read_at is None
    db.session.execute(delete(Message), execution_options={"synchronize_session": False})
    inbox.mark_read(opened)
    db.session.commit()
    assert lists.unread() == 0


@pytest.mark.usefixtures("app")
def test_a_message_is_found_with_the_user_who_wrote_it() -> None:
    user = make_user("staff@example.org")
    stored = receive(user_id=user.id)
    assert inbox.find(stored.id) is stored
    assert stored.user is user
    assert inbox.find(stored.id + 1) is None
    stored.deleted_at = utcnow()
    assert inbox.find(stored.id) is None


@pytest.mark.usefixtures("any_app")
def test_a_message_outlives_its_writer_and_its_notification() -> None:
    user = make_user("staff@example.org")
    stored = receive(user_id=user.id)
    db.session.delete(user)
    db.session.execute(delete(OutboxEntry))
    db.session.commit()
    assert (stored.user_id, stored.outbox_id, stored.content) == (None, None, "Hello")
