"""push/new_devices.py: an old session adds no device, and no device is lost when its browser gets a new endpoint."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from feedback_push.auth import sessions
from feedback_push.auth.models import Session, User
from feedback_push.database import db, utcnow
from feedback_push.push.models import DeviceState, Subscription
from tests.push.devices import owner
from tests.push.malformed import GOOD
from tests.push.test_views import Administrator

OTHER = "https://fcm.googleapis.com/fcm/send/another"


@pytest.fixture
def admin(app: Flask) -> Administrator:
    return Administrator.of(app, owner())


def grow_old() -> None:
    db.session.execute(update(Session).values(authenticated_at=utcnow() - sessions.FRESH, device_removed_at=None))
    db.session.commit()


def endpoints() -> list[str]:
    return list(db.session.scalars(select(Subscription.endpoint).order_by(Subscription.id)))


def test_an_old_session_adds_no_device_and_is_led_to_the_page_that_asks(admin: Administrator) -> None:
    grow_old()
    answer = admin.subscribe()
    assert answer.status_code == 403
    assert answer.get_json() == {
        "error": "To turn notifications on here, confirm first that it is you.",
        "confirm": "/login/confirm",
    }
    assert endpoints() == []


def test_a_device_that_is_known_stays_one_in_an_old_session(admin: Administrator) -> None:
    assert admin.subscribe().status_code == 200
    grow_old()
    for state in (DeviceState.LIVE, DeviceState.STALE, DeviceState.GONE):
        db.session.execute(update(Subscription).values(state=state))
        db.session.commit()
        assert admin.subscribe().status_code == 200
    assert endpoints() == [GOOD["endpoint"]]


def test_a_new_endpoint_takes_the_place_of_a_device_of_the_same_session(admin: Administrator) -> None:
    admin.subscribe()
    grow_old()
    assert admin.subscribe(OTHER).status_code == 403
    assert admin.call("/push/subscribe", {**GOOD, "endpoint": OTHER, "replaces": 7}).status_code == 403
    assert admin.call("/push/subscribe", {**GOOD, "endpoint": OTHER, "replaces": OTHER}).status_code == 403
    named = {**GOOD, "endpoint": OTHER, "replaces": GOOD["endpoint"]}
    assert admin.call("/push/subscribe", named).status_code == 200
    assert endpoints() == [OTHER]  # the earlier one is gone in the same moment
    db.session.execute(update(Subscription).values(state=DeviceState.GONE))
    db.session.commit()
    assert admin.subscribe().status_code == 200  # its push service has ended the earlier one


def test_a_device_that_the_session_has_just_removed_may_come_back_under_another_endpoint(admin: Administrator) -> None:
    admin.subscribe()
    grow_old()
    admin.unsubscribe(OTHER)  # which is not there
    assert admin.subscribe(OTHER).status_code == 403
    admin.unsubscribe()
    assert admin.subscribe(OTHER).status_code == 200
    grow_old()
    admin.unsubscribe(OTHER)
    db.session.execute(update(Session).values(device_removed_at=utcnow() - timedelta(minutes=3)))
    db.session.commit()
    assert admin.subscribe().status_code == 403


def test_another_session_of_the_account_replaces_nothing(admin: Administrator, app: Flask) -> None:
    admin.subscribe()
    thief = Administrator.of(app, db.session.scalars(select(User)).one())
    grow_old()
    named = {**GOOD, "endpoint": OTHER, "replaces": GOOD["endpoint"]}
    assert thief.call("/push/subscribe", named).status_code == 403
    assert endpoints() == [GOOD["endpoint"]]
