"""Visitors' replies, and notifications of programs, as events: for the targets that want them, and harmless there."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from feedback_push.database import db, utcnow
from feedback_push.feedback import conversations, inbox, personal_data, reach
from feedback_push.feedback.models import Message, Reply
from feedback_push.feedback.reach import Reach
from feedback_push.push.models import Delivery as Push
from feedback_push.push.models import DeliveryState, OutboxEntry
from feedback_push.webhooks import deliveries, payloads
from feedback_push.webhooks.models import Delivery, Event, State, TargetKind, Wanted
from tests.doubles.webhook_receiver import WebhookReceiver
from tests.feedback.messages import in_spam
from tests.push.devices import owner, unreachable_devices
from tests.visitors.conversations import begun, conversation_of
from tests.webhooks.receivers import new_target, only_delivery, send, states
from tests.webhooks.test_apprise import MARKUP
from tests.webhooks.test_deliveries import HOSTILE

EVERY_REPLY: dict[str, Any] = {"wanted": Wanted.NONE, "wanted_replies": Wanted.EVERY}
UNSEEN_REPLIES: dict[str, Any] = {"wanted": Wanted.NONE, "wanted_replies": Wanted.UNSEEN}


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


def write_again(message: Message, content: str = "It still does.", *, notify: bool = True) -> Reply:
    """Commit a visitor's reply."""
    conversations.write_again(conversation_of(message.id), content, notify=notify)
    db.session.commit()
    reply = db.session.query(Reply).order_by(Reply.id.desc()).first()
    assert reply
    return reply


@pytest.mark.usefixtures("any_app")
def test_a_reply_and_its_webhook_are_stored_together_and_go_together(receiver: WebhookReceiver) -> None:
    new_target(receiver, **EVERY_REPLY)
    message, _ = begun(content="It is broken.", submitter_name="Ada", submitter_email="ada@example.org")
    conversations.write_again(conversation_of(message.id), "never stored", notify=True)
    assert db.session.query(Delivery).count() == 1
    db.session.rollback()
    assert db.session.query(Delivery).count() == 0
    reply = write_again(message, HOSTILE)
    conversations.answer(message, owner(), "an answer of ours is no event")
    db.session.commit()
    send()
    [request] = receiver.requests
    assert request.is_genuine
    payload = request.json()
    assert (payload["type"], payload["data"]) == (
        "reply.created",
        {
            "id": reply.id,
            "message_id": message.id,
            "form": "default",
            "name": "Ada",
            "email": "ada@example.org",
            "user": None,
            "content": HOSTILE,
            "written_at": reply.created_at.isoformat(timespec="seconds"),
            "dashboard_url": f"http://127.0.0.1:8000/admin/messages/{message.id}",
        },
    )
    [exported] = personal_data.messages("ada@example.org")
    [told] = exported["webhooks"]
    assert (told["event"], told["state"]) == ("reply.created", "sent")
    assert [each.reply_id for each in deliveries.of_message(message)] == [reply.id]
    personal_data.erase_some("ada@example.org")
    db.session.commit()
    assert (db.session.query(Reply).count(), db.session.query(Delivery).count()) == (0, 0)


@pytest.mark.usefixtures("app")
def test_only_the_targets_that_want_replies_of_a_form_are_told_and_never_of_spam(receiver: WebhookReceiver) -> None:
    every, shop = (
        new_target(receiver, "/a", **EVERY_REPLY),
        new_target(receiver, "/b", form_keys=["shop"], **EVERY_REPLY),
    )
    messages = new_target(receiver, "/c")  # as every target of before
    ours, of_shop = begun()[0], begun(form_key="shop")[0]
    held = in_spam()
    conversations.begin(held)
    db.session.commit()
    for message in (ours, of_shop, held):
        write_again(message)
    write_again(ours, notify=False)  # beyond the limit of notifications
    assert [len(states(each)) for each in (every, shop)] == [3, 1]
    events = {row.event for row in db.session.query(Delivery).filter_by(target_id=messages.id)}
    assert events == {Event.MESSAGE}
    changes: list[dict[Any, Any]] = [{"state": "spam"}, {"deleted_at": utcnow(), "state": "new"}]
    for change in changes:
        db.session.query(Message).filter_by(id=ours.id).update(change)
        db.session.commit()
        send()
    assert states(every) == [State.CANCELLED, State.SENT, State.CANCELLED]


@pytest.mark.usefixtures("any_app")
def test_a_reply_is_unseen_although_its_message_was_once_read(receiver: WebhookReceiver) -> None:
    target = new_target(receiver, **UNSEEN_REPLIES)
    [device] = unreachable_devices(owner(), 1)
    opened, shown, unseen = [begun()[0] for _ in range(3)]
    for message in (opened, shown, unseen):
        inbox.mark_read(message)
        write_again(message)
    silent = write_again(unseen, notify=False)  # nobody was to see it
    replies = db.session.query(Reply).order_by(Reply.id).all()
    assert [reach.of(reply, utcnow()) for reply in replies] == [Reach.PENDING] * 3 + [Reach.UNSEEN]
    db.session.refresh(opened)
    inbox.mark_read(opened)
    seen = {"state": DeliveryState.ACCEPTED, "shown_at": utcnow(), "subscription_id": device}
    db.session.add(Push(outbox_id=replies[1].outbox_id, **seen))
    db.session.query(OutboxEntry).update({"created_at": utcnow() - timedelta(minutes=16)})
    db.session.commit()
    expected = [Reach.SEEN, Reach.SEEN, Reach.UNSEEN, Reach.UNSEEN]
    assert [reach.of(reply, utcnow()) for reply in replies] == expected
    send()
    assert receiver.requests == []
    send(hours=0.25)
    assert states(target) == [State.CANCELLED, State.CANCELLED, State.SENT]
    [request] = receiver.requests
    assert (request.json()["type"], request.json()["data"]["id"]) == ("reply.unseen", replies[2].id)
    assert silent.id not in [each.reply_id for each in db.session.query(Delivery)]
    again = db.session.query(Delivery).filter_by(reply_id=replies[0].id).one()
    deliveries.send_again(again)
    db.session.commit()
    send()
    assert receiver.requests[1].json()["type"] == "reply.created"


@pytest.mark.usefixtures("app")
def test_no_service_reads_a_reply_or_a_programs_text_as_markup() -> None:
    new_target(url="mailto://a@example.org", kind=TargetKind.APPRISE, takes_notifications=True, **EVERY_REPLY)
    message, _ = begun(submitter_name=f"Bob {MARKUP}")
    write_again(message, f"{MARKUP} hello")
    reply = only_delivery()
    text = payloads.as_text(reply)
    assert text.title.startswith("Feedback Push: New reply of Bob ")
    assert text.body.endswith(f"hello\n\nhttp://127.0.0.1:8000/admin/messages/{message.id}")
    reply.event = Event.UNSEEN_REPLY
    assert payloads.as_text(reply).title.startswith("Feedback Push: Nobody has seen the reply of Bob ")
    deliveries.add_notification(
        {"title": f"Failed {MARKUP}", "text": MARKUP, "url": "http://127.0.0.1:8000/admin/?a=b&c"}
    )
    notification = db.session.query(Delivery).filter_by(event=Event.NOTIFICATION).one()
    told = payloads.as_text(notification)
    assert told.body.endswith("\n\nhttp://127.0.0.1:8000/admin/?a=b&c")
    for shown in (*text, *told):
        assert not set("@<>*_~`[]|#\\!{}") & set(shown.partition("http://")[0]), shown
