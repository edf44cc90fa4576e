"""/metrics of webhooks and alarms: outcomes that outlive their events, the events that wait, the open alarms."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from unittest.mock import patch

import pytest

from feedback_push.alarms import incidents
from feedback_push.alarms.models import Alarm
from feedback_push.database import db, utcnow
from feedback_push.push.models import OutboxEntry
from feedback_push.webhooks import queue_state, targets
from feedback_push.webhooks.models import Delivery, PauseReason, Target, Wanted
from tests.doubles.webhook_receiver import Reply, WebhookReceiver
from tests.feedback.messages import receive
from tests.monitoring.test_metrics import samples
from tests.webhooks.receivers import new_target, send

_PREFIX = "feedback_push_"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


def told(name: str) -> dict[str, float]:
    """Return the samples of a metric that are not 0, by their labels."""
    prefix = f"{_PREFIX}{name}{{"
    return {
        sample.removeprefix(prefix).removesuffix("}"): value
        for sample, value in samples().items()
        if sample.startswith(prefix) and value
    }


@pytest.mark.usefixtures("any_app")
def test_webhooks_are_counted_by_outcome_and_what_waits_by_the_time_it_is_due(receiver: WebhookReceiver) -> None:
    pairs = product(("apprise", "webhook"), ("sent", "retried", "failed", "cancelled"))
    zeros = {f"{_PREFIX}webhooks_total{{kind={kind},outcome={outcome}}}" for kind, outcome in pairs}
    assert zeros <= samples().keys()
    new_target(receiver, "/hook")
    new_target(receiver, "/unseen", wanted=Wanted.UNSEEN)
    receiver.answer("/hook", Reply(404, b"no such hook"))
    receive()
    assert told("webhooks_waiting") == {"due=now": 1, "due=later": 1}
    assert 0 < told("webhooks_oldest_seconds")[""] < 60
    send()
    assert told("webhooks_waiting") == {"due=later": 2}
    assert told("webhooks_total") == {"kind=webhook,outcome=retried": 1}
    db.session.query(Delivery).update({"queued_at": utcnow() - timedelta(days=2)})
    db.session.commit()
    assert told("webhooks_oldest_seconds")[""] == pytest.approx(2 * 86400, abs=60)  # the one that was refused
    receiver.answer("/hook", Reply(200, b"thanks"))
    receive(state="read", read_at=utcnow())  # which its administrators have seen
    with patch.object(queue_state, "MOST_COUNTED", 1):
        assert told("webhooks_waiting") == {"due=now": 1, "due=later": 1}
    db.session.query(OutboxEntry).update({"created_at": utcnow() - timedelta(hours=1)})
    send(hours=0.3)
    outcomes = {"retried": 1, "sent": 3, "cancelled": 1}  # the first message was seen by nobody
    assert told("webhooks_total") == {f"kind=webhook,outcome={name}": count for name, count in outcomes.items()}
    assert (told("webhooks_waiting"), told("webhooks_oldest_seconds")) == ({}, {})
    receive()
    for target in db.session.query(Target):
        targets.pause(target, PauseReason.OWNER, utcnow())
    db.session.commit()
    assert (told("webhooks_waiting"), told("webhooks_oldest_seconds")) == ({"due=paused": 2}, {})
    for target in db.session.query(Target).all():
        targets.remove(target)
    db.session.commit()
    assert told("webhooks_waiting") == {}
    assert told("webhooks_total")["kind=webhook,outcome=sent"] == 3  # it never falls


@pytest.mark.usefixtures("any_app")
def test_open_alarms_are_counted_by_kind() -> None:
    now = utcnow()
    assert {f"{_PREFIX}open_alarms{{alarm={alarm}}}" for alarm in Alarm} <= samples().keys()
    incidents.update_all(Alarm.DEVICE, {"1": {"email": "a@example.org"}, "2": {"email": "b@example.org"}}, now)
    incidents.update_all(Alarm.WORKERS, {"": {}}, now)
    incidents.update_all(Alarm.WORKERS, {}, now)
    db.session.commit()
    assert told("open_alarms") == {"alarm=device": 2}
