"""Alarms: an unseen message, the last device of an administrator, the workers; each is told once, and its end once."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from feedback_push.alarms import checks, incidents, turns, watchdog
from feedback_push.alarms.models import Alarm, Incident
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.feedback import conversations, inbox, reach
from feedback_push.feedback.models import Message, Reply
from feedback_push.feedback.reach import Reach
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, OutboxEntry, Subscription
from feedback_push.push.notification import FEEDBACK, summary_of
from feedback_push.webhooks.models import State, Wanted
from tests import servers
from tests.doubles.webhook_receiver import WebhookReceiver
from tests.feedback.messages import receive
from tests.push.devices import owner, unreachable_devices
from tests.webhooks.receivers import new_target, send, states


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


def written(minutes: int, *devices: int, **of_deliveries: Any) -> Message:
    """Commit a message that was written some time ago, with a delivery to each of these devices."""
    message = receive()
    assert message.outbox_entry
    message.created_at = message.outbox_entry.created_at = utcnow() - timedelta(minutes=minutes)
    for device in devices:
        add_delivery(message, device, **{"state": DeliveryState.ACCEPTED} | of_deliveries)
    db.session.commit()
    return message


def add_delivery(message: Message, device: int, **values: Any) -> None:
    db.session.add(Delivery(outbox_id=message.outbox_id, subscription_id=device, **values))


def ago(minutes: float) -> datetime:
    return utcnow() - timedelta(minutes=minutes)


def told(receiver: WebhookReceiver) -> list[tuple[str, str]]:
    """Run the checks, send what is due, and return the alarms that the receiver has got so far."""
    for each in checks._CHECKS:  # noqa: SLF001
        each(utcnow())
        db.session.commit()
    send()
    payloads = [request.json() for request in receiver.requests]
    return [(payload["type"], payload["data"]["alarm"]) for payload in payloads]


@pytest.mark.usefixtures("any_app")
def test_a_message_is_unseen_only_after_its_time_and_by_everybody() -> None:
    device, other = unreachable_devices(owner(), 2)
    cases = [
        (written(14, device, accepted_at=ago(14)), Reach.PENDING),
        (written(16, device, accepted_at=ago(16)), Reach.UNSEEN),
        (written(16), Reach.UNSEEN),  # for no device at all
        (written(16, device, state=DeliveryState.FAILED), Reach.UNSEEN),
        (
            written(16, device, state=DeliveryState.WAITING, error="unavailable", due_at=ago(0)),
            Reach.UNSEEN,
        ),
        (written(300, device, accepted_at=ago(14)), Reach.PENDING),  # after quiet hours
        (written(300, device, state=DeliveryState.WAITING, due_at=ago(1)), Reach.PENDING),
        (written(300, device, state=DeliveryState.HELD, held_until=ago(-60)), Reach.PENDING),
        (written(300, device, shown_at=ago(290)), Reach.SEEN),
        (written(300, device, clicked_at=ago(290), shown_at=ago(290)), Reach.SEEN),
    ]
    out_of_spam = written(300, device, accepted_at=ago(16))
    assert out_of_spam.outbox_entry
    out_of_spam.outbox_entry.created_at = ago(1)
    cases.append((out_of_spam, Reach.PENDING))
    opened, answered, one_of_two = written(300, device), written(300, device), written(300, device)
    opened.read_at, answered.state = utcnow(), "answered"  # type: ignore[assignment]
    add_delivery(one_of_two, other, state=DeliveryState.ACCEPTED, shown_at=ago(1))
    db.session.commit()
    cases += [(message, Reach.SEEN) for message in (opened, answered, one_of_two)]
    assert [reach.of(message, utcnow()) for message, _ in cases] == [expected for _, expected in cases]


@pytest.mark.usefixtures("any_app")
def test_a_summary_counts_for_the_messages_in_it() -> None:
    [device] = unreachable_devices(user := owner(), 1)
    message = written(300, device)
    summary = OutboxEntry(payload="{}", topic="", urgency="high", kind=summary_of(FEEDBACK), user_id=user.id)
    summary.created_at, summary.expires_at = ago(10), ago(-300)
    db.session.add(summary)
    db.session.flush()
    db.session.query(Delivery).update({"state": "summarised", "summary_id": summary.id})
    sent = Delivery(outbox_id=summary.id, subscription_id=device, state=DeliveryState.ACCEPTED, accepted_at=ago(10))
    db.session.add(sent)
    db.session.commit()
    assert reach.of(message, utcnow()) == Reach.PENDING
    summary.created_at = ago(16)
    db.session.commit()
    assert reach.of(message, utcnow()) == Reach.UNSEEN
    db.session.query(Delivery).filter_by(outbox_id=summary.id).update({"shown_at": utcnow()})
    db.session.commit()
    assert reach.of(message, utcnow()) == Reach.SEEN


@pytest.mark.usefixtures("any_app")
def test_unseen_messages_are_one_alarm_which_is_over_when_all_are_seen(receiver: WebhookReceiver) -> None:
    new_target(receiver, wanted=Wanted.NONE, takes_alarms=True)
    old, first = written(60 * 25), written(16)
    assert told(receiver) == [("alarm.raised", "unseen")]
    written(20)
    assert len(told(receiver)) == 1
    first.created_at = ago(60 * 30)  # also when it lasts longer than a day
    first.read_at = None
    db.session.commit()
    assert len(told(receiver)) == 1
    db.session.query(Message).filter(Message.id != old.id).update({"read_at": utcnow(), "state": "read"})
    db.session.commit()
    assert told(receiver) == [("alarm.raised", "unseen"), ("alarm.over", "unseen")]
    assert len(told(receiver)) == 2
    raised, over = (request.json()["data"] for request in receiver.requests)
    assert raised["incident"] == over["incident"]
    assert raised["title"] == "Feedback Push: Nobody has seen a new message"
    assert over["title"] == "Feedback Push: Over: Nobody has seen a new message"
    assert raised["url"] == "http://127.0.0.1:8000/admin/alarms"
    assert "Hello" not in str(raised)  # nothing that a stranger has written


@pytest.mark.usefixtures("any_app")
def test_a_reply_that_nobody_sees_is_an_alarm_like_a_message(receiver: WebhookReceiver) -> None:
    new_target(receiver, wanted=Wanted.NONE, takes_alarms=True)
    message = written(60 * 30)
    token = conversations.begin(message)
    inbox.mark_read(message)
    db.session.commit()
    assert told(receiver) == []
    conversation = conversations.find(token)
    assert conversation
    conversations.write_again(conversation, "It still does.", notify=True)
    db.session.commit()
    assert told(receiver) == []
    db.session.query(Reply).update({"created_at": ago(16)})
    db.session.query(OutboxEntry).update({"created_at": ago(16)})
    db.session.commit()
    assert told(receiver) == [("alarm.raised", "unseen")]
    written(20)  # keeps the same alarm open
    db.session.refresh(message)
    inbox.mark_read(message)
    db.session.commit()
    assert len(told(receiver)) == 1
    db.session.query(Message).update({"read_at": utcnow(), "state": "read"})
    db.session.commit()
    assert told(receiver)[1:] == [("alarm.over", "unseen")]


@pytest.mark.usefixtures("app")
def test_where_nobody_wants_to_be_told_an_unread_message_is_no_alarm(receiver: WebhookReceiver) -> None:
    written(16)
    assert told(receiver) == []
    assert incidents.open_now() == []
    unreachable_devices(owner(), 1)
    told(receiver)
    assert [incident.alarm for incident in incidents.open_now()] == [Alarm.UNSEEN]  # shown in the dashboard


@pytest.mark.usefixtures("app")
def test_a_target_gets_a_message_only_if_nobody_has_seen_it(receiver: WebhookReceiver) -> None:
    target = new_target(receiver, wanted=Wanted.UNSEEN)
    seen, held, unseen = receive(), receive(), receive()
    [device] = unreachable_devices(owner(), 1)
    add_delivery(seen, device, state=DeliveryState.ACCEPTED, shown_at=utcnow())
    add_delivery(held, device, state=DeliveryState.HELD, held_until=ago(-60))
    db.session.query(OutboxEntry).update({"created_at": ago(16)})
    db.session.commit()
    send()
    assert (states(target), receiver.requests) == ([State.WAITING] * 3, [])
    send(hours=0.25)
    assert states(target) == [State.CANCELLED, State.WAITING, State.SENT]
    [request] = receiver.requests
    assert (request.json()["type"], request.json()["data"]["id"]) == ("message.unseen", unseen.id)


@pytest.mark.usefixtures("any_app")
def test_the_last_device_of_an_administrator_is_an_alarm(receiver: WebhookReceiver) -> None:
    new_target(receiver, wanted=Wanted.NONE, takes_alarms=True)
    ada = owner("ada@example.org")
    first, last = unreachable_devices(ada, 2)
    [other] = unreachable_devices(owner(), 1)
    owner("nobody@example.org")  # who never had a device

    def change(device: int, **values: Any) -> None:
        db.session.execute(update(Subscription).where(Subscription.id == device).values(**values))
        db.session.commit()

    change(first, state=DeviceState.GONE, gone_at=utcnow())
    assert told(receiver) == []
    change(last, failures=5)
    change(other, paused_at=utcnow())  # as its owner wants it
    assert told(receiver) == [("alarm.raised", "device")]
    assert "ada@example.org" in receiver.requests[0].json()["data"]["text"]
    change(last, failures=0)
    assert told(receiver)[1:] == [("alarm.over", "device")]
    assert "gets notifications again" in receiver.requests[1].json()["data"]["text"]
    change(last, state=DeviceState.STALE)
    assert len(told(receiver)) == 3
    db.session.query(User).filter_by(id=ada.id).delete()
    db.session.commit()
    assert len(told(receiver)) == 4
    assert "has no devices any more" in receiver.requests[3].json()["data"]["text"]


@pytest.mark.usefixtures("any_app")
def test_two_workers_tell_an_incident_once(any_app: Flask, receiver: WebhookReceiver) -> None:
    new_target(receiver, wanted=Wanted.NONE, takes_alarms=True)
    incidents._open(Alarm.UNSEEN, "", {"from": 1}, utcnow())  # noqa: SLF001 - as two that have seen none
    incidents._open(Alarm.UNSEEN, "", {"from": 1}, utcnow())  # noqa: SLF001
    db.session.commit()
    incident = db.session.query(Incident).one()
    for _ in range(2):
        incidents._close(incident, utcnow())  # noqa: SLF001
    db.session.commit()
    send()
    assert [request.json()["type"] for request in receiver.requests] == ["alarm.raised", "alarm.over"]
    now = utcnow()
    assert [turns.take(now), turns.take(now), turns.take(now + timedelta(seconds=31))] == [True, False, True]
    incidents.remove_old(now + timedelta(days=91))
    db.session.commit()
    assert db.session.query(Incident).count() == 0


def test_the_web_server_notices_that_no_worker_works_and_tells_it_itself(
    app: Flask, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_target(receiver, takes_alarms=True)
    receive()  # its webhook needs a worker
    now = utcnow()
    assert turns.take(now)
    db.session.commit()
    started = now - timedelta(hours=1)
    assert not watchdog.are_away(started, now + timedelta(minutes=5))
    assert watchdog.are_away(started, now + timedelta(minutes=5, seconds=1))
    assert not watchdog.are_away(now, now + timedelta(minutes=4))  # the workers may be about to start
    monkeypatch.setattr(watchdog, "_EVERY", 0.01)
    monkeypatch.setattr(watchdog, "AWAY_AFTER", timedelta())
    db.session.rollback()
    stopping = watchdog.start(app)
    receiver.wait_for(1)
    stopping.set()
    servers.wait_until(lambda: not _watches(), 10, "the end of the watchdog")
    assert [request.json()["type"] for request in receiver.requests] == ["alarm.raised"]
    assert receiver.requests[0].json()["data"]["alarm"] == "workers"
    checks.check(utcnow() + timedelta(minutes=1))
    db.session.commit()
    send()
    assert [request.json()["type"] for request in receiver.requests[1:]] == ["message.created", "alarm.over"]


def _watches() -> bool:
    return any(thread.name == "watchdog" for thread in threading.enumerate())


@pytest.mark.usefixtures("app")
def test_a_check_that_fails_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_now: datetime) -> None:
        raise LookupError

    ran: list[datetime] = []
    monkeypatch.setattr(checks, "_CHECKS", (fails, ran.append))
    monkeypatch.setattr(fails, "__name__", "fails")
    checks.check(utcnow())
    assert len(ran) == 1
    assert "the check fails failed" in caplog.text
