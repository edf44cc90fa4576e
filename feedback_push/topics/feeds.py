"""Feeds: set the address of a topic's feed, read it when it is due, and make broadcasts of its new entries."""

import logging
from datetime import datetime, timedelta
from threading import Thread
from typing import NamedTuple

from flask import Flask, current_app
from sqlalchemy import Select, delete, or_, select

from feedback_push import database, dispatch, http_client, maintenance
from feedback_push.config import current_settings
from feedback_push.database import db, utcnow
from feedback_push.push import outbox
from feedback_push.topics import feed_broadcasts, feed_entries, feed_reader
from feedback_push.topics.feed_models import Feed
from feedback_push.topics.feed_reader import Fault, Known, Reading, Unreadable
from feedback_push.topics.models import Topic

_LEASE = timedelta(seconds=60)  # longer than a request and the parser may take together
_LONGEST_PAUSE = timedelta(days=1)  # after failures
_LONGEST_RETRY_AFTER = timedelta(days=7)
_BETWEEN = timedelta(seconds=5)  # of two readings, however often somebody asks for one
_log = logging.getLogger(__name__)
_thread: Thread | None = None


class Claim(NamedTuple):
    """A feed that this process reads until `until`."""

    feed_id: int
    until: datetime
    url: str
    known: Known


def of(topic: Topic) -> Feed | None:
    """Return the feed of a topic; None if it has none."""
    return db.session.scalar(select(Feed).where(Feed.topic_id == topic.id))


def put(topic: Topic, url: str, *, is_automatic: bool) -> Feed:
    """Set the feed of a topic. The caller commits, then calls `wake`.

    A new address starts anew: its first reading sends nothing. Only the address that the feed says it has moved to
    keeps the entries that were seen. Raise `http_client.Failure` for an address that is never requested.
    """
    http_client.check(url)
    db.session.execute(select(Topic.id).where(Topic.id == topic.id).with_for_update())
    feed = of(topic)
    if feed is not None and url not in (feed.url, feed.moved_to):
        remove(topic)
        feed = None
    if feed is None:
        feed = Feed(topic=topic, url=url, is_automatic=is_automatic)
        db.session.add(feed)
    elif url != feed.url:
        feed.url, feed.moved_to, feed.next_read_at = url, "", utcnow()
    feed.is_automatic = is_automatic
    db.session.flush()
    return feed


def remove(topic: Topic) -> None:
    """Remove the feed of a topic; its broadcasts stay. The caller commits."""
    db.session.execute(delete(Feed).where(Feed.topic_id == topic.id))
    db.session.expire_all()


def read_soon(feed: Feed) -> None:
    """Let a worker read a feed now, also one that is gone. The caller commits, then calls `wake`."""
    feed.next_read_at = max(utcnow(), (feed.last_read_at or feed.created_at - _BETWEEN) + _BETWEEN)


def wake() -> None:
    """Tell the workers that a feed is due; never raise and never wait."""
    dispatch.publish("topics.read_feeds")


@maintenance.register
def start_reading(now: datetime) -> None:
    """Read the feeds that are due in a thread of this process, because another server can take its time to answer.

    So no task waits for it. The thread needs no broker either.
    """
    global _thread  # noqa: PLW0603 - one thread in a process, however many tasks ask for it
    if (_thread is None or not _thread.is_alive()) and db.session.scalar(_due(now)) is not None:
        app = current_app._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - Flask documents it
        _thread = Thread(target=_read_all, args=(app,), name="feeds", daemon=True)
        _thread.start()


def read_due() -> None:
    """Read one feed after the other until none is due."""
    while claim := claim_next(utcnow()):
        try:
            read: Reading | Unreadable = feed_reader.read(claim.url, claim.known)
        except Unreadable as error:
            read = error
        woken = record(claim, read)
        db.session.commit()
        for entry_id in woken:
            outbox.wake(entry_id)


def _read_all(app: Flask) -> None:
    with app.app_context():
        try:
            read_due()
        except Exception:  # noqa: BLE001 - the thread has no caller; the next sweep tries again
            _log.exception("a feed could not be read; it is tried again when its claim ends")


def _due(now: datetime) -> Select[int]:
    unclaimed = or_(Feed.claimed_until.is_(None), Feed.claimed_until <= now)
    return select(Feed.id).where(Feed.next_read_at <= now, unclaimed).order_by(Feed.next_read_at).limit(1)


def claim_next(now: datetime) -> Claim | None:
    """Claim a feed that is due and commit, so that no other worker reads it and no transaction is open."""
    until = now + _LEASE
    feed = database.claim(Feed, _due(now), claimed_until=until, next_read_at=until)
    claim = None if feed is None else Claim(feed.id, until, feed.url, feed.known)
    db.session.commit()
    return claim


def record(claim: Claim, read: Reading | Unreadable) -> list[int]:
    """Store the result of a reading; return the outbox entries to wake. The caller commits.

    The result is void if the claim has ended, or if the feed has another address by now.
    """
    locked = select(Feed).where(Feed.id == claim.feed_id).with_for_update(of=Feed)
    feed = db.session.scalar(locked.execution_options(populate_existing=True))
    if feed is None or feed.claimed_until != claim.until or feed.url != claim.url:
        return []
    now = utcnow()
    feed.claimed_until, feed.last_read_at = None, now
    if isinstance(read, Unreadable):
        feed.failures += 1
        feed.last_status, feed.last_error = read.status, read.reason
    else:
        feed.failures, feed.last_status, feed.last_error, feed.last_success_at = 0, read.status, "", now
        feed.etag, feed.last_modified, feed.content_hash = read.known
        feed.moved_to = read.moved_to
    if feed.next_read_at == claim.until:  # otherwise somebody has asked for another reading meanwhile
        feed.next_read_at = _next(feed, now, read.retry_after)
    if isinstance(read, Unreadable) or read.document is None:
        return []
    return feed_broadcasts.make(feed, feed_entries.remember(feed, read.document.entries), read.document)


def _next(feed: Feed, now: datetime, retry_after: float | None) -> datetime | None:
    """Return when to read the feed again: twice as late after each failure, or when its server asks for it."""
    if feed.last_error == Fault.GONE:
        return None
    usual = timedelta(minutes=current_settings().feed_interval_minutes)
    pause = min(usual * 2 ** min(max(0, feed.failures - 1), 20), max(_LONGEST_PAUSE, usual))
    asked = timedelta(seconds=min(retry_after or 0, _LONGEST_RETRY_AFTER.total_seconds()))
    due: datetime = now + max(pause, asked)
    return due
