"""Subscriptions: a browser is kept once under its newest owner, and forgotten on request."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from feedback_push.auth import accounts, audit
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.push import subscriptions
from feedback_push.push.browser_subscription import BrowserSubscription
from feedback_push.push.models import Delivery, DeviceState, Subscription
from tests import servers
from tests.conftest import KEYS
from tests.push.devices import owner, unreachable_devices
from tests.push.malformed import GOOD, POINT, SECRET
from tests.push.notes import announce
from tests.push.statements import is_waiting_for_lock, recorded_statements

ENDPOINT: str = GOOD["endpoint"]
BROWSER = BrowserSubscription(ENDPOINT, POINT, SECRET)


def test_a_browser_is_stored_as_a_living_device(app: Flask) -> None:
    user = owner()
    before = utcnow()
    subscriptions.save(BROWSER, user=user, vapid_public_key=KEYS.public_key, name="Firefox on Linux")
    db.session.commit()
    device = db.session.query(Subscription).one()
    assert (device.user_id, device.endpoint, device.p256dh, device.auth) == (user.id, ENDPOINT, POINT, SECRET)
    assert (device.vapid_public_key, device.name) == (KEYS.public_key, "Firefox on Linux")
    assert (device.state, device.failures, device.gone_at) == (DeviceState.LIVE, 0, None)
    assert before <= device.added_at <= utcnow()


def test_subscribing_twice_is_one_device_with_the_newest_keys(any_app: Flask) -> None:
    user = owner()
    for browser, key in ((BROWSER, "earlier"), (BrowserSubscription(ENDPOINT, KEYS.public_key, "B" * 22), "newer")):
        subscriptions.save(browser, user=user, vapid_public_key=key, name="Browser")
        db.session.commit()
    device = db.session.query(Subscription).one()
    assert (device.p256dh, device.auth, device.vapid_public_key) == (KEYS.public_key, "B" * 22, "newer")


def test_the_newest_owner_has_the_device(app: Flask) -> None:
    first, second = owner("first@example.org"), owner("second@example.org")
    for user in (first, second):
        subscriptions.save(BROWSER, user=user, vapid_public_key=KEYS.public_key, name="Browser")
        db.session.commit()
    assert subscriptions.of(first) == []
    assert [device.endpoint for device in subscriptions.of(second)] == [ENDPOINT]


def test_what_waits_for_one_owner_of_a_device_is_never_shown_to_the_next(any_app: Flask) -> None:
    first, second = owner("first@example.org"), owner("second@example.org")
    subscriptions.save(BROWSER, user=first, vapid_public_key=KEYS.public_key, name="Browser")
    db.session.commit()
    announce()
    subscriptions.of(first)[0].paused_at = utcnow()
    assert db.session.query(Delivery).count() == 1
    subscriptions.save(BROWSER, user=second, vapid_public_key=KEYS.public_key, name="Browser")
    db.session.commit()
    assert db.session.query(Delivery).count() == 0
    [device] = subscriptions.of(second)
    assert device.paused_at is None
    assert [(entry.event, entry.email) for entry in audit.page().entries][:2] == [
        ("device-added", second.email),
        ("device-removed", first.email),
    ]


def test_an_administrator_has_any_number_of_devices_the_newest_first(app: Flask) -> None:
    user = owner()
    ids = unreachable_devices(user, 5)
    unreachable_devices(owner("other@example.org"), 2)
    assert [device.id for device in subscriptions.of(user)] == ids[::-1]


@pytest.mark.parametrize("state", [DeviceState.GONE, DeviceState.STALE])
def test_a_device_that_was_gone_or_stale_lives_again_when_its_browser_subscribes(
    app: Flask, state: DeviceState
) -> None:
    user = owner()
    unreachable_devices(user, 1, state, key="an earlier key")
    device = db.session.query(Subscription).one()
    device.failures = 7
    db.session.commit()
    again = BrowserSubscription(device.endpoint, POINT, SECRET)
    subscriptions.save(again, user=user, vapid_public_key=KEYS.public_key, name="Browser")
    db.session.commit()
    assert (device.state, device.failures, device.gone_at) == (DeviceState.LIVE, 0, None)
    assert device.vapid_public_key == KEYS.public_key


def test_a_browser_that_comes_again_still_fails_until_it_has_other_keys(app: Flask) -> None:
    user = owner()
    renewed = BrowserSubscription(ENDPOINT, POINT, "B" * 22)
    for browser, failures in ((BROWSER, 0), (BROWSER, 7), (renewed, 0)):
        subscriptions.save(browser, user=user, vapid_public_key=KEYS.public_key, name="Browser")
        db.session.commit()
        device = db.session.query(Subscription).one()
        assert device.failures == failures
        device.failures = 7
        db.session.commit()


def test_a_browser_that_subscribes_in_two_tabs_at_once_is_one_device(any_app: Flask) -> None:
    user_id = owner().id
    db.session.commit()

    def subscribe(_: int) -> None:
        with any_app.app_context():
            user = db.session.get_one(User, user_id)
            subscriptions.save(BROWSER, user=user, vapid_public_key=KEYS.public_key, name="Browser")
            db.session.commit()

    with ThreadPoolExecutor(4) as tabs:
        list(tabs.map(subscribe, range(12)))
    assert db.session.query(Subscription).count() == 1


def test_a_removed_device_is_forgotten_with_all_that_waits_for_it(app: Flask) -> None:
    user = owner()
    unreachable_devices(user, 2)
    announce()
    one, other = subscriptions.of(user)
    subscriptions.remove(one.endpoint, user=user)
    db.session.commit()
    assert subscriptions.of(user) == [other]
    assert [delivery.subscription_id for delivery in db.session.query(Delivery)] == [other.id]


def test_a_device_can_be_removed_by_its_number(app: Flask) -> None:
    user = owner()
    first, second = unreachable_devices(user, 2)
    subscriptions.remove_device(first, user=user)
    subscriptions.remove_device(first, user=user)
    db.session.commit()
    assert [device.id for device in subscriptions.of(user)] == [second]


def test_nobody_removes_another_administrators_device(app: Flask) -> None:
    mine, theirs = owner("mine@example.org"), owner("theirs@example.org")
    unreachable_devices(theirs, 1)
    [device] = subscriptions.of(theirs)
    subscriptions.remove(device.endpoint, user=mine)
    subscriptions.remove_device(device.id, user=mine)
    db.session.commit()
    assert subscriptions.of(theirs) == [device]


def test_the_list_keeps_what_is_stale_and_ends_with_what_is_gone(app: Flask) -> None:
    user = owner()
    stale = unreachable_devices(user, 1, DeviceState.STALE)
    gone = unreachable_devices(user, 2, DeviceState.GONE)
    assert [device.id for device in subscriptions.of(user)] == [*stale, *gone[::-1]]


def test_devices_are_counted_by_state_and_key(app: Flask) -> None:
    user = owner()
    unreachable_devices(user, 2)
    unreachable_devices(user, 3, DeviceState.STALE)
    unreachable_devices(user, 4, key="another")
    assert subscriptions.count(DeviceState.LIVE, KEYS.public_key) == 2
    assert subscriptions.count(DeviceState.STALE, KEYS.public_key) == 3
    assert subscriptions.count(DeviceState.GONE, KEYS.public_key) == 0


def test_a_gone_device_is_remembered_for_thirty_days(app: Flask) -> None:
    user = owner()
    unreachable_devices(user, 1, DeviceState.GONE)
    unreachable_devices(user, 1)
    now = utcnow()
    subscriptions.forget_gone(now + timedelta(days=29))
    assert db.session.query(Subscription).count() == 2
    subscriptions.forget_gone(now + timedelta(days=31))
    assert [device.state for device in db.session.query(Subscription)] == [DeviceState.LIVE]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_gone_device_that_comes_back_in_that_moment_keeps_what_waits_for_it(any_app: Flask) -> None:
    unreachable_devices(owner(), 1)
    announce()
    db.session.execute(update(Subscription).values(state=DeviceState.GONE, gone_at=utcnow() - timedelta(days=31)))
    db.session.commit()

    def forget() -> None:
        with any_app.app_context():
            subscriptions.forget_gone(utcnow())

    with ThreadPoolExecutor(1) as sweep:
        db.session.execute(update(Subscription).values(state=DeviceState.LIVE, gone_at=None))
        forgetting = sweep.submit(forget)
        servers.wait_until(is_waiting_for_lock)
        db.session.commit()
        forgetting.result(10)
    assert db.session.query(Delivery).one().due_at


@pytest.mark.usefixtures("any_app")
def test_nobody_waits_long_for_a_gone_device_with_many_deliveries(monkeypatch: pytest.MonkeyPatch) -> None:
    gone, kept = unreachable_devices(owner(), 2)
    for _ in range(5):
        announce()
    these = update(Subscription).where(Subscription.id == gone)
    db.session.execute(these.values(state=DeviceState.GONE, gone_at=utcnow()))
    db.session.commit()
    later = utcnow() + timedelta(days=31)
    monkeypatch.setattr(subscriptions, "_DELIVERIES", 2)
    monkeypatch.setattr(subscriptions, "_SECONDS", 0.0)
    subscriptions.forget_gone(later)
    assert db.session.query(Delivery).count() == 10
    monkeypatch.setattr(subscriptions, "_SECONDS", 60.0)
    with recorded_statements() as statements:
        subscriptions.forget_gone(later)
    assert [words.split()[2] for words in statements if words.startswith("DELETE")] == [
        *["push_delivery"] * 3,
        "push_subscription",
    ]
    assert {each.subscription_id for each in db.session.query(Delivery)} == {kept}


@pytest.mark.usefixtures("app")
def test_nor_for_one_that_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    user = owner()
    removed, kept = unreachable_devices(user, 2)
    for _ in range(5):
        announce()
    monkeypatch.setattr(subscriptions, "_DELIVERIES", 2)
    subscriptions.remove_device(removed, user=owner("second@example.org"))
    assert db.session.query(Delivery).count() == 10
    with recorded_statements() as statements:
        subscriptions.remove_device(removed, user=user)
    db.session.rollback()
    assert len([words for words in statements if words.startswith("DELETE FROM push_delivery")]) == 3
    assert db.session.query(Delivery).count() == 6  # two transactions of two are over
    subscriptions.remove_device(removed, user=user)
    db.session.commit()
    assert [device.id for device in db.session.query(Subscription)] == [kept]
    assert {each.subscription_id for each in db.session.query(Delivery)} == {kept}


@pytest.mark.usefixtures("any_app")
def test_nor_for_an_account_that_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    user = owner()
    unreachable_devices(user, 2)
    [kept] = unreachable_devices(owner("second@example.org"), 1)
    for _ in range(5):
        announce()
    monkeypatch.setattr(subscriptions, "_DELIVERIES", 2)
    accounts.delete(user)
    db.session.rollback()
    assert db.session.query(Delivery).count() == 5 + 1  # of the last device all transactions but one are over
    accounts.delete(user)
    db.session.commit()
    assert {each.subscription_id for each in db.session.query(Delivery)} == {kept}


def test_the_device_seen_longest_ago_makes_room_for_one_too_many(
    any_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "MOST", 3)
    user, other = owner(), owner("other@example.org")
    unreachable_devices(other, 5)

    def visit(name: str) -> None:
        browser = BrowserSubscription(f"{ENDPOINT}{name}", POINT, SECRET)
        subscriptions.save(browser, user=user, vapid_public_key=KEYS.public_key, name=name)
        db.session.commit()

    for name in ("phone", "tablet", "old", "phone"):
        visit(name)
    visit("new")
    assert {device.name for device in subscriptions.of(user)} == {"old", "phone", "new"}
    db.session.execute(update(Subscription).where(Subscription.name == "new").values(state=DeviceState.GONE))
    visit("newer")  # one that is gone goes before one that was seen longer ago
    visit("old")
    assert {device.name for device in subscriptions.of(user)} == {"old", "phone", "newer"}
    told = [entry.detail["device"] for entry in audit.page().entries if entry.event == "device-dropped"]
    assert told == ["new", "tablet"]
    assert len(subscriptions.of(other)) == 5


@pytest.mark.usefixtures("app")
def test_the_log_says_when_a_device_comes_and_goes_and_not_that_it_visits() -> None:
    first, second = owner(), owner("second@example.org")

    def save(user: User) -> None:
        subscriptions.save(BROWSER, user=user, vapid_public_key=KEYS.public_key, name="Firefox on Linux")
        db.session.commit()

    for _ in range(3):
        save(first)
    save(second)
    subscriptions.remove(ENDPOINT, user=first)  # it is not theirs any more
    subscriptions.remove(ENDPOINT, user=second)
    subscriptions.remove(ENDPOINT, user=second)
    save(second)
    db.session.execute(update(Subscription).values(state=DeviceState.GONE))
    save(second)
    subscriptions.remove_device(db.session.query(Subscription).one().id, user=second)
    db.session.commit()
    told = [(entry.event, entry.email, entry.detail["device"]) for entry in reversed(audit.page().entries)]
    assert told == [
        (event, email, "Firefox on Linux")
        for event, email in [
            ("device-added", first.email),
            ("device-removed", first.email),
            ("device-added", second.email),
            ("device-removed", second.email),
            ("device-added", second.email),
            ("device-added", second.email),
            ("device-removed", second.email),
        ]
    ]
