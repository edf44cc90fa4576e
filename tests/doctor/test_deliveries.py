"""The doctor looks at workers, waiting notifications, answers and devices."""

import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import update

from feedback_push import maintenance
from feedback_push.database import db, utcnow
from feedback_push.doctor import delivery_checks
from feedback_push.doctor.results import State
from feedback_push.installation import VERSION
from feedback_push.push import circuit_breaker, heartbeats
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, Subscription, Worker
from feedback_push.webpush.responses import Misconfigured
from tests import servers
from tests.conftest import make_settings
from tests.doctor.conftest import faults, inside, use
from tests.push.devices import owner, unreachable_devices, visitors
from tests.push.notes import announce
from tests.site import Site


def worker(name: str, ago: int = 0, version: str = VERSION, pid: int | None = None) -> None:
    heartbeats.beat(name)
    values: dict[str, Any] = {"seen_at": utcnow() - timedelta(seconds=ago), "version": version}
    db.session.execute(update(Worker).where(Worker.name == name).values(**values, **({"pid": pid} if pid else {})))
    db.session.commit()


def test_a_worker_has_to_be_alive_and_of_this_version(any_app: Flask) -> None:
    use(any_app, redis_url="redis://127.0.0.1:1/0")
    assert "celery -A celery_worker worker" in inside("workers")[0].fix
    worker("celery@one")
    [one] = inside("workers")
    assert (one.state, one.subject.partition(" ")[0]) == (State.OK, "celery@one")
    worker("celery@two", ago=200, pid=1)
    worker("celery@three", version="0.0.1")
    _, three, two = inside("workers")
    assert faults([three, two]) == ["workers", "workers"]
    assert "version 0.0.1" in three.text
    assert "3 minutes ago" in two.text
    worker("celery@two")  # it was started again, and its earlier process is forgotten
    assert faults(inside("workers")) == ["workers"]
    worker("celery@two", ago=3700)
    maintenance.run_all()
    assert [each.subject.partition(" ")[0] for each in inside("workers")] == ["celery@one", "celery@three"]


def test_a_worker_is_known_from_its_start_to_its_end(
    app: Flask, database_url: str, tmp_path: Path, own_redis_url: str
) -> None:
    def known() -> list[Worker]:
        found = heartbeats.workers()
        db.session.expunge_all()
        db.session.rollback()  # or it would keep the worker from writing
        return found

    with Site(make_settings(database_url, own_redis_url, tmp_path)) as site:
        running = site.work("--pool", "prefork", "--concurrency", "1")
        servers.wait_until(lambda: len(known()) == 1, what="the first heartbeat")
        [row] = known()
        assert (row.pid, row.name.partition("@")[0], row.version) == (running.process.pid, "worker-0", VERSION)
        running.process.send_signal(signal.SIGTERM)
        servers.wait_until(lambda: known() == [], what="the end of the worker")
    assert site.failures == []


def test_what_waits_too_long_is_a_fault(any_app: Flask) -> None:
    unreachable_devices(owner(), 1)
    assert inside("waiting")[0].state == State.OK
    announce()
    assert inside("waiting")[0].state == State.OK
    db.session.execute(update(Delivery).values(due_at=utcnow() - timedelta(minutes=5)))
    db.session.commit()
    assert "5 minutes ago" in inside("waiting")[0].text
    assert faults(inside("waiting")) == ["waiting"]


def test_an_open_circuit_is_a_fault_of_its_push_service(any_app: Flask) -> None:
    assert inside("circuits")[0].state == State.OK
    circuit_breaker.trip("https://fcm.googleapis.com", Misconfigured(403, "BadJwtToken"), utcnow())
    db.session.commit()
    [held] = inside("circuits")
    assert (held.subject, held.text, held.state) == ("https://fcm.googleapis.com", "403 BadJwtToken", State.WRONG)


def test_the_last_answers_of_each_push_service_are_judged(any_app: Flask) -> None:
    assert inside("answers")[0].state == State.OK
    user = owner()
    for origin in ("http://one.example", "http://two.example"):
        unreachable_devices(user, 2, origin=origin)
    announce()
    failed: dict[str, Any] = {"attempts": 1, "error": "unavailable", "status": 503, "detail": "busy"}
    db.session.execute(update(Delivery).values(**failed))
    db.session.commit()
    assert faults(inside("answers")) == ["answers", "answers"]
    accepted: dict[str, Any] = {"state": DeliveryState.ACCEPTED, "error": None, "accepted_at": utcnow()}
    first = db.session.query(Delivery).order_by(Delivery.id).first()
    assert first
    db.session.execute(update(Delivery).where(Delivery.id == first.id).values(**accepted))
    db.session.commit()
    one, two = inside("answers")
    assert (one.subject, one.state, two.state) == ("http://one.example", State.OK, State.WRONG)
    assert two.text == "The last push failed: unavailable 503 busy"
    db.session.execute(update(Delivery).values(error="gone", status=410))
    db.session.commit()
    assert faults(inside("answers")) == []  # the service works: it knows that a device has left


def test_an_administrator_without_a_working_device_is_named(any_app: Flask) -> None:
    assert "No administrator has a device" in inside("devices")[0].text
    unreachable_devices(owner("works@example.org"), 2)
    lost = unreachable_devices(owner("lost@example.org"), 2)
    [well] = inside("devices")
    assert "Working: 4" in well.text
    changes: list[dict[str, Any]] = [
        {"state": DeviceState.GONE},
        {"state": DeviceState.STALE},
        {"state": DeviceState.LIVE, "failures": 5},
        {"failures": 0, "suspended_at": utcnow()},
        {"suspended_at": None, "vapid_public_key": "of another site"},
    ]
    for change in changes:
        db.session.execute(update(Subscription).where(Subscription.id.in_(lost)).values(**change))
        db.session.commit()
        assert [each.subject for each in inside("devices") if each.state == State.WRONG] == ["lost@example.org"], change


def test_visitors_devices_are_counted_by_state(any_app: Flask) -> None:
    assert inside("visitors")[0].text == "No visitor has a device here."
    visitors(3)
    visitors(1, DeviceState.GONE)
    assert inside("visitors")[0].text == "Working: 3, unsubscribed: 1 (of the newest 4)."


def test_the_push_services_in_use_are_those_of_live_devices(any_app: Flask) -> None:
    user = owner()
    unreachable_devices(user, 2, origin="https://one.example")
    unreachable_devices(user, 1, origin="https://two.example", state=DeviceState.GONE)
    visitors(1)
    assert delivery_checks.origins() == ["https://one.example", "http://127.0.0.1:1"]
