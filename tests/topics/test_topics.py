"""Topics: the rows, the devices that follow them, and their end."""

import pytest
from flask import Flask

from feedback_push.database import db, utcnow
from feedback_push.push.models import Audience, Delivery, Follower, OutboxEntry, Subscription
from feedback_push.topics import broadcasts, topics
from feedback_push.topics.broadcasts import NotPossible
from feedback_push.topics.models import Broadcast, Topic
from feedback_push.topics.topics import MOST_TOPICS, TooManyTopics, Unknown
from tests.push.devices import visitors
from tests.topics.followed import DRAFT, fanned_out, new_topic, started


@pytest.mark.usefixtures("app")
def test_a_site_has_topics_in_its_own_order_and_not_without_end() -> None:
    new_topic("tricks"), new_topic("hidden", is_public=False), new_topic("goodies")
    assert [topic.slug for topic in topics.everything()] == ["tricks", "hidden", "goodies"]
    assert [topic.slug for topic in topics.public()] == ["tricks", "goodies"]
    assert [topic.slug for topic in topics.find_all(["hidden", "tricks", "tricks"])] == ["tricks", "hidden"]
    with pytest.raises(Unknown):
        topics.find_all(["tricks", "unknown"])
    for number in range(MOST_TOPICS - 3):
        topics.add(slug=f"topic-{number}", name="Topic")
    with pytest.raises(TooManyTopics):
        topics.add(slug="too-many", name="Topic")


def test_a_slug_is_lower_case_letters_and_digits_between_hyphens() -> None:
    assert all(map(topics.is_slug, ["a", "new-tricks", "2026"]))
    wrong = ["", "-", "A", "a--b", "a-", "ä", "a b", "a/b", "a\n", "a" * 65, None, 7]
    assert not any(map(topics.is_slug, wrong))


@pytest.mark.usefixtures("app")
def test_a_device_follows_exactly_what_it_chose_last() -> None:
    [device] = visitors(1)
    tricks, goodies, news = (new_topic(slug) for slug in ("tricks", "goodies", "news"))
    for chosen in ([tricks, goodies], [goodies, news], []):
        topics.replace_followed(device, chosen)
        assert topics.followed_by(device) == chosen


def test_a_removed_topic_takes_its_broadcasts_and_the_devices_without_another_topic(any_app: Flask) -> None:
    only, both = visitors(2)
    tricks, goodies = new_topic("tricks", only, both), new_topic("goodies", both)
    assert len(fanned_out(started(tricks))) == 2
    kept = started(goodies)
    waits = broadcasts.add(tricks, DRAFT, send_at=utcnow())
    topics.remove(tricks)
    db.session.commit()
    assert (topics.everything(), topics.find("tricks"), topics.find(tricks.slug)) == ([goodies], None, None)
    with pytest.raises(NotPossible):
        broadcasts.start(waits)
    new_topic("tricks")  # its slug is free at once
    topics.remove(topics.find_all(["tricks"])[0])
    topics.delete_removed(utcnow())
    db.session.commit()
    assert [topic.slug for (topic) in db.session.query(Topic)] == ["goodies"]
    assert [broadcast.id for broadcast in db.session.query(Broadcast)] == [kept.id]
    assert [device.id for device in db.session.query(Subscription)] == [both]
    left = (db.session.query(model).count() for model in (Audience, Follower, OutboxEntry, Delivery))
    assert list(left) == [1, 1, 1, 0]
