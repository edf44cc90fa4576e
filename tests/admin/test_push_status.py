"""admin/push_status.py: what an operator has to mend, and nothing when all is well."""

from dataclasses import replace

import pytest
from flask import Flask

from feedback_push import create_app
from feedback_push.admin import push_status
from feedback_push.auth.models import User
from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.push import origins
from feedback_push.push.errors import Misconfigured
from feedback_push.push.models import DeviceState
from tests.admin.rows import device
from tests.conftest import make_user

APPLE = "https://web.push.apple.com"
MOZILLA = "https://updates.push.services.mozilla.com"


@pytest.fixture
def owner(any_app: Flask) -> User:
    return make_user("staff@example.org")


def banner() -> str | None:
    status = push_status.current()
    assert status
    return status.banner


def hold(origin: str, detail: str) -> None:
    origins.hold(origin, Misconfigured(status=403, detail=detail), utcnow())
    db.session.commit()


@pytest.mark.usefixtures("visit")
def test_without_keys_there_is_no_push_to_speak_of(settings: Settings) -> None:
    off = replace(settings, vapid_private_key="", vapid_public_key="", vapid_subject="")
    with create_app(off).app_context():
        assert push_status.current() is None
        db.engine.dispose()


def test_nothing_is_said_when_all_is_well(owner: User) -> None:
    assert banner() is None
    device(owner)
    assert banner() is None


@pytest.mark.usefixtures("any_app")
def test_a_push_service_that_refuses_our_signature_is_named_with_its_reason() -> None:
    hold(APPLE, "BadJwtToken")
    hold(MOZILLA, "")
    told = banner()
    assert told
    assert f"{MOZILLA} answered 403; {APPLE} answered 403 BadJwtToken" in told
    assert "VAPID_SUBJECT" in told
    origins.release([APPLE, MOZILLA])
    assert banner() is None


def test_devices_of_another_key_are_an_alarm_only_when_no_other_is_left(owner: User) -> None:
    stale = device(owner, state=DeviceState.STALE)
    assert "another VAPID key" in (banner() or "")
    live = device(owner)
    assert banner() is None
    live.state = DeviceState.GONE
    assert "another VAPID key" in (banner() or "")
    stale.state = DeviceState.GONE
    assert banner() is None


def test_devices_that_were_made_with_an_earlier_key_are_not_the_push_services_doing(owner: User) -> None:
    device(owner, state=DeviceState.STALE, vapid_public_key="an earlier key")
    assert banner() is None
    device(owner, state=DeviceState.STALE)
    device(owner, vapid_public_key="an earlier key")
    assert "another VAPID key" in (banner() or "")


def test_a_refused_signature_is_said_before_refused_devices(owner: User) -> None:
    device(owner, state=DeviceState.STALE)
    hold(APPLE, "BadJwtToken")
    assert "on hold" in (banner() or "")
