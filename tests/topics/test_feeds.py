"""Feeds: read when they are due, by one worker, and remembered, so that exactly the new entries become broadcasts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask_babel import force_locale, ngettext

from feedback_push import maintenance
from feedback_push.database import db, utcnow
from feedback_push.http_client import Failure
from feedback_push.topics import broadcasts, feed_broadcasts, feed_entries, feed_reader, feeds, topics
from feedback_push.topics.feed_document import Document, Entry
from feedback_push.topics.feed_models import LONGEST_KEYS, Feed, FeedEntry
from feedback_push.topics.feed_reader import Known, Reading, Unreadable
from feedback_push.topics.models import Broadcast, BroadcastState, Topic
from tests.doubles.web_site import Page, WebSite
from tests.push.devices import visitors
from tests.topics.followed import fanned_out, new_topic
from tests.topics.published import item, rss

JUNE = datetime(2020, 6, 1, tzinfo=UTC).timestamp()
BLOG = "https://blog.example"


@pytest.fixture
def site() -> Iterator[WebSite]:
    with WebSite() as running:
        yield running


@pytest.fixture
def topic(app: Flask) -> Topic:
    return new_topic("tricks", *visitors(2))


def post(number: int, **changes: Any) -> Entry:
    """Return an entry of a day in June 2020."""
    link, at = f"{BLOG}/posts/{number}", JUNE + number * 86400
    return Entry(f"urn:{number}", link, f"Post {number}", "", at)._replace(**changes)


def follow(topic: Topic, *entries: Entry, is_automatic: bool = True) -> Feed:
    """Commit the topic's feed after its first reading, in which it has these entries."""
    feed = feeds.put(topic, f"{BLOG}/feed", is_automatic=is_automatic)
    gains(feed, *entries)
    return feed


def gains(feed: Feed, *entries: Entry, language: str = "", link: str = "") -> list[str]:
    """Record a reading of the feed with these entries; return the titles of its broadcasts, the first first."""
    feed.next_read_at = utcnow()
    db.session.commit()
    before = {broadcast.id for broadcast in db.session.query(Broadcast)}
    claim = feeds.claim_next(utcnow())
    assert claim
    feeds.record(claim, Reading(200, Known(), Document("Blog", link, language, list(entries)), "", None))
    db.session.commit()
    after = db.session.query(Broadcast).order_by(Broadcast.id)
    return [broadcast.title for broadcast in after if broadcast.id not in before]


def publish(topic: Topic, site: WebSite, *items: str) -> Feed:
    """Commit the topic's feed on a web site, which has these items, after its first reading."""
    site.pages["/feed"] = Page(rss(*items))
    feed = feeds.put(topic, f"{site.url}/feed", is_automatic=True)
    db.session.commit()
    feeds.read_due()
    return feed


def read_again(feed: Feed) -> None:
    feed.next_read_at = utcnow()
    db.session.commit()
    feeds.read_due()


def titles() -> list[str]:
    return [broadcast.title for broadcast in db.session.query(Broadcast).order_by(Broadcast.id)]


def minutes_until_next(feed: Feed) -> int:
    assert feed.next_read_at
    assert feed.last_read_at
    return round((feed.next_read_at - feed.last_read_at).total_seconds() / 60)


def test_the_first_reading_sends_nothing_and_a_new_entry_goes_to_the_followers(any_app: Flask, site: WebSite) -> None:
    topic = new_topic("tricks", *visitors(2))
    feed = publish(topic, site, item("Post 1", guid="1"), item("Post 2", guid="2"))
    assert titles() == []
    assert (feed.last_status, feed.last_error, minutes_until_next(feed)) == (200, "", 15)
    new = item("Post 3", guid="3", link="/posts/3", more="<description>It works.</description>")
    site.pages["/feed"] = Page(rss(new, item("Post 2", guid="2")))
    for _ in range(2):
        read_again(feed)
        [broadcast] = db.session.query(Broadcast)
    assert (broadcast.title, broadcast.body) == ("Post 3", "It works.")
    assert (broadcast.url, broadcast.user_id) == (f"{site.url}/posts/3", None)
    assert (broadcast.state, len(fanned_out(broadcast))) == (BroadcastState.SENDING, 2)


def test_an_edited_entry_or_one_under_a_renewed_id_is_not_new(topic: Topic) -> None:
    for number, (before, after) in enumerate(
        [
            (post(1), post(1, title="Other", link=f"{BLOG}/other", published=JUNE)),  # edited
            (post(1), post(1, id="urn:new")),
            (post(1, published=None), post(1, id="urn:new", published=None)),
            (post(1), post(1, id="urn:new", title="Edited")),
            (post(1), post(1, id="urn:new", link=f"{BLOG}/moved")),
            (post(1, link=""), post(1, link="", id="urn:new")),
            (post(1, link="", published=None), post(1, link="", published=None, id="urn:new")),
            (post(1, id=""), post(1, id="", title="Edited", published=JUNE)),  # known by its link
            (
                post(1, id="", published=None, link="http://blog.example/1/"),
                post(1, published=None, link="https://www.blog.example/1"),
            ),
        ]
    ):
        feed = follow(topic, before)
        assert gains(feed, after) == [], number
        assert gains(feed, before) == [], number
        feeds.remove(topic)


def test_entries_that_only_look_alike_are_new(topic: Topic) -> None:
    soon = utcnow().timestamp() + 86400
    for number, (before, after) in enumerate(
        [
            (post(1, link=BLOG), post(2, link=BLOG)),  # all entries link to the home page
            (post(1, title="Links of the week"), post(2, title="Links of the week")),
            (post(1, title="Links", published=None), post(2, title="Links", published=None)),
            (post(1, id=""), post(2, id="", published=JUNE + 86400)),
            (post(1, link="", published=None), post(2, link="", published=None)),
            (post(1), post(2, published=soon)),
        ]
    ):
        feed = follow(topic, before)
        assert len(gains(feed, after, before)) == 1, number
        feeds.remove(topic)


def test_an_entry_older_than_the_first_reading_is_not_news(topic: Topic) -> None:
    feed = follow(topic, post(3), post(4))
    assert gains(feed, post(4), post(3), post(2), post(1)) == []  # the feed shows more entries than before
    feeds.remove(topic)
    feed = follow(topic)
    assert gains(feed, post(1), post(2)) == []  # an archive that is imported into an empty feed
    assert gains(feed, post(3, published=None)) == ["Post 3"]


def test_of_many_new_entries_three_are_sent_and_the_rest_as_one_digest(topic: Topic) -> None:
    feed = follow(topic, post(1))
    new = [post(n) for n in range(9, 1, -1)]
    assert gains(feed, *new, post(1)) == ["Post 7", "Post 8", "Post 9", "5 more in Tricks"]
    digest = db.session.query(Broadcast).order_by(Broadcast.id.desc()).first()
    assert digest
    assert (digest.body, digest.url) == ("Post 6\nPost 5\nPost 4\nPost 3\nPost 2", "")
    assert {broadcast.state for broadcast in db.session.query(Broadcast)} == {BroadcastState.SENDING}
    assert gains(feed, *reversed(new)) == []


def test_a_digest_is_in_the_feeds_language_and_leads_to_its_page(topic: Topic) -> None:
    feed = follow(topic)
    gains(feed, *(post(n, title=f"Neu {n} \u202e", published=None) for n in range(5)), language="de", link=BLOG)
    digest = db.session.query(Broadcast).order_by(Broadcast.id.desc()).first()
    assert digest
    assert digest.url == BLOG
    with force_locale("de"):
        named = {"count": "2", "topic": "Tricks"}
        assert digest.title == ngettext("%(count)s more in %(topic)s", "%(count)s more in %(topic)s", 2, **named)
    assert broadcasts.notification_of(digest).body.count("\u2069") == 2  # each title reorders nothing but itself


def test_while_the_cap_puts_a_broadcast_off_it_takes_in_all_further_entries(any_app: Flask) -> None:
    topic = new_topic("tricks", *visitors(1), cap_count=1, cap_days=7)
    feed = follow(topic, post(1))
    assert gains(feed, post(4), post(3), post(2), post(1)) == ["Post 2", "2 more in Tricks"]
    [sent, held] = db.session.query(Broadcast).order_by(Broadcast.id)
    assert (sent.state, held.state) == (BroadcastState.SENDING, BroadcastState.SCHEDULED)
    for number in range(5, 8):
        assert gains(feed, post(number)) == []
    db.session.expire_all()
    assert (held.title, held.body) == ("5 more in Tricks", "Post 7\nPost 6\nPost 5\nPost 4\nPost 3")
    sent.started_at = utcnow() - timedelta(days=8)
    db.session.commit()
    broadcasts.start_due(utcnow() + timedelta(days=8))
    db.session.expire_all()
    assert held.state == BroadcastState.SENDING
    assert gains(feed, post(8)) == ["Post 8"]


def test_drafts_wait_for_somebody_and_their_number_has_an_end(topic: Topic) -> None:
    feed = follow(topic, is_automatic=False)
    new = [post(n, published=None) for n in range(31)]
    assert gains(feed, *new[4::-1]) == ["Post 2", "Post 3", "Post 4", "2 more in Tricks"]
    for number in range(5, 30):
        gains(feed, new[number])
    drafts = db.session.query(Broadcast).order_by(Broadcast.id).all()
    assert {draft.state for draft in drafts} == {BroadcastState.DRAFT}
    assert len(drafts) == feed_broadcasts.MOST_DRAFTS + 1
    assert (drafts[-1].title, drafts[-1].body.partition("\n")[0]) == ("9 more in Tricks", "Post 29")
    broadcasts.start(drafts[0])
    db.session.commit()
    assert gains(feed, new[30]) == ["Post 30"]


def test_what_was_seen_is_bounded(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_entries, "KEPT", 3)
    feed = follow(topic, post(1), post(2))
    for number in range(3, 9):
        gains(feed, post(number), post(number - 1))
    assert db.session.query(FeedEntry).count() == 5
    assert gains(feed, post(8), post(7), post(4)) == []  # it is still known
    for number in range(30):  # an entry that changes all the time
        gains(feed, post(8, title=f"Edited {number}"))
    assert max(len(row.keys) for row in db.session.query(FeedEntry)) <= LONGEST_KEYS


def test_errors_are_kept_and_put_off_the_next_reading(topic: Topic, site: WebSite) -> None:
    feed = publish(topic, site)
    site.pages["/feed"] = Page(status=500)
    pauses = []
    for _ in range(9):
        read_again(feed)
        pauses.append(minutes_until_next(feed))
    assert pauses == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]
    assert (feed.failures, feed.last_status, feed.last_error) == (9, 500, "status")
    for seconds, minutes in ((3 * 86400, 3 * 1440), (999999999, 7 * 1440), (1, 1440)):
        site.pages["/feed"] = Page(status=503, headers={"Retry-After": str(seconds)})
        read_again(feed)
        assert minutes_until_next(feed) == minutes
    site.pages["/feed"] = Page(b"<html>", content_type="text/html")
    read_again(feed)
    assert (feed.last_status, feed.last_error) == (200, "web-page")
    site.stop()
    read_again(feed)
    assert (feed.last_status, feed.last_error, titles()) == (None, "connection", [])


def test_a_feed_that_works_again_sends_what_is_new_since(topic: Topic, site: WebSite) -> None:
    feed = publish(topic, site, item("Post 1"))
    site.pages["/feed"] = Page()
    read_again(feed)
    assert (feed.failures, feed.last_error) == (1, "empty")
    site.pages["/feed"] = Page(rss(item("Post 2"), item("Post 1")))
    read_again(feed)
    assert titles() == ["Post 2"]
    assert (feed.failures, feed.last_error, minutes_until_next(feed)) == (0, "", 15)


def test_a_feed_that_is_gone_is_read_no_more_unless_somebody_asks(topic: Topic, site: WebSite) -> None:
    feed = publish(topic, site)
    site.pages["/feed"] = Page(status=410)
    read_again(feed)
    assert (feed.next_read_at, feed.last_error) == (None, "gone")
    feeds.read_due()
    assert len(site.requests) == 2
    feeds.read_soon(feed)
    assert feed.next_read_at
    assert feed.last_read_at
    assert timedelta() < feed.next_read_at - feed.last_read_at < timedelta(minutes=1)


def test_a_moved_feed_is_followed_and_keeps_what_was_seen_at_its_new_address(topic: Topic, site: WebSite) -> None:
    feed = publish(topic, site, item("Post 1"))
    moved = Page(status=301, headers={"Location": "/new"})
    site.pages |= {"/new": Page(rss(item("Post 2"), item("Post 1"))), "/feed": moved}
    read_again(feed)
    assert (feed.moved_to, titles()) == (f"{site.url}/new", ["Post 2"])
    assert feeds.put(topic, feed.moved_to, is_automatic=True).id == feed.id
    db.session.commit()
    site.pages["/new"] = Page(rss(item("Post 3"), item("Post 2"), item("Post 1")))
    feeds.read_due()
    assert (feed.moved_to, titles()) == ("", ["Post 2", "Post 3"])
    assert len(site.requests) == 4
    publish(topic, site, item("Post 4"))  # at another address, it starts anew
    assert titles() == ["Post 2", "Post 3"]


def test_addresses_that_are_never_requested_are_no_feeds(topic: Topic) -> None:
    with pytest.raises(Failure):
        feeds.put(topic, "file:///etc/passwd", is_automatic=True)
    assert feeds.of(topic) is None


def test_one_worker_reads_a_feed_and_a_result_counts_once(any_app: Flask, site: WebSite) -> None:
    feed = publish(new_topic("tricks", *visitors(1)), site, item("Post 1"))
    site.pages["/feed"] = Page(rss(item("Post 2"), item("Post 1")))
    feed.next_read_at = utcnow()
    db.session.commit()
    claim = feeds.claim_next(utcnow())  # another worker, which then stops for a while
    assert claim
    assert not db.session.registry().in_transaction()
    assert feeds.claim_next(utcnow()) is None
    feed.next_read_at = utcnow()  # somebody asks for a reading
    db.session.commit()
    feeds.read_due()  # the claim keeps it
    assert titles() == []
    feed.claimed_until = feed.next_read_at = utcnow()
    db.session.commit()
    feeds.read_due()
    assert titles() == ["Post 2"]
    assert feeds.record(claim, Unreadable("timeout")) == []
    assert (feed.failures, titles()) == (0, ["Post 2"])


def test_asking_for_a_reading_meanwhile_causes_another_one(topic: Topic) -> None:
    feed = follow(topic, post(1))
    feed.next_read_at = utcnow()
    db.session.commit()
    claim = feeds.claim_next(utcnow())
    assert claim
    feeds.read_soon(feed)
    asked: datetime | None = feed.next_read_at
    feeds.record(claim, Unreadable("timeout"))
    db.session.commit()
    assert (feed.next_read_at, feed.claimed_until, feed.failures) == (asked, None, 1)


def test_a_sweep_reads_what_is_due_without_waiting_for_it_or_for_the_broker(
    without_broker: Flask, site: WebSite
) -> None:
    feed = feeds.put(new_topic(), f"{site.url}/feed", is_automatic=True)
    site.pages["/feed"] = Page(silent=True)
    db.session.commit()
    while not site.requests:
        maintenance.run_all()
    thread = feeds._thread  # noqa: SLF001
    assert thread
    assert thread.is_alive()
    site.stop()
    thread.join(30)
    db.session.expire_all()
    assert (feed.failures, len(site.requests)) == (1, 1)


def test_a_removed_topic_sends_nothing_more_and_takes_its_feed_along(any_app: Flask, site: WebSite) -> None:
    topic = new_topic("tricks", *visitors(1))
    feed = publish(topic, site, item("Post 1"))
    site.pages["/feed"] = Page(rss(item("Post 2"), item("Post 1")))
    feed.next_read_at = utcnow()
    db.session.commit()
    claim = feeds.claim_next(utcnow())
    assert claim
    topics.remove(topic)
    db.session.commit()
    assert feeds.record(claim, feed_reader.read(claim.url, claim.known)) == []
    assert [db.session.query(model).count() for model in (Feed, FeedEntry)] == [0, 0]
    topics.delete_removed(utcnow())
    db.session.commit()
    assert db.session.query(Broadcast).count() == 0
