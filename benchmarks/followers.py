"""Topics with very many followers, whose rows the database makes itself, and broadcasts to them."""

from typing import NamedTuple

from sqlalchemy import TextClause, bindparam, text

from benchmarks import devices, rows
from benchmarks.site import Site
from feedback_push.database import UTCDateTime, db, utcnow
from feedback_push.push import outbox
from feedback_push.topics import broadcasts, topics
from feedback_push.topics.broadcasts import Draft
from feedback_push.topics.models import Topic
from feedback_push.webpush import endpoints
from tests import servers

SLUG = "tricks"
_AT_ONCE = 50_000  # rows in one statement
_DEVICES = """
    INSERT INTO push_subscription (endpoint, p256dh, auth, vapid_public_key, name, state, failures, added_at, seen_at,
                                   language, service)
    WITH RECURSIVE
    numbers(n) AS (SELECT CAST(:first AS INTEGER) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :until),
    pairs(place, p256dh, auth) AS (VALUES {pairs})
    SELECT :prefix || n, p256dh, auth, :key, 'Firefox on Linux', 'live', 0, :now, :now, 'en', :service
    FROM numbers JOIN pairs ON place = n % :pairs
"""
_FOLLOWERS = """
    INSERT INTO push_follower (audience_id, subscription_id, shows, added_at)
    SELECT :audience, id, 'all', :now FROM push_subscription WHERE user_id IS NULL
"""
DRAFT = Draft(
    title="A new trick", body="It works in every browser, and it has been measured.", url="https://example.org/"
)


class Sizes(NamedTuple):
    """The sizes of PostgreSQL's tables with their indexes, in bytes."""

    subscription: int
    follower: int
    delivery: int


def topic_with(site: Site, prefix: str, number: int) -> Topic:
    """Commit a topic with this many followers, whose endpoints begin with the prefix; needs an application context."""
    pairs = devices.keys()
    values = ", ".join(f"({place}, '{pair['p256dh']}', '{pair['auth']}')" for place, pair in enumerate(pairs))
    common = {"prefix": prefix, "key": site.settings.vapid_public_key, "now": utcnow(), "pairs": len(pairs)}
    common["service"] = endpoints.service(prefix)
    for first in range(0, number, _AT_ONCE):
        some = {"first": first, "until": min(first + _AT_ONCE, number)}
        db.session.execute(_at_now(_DEVICES.format(pairs=values)), common | some)
        db.session.commit()
    topic = topics.add(slug=SLUG, name="New tricks")
    db.session.execute(_at_now(_FOLLOWERS), {"audience": topic.audience_id, "now": utcnow()})
    db.session.commit()
    for table in ("push_subscription", "push_follower"):
        rows.analyze(table)
    return topic


def broadcast(topic: Topic) -> int:
    """Send a broadcast to a topic's followers, as its page does, and return its id."""
    sent = broadcasts.add(topic, DRAFT)
    broadcast_id, entry_id = sent.id, broadcasts.start(sent)
    db.session.commit()
    assert entry_id is not None
    outbox.wake(entry_id)
    return broadcast_id


class Progress:
    """How many devices a broadcast has reached, from its outbox entry alone: counting deliveries would take too long.

    Workers fan a broadcast out only as fast as they send it.
    """

    def __init__(self, site: Site, broadcast_id: int) -> None:
        self._site = site
        entry_id = site.reader.value(f"SELECT outbox_id FROM topics_broadcast WHERE id = {broadcast_id}")  # noqa: S608
        self._last = f"SELECT last_subscription_id FROM push_outbox WHERE id = {entry_id}"  # noqa: S608
        self._over = f"SELECT fanned_out_at IS NOT NULL FROM push_outbox WHERE id = {entry_id}"  # noqa: S608
        self._before = site.reader.value("SELECT min(id) FROM push_subscription WHERE user_id IS NULL") - 1

    @property
    def devices(self) -> int:
        """The number of devices that have a delivery; the ids of a topic's followers have no gaps."""
        return max(0, self._site.reader.value(self._last) - self._before)

    @property
    def is_over(self) -> bool:
        """Return whether every device has a delivery."""
        return bool(self._site.reader.value(self._over))

    def wait_for(self, devices: int) -> None:
        """Return when the broadcast has reached this many devices, or all."""
        servers.wait_until(lambda: self.devices >= devices or self.is_over, 3_600, "the broadcast's progress")


def sizes(site: Site) -> Sizes:
    """Return the sizes of the tables; PostgreSQL alone knows them."""
    names = (f"push_{name}" for name in Sizes._fields)
    return Sizes(*(site.reader.value(f"SELECT pg_total_relation_size('{name}')") for name in names))


def _at_now(statement: str) -> TextClause:
    return text(statement).bindparams(bindparam("now", type_=UTCDateTime()))
