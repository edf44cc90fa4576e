"""feedback/purge.py: remove deleted messages after a day, and data older than the settings allow."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from feedback_push import maintenance
from feedback_push.auth import audit
from feedback_push.auth.audit_models import AuditEntry, AuditEvent
from feedback_push.database import db, utcnow
from feedback_push.feedback import daily_counts, personal_data, purge
from feedback_push.feedback.daily_counts import Count
from feedback_push.feedback.models import DailyCount, Message, MessageState
from feedback_push.push import outbox
from feedback_push.push.models import Delivery, DeliveryState, OutboxEntry
from tests.admin.rows import delivery, device
from tests.conftest import make_user
from tests.feedback.messages import receive


def left() -> list[int]:
    return list(db.session.scalars(select(Message.id).order_by(Message.id)))


@pytest.mark.usefixtures("app")
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
    maintenance.run_all()
    assert left() == ids[:1]
    maintenance.run_all()
    assert left() == []


@pytest.mark.usefixtures("app")
def test_a_message_without_a_notification_goes_too() -> None:
    message = receive(deleted_at=utcnow() - timedelta(days=2))
    message.outbox_entry = None
    db.session.commit()
    purge.remove_deleted(utcnow())
    assert left() == []


AGED = {"retain_messages_days": 100, "retain_spam_days": 30, "retain_deliveries_days": 90, "retain_audit_days": 365}


def sweep(app: Flask, **changes: int) -> None:
    """Run one sweep's clean-up under these settings."""
    settings = app.extensions["settings"]
    app.extensions["settings"] = replace(settings, **{**AGED, **changes})
    purge.remove_old(utcnow())
    db.session.commit()
    db.session.expire_all()
    app.extensions["settings"] = settings


def days_ago(days: float) -> datetime:
    return utcnow() - timedelta(days=days)


def entry_made(days: float, **more: Any) -> OutboxEntry:
    made = days_ago(days)
    entry = OutboxEntry(payload="{}", topic="t", urgency="high", created_at=made, **{"expires_at": made, **more})
    db.session.add(entry)
    db.session.commit()
    return entry


@pytest.mark.parametrize("state", list(MessageState))
def test_a_message_older_than_the_settings_say_goes_wherever_it_is(app: Flask, state: MessageState) -> None:
    kept = receive(created_at=days_ago(99.9))
    receive(created_at=days_ago(100.1), state=state, content="Forget this")
    receive(created_at=days_ago(100.1), deleted_at=utcnow())
    sweep(app, retain_spam_days=0)
    assert left() == [kept.id]
    assert list(db.session.scalars(select(OutboxEntry.id))) == [kept.outbox_id]


def test_spam_has_an_age_of_its_own(app: Flask) -> None:
    spam = {"state": MessageState.SPAM, "spam_reason": "honeypot"}
    receive(created_at=days_ago(30.1), **spam)
    kept = [receive(created_at=days_ago(29.9), **spam), receive(created_at=days_ago(60))]
    sweep(app)
    assert left() == [message.id for message in kept]


def test_a_message_loses_only_its_delivery_history(app: Flask) -> None:
    user = make_user("staff@example.org")
    old, young = receive(content="Old"), receive(content="Young")
    for message in (old, young):
        delivery(message, device(user), state=DeliveryState.ACCEPTED)
    assert old.outbox_entry
    old.outbox_entry.created_at = old.outbox_entry.expires_at = days_ago(90.1)
    db.session.commit()
    sweep(app)
    assert (old.outbox_id, old.content, old.state) == (None, "Old", MessageState.NEW)
    assert [entry.id for entry in db.session.scalars(select(OutboxEntry))] == [young.outbox_id]
    assert [row.outbox_id for row in db.session.scalars(select(Delivery))] == [young.outbox_id]


def test_a_notification_that_may_still_be_sent_stays(app: Flask) -> None:
    entry = entry_made(2, expires_at=utcnow() + timedelta(hours=1))
    sweep(app, retain_deliveries_days=1)
    assert db.session.get(OutboxEntry, entry.id)


def test_the_audit_log_has_an_age_too(app: Flask) -> None:
    for days in (366, 364):
        audit.record(AuditEvent.KEY_ROTATED)
        newest = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert newest
        newest.at = days_ago(days)
        db.session.commit()
    sweep(app)
    assert [entry.id for entry in db.session.scalars(select(AuditEntry))] == [2]


def test_zero_days_are_for_ever(app: Flask) -> None:
    kept = [receive(created_at=days_ago(5000)).id, receive(created_at=days_ago(5000), state=MessageState.SPAM).id]
    entry_made(5000)
    sweep(app, **dict.fromkeys(AGED, 0))
    assert left() == kept
    assert len(db.session.scalars(select(OutboxEntry)).all()) == 3


def test_what_is_too_old_goes_in_batches_for_a_second_and_then_with_the_next_sweep(
    any_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "BATCH", 2)
    for _ in range(7):
        receive(created_at=days_ago(200))
    monkeypatch.setattr(purge, "_SECONDS", -1)
    sweep(any_app)
    assert len(left()) == 5
    monkeypatch.setattr(purge, "_SECONDS", 60)
    sweep(any_app)
    assert left() == []


def test_the_sweep_does_it_by_itself(app: Flask) -> None:
    receive(created_at=days_ago(31), state=MessageState.SPAM)
    maintenance.run_all()
    assert left() == []


@pytest.mark.usefixtures("any_app")
def test_what_went_to_many_devices_goes_in_steps_each_in_a_transaction_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "MOST_DELIVERIES", 2)
    user = make_user("staff@example.org")
    devices = [device(user) for _ in range(5)]
    now = utcnow()
    message = receive(deleted_at=now - timedelta(days=2))
    for each in devices:
        delivery(message, each, state=DeliveryState.ACCEPTED)
    counts = []
    for _ in range(3):
        purge.remove_deleted(now)
        db.session.commit()
        counts.append((len(left()), len(list(db.session.scalars(select(Delivery.id))))))
    assert counts == [(1, 3), (1, 1), (0, 0)]


@pytest.mark.usefixtures("any_app")
def test_so_does_an_old_entry_and_whoever_is_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_DELIVERIES", 2)
    user = make_user("staff@example.org")
    devices = [device(user) for _ in range(3)]
    messages = [receive(submitter_email="ada@example.org"), receive()]
    for message in messages:
        for each in devices:
            delivery(message, each, state=DeliveryState.ACCEPTED)
    assert personal_data.erase_some("ada@example.org") == 1
    db.session.commit()
    assert left() == [messages[1].id]
    db.session.execute(update(OutboxEntry).values(expires_at=utcnow() - timedelta(days=1)))
    later = utcnow() + timedelta(days=1)
    assert [outbox.remove_older(later, 500) for _ in range(3)] == [1, 1, 0]
    assert db.session.scalars(select(Delivery.id)).all() == db.session.scalars(select(OutboxEntry.id)).all() == []


@pytest.mark.usefixtures("any_app")
def test_a_full_spam_list_loses_its_oldest_messages_and_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "MOST_SPAM", 4)
    monkeypatch.setattr(purge, "MOST_SPAM_BYTES", 100)
    monkeypatch.setattr(purge, "BATCH", 2)
    inbox = [receive(content="x" * 200).id for _ in range(2)]
    spam = [receive(state=MessageState.SPAM).id for _ in range(9)]
    purge.bound_spam(utcnow())
    assert left() == [*inbox, *spam[-4:]]
    large = receive(state=MessageState.SPAM, content="é" * 45).id  # 90 bytes, so that room for two of 5 is left
    purge.bound_spam(utcnow())
    db.session.commit()
    assert left() == [*inbox, *spam[-2:], large]
    assert daily_counts.recent() == {Count.SPAM_REMOVED: 5 + 2}


@pytest.mark.usefixtures("app")
def test_counts_of_days_long_gone_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    today = utcnow()
    for days in (40, 20, 1, 0):
        monkeypatch.setattr(daily_counts, "utcnow", lambda days=days: today - timedelta(days=days))
        daily_counts.add(Count.NOT_NOTIFIED)
    assert daily_counts.recent() == {Count.NOT_NOTIFIED: 2}
    purge.bound_spam(today)
    assert len(db.session.scalars(select(DailyCount.day)).all()) == 3
