"""Questions to paused followers: one each, after everything urgent, and a click lets them go on."""

import json

import pytest
from flask import Flask

from feedback_push import maintenance
from feedback_push.database import db, utcnow
from feedback_push.push import fanout, followers, outbox, receipts
from feedback_push.push.models import Delivery, DeviceState, Follower, OutboxEntry, PreviewLevel, Priority, Subscription
from feedback_push.push.notification import Notification
from feedback_push.push.receipts import Event
from feedback_push.topics import questions
from feedback_push.topics.models import Topic
from tests.conftest import KEYS
from tests.push.devices import owner, unreachable_devices, visitors
from tests.topics.followed import fanned_out, follower_of, new_topic, started


def paused(topic: Topic, *devices: int) -> None:
    """Commit that these followers are paused."""
    for device in devices:
        follower_of(topic, device).paused_at = utcnow()
        db.session.commit()


def ask() -> list[OutboxEntry]:
    """Run the clean-up, and return all questions."""
    maintenance.run_all()
    return db.session.query(OutboxEntry).filter_by(kind=questions.KIND).order_by(OutboxEntry.id).all()


def test_a_paused_follower_is_asked_once_in_its_language_and_a_click_lets_it_go_on(any_app: Flask) -> None:
    shown, asked, other = visitors(3)
    tricks, goodies = new_topic("tricks", shown, asked, pause_after=1), new_topic("goodies", asked, other)
    paused(tricks, asked)
    assert asked not in fanned_out(started(tricks))
    [question] = ask()
    assert ask() == [question]
    assert (question.subscription_id, question.priority, question.urgency) == (asked, Priority.BROADCAST, "low")
    told = json.loads(question.payload)["notification"]
    assert told["title"] == "Do you still want “Tricks”?"
    assert told["navigate"] == "http://127.0.0.1:8000/follow/tricks"
    fanout.next_set(question.id, KEYS.public_key)
    db.session.commit()
    delivery = db.session.query(Delivery).filter_by(outbox_id=question.id).one()
    assert (delivery.subscription_id, delivery.priority) == (asked, Priority.BROADCAST)
    receipts.record(delivery.id, Event.SHOWN, utcnow())
    assert follower_of(tricks, asked).paused_at
    receipts.record(delivery.id, Event.CLICKED, utcnow())
    db.session.commit()
    follower = follower_of(tricks, asked)
    assert (follower.paused_at, follower.asked_at) == (None, None)
    assert asked in fanned_out(started(tricks))
    assert follower_of(goodies, asked).opened_at is None
    assert len(ask()) == 1


def test_ticking_the_topic_again_lets_it_go_on_and_a_later_pause_asks_again(any_app: Flask) -> None:
    [device] = visitors(1)
    topic = new_topic("tricks", device)
    for times in (1, 2):
        paused(topic, device)
        assert len(ask()) == times
        followers.follow(device, {topic.audience_id: PreviewLevel.ALL})
        db.session.commit()
        assert len(ask()) == times
    assert follower_of(topic, device).paused_at is None


def test_a_question_overtakes_no_alarm(any_app: Flask) -> None:
    unreachable_devices(owner(), 1)
    [device] = visitors(1)
    topic = new_topic("tricks", device)
    paused(topic, device)
    [question] = ask()
    alarm = outbox.enqueue(_alarm())
    db.session.commit()
    assert outbox.due(utcnow()) == [alarm.id, question.id]


def _alarm() -> Notification:
    return Notification(title="Ada:", body="Hello", navigate="http://127.0.0.1:8000/admin/", tag="x")


@pytest.mark.usefixtures("app")
def test_a_batch_has_an_end_and_devices_that_nothing_reaches_do_not_keep_it_from_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(questions, "_BATCH", 2)
    stale, off, *well = sorted(visitors(5))
    topic = new_topic("tricks", stale, off, *well)
    db.session.get_one(Subscription, stale).state = DeviceState.STALE
    db.session.get_one(Subscription, off).paused_at = utcnow()
    db.session.commit()
    paused(topic, stale, off, *well)
    assert [len(ask()) for _ in range(4)] == [0, 2, 3, 3]
    assert db.session.query(Follower).filter(Follower.asked_at.is_(None)).all() == []


@pytest.mark.usefixtures("app")
def test_the_question_is_in_the_language_of_the_device_and_its_topic_reorders_nothing() -> None:
    [device] = visitors(1)
    topic = new_topic("tricks", device)
    topic.name = "\u202eTricks"
    db.session.get_one(Subscription, device).language = "xx"
    db.session.commit()
    paused(topic, device)
    assert json.loads(ask()[0].payload)["notification"]["title"] == "\u2068Do you still want “\u202eTricks”?\u2069"
