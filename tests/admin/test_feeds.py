"""The feed of a topic on its page: set it, read it now, see what is wrong, and remove it."""

from collections.abc import Iterator

import pytest

from feedback_push import http_client
from feedback_push.admin import feed_panel
from feedback_push.auth import audit
from feedback_push.database import db, utcnow
from feedback_push.http_client import Reason
from feedback_push.topics import feeds, topics
from feedback_push.topics.feed_models import Feed
from feedback_push.topics.feed_reader import Fault
from tests.admin.test_topics import HOSTILE, errors, send
from tests.doubles.web_site import Page, WebSite
from tests.published import PublishedTasks
from tests.topics.followed import new_topic
from tests.topics.published import item, rss
from tests.visits import Visitor

TOPIC = "/admin/topics/tricks"


@pytest.fixture
def site() -> Iterator[WebSite]:
    with WebSite() as running:
        yield running


def only_feed() -> Feed:
    db.session.expire_all()
    return db.session.query(Feed).one()


def test_a_feed_is_set_read_by_a_worker_changed_and_removed(
    dashboard: Visitor, site: WebSite, published: PublishedTasks
) -> None:
    new_topic()
    site.pages["/feed"] = Page(rss(item("Post 1")))
    page = send(dashboard, f"{TOPIC}/feed", feed_url=f" {site.url}/feed ", feed_mode="draft")
    assert page.one(id="feed-url").words == f"{site.url}/feed"
    assert "New entries become drafts. A worker is about to read it." in page.one(id="feed-state").words
    assert site.requests == []  # no request of a browser waits for another server
    assert published.next() == ("topics.read_feeds", [])
    feeds.read_due()
    page = dashboard.read(TOPIC)
    assert "Last read without an error" in page.one(id="feed-state").words
    assert "Next reading" in page.one(id="feed-state").words
    send(dashboard, f"{TOPIC}/feed", feed_url=f"{site.url}/feed", feed_mode="automatic")
    feed = only_feed()
    assert (feed.is_automatic, feed.last_status) == (True, 200)
    feed.last_read_at = feed.next_read_at = utcnow() - feeds._BETWEEN  # noqa: SLF001
    db.session.commit()
    assert "A worker is about to read it" in send(dashboard, f"{TOPIC}/feed/read").one(id="feed-state").words
    feeds.read_due()
    assert len(site.requests) == 2
    page = send(dashboard, f"{TOPIC}/feed/remove")
    assert (page.all(id="feed-url"), db.session.query(Feed).count()) == ([], 0)
    assert [audit.label(entry) for entry in audit.page().entries[:3]] == [
        "Removed the feed of the topic \u201cTricks\u201d",
        *["Set the feed of the topic \u201cTricks\u201d"] * 2,
    ]


def test_a_new_topic_has_its_feed_from_the_start(dashboard: Visitor) -> None:
    send(dashboard, "/admin/topics", name="Tricks", feed_url="https://example.org/feed")
    feed = only_feed()
    assert (feed.url, feed.is_automatic, feed.topic.slug) == ("https://example.org/feed", True, "tricks")
    page = send(dashboard, "/admin/topics", name="Goodies", feed_url="ftp://example.org/")
    assert [text.split(".")[0] for text in errors(page)] == ["This is not an address that can be read"]
    assert page.fields["feed_url"] == "ftp://example.org/"
    assert topics.find("goodies") is None


def test_what_is_typed_wrongly_is_named_and_kept(dashboard: Visitor) -> None:
    new_topic()
    for typed in ("", "http://ada:word@example.org/", "https://example.org:22/", "javascript:alert(1)", HOSTILE):
        page = send(dashboard, f"{TOPIC}/feed", feed_url=typed, feed_mode="automatic")
        assert page.alert
        assert (len(errors(page)), page.fields["feed_url"]) == (1, typed)
    page = send(dashboard, f"{TOPIC}/feed", feed_url="h" * 2001, feed_mode="never")
    assert len(errors(page)) == 2
    assert db.session.query(Feed).count() == 0
    assert dashboard.post(f"{TOPIC}/feed/read", data={"csrf_token": page.fields["csrf_token"]}).status_code == 404


@pytest.mark.usefixtures("app")
def test_an_address_may_be_typed_as_people_write_it() -> None:
    typed = {
        "example.org/feed": "https://example.org/feed",
        "https://b\u00fccher.example/\u00e4 b?c=\u00e9&d=%20": "https://xn--bcher-kva.example/%C3%A4%20b?c=%C3%A9&d=%20",
        "http://stra\u00dfe.example:8080/x#top": "http://xn--strae-oqa.example:8080/x",
    }
    for text, url in typed.items():
        assert http_client.typed_url(text) == url
        http_client.check(url)


def test_every_problem_has_a_text_and_a_moved_feed_a_button(dashboard: Visitor) -> None:
    assert feed_panel.PROBLEMS.keys() == {*Reason, *Fault}
    feeds.put(new_topic(), "https://example.org/feed", is_automatic=True)
    for reason in feed_panel.PROBLEMS:
        feed = only_feed()
        feed.last_error, feed.last_status, feed.last_read_at = reason, 503, utcnow()
        feed.next_read_at = None if reason == Fault.GONE else utcnow()
        db.session.commit()
        page = dashboard.read(TOPIC)
        assert page.one(id="feed-problem").words == f"{feed_panel.problem(reason, 503)} Nothing was sent."
        assert ("It is not read any more." in page.one(id="feed-state").words) == (reason == Fault.GONE)
    feed = only_feed()
    feed.last_error, feed.moved_to = "", "https://example.org/new"
    db.session.commit()
    moved = dashboard.read(TOPIC).one(id="feed-moved")
    assert "https://example.org/new" in moved.words
    send(dashboard, f"{TOPIC}/feed", feed_url="https://example.org/new", feed_mode="automatic")
    assert only_feed().id == feed.id
    assert dashboard.read(TOPIC).all(id="feed-moved") == []


def test_a_feeds_texts_are_shown_as_text(dashboard: Visitor, site: WebSite) -> None:
    topic = new_topic()
    site.pages["/feed"] = Page(rss())
    feeds.put(topic, f"{site.url}/feed", is_automatic=False)
    db.session.commit()
    feeds.read_due()
    title = "&lt;script&gt;alert(1)&lt;/script&gt;\u202e"
    site.pages["/feed"] = Page(rss(item(title, link="javascript:alert(1)", more=f"<description>{title}</description>")))
    only_feed().next_read_at = utcnow()
    db.session.commit()
    feeds.read_due()
    assert "\u2068<script>alert(1)</script>\u202e\u2069" in dashboard.read(TOPIC).one(id="waiting").words
    assert "javascript:" not in dashboard.get(TOPIC).text
