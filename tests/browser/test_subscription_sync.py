"""How browser and server come to agree again about a device, in a real Firefox on a real site."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import delete, update

from feedback_push.auth import sessions
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.push import keys
from feedback_push.push.models import Delivery, DeviceState, Subscription, VapidKey
from feedback_push.webpush import vapid
from tests.browser.dashboard import Dashboard
from tests.conftest import PASSWORD
from tests.servers import wait_until


def test_every_visit_tells_the_server_again_and_the_device_stays_one(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    device = dashboard.turn_on()
    made = len(dashboard.service.devices)
    for page in ("", "devices"):
        assert dashboard.visit(page) == "on"
        fetched = dashboard.browser.script("return performance.getEntriesByType('resource').map(entry => entry.name)")
        assert f"{dashboard.site.url}/push/subscribe" in fetched
    assert dashboard.devices == [device.endpoint]
    dashboard.forget_devices()
    assert dashboard.visit() == "on"
    assert dashboard.devices == [device.endpoint]
    assert len(dashboard.service.devices) == made


def test_a_subscription_that_browser_or_push_service_has_lost_is_replaced_at_the_next_visit(
    dashboard: Dashboard,
) -> None:
    dashboard.sign_in()
    old = dashboard.turn_on()
    dashboard.unsubscribe_untold()
    assert dashboard.visit() == "on"
    new = dashboard.service.devices[-1]
    assert new is not old
    assert dashboard.devices == [new.endpoint]
    with dashboard.site.database():
        db.session.execute(update(Subscription).values(state=DeviceState.GONE, gone_at=utcnow()))
        db.session.commit()
    assert dashboard.visit() == "on"
    newest = dashboard.service.devices[-1]
    assert newest is not new
    assert not new.registered
    assert dashboard.devices == [newest.endpoint]


def test_turning_off_without_the_server_is_made_good_at_the_next_visit(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    device = dashboard.turn_on()
    dashboard.site.web.kill()
    dashboard.browser.find("#push-disable").click()
    dashboard.wait_for_card("granted-not-subscribed")
    assert not device.registered
    assert dashboard.devices == [device.endpoint]
    dashboard.site.serve()
    dashboard.visit()
    dashboard.wait_for_devices()


def test_other_keys_on_the_server_make_the_browser_subscribe_anew(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    old = dashboard.turn_on()
    pair, site = vapid.generate(), dashboard.site
    site.stop()
    site.change(replace(site.settings, vapid_private_key=pair.private_key, vapid_public_key=pair.public_key))
    site.serve()
    site.work("--pool", "threads")
    assert dashboard.visit() == "on"
    new = dashboard.service.devices[-1]
    assert new.vapid_public_key == pair.public_key
    assert not old.registered
    assert dashboard.devices == [new.endpoint]
    site.visitor().write("Hello", name="Ada")
    assert dashboard.service.wait_ack(new).code == 100
    assert dashboard.browser.alert("Ada:").body == "Hello"


@pytest.fixture
def rotate(dashboard: Dashboard) -> Iterator[Callable[[], str]]:
    """Makes another key current; the site has the one from before again when the next test begins."""
    staff = dashboard.site.staff()

    def served() -> str:
        return str(staff.get("/push/key").json()["applicationServerKey"])

    def rotate_now() -> str:
        with dashboard.site.database():
            public_key = keys.rotate()
            db.session.commit()
            return public_key

    before = served()
    yield rotate_now
    with dashboard.site.database():
        db.session.execute(delete(VapidKey))
        db.session.commit()
    wait_until(lambda: served() == before)


def test_after_a_rotation_a_device_goes_on_with_its_key_and_moves_at_the_next_visit(
    dashboard: Dashboard, rotate: Callable[[], str]
) -> None:
    dashboard.sign_in()
    old = dashboard.turn_on()
    rotated = rotate()
    dashboard.browser.open("about:blank")
    dashboard.site.visitor().write("before the visit", name="Ada")
    assert dashboard.service.wait_ack(old).code == 100
    assert dashboard.browser.alert("Ada:").body == "before the visit"

    def moved() -> bool:  # every process has the new key within seconds
        dashboard.visit()
        return dashboard.service.devices[-1].vapid_public_key == rotated

    wait_until(moved)
    new = dashboard.service.devices[-1]
    dashboard.wait_for_devices(new)
    assert not old.registered
    dashboard.site.visitor().write("after the visit", name="Ben")
    assert dashboard.service.wait_ack(new).code == 100
    assert dashboard.browser.alert("Ben:").body == "after the visit"


def test_a_push_service_that_lost_the_browser_gets_a_new_subscription_without_a_visit(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    old = dashboard.turn_on()
    made = len(dashboard.service.devices)
    dashboard.browser.open("about:blank")
    dashboard.service.forget_browsers()
    new = dashboard.service.wait_device(made + 1)
    dashboard.wait_for_devices(new)
    assert not old.registered


def test_a_browser_belongs_to_whoever_has_signed_in_last(dashboard: Dashboard) -> None:
    dashboard.site.create_user("other@example.org")
    dashboard.sign_in()
    device = dashboard.turn_on()
    dashboard.lose_cookies()
    dashboard.sign_in("other@example.org", "devices")
    dashboard.wait_for_card("on")
    assert dashboard.owners == {device.endpoint: "other@example.org"}


def test_a_browser_whose_address_is_lost_subscribes_anew_by_itself(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    dashboard.turn_on()
    dashboard.unsubscribe_untold()
    dashboard.service.lost_addresses = 1
    assert "permanently-removed.invalid" in dashboard.subscribe_untold()
    dashboard.service.lost_addresses = 1  # the next one too, as in Chromium just after an unsubscribe
    assert dashboard.visit() == "on"
    new = dashboard.service.devices[-1]
    assert dashboard.devices == [new.endpoint]
    dashboard.unsubscribe_untold()
    dashboard.service.lost_addresses = 3  # more than it tries
    dashboard.visit("devices")
    dashboard.browser.wait_for(lambda: "gives out no address" in dashboard.wait_for_card("granted-not-subscribed"))
    assert dashboard.visit() == "on"
    dashboard.wait_for_devices(dashboard.service.devices[-1])


def test_a_device_whose_session_was_ended_is_back_after_signing_in_without_a_question(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    device = dashboard.turn_on()
    made = len(dashboard.service.devices)
    dashboard.browser.open("about:blank")
    with dashboard.site.database():
        sessions.end_all(db.session.query(User).one())
        db.session.commit()
    dashboard.site.visitor().write("not for a stranger", name="Ada")

    def cancelled() -> bool:
        with dashboard.site.database():
            return [row.error for row in db.session.query(Delivery)] == ["session-ended"]

    wait_until(cancelled)
    assert device.pushes == []
    dashboard.sign_in(page="devices")
    dashboard.wait_for_card("on")
    assert not dashboard.asks_for_permission
    dashboard.site.visitor().write("for its owner", name="Ben")
    assert dashboard.service.wait_ack(device).code == 100
    assert dashboard.browser.alert("Ben:").body == "for its owner"
    assert (dashboard.devices, len(dashboard.service.devices)) == ([device.endpoint], made)


def test_a_new_password_keeps_this_device_and_no_other_in_its_session(dashboard: Dashboard) -> None:
    dashboard.sign_in(page="devices")
    device = dashboard.turn_on()
    with dashboard.site.database():
        ours = db.session.query(Subscription).one()
        copied = {"user_id": ours.user_id, "session_id": ours.session_id, "vapid_public_key": ours.vapid_public_key}
        keys_ = {"p256dh": ours.p256dh, "auth": ours.auth, "name": "by a copied cookie"}
        db.session.add(Subscription(endpoint=f"{ours.endpoint}-other", **copied, **keys_))
        db.session.commit()
    dashboard.browser.open(f"{dashboard.site.dashboard}account")
    for field in ("current", "new", "again"):
        dashboard.browser.find(f"#{field}").type(PASSWORD)
    dashboard.browser.find("#password button").click()
    dashboard.browser.wait_for(".done")
    with dashboard.site.database():
        rows = {row.endpoint: bool(row.suspended_at) for row in db.session.query(Subscription)}
    assert rows == {device.endpoint: False, f"{device.endpoint}-other": True}
