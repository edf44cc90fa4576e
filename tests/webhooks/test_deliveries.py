"""Events for webhooks: stored with what causes them, for the targets that want them, and kept as long as they are."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from feedback_push.database import db, utcnow
from feedback_push.feedback import inbox, personal_data
from feedback_push.feedback.models import Message
from feedback_push.webhooks import deliveries, sending, targets
from feedback_push.webhooks.models import Delivery, Event, State, Wanted
from tests.doubles.webhook_receiver import WebhookReceiver
from tests.feedback.messages import in_spam, message, receive
from tests.published import PublishedTasks
from tests.webhooks.receivers import new_target, only_delivery, send, states

HOSTILE = '</script>"\\ \u2028 @everyone <!channel> [x](javascript:1) *b* \U0001f600 \u202e'


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


@pytest.mark.usefixtures("any_app")
def test_a_message_and_its_webhook_are_stored_together_or_not_at_all(receiver: WebhookReceiver) -> None:
    new_target(receiver)
    inbox.receive(message())
    assert db.session.query(Delivery).count() == 1
    db.session.rollback()
    assert (db.session.query(Message).count(), db.session.query(Delivery).count()) == (0, 0)
    written = receive(content=HOSTILE, submitter_name="Ada", submitter_email="ada@example.org", page_url="https://a/b")
    send()
    (request,) = receiver.requests
    assert request.is_genuine
    assert request.headers["content-type"] == "application/json"
    payload = request.json()
    assert (payload["type"], payload["timestamp"]) == (
        "message.created",
        only_delivery().created_at.isoformat(timespec="seconds"),
    )
    assert payload["data"] == {
        "id": written.id,
        "form": "default",
        "name": "Ada",
        "email": "ada@example.org",
        "user": None,
        "content": HOSTILE,
        "category": None,
        "rating": None,
        "page_url": "https://a/b",
        "page_title": None,
        "answers": [],
        "written_at": written.created_at.isoformat(timespec="seconds"),
        "dashboard_url": f"http://127.0.0.1:8000/admin/messages/{written.id}",
    }
    assert states() == [State.SENT]
    assert request.id == only_delivery().webhook_id
    send()
    assert len(receiver.requests) == 1
    db.session.delete(db.session.get_one(Message, written.id))
    db.session.commit()
    assert db.session.query(Delivery).count() == 0  # nothing of the message is left


def test_the_workers_are_woken_after_the_commit_and_not_before(
    app: Flask, receiver: WebhookReceiver, published: PublishedTasks
) -> None:
    new_target(receiver)
    new_target(receiver, "/unseen", wanted=Wanted.UNSEEN)
    inbox.receive(message())
    inbox.receive(message())
    assert published.all() == []
    db.session.commit()
    assert published.next() == ("webhooks.send", [])
    assert published.all() == []
    receive()
    assert published.next() == ("webhooks.send", [])


@pytest.mark.usefixtures("app")
def test_a_target_is_told_of_its_own_forms_and_never_of_spam_or_twice(receiver: WebhookReceiver) -> None:
    shop = new_target(receiver, "/shop", form_keys=["shop"])
    usual = new_target(receiver, "/default", form_keys=["default"])
    nothing = new_target(receiver, "/alarms", wanted=Wanted.NONE, takes_alarms=True)
    receive(form_key="shop")
    receive()
    held = in_spam()
    assert [len(states(each)) for each in (shop, usual, nothing)] == [1, 1, 0]
    inbox.release([held.id])
    db.session.commit()
    assert len(states(usual)) == 2
    db.session.query(Message).filter_by(id=held.id).update({"state": "spam"})
    db.session.commit()
    send()
    assert states(usual) == [State.SENT, State.CANCELLED]
    inbox.release([held.id])
    db.session.commit()
    assert len(states(usual)) == 2
    silent = message()
    assert inbox.receive(silent, notify=False) is None  # beyond the limit of notifications
    db.session.commit()
    assert len(states(usual)) == 3


@pytest.mark.usefixtures("app")
def test_a_message_that_was_deleted_or_moved_to_spam_meanwhile_is_not_sent(receiver: WebhookReceiver) -> None:
    new_target(receiver)
    changes: list[dict[Any, Any]] = [{"state": "spam"}, {"deleted_at": utcnow()}]
    for change in changes:
        written = receive()
        db.session.query(Message).filter_by(id=written.id).update(change)
        db.session.commit()
    send()
    assert (states(), receiver.requests) == ([State.CANCELLED] * 2, [])


@pytest.mark.usefixtures("any_app")
def test_an_event_is_sent_again_with_the_same_identifier(receiver: WebhookReceiver) -> None:
    new_target(receiver, wanted=Wanted.UNSEEN)
    receive()
    for count in (1, 2):
        found = deliveries.find(only_delivery().id)
        assert found
        deliveries.send_again(found)
        db.session.commit()
        send()
        assert len(receiver.requests) == count
    assert len({request.id for request in receiver.requests}) == 1
    assert states() == [State.SENT]


@pytest.mark.usefixtures("app")
def test_final_deliveries_are_removed_when_they_are_old(receiver: WebhookReceiver) -> None:
    target = new_target(receiver)
    for _ in range(3):
        receive()
    send()
    receive()
    db.session.query(Delivery).update({"created_at": utcnow() - timedelta(days=91)})
    newest = db.session.query(Delivery).order_by(Delivery.id.desc()).first()
    assert newest
    db.session.commit()
    deliveries.remove_old(utcnow())
    db.session.commit()
    assert states() == [State.WAITING]  # the one that is still to be sent
    targets.remove(target)
    db.session.commit()
    assert states() == []


@pytest.mark.usefixtures("app")
def test_a_person_learns_where_their_messages_were_sent(receiver: WebhookReceiver) -> None:
    new_target(receiver, "/a-secret-path", name="Tickets")
    receive(submitter_email="ada@example.org")
    send()
    receive(submitter_email="bob@example.org")
    [exported] = personal_data.messages("ada@example.org")
    exported = json.loads(json.dumps(exported))
    sent_at = exported["webhooks"][0].pop("sent_at")
    assert sent_at
    assert exported["webhooks"] == [
        {"name": "Tickets", "place": receiver.url, "event": "message.created", "state": "sent"}
    ]
    assert personal_data.erase_some("ada@example.org") == 1
    db.session.commit()
    assert states() == [State.WAITING]  # of the other person


@pytest.mark.usefixtures("app")
def test_an_event_without_a_message_has_its_own_data(receiver: WebhookReceiver) -> None:
    target = new_target(receiver, wanted=Wanted.NONE)
    deliveries.add(target, Event.ALARM, {"title": "Fire", "text": "It burns."})
    deliveries.add_test(target)
    db.session.commit()
    sending.send_due(sending.ALARMS)
    assert [request.json()["type"] for request in receiver.requests] == ["alarm.raised"]
    assert receiver.requests[0].json()["data"] == {"title": "Fire", "text": "It burns."}
    send()
    assert receiver.requests[1].json()["data"]["url"] == "http://127.0.0.1:8000/admin/webhooks"
    assert json.loads(receiver.requests[1].body)["type"] == "test"
