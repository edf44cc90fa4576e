"""A paused broadcast: nothing more reaches the push service, whatever is claimed, and going on sends nothing twice."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from feedback_push.database import db, utcnow
from feedback_push.push import claims, results, sender
from feedback_push.push.models import Delivery, DeliveryState, Subscription
from feedback_push.topics import broadcasts
from feedback_push.topics.models import Broadcast
from feedback_push.webpush.gateway import Result
from tests import servers
from tests.conftest import KEYS
from tests.doubles.push_service import PushService
from tests.push.devices import visitors
from tests.push.notes import claim, time_passes
from tests.topics.followed import fanned_out, new_topic, started

_MOST = 700  # devices; a run claims all of them at once
_STOPS_WITHIN = 2.0  # seconds


@pytest.fixture
def broadcast(app: Flask, service: PushService) -> Broadcast:
    """A broadcast to many devices of a push service that answers slowly."""
    service.latency = 0.2
    rows = [
        Subscription(
            user_id=None,
            endpoint=device.endpoint,
            p256dh=device.p256dh,
            auth=device.auth,
            vapid_public_key=KEYS.public_key,
            name="Browser",
        )
        for device in (service.new_device(KEYS.public_key) for _ in range(_MOST))
    ]
    db.session.add_all(rows)
    db.session.flush()
    topic = new_topic("tricks", *(row.id for row in rows))
    sent = started(topic)
    assert len(fanned_out(sent)) == _MOST
    return sent


@pytest.fixture
def worker(app: Flask) -> Iterator[ThreadPoolExecutor]:
    """A thread that sends in an application context of its own."""
    with ThreadPoolExecutor(1) as thread:
        yield thread


def run(app: Flask) -> None:
    with app.app_context():
        while sender.run():
            pass


def counted() -> dict[str, int]:
    db.session.rollback()
    states = [state for (state,) in db.session.query(Delivery.state)]
    return {state: states.count(state) for state in set(states)}


def test_pausing_stops_within_two_seconds_what_a_worker_has_claimed(
    app: Flask, service: PushService, broadcast: Broadcast, worker: ThreadPoolExecutor
) -> None:
    broadcast_id = broadcast.id
    db.session.rollback()  # or the worker would wait for this transaction
    sending = worker.submit(run, app)
    servers.wait_until(lambda: len(service.requests) > 40)
    assert db.session.query(Delivery).filter(Delivery.claim.is_not(None)).count() == _MOST
    broadcasts.pause(db.session.get_one(Broadcast, broadcast_id))
    db.session.commit()
    paused_at = time.monotonic()
    sending.result(30)
    reached = len(service.requests)
    assert max(request.received_at for request in service.requests) < paused_at + _STOPS_WITHIN
    assert reached < _MOST
    assert counted() == {DeliveryState.ACCEPTED: reached, DeliveryState.PAUSED: _MOST - reached}
    service.latency = 0.0
    broadcasts.resume(broadcast)
    db.session.commit()
    run(app)
    assert counted() == {DeliveryState.ACCEPTED: _MOST}
    assert len({request.path for request in service.requests}) == len(service.requests) == _MOST


def test_what_was_stopped_by_a_pause_is_due_again_however_soon_it_goes_on(any_app: Flask) -> None:
    broadcast = started(new_topic("tricks", *visitors(2)))
    fanned_out(broadcast)
    stopped, in_flight_then = claim()
    watch = claims.Watch(db.engine.connect)
    broadcasts.pause(broadcast)
    db.session.commit()
    [refusal] = watch.refusals([stopped])
    watch.end()
    broadcasts.resume(broadcast)
    db.session.commit()
    assert claim() == []  # the other may be on its way: it must not be sent twice
    results.record([Result(stopped, None, refusal)], utcnow())
    db.session.commit()
    again = claim()
    assert [(claimed.id, claimed.attempts) for claimed in again] == [(stopped.id, 1)]
    results.record([Result(in_flight_then, 201, None)], utcnow())
    db.session.commit()
    time_passes(claims.LEASE.total_seconds())
    assert [claimed.id for claimed in claim()] == [stopped.id]


def test_what_was_never_answered_is_sent_when_its_lease_has_ended(any_app: Flask) -> None:
    broadcast = started(new_topic("tricks", *visitors(1)))
    fanned_out(broadcast)
    [lost] = claim()
    broadcasts.pause(broadcast)
    broadcasts.resume(broadcast)
    db.session.commit()
    assert claim() == []
    time_passes(claims.LEASE.total_seconds())
    assert [claimed.id for claimed in claim()] == [lost.id]
