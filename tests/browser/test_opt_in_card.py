"""The opt-in card on other pages, its texts when pushes fail, and the suggestion to install the app."""

from typing import Any

import pytest
from sqlalchemy import update

from feedback_push.database import db, utcnow
from feedback_push.push import outbox
from feedback_push.push.models import Delivery, DeliveryState, Subscription
from tests.browser.dashboard import Dashboard
from tests.browser.firefox import Firefox
from tests.push.notes import note

OFFER = """
window.offer = new Event("beforeinstallprompt", { cancelable: true });
window.offer.prompt = async () => { window.asked = true; };
window.dispatchEvent(window.offer);
"""


@pytest.fixture
def failing(dashboard: Dashboard) -> str:
    """The endpoint of this browser, which pushes have stopped getting through to."""
    dashboard.sign_in()
    device = dashboard.turn_on()
    with dashboard.site.database():
        [row] = db.session.query(Subscription)
        row.failures = 9
        entry = outbox.enqueue(note())
        entry.fanned_out_at = utcnow()  # so that the worker leaves it alone
        db.session.flush()
        why: dict[str, Any] = {"error": "unavailable", "status": 503, "detail": "busy"}
        db.session.add(Delivery(outbox_id=entry.id, subscription_id=row.id, state=DeliveryState.FAILED, **why))
        db.session.commit()
    return device.endpoint


def card_is_seen(browser: Firefox) -> bool:
    return browser.find("#push").is_displayed


def test_the_card_offers_a_test_says_how_it_went_and_is_gone_from_the_inbox_at_the_next_visit(
    dashboard: Dashboard,
) -> None:
    browser = dashboard.browser
    dashboard.sign_in()
    assert not browser.find("#push-test").is_displayed
    dashboard.turn_on()
    assert card_is_seen(browser)
    browser.find("#push-test").click()
    assert browser.alert("It works").body == "This is the test notification you asked for."
    browser.wait_for(lambda: "Arrived after" in browser.find("#push-tested").text)
    assert browser.url == dashboard.site.dashboard
    dashboard.lose_cookies()
    browser.find("#push-test").click()
    browser.wait_for(lambda: "You have been signed out." in browser.find("#push").text)
    dashboard.sign_in()
    assert browser.wait_for("#push[data-state=on]")
    assert not card_is_seen(browser)
    assert dashboard.visit("devices") == "on"
    assert card_is_seen(browser)


def test_a_card_that_was_put_aside_comes_back_with_the_next_unread_message(dashboard: Dashboard) -> None:
    browser, visitor = dashboard.browser, dashboard.site.visitor()
    dashboard.sign_in()
    browser.find("#push-later").click()
    assert not card_is_seen(browser)
    assert dashboard.visit() == "default"
    assert not card_is_seen(browser)
    assert dashboard.visit("devices") == "default"
    assert card_is_seen(browser)
    assert "Not now" not in browser.find("#push").text
    for content in ("The first message of all", "Another"):
        visitor.write(content)
        dashboard.visit()
        assert card_is_seen(browser)
        browser.find("#push-later").click()
        dashboard.visit()
        assert not card_is_seen(browser)
    browser.open(dashboard.site.url + str(browser.find(".row-link").attribute("href")))
    dashboard.visit()
    assert not card_is_seen(browser)


def test_a_browser_that_pushes_do_not_reach_shows_the_reason_and_connects_again(
    dashboard: Dashboard, failing: str
) -> None:
    for page in ("devices", ""):
        assert dashboard.visit(page) == "on-but-failing"
        words = dashboard.browser.find("#push").text
        assert "nothing arrives" in words
        assert "The push service could not be reached. (503 busy)" in words
    dashboard.browser.find("#push-renew").click()
    words = dashboard.wait_for_card("on")
    assert "could not be reached" not in words
    new = dashboard.service.devices[-1]
    assert new.endpoint != failing
    assert dashboard.devices == [new.endpoint]
    assert dashboard.visit() == "on"
    dashboard.site.visitor().write("Hello")
    assert dashboard.service.wait_ack(new).code == 100


def test_installing_is_suggested_once_notifications_work_until_it_is_declined(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    phone = dashboard.service.new_device(dashboard.site.settings.vapid_public_key)
    dashboard.site.staff().subscribe(phone)
    with dashboard.site.database():
        db.session.execute(update(Subscription).values(failures=9))  # of another browser, and not of this one
        db.session.commit()
    dashboard.sign_in()
    browser.script(OFFER)
    assert browser.script("return window.offer.defaultPrevented")
    assert not browser.find("#install").is_displayed
    dashboard.turn_on()
    assert "did not get through" not in dashboard.wait_for_card("on")
    browser.wait_for(lambda: browser.find("#install").is_displayed)
    browser.find("#install-accept").click()
    browser.wait_for(lambda: browser.script("return window.asked"))
    assert not browser.find("#install").is_displayed
    dashboard.visit()
    assert not browser.find("#install").is_displayed
    browser.script(OFFER)
    browser.wait_for(lambda: browser.find("#install").is_displayed)
    browser.find("#install-decline").click()
    assert not browser.find("#install").is_displayed
    dashboard.visit()
    browser.script(OFFER)
    assert not browser.find("#install").is_displayed


@pytest.mark.parametrize(
    ("way", "browser"),
    [
        ("offer", {"offered": True, "family": "chromium"}),
        ("safari", {"family": "safari"}),
        ("firefox-android", {"family": "firefox-android"}),
        (None, {"family": "firefox"}),
        (None, {"family": "chromium"}),
        (None, {"offered": True, "installed": True, "family": "chromium-android"}),
        (None, {"installed": True, "family": "safari"}),
    ],
)
def test_each_browser_has_its_own_way_to_install(bare_page: Firefox, way: str | None, browser: dict[str, Any]) -> None:
    load = "const { wayToInstall } = await import('/static/admin/install.js');"
    told = {"installed": False, "offered": False, **browser}
    assert bare_page.async_script(f"{load} return wayToInstall(arguments[0])", told) == way
