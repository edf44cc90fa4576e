"""keys.py: several VAPID keys live at once, none readable from a backup, and no device lost by a rotation."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import event, text

from feedback_push import create_app
from feedback_push.auth import audit
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.config import Settings
from feedback_push.database import db
from feedback_push.push import keys, outbox, sender, tasks
from feedback_push.push.models import DeliveryState, DeviceState
from feedback_push.webpush import vapid
from tests.conftest import KEYS
from tests.doubles.push_service import PushService
from tests.push.devices import delivery_to, owner, row_of, subscribe, unreachable_devices
from tests.push.notes import note


@pytest.fixture
def another_process(app: Flask) -> Iterator[Flask]:
    """The same site as a process of its own sees it."""
    other = create_app(app.extensions["settings"])
    yield other
    with other.app_context():
        db.engine.dispose()


def with_settings(app: Flask, **changes: str) -> keys.Keyring:
    """Return the site's keys under other settings."""
    settings: Settings = replace(app.extensions["settings"], **changes)
    db.session.commit()
    other = create_app(settings)
    with other.app_context():
        found = keys.cached()
        db.session.remove()
        db.engine.dispose()
    return found


def rotated() -> str:
    public_key = keys.rotate()
    db.session.commit()
    return public_key


def announce_to_all(tag: str) -> None:
    entry = outbox.enqueue(note(tag=tag))
    db.session.flush()
    entry_id = entry.id
    db.session.commit()
    tasks.fan_out(entry_id)


def retire_all() -> None:
    keys.retire(keys.old())
    db.session.commit()


@pytest.mark.usefixtures("app")
def test_the_pair_in_the_settings_is_all_there_is_at_first() -> None:
    assert keys.cached() == keys.Keyring(KEYS, {KEYS.public_key: KEYS}, frozenset())
    assert keys.list_all() == []
    assert keys.old() == set()


@pytest.mark.usefixtures("any_app")
def test_a_rotation_makes_a_new_key_current_and_lets_the_old_one_live() -> None:
    first, second = rotated(), rotated()
    ring = keys.cached()
    assert ring.current
    assert ring.current.public_key == second
    assert list(ring.live) == [KEYS.public_key, first, second]
    assert ring.live[KEYS.public_key] == KEYS
    assert keys.old() == {KEYS.public_key, first}


def test_every_process_has_the_new_key_within_seconds(
    app: Flask, another_process: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with another_process.app_context():
        assert keys.cached().current == KEYS
        db.session.rollback()
    new = rotated()
    monkeypatch.setattr(keys, "_FRESH", 0)
    with another_process.app_context():
        current = keys.cached().current
        db.session.rollback()
    assert current
    assert current.public_key == new
    assert keys._FRESH <= 5  # noqa: SLF001


@pytest.mark.usefixtures("app")
def test_the_database_is_asked_once_in_a_while_only() -> None:
    asked: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    for _ in range(100):
        keys.cached()
    assert len([statement for statement in asked if "push_vapid_key" in statement]) == 1


def test_a_stolen_backup_holds_no_usable_key(app: Flask) -> None:
    new = rotated()
    pair = keys.cached().live[new]
    stored = " ".join(str(value) for row in db.session.execute(text("SELECT * FROM push_vapid_key")) for value in row)
    assert new in stored
    for private_key in (pair.private_key, KEYS.private_key):
        assert private_key not in stored
    ring = with_settings(app, secret_key="the thief does not know it")
    assert ring.current == KEYS
    assert ring.unreadable == {new}


def test_with_another_secret_key_push_goes_on_with_what_can_be_read(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    new = rotated()
    ring = with_settings(app, secret_key="another secret key")
    assert ring.current == KEYS
    assert ring.unreadable == {new}
    assert f"the VAPID key {new[:12]}…: it was stored with another SECRET_KEY" in caplog.text
    off = {"vapid_private_key": "", "vapid_public_key": "", "secret_key": "another secret key"}
    assert with_settings(app, **off) == keys.Keyring(None, {}, frozenset({KEYS.public_key, new}))


def test_a_row_that_holds_the_key_of_another_is_not_used(app: Flask) -> None:
    first, second = rotated(), rotated()
    swap = {row.public_key: row.private_key for row in keys.list_all()}
    for row in keys.list_all():
        if row.public_key in (first, second):
            row.private_key = swap[first if row.public_key == second else second]
    assert with_settings(app).unreadable == {first, second}


def test_after_a_rotation_the_settings_may_lose_their_pair(app: Flask) -> None:
    new = rotated()
    ring = with_settings(app, vapid_private_key="", vapid_public_key="")
    assert list(ring.live) == [KEYS.public_key, new]
    assert ring.live[KEYS.public_key] == KEYS


def test_a_site_without_a_pair_turns_push_on_by_a_rotation(app: Flask) -> None:
    off = replace(app.extensions["settings"], vapid_private_key="", vapid_public_key="")
    with create_app(off).app_context():
        assert keys.cached() == keys.Keyring(None, {}, frozenset())
        new = rotated()
        assert list(keys.cached().live) == [new]
        db.session.remove()
        db.engine.dispose()


@pytest.mark.usefixtures("app")
def test_whom_a_retirement_would_lose_is_said_before() -> None:
    user = owner()
    [old] = unreachable_devices(user, 1)
    new = rotated()
    unreachable_devices(user, 2, key=new)
    unreachable_devices(user, 1, DeviceState.GONE)
    unreachable_devices(user, 1, DeviceState.STALE)
    assert keys.devices() == {KEYS.public_key: 1, new: 2}
    assert [device.id for device, _ in keys.lost(keys.old())] == [old]


def test_a_retired_key_is_erased_and_does_not_come_back_from_the_settings(app: Flask) -> None:
    new = rotated()
    [device] = unreachable_devices(owner(), 1)
    retire_all()
    assert list(keys.cached().live) == [new]
    assert list(with_settings(app).live) == [new]
    assert {row.public_key: row.private_key is None for row in keys.list_all()} == {KEYS.public_key: True, new: False}
    assert keys.old() == set()
    assert db.session.execute(text("SELECT id, state FROM push_subscription")).all() == [(device, DeviceState.STALE)]


@pytest.mark.usefixtures("app")
def test_key_changes_are_in_the_audit_log() -> None:
    rotated()
    retire_all()
    assert [entry.event for entry in audit.page().entries] == [AuditEvent.KEY_RETIRED, AuditEvent.KEY_ROTATED]


def test_a_pair_that_was_put_into_the_settings_later_can_be_retired_too(app: Flask) -> None:
    new = rotated()
    later = vapid.generate()
    settings = replace(
        app.extensions["settings"], vapid_private_key=later.private_key, vapid_public_key=later.public_key
    )
    changed = create_app(settings)
    with changed.app_context():
        assert keys.cached().current
        assert keys.old() == {KEYS.public_key, later.public_key}
        retire_all()
        assert list(keys.cached().live) == [new]
        db.session.remove()
        db.engine.dispose()


def test_each_device_is_sent_to_with_the_key_it_was_made_with(app: Flask, service: PushService) -> None:
    before = service.new_device(KEYS.public_key)
    user = owner()
    subscribe(user, before)
    announce_to_all("one")
    sender.run()
    new = rotated()
    after = service.new_device(new)
    subscribe(user, after, new)
    announce_to_all("two")
    sender.run()
    assert [len(device.pushes) for device in (before, after)] == [2, 1]
    assert service.refusals == []
    assert {row_of(device).state for device in (before, after)} == {DeviceState.LIVE}


def test_after_a_retirement_a_delivery_says_that_the_browser_has_to_visit(app: Flask, service: PushService) -> None:
    waiting, later = service.new_device(KEYS.public_key), service.new_device(KEYS.public_key)
    user = owner()
    subscribe(user, waiting)
    rotated()
    announce_to_all("one")
    retire_all()
    sender.run()
    assert (delivery_to(waiting).state, delivery_to(waiting).error) == (DeliveryState.FAILED, "key-mismatch")
    subscribe(user, later)
    row_of(later).state = DeviceState.STALE
    db.session.commit()
    announce_to_all("two")
    assert (delivery_to(later).state, delivery_to(later).error) == (DeliveryState.FAILED, "key-mismatch")
    assert service.requests == []


def test_a_worker_that_has_not_heard_of_a_rotation_loses_nothing_of_a_device_that_has_moved(
    app: Flask, another_process: Flask, service: PushService
) -> None:
    user = owner()
    assert keys.cached().current == KEYS  # which this process goes by for a while
    db.session.commit()
    with another_process.app_context():
        new = rotated()
        db.session.remove()
    device = service.new_device(new)
    subscribe(user, device, new)
    entry = outbox.enqueue(note(tag="moved"))
    db.session.commit()
    tasks.fan_out.run(entry.id)  # in this process, while a call would be made in the one that was started last
    sender.run()
    assert len(device.pushes) == 1
    assert delivery_to(device).state == DeliveryState.ACCEPTED
