"""admin/push_status.py: alarms for the operator, and none when all is well."""

from dataclasses import replace

import pytest
from flask import Flask

from feedback_push import create_app
from feedback_push.admin import push_status
from feedback_push.auth import accounts
from feedback_push.auth.models import User
from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.feedback import inbox
from feedback_push.push import circuit_breaker, keys, subscriptions
from feedback_push.push.models import DeliveryState, DeviceState
from feedback_push.webpush.responses import Misconfigured
from tests.admin.rows import delivery, device
from tests.conftest import make_user
from tests.feedback.messages import receive

APPLE = "https://web.push.apple.com"
MOZILLA = "https://updates.push.services.mozilla.com"


@pytest.fixture
def owner(app: Flask) -> User:
    return make_user("staff@example.org")


def banner(owner: User) -> str | None:
    status = push_status.current(owner)
    assert status
    return status.banner


def hold(origin: str, detail: str) -> None:
    circuit_breaker.trip(origin, Misconfigured(status=403, detail=detail), utcnow())
    db.session.commit()


@pytest.mark.usefixtures("visit")
def test_without_keys_push_is_not_mentioned(settings: Settings, owner: User) -> None:
    off = replace(settings, vapid_private_key="", vapid_public_key="", vapid_subject="")
    with create_app(off).app_context():
        assert push_status.current(owner) is None
        db.session.remove()
        db.engine.dispose()


def test_nothing_is_said_when_all_is_well(owner: User) -> None:
    assert banner(owner) is None
    device(owner)
    assert banner(owner) is None


def test_a_push_service_that_refuses_our_signature_is_named_with_its_reason(owner: User) -> None:
    hold(APPLE, "BadJwtToken")
    hold(MOZILLA, "")
    told = banner(owner)
    assert told
    assert f"{MOZILLA}: 403; {APPLE}: 403 BadJwtToken" in told
    assert "VAPID_SUBJECT" in told
    circuit_breaker.close([APPLE, MOZILLA])
    assert banner(owner) is None


def test_devices_of_another_key_are_an_alarm_only_when_no_other_is_left(owner: User) -> None:
    stale = device(owner, state=DeviceState.STALE)
    assert "another VAPID key" in (banner(owner) or "")
    live = device(owner)
    assert banner(owner) is None
    live.state = DeviceState.GONE
    assert "another VAPID key" in (banner(owner) or "")
    stale.state = DeviceState.GONE
    assert banner(owner) is None


def test_devices_that_were_made_with_an_earlier_key_are_not_the_push_services_doing(owner: User) -> None:
    device(owner, state=DeviceState.STALE, vapid_public_key="an earlier key")
    assert banner(owner) is None
    device(owner, state=DeviceState.STALE)
    device(owner, vapid_public_key="an earlier key")
    assert "another VAPID key" in (banner(owner) or "")


def test_a_refused_signature_is_said_before_refused_devices(owner: User) -> None:
    device(owner, state=DeviceState.STALE)
    hold(APPLE, "BadJwtToken")
    assert "on hold" in (banner(owner) or "")


def test_only_problems_of_ones_own_browsers_are_reported(owner: User) -> None:
    other = make_user("other@example.org")
    device(owner, failures=subscriptions.FAILING - 1)
    device(other, failures=99)
    device(other, state=DeviceState.GONE, gone_at=utcnow())
    failing = device(owner, failures=subscriptions.FAILING)
    gone = device(owner, state=DeviceState.GONE, gone_at=utcnow())
    status = push_status.current(owner)
    assert status
    assert (status.failing, status.gone) == ([failing], [gone])


def test_a_failing_browser_shows_its_last_error(owner: User) -> None:
    failing = device(owner, failures=7)
    status = push_status.current(owner)
    assert status
    assert status.why_failing(failing) is None
    for error, state in (
        ("gone", DeliveryState.FAILED),
        ("unavailable", DeliveryState.WAITING),
        ("throttled", DeliveryState.ACCEPTED),
        (None, DeliveryState.WAITING),
    ):
        delivery(receive(), failing, state=state, error=error, status=503)
    assert status.why_failing(failing) == "The push service could not be reached. (503)"


def test_the_newest_unread_message_is_known_by_its_number(owner: User) -> None:
    status = push_status.current(owner)
    assert status
    assert status.newest_unread == 0
    first, second = receive(), receive()
    assert status.newest_unread == second.id
    inbox.mark_read(second)
    db.session.commit()
    assert status.newest_unread == first.id


@pytest.mark.usefixtures("any_app")
def test_after_a_rotation_the_progress_of_the_devices_is_shown(owner: User) -> None:
    old = device(owner)
    assert push_status.rotation_progress() is None
    new = keys.rotate()
    db.session.commit()
    device(owner, vapid_public_key=new)
    device(owner, vapid_public_key=new, state=DeviceState.GONE)
    assert push_status.rotation_progress() == (1, 2)
    old.vapid_public_key = new
    assert push_status.rotation_progress() == (2, 2)
    keys.retire(keys.old())
    assert push_status.rotation_progress() is None


@pytest.mark.usefixtures("owner")
def test_a_key_that_a_new_secret_key_made_unreadable_is_an_alarm(app: Flask) -> None:
    keys.rotate()
    db.session.commit()
    settings = app.extensions["settings"]
    changed = {"secret_key": "another secret key", "vapid_private_key": "", "vapid_public_key": ""}
    for changes in ({"secret_key": "another secret key"}, changed):
        other = create_app(replace(settings, **changes))
        with other.app_context():
            reader = accounts.find("staff@example.org")
            assert reader
            assert "SECRET_KEY has changed" in (banner(reader) or "")
            db.session.remove()
            db.engine.dispose()
