"""feedback/bulk_actions.py: every move goes where it should, touches nothing else, and can be taken back."""

import pytest
from flask import Flask
from sqlalchemy import select

from feedback_push.database import db, utcnow
from feedback_push.feedback import bulk_actions
from feedback_push.feedback.bulk_actions import BulkAction
from feedback_push.feedback.models import Message, MessageState
from tests.feedback.messages import receive

ALL = [state.value for state in MessageState]
# The state of a message after an action, by its state before; None: deleted.
TABLE: list[tuple[BulkAction, list[str | None]]] = [
    (BulkAction.READ, ["read", "read", "answered", "archived", "spam"]),
    (BulkAction.UNREAD, ["new", "new", "answered", "archived", "spam"]),
    (BulkAction.ANSWERED, ["answered", "answered", "answered", "answered", "spam"]),
    (BulkAction.ARCHIVE, ["archived", "archived", "archived", "archived", "spam"]),
    (BulkAction.INBOX, ["new", "read", "read", "read", "spam"]),
    (BulkAction.SPAM, ["spam", "spam", "spam", "spam", "spam"]),
    (BulkAction.NOT_SPAM, ["new", "read", "answered", "archived", "new"]),
    (BulkAction.DELETE, [None, None, None, None, None]),
]


@pytest.fixture
def ids(app: Flask) -> list[int]:
    """One message in each state, and one that is deleted."""
    stored = [
        receive(state=state, spam_reason="links" if state == MessageState.SPAM else None) for state in MessageState
    ]
    return [message.id for message in [*stored, receive(deleted_at=utcnow())]]


def states() -> list[str | None]:
    rows = db.session.execute(select(Message.state, Message.deleted_at).order_by(Message.id)).all()
    return [None if row.deleted_at else row.state for row in rows]


@pytest.mark.parametrize(("how", "after"), TABLE)
def test_every_action_changes_the_state_and_is_undone(ids: list[int], how: BulkAction, after: list[str | None]) -> None:
    moved = bulk_actions.apply(how, [*ids, 4711])
    db.session.commit()
    assert states() == [*after, None]
    assert moved.count == sum(was != then for was, then in zip(ALL, after, strict=True))
    bulk_actions.undo(moved.before)
    db.session.commit()
    assert states() == [*ALL, None]
    assert db.session.scalars(select(Message.spam_reason).order_by(Message.id)).all()[ALL.index("spam")] == "links"


@pytest.mark.usefixtures("any_app")
def test_only_the_named_messages_change(ids: list[int]) -> None:
    moved = bulk_actions.apply(BulkAction.DELETE, ids[1:2])
    assert moved.count == 1
    assert states() == ["new", None, "answered", "archived", "spam", None]
    assert bulk_actions.apply(BulkAction.DELETE, []).count == 0


def test_marking_read_keeps_when_it_was_opened_first(ids: list[int]) -> None:
    bulk_actions.apply(BulkAction.READ, ids)
    db.session.commit()
    first = db.session.get_one(Message, ids[0])
    opened_at = first.read_at
    assert opened_at
    bulk_actions.apply(BulkAction.UNREAD, ids[:1])
    bulk_actions.apply(BulkAction.READ, ids[:1])
    db.session.commit()
    db.session.refresh(first)
    assert first.read_at == opened_at


def test_no_spam_names_the_notifications_to_wake(ids: list[int]) -> None:
    spam = db.session.get_one(Message, ids[ALL.index("spam")])
    spam.outbox_entry = None
    db.session.commit()
    assert bulk_actions.apply(BulkAction.NOT_SPAM, ids).entry_ids == [spam.outbox_id]
    assert spam.outbox_id


@pytest.mark.usefixtures("any_app")
def test_a_restored_message_is_where_it_was_before_its_deletion(ids: list[int]) -> None:
    deleted = bulk_actions.apply(BulkAction.DELETE, ids[:4])
    db.session.commit()
    restored = bulk_actions.apply(BulkAction.RESTORE, ids)
    db.session.commit()
    assert (deleted.count, restored.count, restored.before) == (4, 5, [])
    assert states() == [*ALL, "new"]
    assert bulk_actions.apply(BulkAction.RESTORE, ids).count == 0
