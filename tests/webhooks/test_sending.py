"""Sending webhooks: claims, retries, targets that fail, hang or are gone."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask

from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.webhooks import deliveries, sending, targets
from feedback_push.webhooks.models import Delivery, PauseReason, State, Target
from feedback_push.webhooks.sending import Result
from tests import servers
from tests.doubles.webhook_receiver import Reply, WebhookReceiver
from tests.feedback.messages import receive
from tests.webhooks.receivers import new_target, send, states


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


def again(target: Target) -> Target:
    """Return a target as it is now."""
    db.session.expire_all()
    return db.session.get_one(Target, target.id)


@pytest.mark.usefixtures("any_app")
def test_a_target_is_claimed_by_one_worker_and_again_only_after_its_lease(receiver: WebhookReceiver) -> None:
    one, other = new_target(receiver, "/one"), new_target(receiver, "/other")
    receive()
    now = utcnow()
    first, second = sending.claim_next(now), sending.claim_next(now)
    assert first
    assert second
    assert {first.target_id, second.target_id} == {one.id, other.id}
    assert sending.claim_next(now) is None
    later = now + timedelta(seconds=61)
    assert sending.claim_next(now + timedelta(seconds=59)) is None
    mine = sending.claim_next(later)
    assert mine
    assert mine.target_id == first.target_id  # whose turn was the longest ago
    (waiting,) = db.session.query(Delivery).filter_by(target_id=one.id)
    assert sending.record(first, waiting.id, Result()) is False  # another worker has it now
    assert states() == [State.WAITING] * 2
    assert sending.record(mine, waiting.id, Result()) is True
    db.session.commit()
    assert states(one) == [State.SENT]


@pytest.mark.usefixtures("any_app")
def test_workers_that_send_at_the_same_time_send_nothing_twice(any_app: Flask, receiver: WebhookReceiver) -> None:
    for number in range(4):
        new_target(receiver, f"/{number}")
    for _ in range(5):
        receive()

    def work() -> None:
        with any_app.app_context():
            sending.send_due()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(receiver.requests) == len({request.id for request in receiver.requests}) == 20
    assert set(states()) == {State.SENT}


@pytest.mark.usefixtures("app")
def test_a_target_that_is_away_is_tried_later_and_later_and_told_in_order(receiver: WebhookReceiver) -> None:
    target = new_target(receiver)
    first, second = receive(), receive()
    receiver.answer("/hook", Reply(503, b'{"error": "down"}'), Reply(500), Reply(301, headers={"Location": "/there"}))
    send()
    assert len(receiver.requests) == 1  # the second one would have failed too
    waiting = db.session.query(Delivery).order_by(Delivery.id).first()
    assert waiting
    assert (waiting.attempts, waiting.status, waiting.error, waiting.detail) == (1, 503, "status", "down")
    pauses = []
    for _ in range(2):
        retry_at = again(target).retry_at
        assert retry_at
        pauses.append(round((retry_at - utcnow()).total_seconds()))
        send()
        send(hours=5)
    assert pauses == [30, 60]
    assert [request.path for request in receiver.requests] == ["/hook"] * 3  # no redirect is followed
    send(hours=5)
    sent = [request.json()["data"]["id"] for request in receiver.requests[-2:]]
    assert sent == [first.id, second.id]
    assert (states(), again(target).failures) == ([State.SENT] * 2, 0)


@pytest.mark.usefixtures("app")
def test_a_target_can_ask_to_wait_and_refuse_one_event_alone(receiver: WebhookReceiver) -> None:
    target = new_target(receiver)
    receive()
    receive()
    receiver.answer("/hook", Reply(429, headers={"Retry-After": "7200"}), Reply(422, b"no <b>ham</b>"))
    send()
    retry_at = again(target).retry_at
    assert retry_at
    assert 7190 < (retry_at - utcnow()).total_seconds() <= 7200
    send(hours=2.1)
    assert states() == [State.WAITING, State.SENT]  # the first was refused, the second was not kept waiting for it
    db.session.query(Delivery).filter_by(state="waiting").update({"queued_at": utcnow() - timedelta(days=3)})
    receiver.answer("/hook", Reply(422, b"no"))
    send(hours=1)
    assert (states(), again(target).paused_at) == ([State.FAILED, State.SENT], None)


@pytest.mark.usefixtures("app")
def test_a_target_that_is_gone_or_fails_for_days_is_paused_and_its_events_wait(receiver: WebhookReceiver) -> None:
    target = new_target(receiver)
    receive()
    receiver.answer("/hook", Reply(410))
    send()
    assert again(target).pause_reason == PauseReason.GONE
    receive()
    send(hours=100)
    assert (len(receiver.requests), states(), targets.paused()) == (1, [State.WAITING] * 2, [again(target)])
    targets.resume(target)
    db.session.commit()
    receiver.stop()
    send()
    assert (only_error(), again(target).paused_at) == ("connection", None)
    send(hours=73)
    assert again(target).pause_reason == PauseReason.FAILING
    receiver.start()
    targets.resume(again(target))
    db.session.commit()
    send()
    assert (states(), targets.paused()) == ([State.SENT] * 2, [])


def only_error() -> str | None:
    db.session.expire_all()
    return db.session.query(Delivery).order_by(Delivery.id).first().error  # type: ignore[union-attr]


@pytest.mark.usefixtures("app")
def test_a_test_is_sent_at_once_tried_once_and_blames_nobody(receiver: WebhookReceiver) -> None:
    target = new_target(receiver)
    receive()
    receiver.answer("/hook", Reply(500), Reply(404, b"wrong address"), Reply(500))
    send()
    deliveries.add_test(target)
    db.session.commit()
    send()
    assert states() == [State.WAITING, State.FAILED]
    failed = db.session.query(Delivery).filter_by(state="failed").one()
    assert (failed.status, failed.detail, again(target).failures) == (404, "wrong address", 2)


def test_a_target_that_hangs_keeps_no_other_waiting(
    app: Flask, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answer("/hangs", Reply(silent=True))
    new_target(receiver, "/hangs")
    receive()
    sending.start_sending(utcnow())
    db.session.rollback()
    receiver.wait_for(1)
    new_target(receiver, "/well")
    receive()
    sending.start_sending(utcnow())
    db.session.rollback()
    servers.wait_until(lambda: bool(receiver.at("/well")), 10, "the other webhook")
    assert len(receiver.at("/hangs")) == 1
    receiver.stop()
    for thread in sending._threads:  # noqa: SLF001
        thread.join()


def test_addresses_and_secrets_are_not_stored_as_they_are_and_need_the_same_secret_key(
    app: Flask, settings: Settings, receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    target = new_target(receiver, "/hook-with-a-token")
    secret = receiver.secrets[0]
    assert secret.startswith("whsec_")
    assert targets.address(target) == (f"{receiver.url}/hook-with-a-token", secret)
    stored = f"{target.url} {target.secret} {target.place}"
    assert "token" not in stored
    assert secret[6:20] not in stored
    assert target.place == receiver.url
    new = targets.replace_secret(target)
    db.session.commit()
    receiver.secrets[:] = [new]
    receive()
    send()
    assert receiver.requests[0].is_genuine
    target.url = target.url[:-4] + "AAAA"
    db.session.commit()
    receive()
    send()
    assert db.session.query(Delivery).filter_by(state="waiting").one().error == "unreadable"
    assert "token" not in caplog.text


@pytest.mark.usefixtures("app")
def test_there_are_at_most_twenty_targets() -> None:
    for number in range(targets.MOST):
        new_target(url=f"https://example.org/{number}")
    with pytest.raises(targets.TooMany):
        new_target(url="https://example.org/")
