"""Followers in a real Firefox: they choose topics, get each broadcast as an alert, and change or stop it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from feedback_push.database import db
from feedback_push.push import followers, outbox
from feedback_push.push.models import Delivery, Follower, OutboxEntry, Subscription
from feedback_push.topics import broadcasts, feeds, topics
from feedback_push.topics.broadcasts import Draft
from feedback_push.topics.feed_models import Feed
from feedback_push.topics.models import Topic
from tests import servers
from tests.browser.conftest import png
from tests.browser.dashboard import Dashboard
from tests.browser.firefox import Firefox
from tests.browser.test_visitor import _EXPIRE, stored_devices
from tests.doubles.push_device import Device
from tests.doubles.web_site import Page, WebSite
from tests.topics.published import item, rss

RED = "#8b1e3f"
_SENT = """
const sent = performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname);
return sent.filter((path) => path.startsWith("/visitor/push/"));
"""


@pytest.fixture
def follower(dashboard: Dashboard) -> Firefox:
    """A browser on the page of three topics, one with an icon; a fourth is hidden."""
    with dashboard.site.database():
        topics.add(slug="tricks", name="Tricks", icon=png(RED), icon_type="image/png")
        for slug in ("goodies", "news"):
            topics.add(slug=slug, name=slug.title())
        topics.add(slug="secret", name="Secret", is_public=False)
        db.session.commit()
    dashboard.browser.open(f"{dashboard.site.url}/follow/")
    return settled(dashboard.browser)


def settled(browser: Firefox) -> Firefox:
    """Wait until the boxes can be used."""
    browser.wait_for("#topics:not([disabled])")
    return browser


def tick(browser: Firefox, *slugs: str) -> None:
    """Click the boxes of these topics."""
    for slug in slugs:
        browser.find(f"[value={slug}]").click()


def save(browser: Firefox) -> None:
    """Save the boxes, and wait until the page says so."""
    browser.find("[type=submit]").click()
    browser.wait_for("[data-told=saved]:not([hidden])")


def ticked(browser: Firefox) -> list[str]:
    return list(browser.script("return Array.from(document.querySelectorAll(':checked'), ({ value }) => value)"))


def turn_on(dashboard: Dashboard, *slugs: str) -> Device:
    """Follow these topics, with the browser's prompt."""
    tick(dashboard.browser, *slugs)
    assert not dashboard.asks_for_permission
    dashboard.browser.find("[type=submit]").click()
    dashboard.browser.accept_permission_prompt()
    dashboard.browser.wait_for("#follow[data-state=on]")
    return dashboard.service.devices[-1]


def broadcast(dashboard: Dashboard, slug: str, title: str, **more: Any) -> None:
    """Send a broadcast to the followers of a topic."""
    with dashboard.site.database():
        topic = topics.find(slug)
        assert topic
        entry_id = broadcasts.start(broadcasts.add(topic, Draft(title, "Read it.", **more)))
        db.session.commit()
        assert entry_id
        outbox.wake(entry_id)


def read_feed(dashboard: Dashboard, url: str) -> None:
    """Let the site's worker read the feed of a topic, and wait until it has."""
    with dashboard.site.database():
        topic = topics.find("tricks")
        assert topic
        feed = feeds.put(topic, url, is_automatic=True)
        before = feed.last_success_at
        feeds.read_soon(feed)
        feed.next_read_at = datetime.now(UTC)  # as if the last reading were long ago
        db.session.commit()
        feeds.wake()

    def is_read() -> bool:
        with dashboard.site.database():
            return db.session.query(Feed).one().last_success_at != before

    servers.wait_until(is_read, 60, "the reading")


def told(dashboard: Dashboard) -> list[tuple[bool, bool]]:
    """Return for each delivery whether it was shown, and clicked."""
    with dashboard.site.database():
        rows = db.session.query(Delivery).order_by(Delivery.id).all()
        return [(row.shown_at is not None, row.clicked_at is not None) for row in rows]


def test_broadcasts_of_two_topics_arrive_and_after_leaving_one_only_the_other(
    dashboard: Dashboard, follower: Firefox, bare_site: str
) -> None:
    device = turn_on(dashboard, "tricks", "goodies")
    assert stored_devices(dashboard) == [(device.endpoint, False)]
    assert follower.script(_SENT) == ["/visitor/push/subscribe"]
    elsewhere = f"{bare_site}opt-in.js"
    broadcast(dashboard, "tricks", "A trick", url=elsewhere)
    assert follower.alert("A trick").body == "Read it."
    assert follower.alert_icon_colour("A trick") == RED
    servers.wait_until(lambda: told(dashboard) == [(True, False)], 60, "the receipt")
    follower.open("about:blank")
    follower.click_alert("A trick")
    follower.switch_to_newest_tab()
    follower.wait_for(lambda: follower.url == elsewhere)  # on another site
    servers.wait_until(lambda: told(dashboard) == [(True, True)], 60, "the receipt")
    broadcast(dashboard, "goodies", "A goody")
    follower.alert("A goody")
    follower.click_alert_action("change", "A goody")
    follower.switch_to_newest_tab()
    follower.wait_for(lambda: follower.url == f"{dashboard.site.url}/follow/")
    assert ticked(settled(follower)) == ["tricks", "goodies"]
    tick(follower, "goodies")  # the first click, and the second
    save(follower)
    broadcast(dashboard, "goodies", "Another goody")
    broadcast(dashboard, "tricks", "Another trick")
    follower.alert("Another trick")
    assert [alert.title for alert in follower.alerts if "Another" in alert.title] == ["Another trick"]
    dashboard.service.wait_ack(device, count=3)
    assert len(device.acks) == 3


def test_an_entry_that_the_owners_feed_gains_arrives_as_an_alert_of_its_topic_alone(
    dashboard: Dashboard, follower: Firefox
) -> None:
    turn_on(dashboard, "tricks", "goodies")
    with WebSite() as blog:
        blog.pages["/feed"] = Page(rss(item("An old trick", link="/old")))
        read_feed(dashboard, f"{blog.url}/feed")
        assert follower.alerts == []
        new = item(
            "A new &amp;lt;trick&amp;gt;", link="/new", more="<description>&lt;p&gt;It works.&lt;/p&gt;</description>"
        )
        blog.pages |= {
            "/feed": Page(rss(new, item("An old trick", link="/old"))),
            "/new": Page(b"<p>", content_type="text/html"),
        }
        read_feed(dashboard, f"{blog.url}/feed")
        assert follower.alert("A new <trick>").body == "It works."
        follower.click_alert("A new <trick>")
        follower.switch_to_newest_tab()
        follower.wait_for(lambda: follower.url == f"{blog.url}/new")
    servers.wait_until(lambda: told(dashboard) == [(True, True)], 60, "the receipt")


def test_a_hidden_topic_is_followed_from_its_own_address_and_kept_on_the_other_page(
    dashboard: Dashboard, follower: Firefox
) -> None:
    follower.open(f"{dashboard.site.url}/follow/secret")
    settled(follower).find("[type=submit]").click()  # it is ticked already
    follower.accept_permission_prompt()
    follower.wait_for("#follow[data-state=on]")
    follower.open(f"{dashboard.site.url}/follow/")
    assert "Secret" in settled(follower).find("#other-topics").text
    tick(follower, "news")
    save(follower)
    follower.open(f"{dashboard.site.url}/follow/news")
    assert ticked(settled(follower)) == ["news", "secret"]
    follower.find("#stop").click()
    follower.wait_for("[data-told=stopped]:not([hidden])")
    assert (stored_devices(dashboard), ticked(follower)) == ([], [])
    follower.find("[type=submit]").click()
    assert "Choose at least one topic" in follower.wait_for("[data-told=none]:not([hidden])").text


def test_a_paused_topic_says_why_and_goes_on_with_one_click(dashboard: Dashboard, follower: Firefox) -> None:
    turn_on(dashboard, "tricks", "news")
    with dashboard.site.database():
        audience = db.session.query(Topic.audience_id).filter_by(slug="tricks").scalar()
        db.session.query(Follower).filter_by(audience_id=audience).update({"paused_at": datetime.now(UTC)})
        db.session.commit()
    follower.open(f"{dashboard.site.url}/follow/")
    assert "you opened none of the last 20" in follower.wait_for("#paused-topics:not([hidden])").text
    assert ticked(settled(follower)) == ["news"]
    follower.find("#paused-topics button").click()
    follower.wait_for("[data-told=saved]:not([hidden])")
    assert ticked(follower) == ["tricks", "news"]
    assert not follower.find("#paused-topics").is_displayed
    broadcast(dashboard, "tricks", "A trick")
    follower.alert("A trick")


def test_a_renewed_subscription_keeps_its_topics_and_a_visit_brings_back_one_that_seemed_gone(
    dashboard: Dashboard, follower: Firefox
) -> None:
    old = turn_on(dashboard, "tricks")
    follower.open("about:blank")
    follower.chrome(_EXPIRE, f"{dashboard.site.url}/visitor/")
    servers.wait_until(lambda: (old.endpoint, False) not in stored_devices(dashboard), 60, "a new device")
    follower.open(f"{dashboard.site.url}/follow/")
    assert ticked(settled(follower)) == ["tricks"]
    broadcast(dashboard, "tricks", "A trick")
    follower.alert("A trick")
    servers.wait_until(lambda: told(dashboard) == [(True, False)], 60, "the receipt")
    ago = datetime.now(UTC) - timedelta(hours=1)
    with dashboard.site.database():  # without a push that it has accepted, the sweep would delete the device
        db.session.query(Subscription).update({"state": "gone", "gone_at": ago, "last_accepted_at": ago})
        db.session.commit()
    follower.open(f"{dashboard.site.url}/follow/")
    settled(follower)

    def is_live() -> bool:
        with dashboard.site.database():
            return bool(db.session.query(Subscription.state).scalar() == "live")

    servers.wait_until(is_live, 60, "the device")
    broadcast(dashboard, "tricks", "Another trick")
    follower.alert("Another trick")
    follower.find("#stop").click()
    follower.wait_for("[data-told=stopped]:not([hidden])")
    assert stored_devices(dashboard) == []


def test_an_administrator_who_follows_a_topic_gets_it_once_and_from_the_visitors_worker(
    dashboard: Dashboard, follower: Firefox
) -> None:
    theirs = turn_on(dashboard, "tricks")
    dashboard.sign_in()
    follower.find("#push-enable").click()
    dashboard.wait_for_card("on")
    ours = dashboard.service.devices[-1]
    assert stored_devices(dashboard) == [(theirs.endpoint, False), (ours.endpoint, True)]
    broadcast(dashboard, "tricks", "A trick")
    follower.alert("A trick")
    dashboard.site.visitor().write("Hello", name="Ben")
    follower.alert("Ben:")
    for each in (theirs, ours):
        dashboard.service.wait_ack(each)
    assert [len(theirs.acks), len(ours.acks)] == [1, 1]
    with dashboard.site.database():
        device = followers.find(ours.endpoint)
        assert device
        assert topics.followed_by(device.id) == []
        assert db.session.query(OutboxEntry).count() == 2


def test_blocked_notifications_leave_the_feeds(dashboard: Dashboard, follower: Firefox) -> None:
    tick(follower, "tricks")
    follower.find("[type=submit]").click()
    follower.block_permission_prompt()
    assert "feed reader" in follower.wait_for("#follow[data-state=denied]").text
    assert not follower.find("[type=submit]").is_displayed
    assert follower.find("a[href='/follow/tricks.atom']").is_displayed
    assert stored_devices(dashboard) == []
