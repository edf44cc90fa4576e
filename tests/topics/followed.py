"""Topics with followers, and broadcasts to them."""

from typing import Any

from feedback_push.database import db, utcnow
from feedback_push.push import fanout, followers
from feedback_push.push.models import Delivery, Follower, OutboxEntry, PreviewLevel
from feedback_push.topics import broadcasts, topics
from feedback_push.topics.broadcasts import Draft
from feedback_push.topics.models import Broadcast, Topic
from tests.conftest import KEYS

DRAFT = Draft(title="A new trick", body="It works in every browser.", url="https://example.org/tricks/1")


def new_topic(slug: str = "tricks", *devices: int, **values: Any) -> Topic:
    """Commit a topic that these devices follow."""
    topic = topics.add(slug=slug, name=slug.title(), **values)
    for device in devices:
        followers.follow(device, {topic.audience_id: PreviewLevel.ALL})
    db.session.commit()
    return topic


def started(topic: Topic, draft: Draft = DRAFT) -> Broadcast:
    """Commit a broadcast that was just started."""
    broadcast = broadcasts.add(topic, draft)
    assert broadcasts.start(broadcast) is not None
    db.session.commit()
    return broadcast


def fanned_out(broadcast: Broadcast) -> list[int]:
    """Make and commit the deliveries of a broadcast, and return the ids of its devices."""
    assert broadcast.outbox_id is not None
    while fanout.next_set(broadcast.outbox_id, KEYS.public_key):
        db.session.commit()
    db.session.commit()
    theirs = db.session.query(Delivery.subscription_id).filter_by(outbox_id=broadcast.outbox_id)
    return [device for (device,) in theirs.order_by(Delivery.subscription_id)]


def all_sent(broadcast: Broadcast) -> None:
    """Record that every delivery of a broadcast was accepted."""
    db.session.query(Delivery).filter_by(outbox_id=broadcast.outbox_id).update(
        {"state": "accepted", "due_at": None, "accepted_at": utcnow()}
    )
    db.session.commit()


def entry_of(broadcast: Broadcast) -> OutboxEntry:
    """Return the outbox entry of a started broadcast as it is now."""
    db.session.expire_all()
    assert broadcast.outbox_entry
    return broadcast.outbox_entry


def follower_of(topic: Topic, device: int) -> Follower:
    """Return the row of a device that follows a topic as it is now."""
    db.session.expire_all()
    return db.session.query(Follower).filter_by(audience_id=topic.audience_id, subscription_id=device).one()
