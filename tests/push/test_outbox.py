"""The outbox: a notification exists if and only if its caller commits; a published task is only a hint."""

from datetime import timedelta

from flask import Flask

from feedback_push.database import db, utcnow
from feedback_push.push import outbox
from feedback_push.push.models import OutboxEntry
from tests.published import PublishedTasks
from tests.push.devices import owner, unreachable_devices
from tests.push.notes import NOTE, time_passes


def _entry() -> OutboxEntry:
    entry = outbox.enqueue(NOTE)
    db.session.commit()
    return entry


def test_an_entry_carries_the_finished_notification(app: Flask) -> None:
    before = utcnow()
    entry = _entry()
    assert (entry.payload, entry.topic, entry.urgency) == (NOTE.to_json(), NOTE.topic, "high")
    assert before <= entry.created_at <= utcnow()
    ttl = app.extensions["settings"].push_ttl
    assert entry.expires_at - entry.created_at == timedelta(seconds=ttl)
    assert (entry.fanned_out_at, entry.last_subscription_id) == (None, 0)
    assert (entry.kind, entry.user_id, entry.subscription_id) == ("feedback", None, None)


def test_an_entry_can_be_of_another_kind_and_for_one_administrator_or_one_device(app: Flask) -> None:
    user = owner()
    [device_id] = unreachable_devices(user, 1)
    for_user = outbox.enqueue(NOTE, kind="summary", user_id=user.id)
    for_device = outbox.enqueue(NOTE, kind="test", subscription_id=device_id)
    db.session.commit()
    assert (for_user.kind, for_user.user_id, for_user.subscription_id) == ("summary", user.id, None)
    assert (for_device.kind, for_device.user_id, for_device.subscription_id) == ("test", None, device_id)


def test_an_entry_exists_only_when_its_caller_commits(app: Flask) -> None:
    outbox.enqueue(NOTE)
    db.session.rollback()
    assert db.session.query(OutboxEntry).count() == 0
    _entry()
    db.session.rollback()
    assert db.session.query(OutboxEntry).count() == 1


def test_enqueueing_publishes_nothing(app: Flask, published: PublishedTasks) -> None:
    _entry()
    assert published.all() == []


def test_waking_publishes_a_task_for_the_entry(app: Flask, published: PublishedTasks) -> None:
    outbox.wake(42)
    assert published.next() == ("push.fan_out", [42])


def test_due_are_the_oldest_entries_that_are_open_and_have_time_left(any_app: Flask) -> None:
    expired = _entry()
    time_passes(any_app.extensions["settings"].push_ttl)
    finished, first, second = _entry(), _entry(), _entry()
    finished.fanned_out_at = utcnow()
    db.session.commit()
    assert outbox.due(utcnow()) == [first.id, second.id]
    assert expired.id not in outbox.due(utcnow())


def test_due_are_a_hundred_at_most(app: Flask) -> None:
    entries = [outbox.enqueue(NOTE) for _ in range(105)]
    db.session.commit()
    assert outbox.due(utcnow()) == sorted(entry.id for entry in entries)[:100]
