"""feedback/purge.py: what was deleted can be brought back for a day, and is gone after it."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from feedback_push.database import db, utcnow
from feedback_push.feedback import purge
from feedback_push.feedback.models import Message
from feedback_push.push import chores
from feedback_push.push.models import OutboxEntry
from tests.feedback.messages import receive


def left() -> list[int]:
    return list(db.session.scalars(select(Message.id).order_by(Message.id)))


@pytest.mark.usefixtures("any_app")
def test_a_deleted_message_goes_for_good_after_a_day_together_with_its_notification() -> None:
    now = utcnow()
    kept = [receive(), receive(deleted_at=now - timedelta(hours=23, minutes=59))]
    gone = receive(content="Forget this", deleted_at=now - timedelta(hours=24, minutes=1))
    assert gone.outbox_entry
    assert "Forget this" in gone.outbox_entry.payload
    purge.remove_deleted(now)
    db.session.commit()
    assert left() == [message.id for message in kept]
    assert set(db.session.scalars(select(OutboxEntry.id))) == {message.outbox_id for message in kept}


@pytest.mark.usefixtures("any_app")
def test_it_goes_in_small_batches_the_longest_deleted_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "BATCH", 2)
    now = utcnow()
    ids = [receive(deleted_at=now - timedelta(days=days)).id for days in (2, 4, 3)]
    db.session.commit()
    chores.do_all()
    assert left() == ids[:1]
    chores.do_all()
    assert left() == []


@pytest.mark.usefixtures("any_app")
def test_a_message_without_a_notification_goes_too() -> None:
    message = receive(deleted_at=utcnow() - timedelta(days=2))
    message.outbox_entry = None
    db.session.commit()
    purge.remove_deleted(utcnow())
    assert left() == []
