"""Followers: visitors' devices follow audiences, and a notification for an audience reaches exactly them."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, update

from feedback_push.database import db, utcnow
from feedback_push.push import fanout, followers, outbox, results, subscriptions
from feedback_push.push.browser_subscription import BrowserSubscription
from feedback_push.push.claims import LEASE, SessionEnded
from feedback_push.push.followers import TooMany
from feedback_push.push.models import (
    Audience,
    Delivery,
    DeliveryState,
    DeviceState,
    Follower,
    OutboxEntry,
    PreviewLevel,
    Priority,
    Subscription,
)
from feedback_push.webpush.gateway import Result
from tests.conftest import KEYS
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.push.devices import owner, subscribe, unreachable_devices, visitors
from tests.push.notes import NOTE, announce, claim, fan_out, time_passes


def _audience(*devices: int, shows: PreviewLevel = PreviewLevel.ALL) -> int:
    audience = followers.add_audience()
    for device in devices:
        followers.follow(device, {audience.id: shows})
    db.session.commit()
    return audience.id


def _broadcast(audience_id: int) -> OutboxEntry:
    entry = outbox.enqueue(NOTE, kind="broadcast", audience_id=audience_id, priority=Priority.BROADCAST)
    db.session.commit()
    return entry


def _save(device: Device) -> int:
    keys = device.as_json()["keys"]
    browser = BrowserSubscription(device.endpoint, keys["p256dh"], keys["auth"])
    device_id = followers.save(browser, vapid_public_key=KEYS.public_key, name="Firefox", language="lt")
    db.session.commit()
    return device_id


def _reached() -> list[tuple[int, DeliveryState]]:
    db.session.rollback()
    rows = db.session.query(Delivery).order_by(Delivery.subscription_id)
    return [(delivery.subscription_id, delivery.state) for delivery in rows]


def _states() -> set[DeliveryState]:
    db.session.rollback()
    return {delivery.state for delivery in db.session.query(Delivery)}


def test_a_notification_for_an_audience_reaches_its_followers_only(any_app: Flask) -> None:
    mine = unreachable_devices(owner(), 1)
    following, others = visitors(3), visitors(2)
    audience_id = _audience(*following, *mine, shows=PreviewLevel.NOTHING)
    _audience(*others)
    db.session.get_one(Subscription, following[0]).paused_at = utcnow()
    db.session.get_one(Subscription, following[1]).state = DeviceState.GONE
    db.session.commit()
    fan_out(_broadcast(audience_id).id)
    assert _reached() == [(mine[0], DeliveryState.WAITING), (following[2], DeliveryState.WAITING)]
    [first, _] = db.session.query(Delivery).order_by(Delivery.id)
    assert (first.shows, first.priority) == (PreviewLevel.NOTHING, Priority.BROADCAST)


def test_a_notification_for_the_administrators_reaches_no_visitor(any_app: Flask) -> None:
    theirs = visitors(2)
    _audience(*theirs)
    mine = unreachable_devices(owner(), 2)
    announce()
    assert [device for device, _ in _reached()] == mine


def test_followers_are_reached_set_by_set(any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SET_SIZE", 2)
    following = visitors(5)
    entry = _broadcast(_audience(*following))
    assert fan_out(entry.id) == 3
    assert [device for device, _ in _reached()] == following
    assert db.session.get_one(OutboxEntry, entry.id).fanned_out_at is not None


def test_a_visitors_browser_is_one_device_however_often_it_subscribes(any_app: Flask, service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    first = _save(device)
    row = db.session.get_one(Subscription, first)
    assert (row.user_id, row.language, row.state) == (None, "lt", DeviceState.LIVE)
    row.state, row.gone_at, row.failures = DeviceState.GONE, utcnow(), 3
    db.session.commit()
    assert _save(device) == first
    db.session.expire_all()
    again = db.session.get_one(Subscription, first)
    assert (again.state, again.gone_at, again.failures) == (DeviceState.LIVE, None, 0)


def test_a_visitors_page_changes_nothing_of_an_administrators_device(any_app: Flask, service: PushService) -> None:
    device, user = service.new_device(KEYS.public_key), owner()
    mine = subscribe(user, device)
    assert _save(service.new_device(KEYS.public_key)) != mine.id
    assert _save(device) == mine.id
    db.session.refresh(mine)
    assert (mine.user_id, mine.language, mine.name) == (user.id, "en", "Browser")
    followers.forget(mine.id)
    db.session.commit()
    assert subscriptions.find(mine.id, user=user)


def test_a_device_follows_and_unfollows_each_audience_by_itself(any_app: Flask) -> None:
    [device] = visitors(1)
    one, other = _audience(device), _audience(device)
    followers.follow(device, {one: PreviewLevel.NOTHING})
    assert followers.followed_by(device) == {one: PreviewLevel.NOTHING, other: PreviewLevel.ALL}
    followers.unfollow(device, [one])
    assert followers.followed_by(device) == {other: PreviewLevel.ALL}
    assert [followers.count(audience) for audience in (one, other)] == [0, 1]


def test_a_device_follows_only_so_many_audiences(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "MOST_FOLLOWED", 2)
    [device] = visitors(1)
    _audience(device), _audience(device)
    with pytest.raises(TooMany):
        _audience(device)


def test_an_audience_is_deleted_batch_by_batch_with_the_visitors_who_follow_nothing_else(
    any_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "_BATCH", 2)
    mine, (busy, *others) = unreachable_devices(owner(), 1), visitors(4)
    audience_id, other = _audience(*mine, busy, *others), _audience(busy)
    fan_out(_broadcast(audience_id).id)
    batches = 1
    while followers.delete_audience(audience_id):
        db.session.commit()
        batches += 1
    db.session.commit()
    assert batches == 3
    assert {device.id for device in db.session.query(Subscription)} == {*mine, busy}
    assert [audience.id for audience in db.session.query(Audience)] == [other]
    assert [follower.audience_id for follower in db.session.query(Follower)] == [other]
    assert db.session.query(OutboxEntry).count() == 0


def test_devices_that_were_only_ever_refused_are_deleted(any_app: Flask) -> None:
    made_up, gone, reached, new = visitors(4)
    mine = unreachable_devices(owner(), 1)
    changes: dict[int, dict[str, Any]] = {
        made_up: {"failures": subscriptions.FAILING},
        gone: {"state": DeviceState.GONE},
        reached: {"failures": 20, "last_accepted_at": utcnow()},
        new: {"failures": subscriptions.FAILING - 1},
        mine[0]: {"failures": 20},
    }
    for device, values in changes.items():
        db.session.execute(update(Subscription).where(Subscription.id == device).values(values))
    db.session.commit()
    followers.delete_never_reached(utcnow())
    db.session.commit()
    assert [device.id for device in db.session.query(Subscription).order_by(Subscription.id)] == [reached, new, *mine]


def test_nothing_more_of_a_paused_entry_is_sent_until_it_is_resumed(
    any_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SET_SIZE", 2)
    entry = _broadcast(_audience(*visitors(3)))
    fanout.next_set(entry.id, KEYS.public_key)
    db.session.commit()
    [claimed] = claim(1)
    outbox.pause(entry)
    db.session.commit()
    assert _states() == {DeliveryState.PAUSED}
    assert fanout.next_set(entry.id, KEYS.public_key) == 0
    assert (outbox.due(utcnow()), claim()) == ([], [])
    results.record([Result(claimed, None, SessionEnded())], utcnow())  # the worker finds that it may not send it
    outbox.resume(entry)
    db.session.commit()
    assert outbox.due(utcnow()) == [entry.id]
    fan_out(entry.id)
    assert claimed.id in {again.id for again in claim()}
    assert _states() == {DeliveryState.WAITING}


def test_a_short_pause_neither_loses_nor_doubles_what_a_worker_had_claimed(any_app: Flask) -> None:
    entry = _broadcast(_audience(*visitors(3)))
    fan_out(entry.id)
    unsent, sent, dead = claim()
    outbox.pause(entry)
    db.session.commit()
    outbox.resume(entry)
    db.session.commit()
    assert claim() == []  # each may have left before the pause
    results.record([Result(unsent, None, SessionEnded()), Result(sent, 201, None)], utcnow())
    db.session.commit()
    [again] = claim()
    assert (again.id, again.attempts) == (unsent.id, 1)
    time_passes(LEASE.total_seconds())
    assert dead.id in {each.id for each in claim()}
    assert db.session.get_one(Delivery, sent.id).state == DeliveryState.ACCEPTED


def test_an_entry_that_is_ended_is_sent_to_nobody_else(any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SET_SIZE", 2)
    paused, running = (_broadcast(_audience(*visitors(3))) for _ in range(2))
    for entry in (paused, running):
        fanout.next_set(entry.id, KEYS.public_key)
    outbox.pause(paused)
    for entry in (paused, running):
        outbox.end(entry)
    db.session.commit()
    assert _states() == {DeliveryState.CANCELLED}
    assert (outbox.due(utcnow()), claim()) == ([], [])


def test_alarms_are_fanned_out_and_claimed_before_broadcasts(any_app: Flask) -> None:
    broadcast = _broadcast(_audience(*visitors(3)))
    fan_out(broadcast.id)
    waiting = _broadcast(broadcast.audience_id or 0)
    unreachable_devices(owner(), 2)
    alarm = outbox.enqueue(NOTE)
    db.session.commit()
    assert outbox.due(utcnow()) == [alarm.id, waiting.id]
    assert outbox.due(utcnow(), Priority.ALARM) == [alarm.id]
    fan_out(alarm.id)
    assert [claimed.priority for claimed in claim(3)] == [Priority.ALARM, Priority.ALARM, Priority.BROADCAST]


def test_a_follower_who_leaves_in_the_middle_of_a_broadcast_breaks_nothing(any_app: Flask) -> None:
    one, other = visitors(2)
    entry = _broadcast(_audience(one, other))
    fan_out(entry.id)
    claimed = claim()
    db.session.execute(delete(Follower).where(Follower.subscription_id == one))
    followers.forget(one)
    db.session.commit()
    assert [device for device, _ in _reached()] == [other]
    assert {each.subscription_id for each in claimed} == {one, other}
