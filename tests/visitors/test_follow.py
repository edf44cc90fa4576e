"""feedback_push/visitors/follow.py: the pages where visitors follow topics, without JavaScript."""

import gzip
from contextlib import closing
from typing import Any

import pytest
from flask import Flask

from feedback_push import database
from feedback_push.database import db, utcnow
from feedback_push.feedback import personal_data
from feedback_push.feedback.models import Message
from feedback_push.push import followers, results
from feedback_push.push.claims import SessionEnded, Watch
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, Follower, Subscription
from feedback_push.topics import broadcasts, topics
from feedback_push.visitors import push
from feedback_push.webpush.gateway import Result
from tests.conftest import KEYS
from tests.doubles.push_service import PushService
from tests.push.devices import new_device, owner
from tests.push.malformed import DEEP, GOOD, UNREADABLE
from tests.push.notes import claim
from tests.topics.followed import fanned_out, new_topic, started
from tests.visitors.conversations import begun, devices, follow
from tests.visits import Page, Visit, Visitor

SUBSCRIBE, FOLLOWING = "/visitor/push/subscribe", "/visitor/push/following"
NOTHING: dict[str, Any] = {"topics": [], "paused": {}, "names": {}, "renew": False}


def slugs(page: Page) -> list[str]:
    return [box.attributes["value"] for box in page.all("input", name="topic")]


def test_the_page_has_a_box_a_record_and_a_feed_for_each_public_topic(client: Visitor) -> None:
    assert "There is nothing to follow here yet." in client.get("/follow/").text
    new_topic("tricks", description="One <b>trick</b> \u202ea day", icon=b"png", icon_type="image/png")
    new_topic("secret", is_public=False), new_topic("goodies")
    page = client.read("/follow/")
    assert slugs(page) == ["tricks", "goodies"]
    assert [feed.attributes["href"] for feed in page.all("link", rel="alternate")] == [
        "/follow/tricks.atom",
        "/follow/goodies.atom",
    ]
    about = page.one("div", id="about-tricks")
    assert about.words == "One <b>trick</b> \u202ea day Nothing sent yet"
    assert page.one("img", src="/follow/tricks/icon")
    assert not page.all("input", checked="")
    assert "secret" not in client.get("/follow/").text


def test_a_hidden_topic_is_shown_alone_to_whoever_has_its_address_and_to_no_search_engine(client: Visitor) -> None:
    new_topic("tricks"), new_topic("secret", is_public=False)
    for slug, is_hidden in (("tricks", False), ("secret", True)):
        page = client.read(f"/follow/{slug}")
        assert slugs(page) == [slug]
        assert "checked" in page.one("input", name="topic").attributes
        for address in (f"/follow/{slug}", f"/follow/{slug}.atom"):
            assert ("X-Robots-Tag" in client.get(address).headers) is is_hidden
    for unknown in ("unknown", "Tricks", "a" * 2000, "a--b", "%00", "é", "tricks/x", "..%2fadmin"):
        for address in (f"/follow/{unknown}", f"/follow/{unknown}.atom", f"/follow/{unknown}/icon"):
            assert client.get(address).status_code == 404, address


def test_an_icon_is_cached_and_does_nothing_when_it_is_opened(client: Visitor) -> None:
    script = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    new_topic("tricks", icon=script, icon_type="image/svg+xml"), new_topic("plain")
    answer = client.get("/follow/tricks/icon")
    assert (answer.data, answer.mimetype) == (script, "image/svg+xml")
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    policy = answer.headers["Content-Security-Policy"]
    assert ("default-src 'none'" in policy, "sandbox" in policy, "script-src" in policy) == (True, True, False)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = client.get("/follow/tricks/icon", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert client.get("/follow/plain/icon").status_code == 404


def test_the_page_of_topics_is_compressed_and_holds_no_secret_that_its_size_could_reveal(client: Visitor) -> None:
    for number in range(topics.MOST_TOPICS):
        new_topic(f"topic-{number}", description=f"Sentence {number} says what is sent here. " * 5)
    answer = client.get("/follow/", headers={"Accept-Encoding": "gzip"})
    assert len(answer.data) < 10_000
    assert gzip.decompress(answer.data).decode().count('name="topic" value=') == topics.MOST_TOPICS
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert "Content-Encoding" not in client.get("/follow/").headers
    assert "csrf" not in client.get("/follow/").text
    assert "Set-Cookie" not in answer.headers


def test_without_keys_the_page_offers_the_feeds_alone(visit: Visit) -> None:
    visitor = visit(vapid_private_key="", vapid_public_key="")
    with visitor.application.app_context():
        new_topic("tricks")
        page = visitor.read("/follow/")
        assert (slugs(page), page.all("button"), page.all("script")) == ([], [], [])
        assert page.one("a", href="/follow/tricks.atom")
        assert "Notifications are off on this site." in page.one("form", id="follow").words


def test_the_state_of_a_browser_is_read_by_its_endpoint_and_an_unknown_one_gets_the_same_answer(
    any_app: Flask, service: PushService
) -> None:
    client, device, stranger = Visitor(any_app), *(service.new_device(KEYS.public_key) for _ in range(2))
    _, secret = new_topic("tricks"), new_topic("secret", is_public=False, pause_after=5)
    (_, token), audience_id = begun(), secret.audience_id
    administrators = new_device(owner(), service)
    follow(client, stranger, token)
    asked = [client.post(FOLLOWING, json={"endpoint": each.endpoint}) for each in (device, stranger, administrators)]
    assert [answer.get_json() for answer in asked] == [NOTHING] * 3
    client.post(SUBSCRIBE, json={"subscription": device.as_json(), "topics": ["tricks", "secret"]})
    db.session.query(Follower).filter_by(audience_id=audience_id).update({"paused_at": utcnow()})
    db.session.commit()
    assert client.post(FOLLOWING, json={"endpoint": device.endpoint}).get_json() == {
        "topics": ["tricks", "secret"],
        "paused": {"secret": "Paused, because you opened none of the last 5."},
        "names": {"tricks": "Tricks", "secret": "Secret"},
        "renew": False,
    }
    before = devices()
    db.session.query(Subscription).filter_by(endpoint=device.endpoint).update({"state": DeviceState.GONE})
    db.session.commit()
    assert client.post(FOLLOWING, json={"endpoint": device.endpoint}).get_json()["renew"] is True
    assert devices() == before
    answer = client.post(SUBSCRIBE, json={"subscription": device.as_json()})  # as the page does then
    assert answer.get_json()["topics"] == ["tricks", "secret"]
    assert client.post(FOLLOWING, json={"endpoint": device.endpoint}).get_json()["paused"]  # a visit is no interest


def test_malformed_questions_for_the_state_are_refused(client: Visitor) -> None:
    malformed: list[Any] = [7, [], {}, None, "", "\ud800", "\0", "a" * 5000]
    for endpoint in malformed:
        assert client.post(FOLLOWING, json={"endpoint": endpoint}).status_code == 422, endpoint
    for raw in [*UNREADABLE, *DEEP]:
        answer = client.post(FOLLOWING, data=raw, content_type="application/json")
        assert 400 <= answer.status_code < 500, raw[:20]
        assert list(answer.get_json()) == ["error"]


def test_a_browser_that_leaves_in_mid_delivery_gets_nothing_more_and_breaks_nothing(
    any_app: Flask, service: PushService
) -> None:
    client, (leaves, stays, waits) = Visitor(any_app), [service.new_device(KEYS.public_key) for _ in range(3)]
    topic = new_topic("tricks")
    new_topic("goodies")
    for device, chosen in ((leaves, ["tricks"]), (stays, ["tricks", "goodies"]), (waits, ["tricks", "goodies"])):
        client.post(SUBSCRIBE, json={"subscription": device.as_json(), "topics": chosen})
    fanned_out(started(topic))
    claimed = claim(2)
    fanned_out(other := started(topic))
    broadcasts.pause(other)  # its deliveries wait until it is resumed
    db.session.commit()
    for device in (leaves, stays, waits):
        client.post("/visitor/push/unsubscribe", json={"endpoint": device.endpoint, "topics": ["tricks"]})
    assert devices() == {stays.endpoint: 1, waits.endpoint: 1}
    with closing(database.reader(db.engine)) as connection:
        watch = Watch(lambda: connection)
        assert [type(refusal) for refusal in watch.refusals(claimed)] == [SessionEnded, SessionEnded]
    results.record([Result(claimed[0], 201, None)], utcnow())  # it was on its way already
    broadcasts.resume(other)
    db.session.commit()
    assert claim() == []
    assert {state for (state,) in db.session.query(Delivery.state)} <= {DeliveryState.CANCELLED, DeliveryState.ACCEPTED}


def test_following_stores_no_person_and_leaving_the_last_topic_leaves_nothing(
    client: Visitor, service: PushService
) -> None:
    new_topic("tricks")
    _, token = begun(submitter_email="ada@example.org")
    only, both = (service.new_device(KEYS.public_key) for _ in range(2))
    for device, more in ((only, {}), (both, {"conversations": [token]})):
        body = {"subscription": device.as_json(), "topics": ["tricks"], **more}
        assert "Set-Cookie" not in client.post(SUBSCRIBE, json=body).headers
    row = db.session.query(Subscription).filter_by(endpoint=only.endpoint).one()
    kept = {column.name for column in row.__table__.columns if getattr(row, column.name) is not None}
    assert kept == {
        *("id", "endpoint", "p256dh", "auth", "vapid_public_key", "name", "language"),
        *("state", "failures", "added_at", "seen_at", "service"),
    }
    while personal_data.erase_some("ada@example.org"):
        db.session.commit()
    assert db.session.query(Message).all() == []
    assert devices() == {only.endpoint: 1, both.endpoint: 1}  # erasing a person ends no topic of an unnamed browser
    for device in (only, both):
        client.post("/visitor/push/unsubscribe", json={"endpoint": device.endpoint, "topics": ["tricks"]})
    assert devices() == {}


@pytest.mark.slow
def test_an_office_can_follow_and_made_up_subscriptions_have_an_end_and_leave(visit: Visit) -> None:
    visitor = visit(ratelimit_enabled=True)
    office = {"REMOTE_ADDR": "198.51.100.9"}  # no other test counts for it

    def ask(address: str, number: int, *slugs: str) -> int:
        made_up = f"{GOOD['endpoint']}{number}"
        body = {"endpoint": made_up, "subscription": {**GOOD, "endpoint": made_up}, "topics": slugs}
        return visitor.post(address, json=body, environ_overrides=office).status_code

    with visitor.application.app_context():
        new_topic("tricks")
        statuses = [ask(SUBSCRIBE, number, "tricks") for number in range(push.SUBSCRIPTIONS.for_network + 1)]
        assert push.SUBSCRIPTIONS.for_network >= 200  # people who share an address
        assert (set(statuses[:-1]), statuses[-1]) == ({200}, 429)
        assert ask(SUBSCRIBE, 0, "unknown") == 429  # unknown topics count, too
        assert ask("/visitor/push/unsubscribe", 0, "tricks") == 200  # leaving never has to wait
        assert visitor.get("/follow/", environ_overrides=office).status_code == 200
        db.session.query(Subscription).update({"state": DeviceState.GONE, "gone_at": utcnow()})
        db.session.commit()
        followers.delete_never_reached(utcnow())
        db.session.commit()
        assert devices() == {}


def test_a_renewed_subscription_is_no_sign_of_interest(any_app: Flask, service: PushService) -> None:
    client, old, new = Visitor(any_app), *(service.new_device(KEYS.public_key) for _ in range(2))
    new_topic("tricks")
    client.post(SUBSCRIBE, json={"subscription": old.as_json(), "topics": ["tricks"]})
    times: dict[Any, Any] = {"opened_at": utcnow(), "paused_at": utcnow(), "asked_at": utcnow()}
    db.session.query(Follower).update(times)
    db.session.commit()
    client.post(SUBSCRIBE, json={"subscription": new.as_json(), "replaces": old.endpoint})
    [row] = db.session.query(Follower)
    assert {name: getattr(row, name) for name in times} == times
    assert devices() == {new.endpoint: 1}


def test_the_script_for_other_sites_may_be_loaded_there_and_cached(client: Visitor) -> None:
    answer = client.get("/embed/follow.js")
    assert answer.mimetype == "text/javascript"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert client.get("/embed/follow.js", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    for address in ("/follow/", "/static/site.css", "/visitor/sw.js"):
        assert client.get(address).headers["Cross-Origin-Resource-Policy"] == "same-origin"
