"""feedback_push/visitors/push.py: visitors' devices, which are known by their endpoints alone."""

import json
from typing import Any

import pytest
from flask import Flask

from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.feedback import conversations
from feedback_push.feedback.models import Message
from feedback_push.push import followers, keys, notification
from feedback_push.push.claims import Entry
from feedback_push.push.models import OutboxEntry, PreviewLevel, Subscription
from feedback_push.visitors import push
from tests.conftest import KEYS
from tests.doubles.push_service import PushService
from tests.push.devices import new_device, owner, visitors
from tests.push.malformed import DEEP, GOOD, SUBSCRIPTIONS, UNREADABLE
from tests.topics.followed import new_topic
from tests.visitors.conversations import begun, conversation_of, devices, follow, made_up
from tests.visits import Visit, Visitor

SUBSCRIBE, UNSUBSCRIBE = "/visitor/push/subscribe", "/visitor/push/unsubscribe"


def levels(message_id: int) -> list[PreviewLevel]:
    """Return what each device that follows a conversation shows of an answer."""
    audience_id = conversation_of(message_id).audience_id
    assert audience_id
    ids = db.session.query(Subscription.id)
    return [
        followers.followed_by(device)[audience_id] for (device,) in ids if audience_id in followers.followed_by(device)
    ]


def test_a_browser_follows_its_conversations_and_asking_twice_makes_one_device(
    any_app: Flask, service: PushService
) -> None:
    client, device = Visitor(any_app), service.new_device(KEYS.public_key)
    (_, one), (_, another) = begun(), begun()
    answer = client.post(SUBSCRIBE, json={"subscription": device.as_json(), "conversations": [one]})
    assert (answer.status_code, answer.get_json()) == (200, {"status": "subscribed", "topics": []})
    assert [follow(client, device, one), follow(client, device, one, another)] == [200, 200]
    assert devices() == {device.endpoint: 2}
    assert "Set-Cookie" not in answer.headers
    unsubscribed = client.post(UNSUBSCRIBE, json={"endpoint": device.endpoint, "conversations": [one]})
    assert (unsubscribed.status_code, devices()) == (200, {device.endpoint: 1})
    client.post(UNSUBSCRIBE, json={"endpoint": device.endpoint, "conversations": [another, *made_up(1)]})
    assert devices() == {}
    assert client.post(UNSUBSCRIBE, json={"endpoint": device.endpoint}).get_json() == {"status": "unsubscribed"}


def test_a_browser_follows_exactly_the_topics_it_names_last_and_keeps_its_conversations(
    any_app: Flask, service: PushService
) -> None:
    client, device = Visitor(any_app), service.new_device(KEYS.public_key)
    (_, token), _ = begun(), [new_topic(slug) for slug in ("tricks", "goodies", "news")]
    assert follow(client, device, token) == 200
    for chosen in (["tricks", "news"], ["tricks", "goodies"], ["goodies"]):
        answer = client.post(SUBSCRIBE, json={"subscription": device.as_json(), "topics": chosen})
        assert answer.get_json() == {"status": "subscribed", "topics": chosen}
        assert devices() == {device.endpoint: 1 + len(chosen)}
    unknown = client.post(SUBSCRIBE, json={"subscription": device.as_json(), "topics": ["news", "unknown"]})
    assert (unknown.status_code, devices()) == (404, {device.endpoint: 2})
    client.post(UNSUBSCRIBE, json={"endpoint": device.endpoint, "topics": ["goodies", "unknown"]})
    assert devices() == {device.endpoint: 1}
    client.post(UNSUBSCRIBE, json={"endpoint": device.endpoint, "conversations": [token]})
    assert devices() == {}


def test_a_browser_that_follows_nothing_any_more_is_forgotten(client: Visitor, service: PushService) -> None:
    new_topic("tricks")
    bodies: list[dict[str, Any]] = [{"topics": ["tricks"]}, {"topics": []}]
    for body in bodies:
        answer = client.post(SUBSCRIBE, json={"subscription": service.new_device(KEYS.public_key).as_json(), **body})
        assert answer.get_json() == {"status": "subscribed", **body}
    assert list(devices().values()) == [1]
    [endpoint] = devices()
    client.post(UNSUBSCRIBE, json={"endpoint": endpoint, "topics": ["tricks"]})
    assert devices() == {}


def test_a_renewed_address_keeps_what_the_old_one_followed(any_app: Flask, service: PushService) -> None:
    client, old, new = Visitor(any_app), *(service.new_device(KEYS.public_key) for _ in range(2))
    (_, one), (_, another) = begun(), begun()
    follow(client, old, one, another)
    for _ in range(2):  # the second time there is nothing left to do
        assert follow(client, new, replaces=old.endpoint) == 200
        assert devices() == {new.endpoint: 2}
    assert follow(client, new, one, replaces=new.endpoint) == 200
    assert devices() == {new.endpoint: 2}


def test_nobody_takes_over_what_an_administrators_device_or_an_unknown_one_follows(
    app: Flask, client: Visitor, service: PushService
) -> None:
    _, token = begun()
    administrators, stranger = new_device(owner(), service), service.new_device(KEYS.public_key)
    assert follow(client, administrators, token) == 200
    for endpoint in (administrators.endpoint, "http://127.0.0.1/wpush/unknown"):
        assert follow(client, stranger, replaces=endpoint) == 404
    assert devices() == {administrators.endpoint: 1}
    client.post(UNSUBSCRIBE, json={"endpoint": administrators.endpoint})
    assert devices() == {administrators.endpoint: 0}  # it still belongs to the administrator
    assert db.session.query(Subscription).one().user_id
    assert app


def test_a_visitors_request_changes_nothing_of_an_administrators_device(client: Visitor, service: PushService) -> None:
    _, token = begun()
    device = new_device(owner(), service)
    forged = {**device.as_json(), "keys": GOOD["keys"]}
    assert client.post(SUBSCRIBE, json={"subscription": forged, "conversations": [token]}).status_code == 200
    db.session.rollback()
    assert db.session.query(Subscription).one().p256dh == device.p256dh


def test_unknown_and_ended_links_get_the_same_answer_and_store_no_device(client: Visitor, service: PushService) -> None:
    (_, known), (message, ended) = begun(), begun()
    conversations.end_link(conversation_of(message.id))
    db.session.commit()
    device, answers = service.new_device(KEYS.public_key), []
    for tokens in ([ended], made_up(1), [known, ended], [known, *made_up(1)], []):
        body = {"subscription": device.as_json(), "conversations": tokens}
        answers.append(client.post(SUBSCRIBE, json=body))
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}
    assert devices() == {}


def test_malformed_topics_are_refused(client: Visitor) -> None:
    wrong: list[Any] = [[7], [None], 7, {}, "x", ["A"], ["a" * 65], ["a"] * (push.MOST_NAMED + 1)]
    for slugs in wrong:
        for address in (SUBSCRIBE, UNSUBSCRIBE):
            body = {"subscription": GOOD, "endpoint": GOOD["endpoint"], "topics": slugs}
            assert client.post(address, json=body).status_code == 422, slugs


def test_malformed_bodies_are_refused_with_a_reason_and_store_nothing(client: Visitor) -> None:
    _, token = begun()
    for subscription, reason in SUBSCRIPTIONS:
        answer = client.post(SUBSCRIBE, json={"subscription": subscription, "conversations": [token]})
        assert answer.status_code == 422, subscription
        assert reason in answer.get_json()["error"], subscription
    wrong: list[Any] = ["x", 7, {}, [7], [None], ["x"], ["\ud800" * 43], ["é" * 43], made_up(push.MOST_NAMED + 1)]
    for tokens in wrong:
        for address in (SUBSCRIBE, UNSUBSCRIBE):
            body = {"subscription": GOOD, "endpoint": GOOD["endpoint"], "conversations": tokens}
            assert client.post(address, json=body).status_code == 422, tokens
    malformed: list[Any] = [7, [], {}, None, "\ud800", "\0", "a" * 5000]
    for endpoint in malformed:
        body = {"subscription": GOOD, "conversations": [token], "replaces": endpoint}
        assert client.post(SUBSCRIBE, json=body).status_code == 422, endpoint
        assert client.post(UNSUBSCRIBE, json={"endpoint": endpoint}).status_code == 422, endpoint
    for raw in [*UNREADABLE, *DEEP]:
        for address in (SUBSCRIBE, UNSUBSCRIBE):
            answer = client.post(address, data=raw, content_type="application/json")
            assert 400 <= answer.status_code < 500, raw[:20]
            assert list(answer.get_json()) == ["error"]
    too_large = json.dumps({"subscription": GOOD, "conversations": [token], "x": "x" * push.LARGEST_BODY})
    for address in (SUBSCRIBE, UNSUBSCRIBE):
        assert client.post(address, data=too_large, content_type="application/json").status_code == 413
    assert devices() == {}


def test_made_up_subscriptions_by_the_thousand_have_an_end_for_each_network_and_leave_by_themselves(
    visit: Visit,
) -> None:
    visitor = visit(ratelimit_enabled=True)
    with visitor.application.app_context():
        _, token = begun()
        body = {"subscription": GOOD, "conversations": made_up(1)}
        statuses = [visitor.post(SUBSCRIBE, json=body).status_code for _ in range(push.SUBSCRIPTIONS.for_network + 1)]
        assert [statuses[0], statuses[-2], statuses[-1]] == [404, 404, 429]
        elsewhere = {"REMOTE_ADDR": "203.0.113.7"}
        body["conversations"] = [token]
        assert visitor.post(SUBSCRIBE, json=body, environ_overrides=elsewhere).status_code == 200
        db.session.query(Subscription).update({"failures": 5})
        db.session.commit()
        assert visitor.post(SUBSCRIBE, json=body, environ_overrides=elsewhere).status_code == 200
        followers.delete_never_reached(None)  # type: ignore[arg-type]
        db.session.commit()
        assert devices() == {}  # asking again has not made it one that may stay


def test_a_conversation_has_a_limited_number_of_devices(client: Visitor, service: PushService) -> None:
    _, token = begun()
    found = conversations.find(token)
    assert found
    for device_id in visitors(conversations.MOST_FOLLOWERS):
        conversations.follow(found, device_id, with_text=False)
    db.session.commit()
    one_more = service.new_device(KEYS.public_key)
    assert follow(client, one_more, token) == 422
    assert one_more.endpoint not in devices()


@pytest.mark.parametrize("allowed", [True, False])
def test_a_notification_shows_the_answer_only_where_operator_and_visitor_want_it(
    visit: Visit, service: PushService, allowed: bool
) -> None:
    visitor = visit(notification_answer_text=allowed)
    with visitor.application.app_context():
        message, token = begun()
        for with_text in (True, False, "yes"):
            follow(visitor, service.new_device(KEYS.public_key), token, with_text=with_text)
        assert sorted(levels(message.id)) == sorted(
            [PreviewLevel.ALL if allowed else PreviewLevel.NOTHING, *["nothing"] * 2]
        )
        page = visitor.read(f"/conversations/{token}")
        assert bool(page.all("input", id="with-text")) is allowed
        staff = owner()
        conversations.answer(db.session.get_one(Message, message.id), staff, "The words of the answer")
        db.session.commit()
        entry = db.session.query(OutboxEntry).filter_by(kind="answer").one()
        for level, language, body in ((PreviewLevel.ALL, "de", True), (PreviewLevel.NOTHING, "en", False)):
            shown = json.loads(notification.payload_for(_entry(entry), level, language))["notification"]
            assert shown["navigate"] == f"http://127.0.0.1:8000/conversations/{token}"
            assert ("The words of the answer" in shown.get("body", "")) is (body and allowed)
            assert "Ada" not in json.dumps(shown)
        db.session.rollback()


def _entry(row: OutboxEntry) -> Entry:
    return Entry(**{name: getattr(row, name) for name in Entry._fields})


def test_without_keys_no_page_offers_notifications(visit: Visit) -> None:
    visitor = visit(vapid_private_key="", vapid_public_key="")
    with visitor.application.app_context():
        _, token = begun()
        assert visitor.read(f"/conversations/{token}").all(id="notifications") == []
        assert visitor.get("/visitor/push/key").status_code == 404
        body = {"subscription": GOOD, "conversations": [token]}
        assert visitor.post(SUBSCRIBE, json=body).status_code == 404


def test_the_worker_has_its_own_scope_and_texts_in_the_readers_language(client: Visitor) -> None:
    worker = client.get("/visitor/sw.js")
    assert worker.text.startswith('const TEXTS = {"lang": "en", "title": "You have an answer"')
    assert worker.headers["Cache-Control"] == "no-cache"
    assert client.get("/visitor/sw.js", headers={"If-None-Match": worker.headers["ETag"]}).status_code == 304
    shared = "function announce("
    assert [shared in text for text in (worker.text, client.get("/admin/sw.js").text)] == [True, True]
    assert client.get("/visitor/push/key").get_json() == {"applicationServerKey": KEYS.public_key}
    assert keys.cached().current


def test_the_thank_you_page_shows_the_link_of_an_accepted_message_as_long_as_the_session_lasts(
    client: Visitor, staff: User
) -> None:
    assert client.read("/feedback/complete/").all(id="private-link") == []
    client.send("/feedback/", content="Hello", submitter_name="Ada")
    for _ in range(2):
        page = client.read("/feedback/complete/")
        link = page.one("code", id="private-link").words
        assert client.get("/feedback/complete/").headers["Cache-Control"] == "no-store"
    assert client.get(link.removeprefix(client.site)).status_code == 200
    assert page.one("section", id="notifications")
    held = client.read("/feedback/complete/?held=1")
    assert [held.all(id="private-link"), held.all(id="notifications")] == [[], []]
    another = Visitor(client.application)
    assert another.read("/feedback/complete/").all(id="private-link") == []
    db.session.query(Message).update({"state": "spam"})
    db.session.commit()
    assert client.read("/feedback/complete/").all(id="private-link") == []
    assert staff
