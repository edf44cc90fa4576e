"""Topics: list, add and delete them, and let a visitor's device follow them."""

import re
import time
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from feedback_push import maintenance
from feedback_push.database import db, utcnow
from feedback_push.push import followers, outbox
from feedback_push.push.models import OutboxEntry, PreviewLevel
from feedback_push.topics.feed_models import Feed
from feedback_push.topics.models import LONGEST_SLUG, Broadcast, Topic

MOST_TOPICS = 100
_REMOVED = "~"  # begins the slug of a removed topic; no topic can have such a slug
_SECONDS = 1.0  # for deleting removed topics, in each sweep
_SLUG = re.compile("[a-z0-9]+(-[a-z0-9]+)*")


class Unknown(LookupError):
    """There is no topic with this slug."""


class TooManyTopics(ValueError):
    """The site has as many topics as it may have."""


def add(**values: Any) -> Topic:
    """Add a topic without followers, at the end of the list. The caller commits. Raise TooManyTopics."""
    there = everything()
    if len(there) >= MOST_TOPICS:
        raise TooManyTopics
    last = max((topic.position for topic in there), default=0)
    topic = Topic(audience_id=followers.add_audience().id, position=last + 1, **values)
    db.session.add(topic)
    db.session.flush()
    return topic


def everything() -> Sequence[Topic]:
    """Return all topics in their order."""
    there = select(Topic).where(Topic.removed_at.is_(None))
    return db.session.scalars(there.order_by(Topic.position, Topic.id)).all()


def public() -> Sequence[Topic]:
    """Return the topics that everybody may see, in their order."""
    return [topic for topic in everything() if topic.is_public]


def is_slug(text: object) -> bool:
    """Return whether this could be the slug of a topic."""
    return isinstance(text, str) and len(text) <= LONGEST_SLUG and _SLUG.fullmatch(text) is not None


def find(slug: str) -> Topic | None:
    """Return the topic with this slug; None if there is none."""
    return db.session.scalar(select(Topic).where(Topic.slug == slug)) if is_slug(slug) else None


def find_all(slugs: Collection[str]) -> list[Topic]:
    """Return the topics with these slugs; raise Unknown if one is missing."""
    found = [topic for topic in everything() if topic.slug in slugs]
    if len(found) < len(set(slugs)):
        raise Unknown
    return found


def followed_by(device_id: int) -> list[Topic]:
    """Return the topics that a device follows, in their order."""
    audiences = followers.followed_by(device_id)
    return [topic for topic in everything() if topic.audience_id in audiences]


def paused_for(device_id: int) -> list[Topic]:
    """Return the topics that a device follows but gets nothing of, because it opened nothing for too long."""
    audiences = followers.paused_in(device_id)
    return [topic for topic in everything() if topic.audience_id in audiences]


def replace_followed(device_id: int, chosen: Collection[Topic]) -> None:
    """Let a device follow exactly these topics; what else it follows stays. The caller commits.

    Raise `followers.TooMany`.
    """
    kept = {topic.audience_id for topic in chosen}
    unfollow(device_id, [topic for topic in followed_by(device_id) if topic.audience_id not in kept])
    followers.follow(device_id, dict.fromkeys(kept, PreviewLevel.ALL))


def unfollow(device_id: int, left: Collection[Topic]) -> None:
    """Let a device follow these topics no more. The caller commits."""
    followers.unfollow(device_id, [topic.audience_id for topic in left])


def move(topic: Topic, by: int) -> None:
    """Move a topic by so many places towards the end of the list, or towards its beginning. The caller commits."""
    order = list(everything())
    place = order.index(topic)
    order.insert(min(max(0, place + by), len(order) - 1), order.pop(place))
    for position, each in enumerate(order, 1):
        each.position = position


def remove(topic: Topic) -> None:
    """Remove a topic and end its broadcasts; `delete_removed` then deletes the rows, which takes minutes for a million.

    Its slug is free at once. The caller commits.
    """
    now = utcnow()
    # The broadcasts before the topic, as `broadcasts.start` locks them.
    unfinished = (Broadcast.topic_id == topic.id, Broadcast.ended_at.is_(None), Broadcast.finished_at.is_(None))
    db.session.execute(select(Broadcast.id).where(*unfinished).order_by(Broadcast.id).with_for_update())
    topic.removed_at, topic.slug, topic.is_public = now, f"{_REMOVED}{topic.id}", False
    db.session.execute(delete(Feed).where(Feed.topic_id == topic.id))  # or its next entry would be sent
    not_started = (Broadcast.topic_id == topic.id, Broadcast.started_at.is_(None))
    db.session.execute(update(Broadcast).where(*not_started).values(ended_at=now))
    of_topic = select(OutboxEntry).where(OutboxEntry.audience_id == topic.audience_id, OutboxEntry.expires_at > now)
    for entry in db.session.scalars(of_topic):
        outbox.end(entry)


@maintenance.each_minute
def delete_removed(_now: datetime) -> bool:
    """Delete removed topics with their broadcasts, and the devices that follow nothing else, for about a second.

    Each batch has its own transaction. Return whether there may be more.
    """
    stop_at = time.monotonic() + _SECONDS
    for topic in db.session.scalars(select(Topic).where(Topic.removed_at.is_not(None))).all():
        topic_id, audience_id = topic.id, topic.audience_id
        while _delete_batch(audience_id):
            db.session.commit()
            if time.monotonic() > stop_at:
                return True
        db.session.execute(delete(Topic).where(Topic.id == topic_id))
        followers.delete_audience(audience_id)
    return False


def _delete_batch(audience_id: int) -> bool:
    """Delete a batch of an audience's deliveries, then of its followers; return whether there may be more."""
    entries = db.session.scalars(select(OutboxEntry.id).where(OutboxEntry.audience_id == audience_id)).all()
    if outbox.delete_deliveries(entries):
        return True
    outbox.remove(entries)
    return followers.delete_followers(audience_id)
