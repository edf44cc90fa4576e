"""Broadcasts: one notification for everyone who follows a topic, now or later, paused, resumed and ended."""

from datetime import timedelta

import pytest
from flask import Flask

from feedback_push.database import db, utcnow
from feedback_push.push import followers, receipts
from feedback_push.push.models import Delivery, DeliveryState, PreviewLevel, Priority, Subscription
from feedback_push.push.receipts import Event
from feedback_push.topics import broadcasts
from feedback_push.topics.broadcasts import Draft, NotPossible
from feedback_push.topics.models import Broadcast, BroadcastState
from tests.push.devices import owner, unreachable_devices, visitors
from tests.push.statements import recorded_statements
from tests.topics.followed import DRAFT, all_sent, entry_of, fanned_out, follower_of, new_topic, started


def states(broadcast: Broadcast) -> set[DeliveryState]:
    db.session.rollback()
    return {state for (state,) in db.session.query(Delivery.state).filter_by(outbox_id=broadcast.outbox_id)}


def test_a_broadcast_reaches_exactly_the_followers_of_its_topic(any_app: Flask) -> None:
    administrators, [one, another, other] = unreachable_devices(owner(), 1), visitors(3)
    tricks, _ = new_topic("tricks", one, another), new_topic("goodies", other)
    broadcast = started(tricks)
    entry = entry_of(broadcast)
    assert (entry.priority, broadcast.followers) == (Priority.BROADCAST, 2)
    assert fanned_out(broadcast) == [one, another]
    found = []
    for _ in range(2):
        broadcasts.finish(utcnow())
        found.append(broadcast.state)
        all_sent(broadcast)
    assert found == [BroadcastState.SENDING, BroadcastState.DONE]
    with pytest.raises(NotPossible):
        broadcasts.start(broadcast)
    assert administrators


@pytest.mark.usefixtures("app")
def test_starting_a_broadcast_reads_no_device_because_the_first_push_waits_for_it() -> None:
    broadcast = broadcasts.add(new_topic("tricks", *visitors(2)), DRAFT)
    with recorded_statements() as statements:
        broadcasts.start(broadcast)
    assert statements
    assert [statement for statement in statements if "push_subscription" in statement] == []
    assert broadcast.followers == 2


@pytest.mark.usefixtures("app")
def test_finishing_a_broadcast_looks_only_at_what_is_still_due() -> None:
    broadcast = started(new_topic("tricks", *visitors(2)))
    fanned_out(broadcast)
    with recorded_statements() as statements:
        broadcasts.finish(utcnow())
    [asked] = [statement for statement in statements if "push_delivery" in statement]
    plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", (broadcast.outbox_id,)).all()
    assert "ix_push_delivery_due" in str(plan)


@pytest.mark.usefixtures("app")
def test_the_notification_has_the_words_the_link_and_the_pictures() -> None:
    topic = new_topic(icon=b"png", icon_type="image/png")
    note = broadcasts.notification_of(broadcasts.add(topic, DRAFT._replace(image_url="https://example.org/a.png")))
    assert (note.title, note.body, note.navigate) == (DRAFT.title, DRAFT.body, DRAFT.url)
    assert (note.image, note.icon) == ("https://example.org/a.png", "http://127.0.0.1:8000/follow/tricks/icon")
    assert '"image":"https://example.org/a.png"' in note.to_json()
    plain = broadcasts.notification_of(broadcasts.add(new_topic("plain"), Draft("\u202eevil\n")))
    assert (plain.title, plain.navigate, plain.icon) == ("\u2068\u202eevil \u2069", "http://127.0.0.1:8000/follow/", "")
    assert '"image"' not in plain.to_json()


def test_a_scheduled_broadcast_starts_once_when_its_time_has_come(any_app: Flask) -> None:
    topic, now = new_topic("tricks", *visitors(1)), utcnow()
    broadcast = broadcasts.add(topic, DRAFT, send_at=now + timedelta(hours=1))
    draft = broadcasts.add(topic, DRAFT)
    db.session.commit()
    broadcasts.start_due(now)
    assert (broadcast.state, draft.state) == (BroadcastState.SCHEDULED, BroadcastState.DRAFT)
    for _ in range(2):
        broadcasts.start_due(now + timedelta(hours=2))
    db.session.expire_all()
    assert (broadcast.state, draft.state) == (BroadcastState.SENDING, BroadcastState.DRAFT)
    assert len(fanned_out(broadcast)) == 1


@pytest.mark.usefixtures("app")
def test_the_cap_of_a_topic_puts_a_broadcast_off_until_it_allows_one() -> None:
    topic = new_topic(cap_count=2, cap_days=7)
    first, _ = started(topic), started(topic)
    third = broadcasts.add(topic, DRAFT)
    assert broadcasts.start(third) is None
    assert first.started_at
    assert third.send_at == first.started_at + timedelta(days=7)
    assert third.state == BroadcastState.SCHEDULED
    first.started_at -= timedelta(days=7)
    assert broadcasts.start(third) is not None


def test_pausing_stops_everything_that_waits_and_going_on_or_ending_settles_it(any_app: Flask) -> None:
    topic = new_topic("tricks", *visitors(3))
    broadcast = started(topic)
    assert len(fanned_out(broadcast)) == 3
    broadcasts.pause(broadcast)
    db.session.commit()
    assert (states(broadcast), broadcast.state) == ({DeliveryState.PAUSED}, BroadcastState.PAUSED)
    broadcasts.finish(utcnow())
    assert broadcast.state == BroadcastState.PAUSED
    with pytest.raises(NotPossible):
        broadcasts.pause(broadcast)
    assert broadcasts.resume(broadcast) == broadcast.outbox_id
    db.session.commit()
    assert (states(broadcast), broadcast.state) == ({DeliveryState.WAITING}, BroadcastState.SENDING)
    broadcasts.end(broadcast)
    db.session.commit()
    assert (states(broadcast), broadcast.state) == ({DeliveryState.CANCELLED}, BroadcastState.ENDED)
    for action in (broadcasts.pause, broadcasts.resume, broadcasts.end, broadcasts.start):
        with pytest.raises(NotPossible):
            action(broadcast)


@pytest.mark.usefixtures("app")
def test_a_broadcast_that_was_ended_before_its_time_is_never_sent() -> None:
    topic = new_topic("tricks", *visitors(1))
    broadcast = broadcasts.add(topic, DRAFT, send_at=utcnow())
    broadcasts.end(broadcast)
    db.session.commit()
    broadcasts.start_due(utcnow() + timedelta(hours=1))
    assert (broadcast.state, broadcast.outbox_id) == (BroadcastState.ENDED, None)


def test_a_follower_who_opens_nothing_is_paused_and_one_without_reports_is_not(any_app: Flask) -> None:
    shows, opens, silent = visitors(3)
    topic = new_topic("tricks", shows, opens, silent, pause_after=2)
    for times in range(3):
        broadcast = started(topic)
        reached = fanned_out(broadcast)
        assert (shows in reached, opens in reached, silent in reached) == (times < 2, True, True)
        for device in {shows, opens} & set(reached):
            delivery = db.session.query(Delivery).filter_by(outbox_id=broadcast.outbox_id, subscription_id=device).one()
            receipts.record(delivery.id, Event.CLICKED if device == opens else Event.SHOWN, utcnow())
        db.session.commit()
    assert follower_of(topic, shows).paused_at
    assert follower_of(topic, opens).opened_at
    assert db.session.query(Subscription).filter_by(id=silent).one().last_shown_at is None
    followers.follow(shows, {topic.audience_id: PreviewLevel.ALL})  # it wants to go on
    db.session.commit()
    assert shows in fanned_out(started(topic))
