"""static/admin/push-subscribe.js: turning notifications on and off, in a real Firefox on a real site."""

from sqlalchemy import update

from feedback_push.auth import sessions
from feedback_push.auth.models import Session
from feedback_push.database import db, utcnow
from tests.browser.dashboard import Dashboard
from tests.conftest import PASSWORD

_HEAR_OF_PERMISSION = """
const status = await navigator.permissions.query({ name: "notifications" });
window.told = new Promise(resolve => (status.onchange = resolve));
"""
# The browser grants this lock in the order of the requests, so visits take turns.
_COUNT_VISITS = """
await window.told;
await navigator.locks.request("feedback-push", () => {});
return performance.getEntriesByType("resource").filter(({ name }) => name.endsWith("/push/subscribe")).length;
"""


def test_nobody_is_asked_before_a_click_which_turns_notifications_on_in_one_visit(dashboard: Dashboard) -> None:
    dashboard.sign_in(page="devices")
    for page in ("devices", ""):
        assert dashboard.visit(page) == "default"
        assert not dashboard.asks_for_permission
    dashboard.browser.async_script(_HEAR_OF_PERMISSION)
    device = dashboard.turn_on()
    assert device.vapid_public_key == dashboard.site.settings.vapid_public_key
    assert dashboard.devices == [device.endpoint]
    assert "On. This device tells you when somebody writes." in dashboard.wait_for_card("on")
    assert dashboard.browser.async_script(_COUNT_VISITS) == 1  # and no second one when the browser tells of the answer


def test_the_devices_page_lists_the_browser_at_once_and_marks_it(dashboard: Dashboard) -> None:
    phone = dashboard.service.new_device(dashboard.site.settings.vapid_public_key)
    dashboard.site.staff().subscribe(phone)
    dashboard.sign_in(page="devices")
    here = dashboard.turn_on()
    dashboard.browser.wait_for(f'[data-endpoint="{here.endpoint}"] .this-device:not([hidden])')
    row = dashboard.browser.find(f'[data-endpoint="{here.endpoint}"]').text
    assert "Firefox on Linux" in row
    assert "This device" in row
    assert "Remove" not in row
    other = dashboard.browser.find(f'[data-endpoint="{phone.endpoint}"]').text
    assert "This device" not in other
    assert "Remove" in other
    dashboard.site.staff().subscribe(dashboard.service.new_device(dashboard.site.settings.vapid_public_key))
    dashboard.visit("devices")
    rows = "return [...document.querySelectorAll('#devices > li')].map((row) => row.dataset.endpoint)"
    listed = dashboard.browser.script(rows)
    assert len(listed) == 3
    assert listed[0] == here.endpoint  # although another was added later


def test_a_denied_permission_is_explained_and_heals_and_one_taken_back_takes_the_device_off(
    dashboard: Dashboard,
) -> None:
    dashboard.sign_in()
    dashboard.browser.find("#push-enable").click()
    dashboard.browser.block_permission_prompt()
    words = dashboard.wait_for_card("denied")
    assert "Notifications are blocked for this site." in words
    assert "Click the crossed-out bell to the left of the address" in words
    assert "site settings" not in words
    assert "Check again" in words
    assert "Turn on notifications" not in words
    assert dashboard.devices == []
    dashboard.browser.grant_notifications()
    dashboard.wait_for_card("on")
    assert len(dashboard.devices) == 1
    dashboard.browser.withdraw_notifications()
    dashboard.wait_for_devices()
    dashboard.wait_for_card("default")


def test_turning_off_and_signing_out_take_the_device_off_until_the_next_click(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    device = dashboard.turn_on()
    dashboard.browser.find("#push-disable").click()
    assert "Off." in dashboard.wait_for_card("granted-not-subscribed")
    assert dashboard.devices == []
    assert not device.registered
    assert dashboard.visit() == "granted-not-subscribed"
    assert dashboard.devices == []
    dashboard.browser.find("#push-enable").click()
    dashboard.wait_for_card("on")
    [device] = [each for each in dashboard.service.devices if each.endpoint in dashboard.devices]
    dashboard.browser.find(".menu summary").click()
    dashboard.browser.find("[data-logout] button").click()
    dashboard.browser.wait_for("#password")
    assert dashboard.devices == []
    assert not device.registered
    dashboard.sign_in()
    dashboard.wait_for_card("granted-not-subscribed")
    dashboard.lose_cookies()
    dashboard.browser.find("#push-enable").click()
    dashboard.browser.wait_for(lambda: "You have been signed out." in dashboard.wait_for_card("granted-not-subscribed"))


def test_a_trouble_is_named_and_the_next_try_mends_it(dashboard: Dashboard) -> None:
    site, browser = dashboard.site, dashboard.browser
    dashboard.sign_in()
    browser.grant_notifications()
    dashboard.wait_for_card("granted-not-subscribed")
    site.web.kill()
    browser.find("#push-enable").click()
    browser.wait_for(lambda: "could not be reached" in dashboard.wait_for_card("granted-not-subscribed"))
    site.serve(PUSH_ALLOWED_HOSTS="push.example.org")
    browser.find("#push-enable").click()
    words = dashboard.wait_for_card("on-but-failing")
    assert "The server says: The subscription of this browser cannot be used" in words
    assert "The endpoint is not on a push service that this site knows" in words
    assert "could not be reached" not in words
    site.web.kill()
    site.serve()
    browser.find("#push-recheck").click()
    assert "The server says" not in dashboard.wait_for_card("on")


def test_an_old_session_is_asked_who_is_there_and_then_turned_on(dashboard: Dashboard) -> None:
    dashboard.sign_in(page="devices")
    with dashboard.site.database():
        db.session.execute(update(Session).values(authenticated_at=utcnow() - sessions.FRESH))
        db.session.commit()
    dashboard.browser.find("#push-enable").click()
    dashboard.browser.accept_permission_prompt()
    dashboard.browser.wait_for("#password input[type=password]")
    assert dashboard.devices == []
    dashboard.browser.find("#password input[type=password]").type(PASSWORD)
    dashboard.browser.find("#password button").click()
    dashboard.wait_for_card("on")  # back on the page, which goes on by itself
    assert len(dashboard.devices) == 1
