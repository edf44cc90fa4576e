"""Summaries: held messages are sent once, in one notification, and none is lost."""

import json
from collections.abc import Collection
from datetime import timedelta

import pytest
from flask import Flask

from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.notification_validators import Burst
from feedback_push.push import digests
from feedback_push.push.models import Delivery, DeliveryState, OutboxEntry, Subscription
from tests.push.devices import owner, unreachable_devices
from tests.push.notes import announce, fan_out, note, time_passes
from tests.push.statements import recorded_statements
from tests.push.stored_preferences import quiet_later, quiet_now, set_preferences
from tests.push.workers import side_by_side

HELD, SUMMARISED, WAITING = DeliveryState.HELD, DeliveryState.SUMMARISED, DeliveryState.WAITING
TWO = Burst(2, 60)


@pytest.fixture
def user(app: Flask) -> User:
    return owner()


def tell() -> list[OutboxEntry]:
    """Make the summaries that are due, as the sweep does, and their deliveries; those that are new."""
    known = {entry.id for entry in told()}
    now = utcnow()
    for user_id in digests.due(now):
        digests.make(user_id, now)
        db.session.commit()
    new = [entry for entry in told() if entry.id not in known]
    for entry in new:
        fan_out(entry.id)
    return new


def told() -> list[OutboxEntry]:
    db.session.rollback()
    return list(db.session.query(OutboxEntry).filter(OutboxEntry.kind != "feedback").order_by(OutboxEntry.id))


def deliveries(*device_ids: int, of: Collection[str] = ("feedback",)) -> list[Delivery]:
    db.session.rollback()
    mine = db.session.query(Delivery).join(OutboxEntry, OutboxEntry.id == Delivery.outbox_id)
    mine = mine.filter(Delivery.subscription_id.in_(device_ids), OutboxEntry.kind.in_(of))
    return list(mine.order_by(Delivery.id))


def held_in_quiet_hours(user: User, messages: int) -> None:
    """Let messages come in quiet hours, and these end."""
    set_preferences(user, quiet_hours=quiet_now())
    for number in range(messages):
        announce(note(tag=f"message-{number}"))
    set_preferences(user, quiet_hours=quiet_later())
    time_passes(3 * 3600)


@pytest.mark.usefixtures("any_app")
def test_held_messages_are_summarised_in_one_notification_for_every_device(user: User) -> None:
    ids = unreachable_devices(user, 3)
    held_in_quiet_hours(user, 4)
    [summary] = tell()
    assert (summary.kind, summary.user_id, summary.counts) == ("summary:feedback", user.id, 4)
    notification = json.loads(summary.payload)["notification"]
    assert notification["title"] == "4 new messages"
    assert notification["navigate"] == "http://127.0.0.1:8000/admin/"
    held = deliveries(*ids)
    assert {(one.state, one.summary_id, one.held_until, one.due_at) for one in held} == {
        (SUMMARISED, summary.id, None, None)
    }
    assert len(held) == 12
    assert [one.state for one in deliveries(*ids, of=["summary:feedback"])] == [WAITING] * 3
    assert tell() == []


def test_nothing_is_sent_before_it_is_due(user: User) -> None:
    [device] = unreachable_devices(user, 1)
    set_preferences(user, quiet_hours=quiet_now())
    announce()
    announce()
    time_passes(3600)
    assert tell() == []
    assert [one.state for one in deliveries(device)] == [HELD, HELD]


def test_one_administrators_summary_is_nobody_elses(user: User) -> None:
    other = owner("other@example.org")
    unreachable_devices(user, 1)
    [theirs] = unreachable_devices(other, 1)
    set_preferences(other, quiet_hours=quiet_now())
    held_in_quiet_hours(user, 2)
    [mine] = tell()
    assert mine.user_id == user.id
    assert deliveries(theirs, of=["summary:feedback"]) == []
    set_preferences(other, quiet_hours=quiet_later())
    time_passes(3 * 3600)
    [yours] = tell()
    assert (yours.user_id, yours.counts) == (other.id, 2)
    assert [one.state for one in deliveries(theirs)] == [SUMMARISED, SUMMARISED]


def test_a_later_summary_replaces_the_one_before(user: User) -> None:
    unreachable_devices(user, 1)
    for messages in (5, 2):
        held_in_quiet_hours(user, messages)
        tell()
        time_passes(12 * 3600)
    first, second = told()
    assert first.topic == second.topic
    assert json.loads(first.payload)["notification"]["tag"] == json.loads(second.payload)["notification"]["tag"]
    assert (first.counts, second.counts) == (5, 2)


def test_a_single_message_is_sent_as_itself(user: User) -> None:
    ids = unreachable_devices(user, 2)
    held_in_quiet_hours(user, 1)
    assert tell() == []
    for one in deliveries(*ids):
        assert (one.state, one.held_until, one.summary_id) == (WAITING, None, None)
        assert one.due_at is not None
        assert one.due_at <= utcnow()


@pytest.mark.parametrize("gone_by", [0.8, 1])
def test_a_single_message_that_expires_soon_is_sent_in_a_summary(user: User, app: Flask, gone_by: float) -> None:
    [device] = unreachable_devices(user, 1)
    held_in_quiet_hours(user, 1)
    time_passes(app.extensions["settings"].push_ttl * gone_by)
    set_preferences(user)
    [summary] = tell()
    assert summary.counts == 1
    assert [one.state for one in deliveries(device)] == [SUMMARISED]


def test_a_burst_is_summarised_after_its_window_and_the_count_continues(user: User) -> None:
    [device] = unreachable_devices(user, 1)
    set_preferences(user, burst=TWO)
    for _ in range(5):
        announce()
    assert tell() == []
    time_passes(60)
    assert [summary.counts for summary in tell()] == [3]
    time_passes(-30)  # the burst continues
    for _ in range(4):
        announce()
    time_passes(60)
    assert [summary.counts for summary in tell()] == [7]
    assert [one.state for one in deliveries(device)] == [WAITING] * 2 + [SUMMARISED] * 7


def test_after_a_burst_is_over_the_count_begins_anew(user: User) -> None:
    unreachable_devices(user, 1)
    set_preferences(user, burst=TWO)
    for _ in range(2):
        for _ in range(5):
            announce()
        time_passes(60)
        tell()
        time_passes(3600)
    assert [summary.counts for summary in told()] == [3, 3]


def test_a_released_delivery_is_due_at_once(user: User) -> None:
    unreachable_devices(user, 2)
    [theirs] = unreachable_devices(other := owner("other@example.org"), 1)
    for quiet in (user, other):
        set_preferences(quiet, quiet_hours=quiet_now())
    announce()
    announce()
    set_preferences(user)
    assert tell() == []
    digests.release(user.id, utcnow())
    db.session.commit()
    assert [summary.counts for summary in tell()] == [2]
    assert [one.state for one in deliveries(theirs)] == [HELD, HELD]


def test_quiet_hours_send_nothing_even_if_it_was_planned(user: User) -> None:
    [device] = unreachable_devices(user, 1)
    set_preferences(user, quiet_hours=quiet_now())
    announce()
    announce()
    digests.release(user.id, utcnow())
    db.session.commit()
    assert tell() == []
    assert digests.due(utcnow()) == []
    for one in deliveries(device):
        assert one.held_until is not None
        assert timedelta(hours=2, minutes=58) < one.held_until - utcnow() <= timedelta(hours=3)


def test_a_device_that_is_removed_or_an_administrator_who_leaves_keeps_nothing_waiting(user: User) -> None:
    first, second = unreachable_devices(user, 2)
    held_in_quiet_hours(user, 2)
    db.session.query(Subscription).filter_by(id=first).delete()
    db.session.commit()
    [summary] = tell()
    assert summary.counts == 2
    held_in_quiet_hours(user, 2)
    db.session.delete(user)
    db.session.commit()
    assert tell() == []
    assert deliveries(first, second) == []
    assert told() == []


def test_a_device_that_is_paused_meanwhile_is_left_in_peace(user: User) -> None:
    paused, other = unreachable_devices(user, 2)
    held_in_quiet_hours(user, 2)
    db.session.get_one(Subscription, paused).paused_at = utcnow()
    db.session.commit()
    tell()
    assert [one.subscription_id for one in deliveries(paused, other, of=["summary:feedback"])] == [other]


def test_workers_that_do_it_at_once_make_one_summary(any_app: Flask, user: User) -> None:
    ids = unreachable_devices(user, 5)
    held_in_quiet_hours(user, 10)
    user_id = user.id
    side_by_side(any_app, 4, lambda: digests.make(user_id, utcnow()))
    assert [summary.counts for summary in told()] == [10]
    assert {one.state for one in deliveries(*ids)} == {SUMMARISED}


def test_a_worker_that_dies_in_the_middle_leaves_all_as_it_was(user: User) -> None:
    [device] = unreachable_devices(user, 1)
    held_in_quiet_hours(user, 3)
    digests.make(user.id, utcnow())
    db.session.rollback()  # as the database does when the worker is killed
    assert told() == []
    assert [one.state for one in deliveries(device)] == [HELD] * 3
    assert [summary.counts for summary in tell()] == [3]


@pytest.mark.usefixtures("any_app")
def test_more_than_one_transaction_tells_of_is_counted_to_the_end(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_MOST_MESSAGES", 4)
    [device] = unreachable_devices(user, 1)
    held_in_quiet_hours(user, 10)
    assert [[summary.counts for summary in tell()] for _ in range(4)] == [[4], [8], [10], []]
    assert {one.state for one in deliveries(device)} == {SUMMARISED}


def test_the_number_of_statements_does_not_grow_with_what_is_held(user: User) -> None:
    unreachable_devices(user, 5)
    held_in_quiet_hours(user, 40)
    with recorded_statements() as statements:
        digests.make(user.id, utcnow())
        db.session.commit()
    assert len([statement for statement in statements if not statement.startswith("BEGIN")]) <= 8


def test_a_user_who_is_not_there_is_no_error(app: Flask) -> None:
    digests.make(4711, utcnow())
