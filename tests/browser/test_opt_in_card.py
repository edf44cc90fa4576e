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


def test_on_the_inbox_there_is_no_card_when_all_is_well(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    dashboard.turn_on()
    assert card_is_seen(dashboard.browser)
    assert dashboard.visit() == "on"
    assert not card_is_seen(dashboard.browser)
    assert dashboard.visit("devices") == "on"
    assert card_is_seen(dashboard.browser)


def test_the_card_that_has_just_turned_notifications_on_offers_a_test_and_says_how_it_went(
    dashboard: Dashboard,
) -> None:
    browser = dashboard.browser
    dashboard.sign_in()
    assert not browser.find("#push-test").is_displayed
    dashboard.turn_on()
    browser.find("#push-test").click()
    assert browser.alert("It works").body == "This is the test notification you asked for."
    browser.wait_for(lambda: "Arrived after" in browser.find("#push-tested").text)
    assert browser.url == dashboard.site.dashboard
    dashboard.lose_cookies()
    browser.find("#push-test").click()
    browser.wait_for(lambda: "You have been signed out." in browser.find("#push").text)


def test_a_card_that_was_put_aside_comes_back_with_the_next_unread_message(dashboard: Dashboard) -> None:
    browser, visitor = dashboard.browser, dashboard.site.visitor()
    visitor.write("One")
    dashboard.sign_in()
    browser.find("#push-later").click()
    assert not card_is_seen(browser)
    assert dashboard.visit() == "default"
    assert not card_is_seen(browser)
    assert dashboard.visit("devices") == "default"
    assert card_is_seen(browser)
    assert "Not now" not in browser.find("#push").text
    visitor.write("Two")
    dashboard.visit()
    assert card_is_seen(browser)
    browser.find("#push-later").click()
    browser.open(dashboard.site.url + str(browser.find(".row-link").attribute("href")))
    dashboard.visit()
    assert not card_is_seen(browser)


def test_a_card_that_was_put_aside_in_an_empty_inbox_comes_back_with_the_first_message(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    dashboard.browser.find("#push-later").click()
    dashboard.visit()
    assert not card_is_seen(dashboard.browser)
    dashboard.site.visitor().write("One")
    dashboard.visit()
    assert card_is_seen(dashboard.browser)


@pytest.mark.usefixtures("failing")
def test_a_browser_that_pushes_do_not_reach_shows_the_reason(dashboard: Dashboard) -> None:
    for page in ("", "devices"):
        assert dashboard.visit(page) == "on-but-failing"
        words = dashboard.browser.find("#push").text
        assert "nothing arrives" in words
        assert "The push service could not be reached. (503 busy)" in words


def test_connecting_again_replaces_the_subscription_that_fails(dashboard: Dashboard, failing: str) -> None:
    dashboard.visit()
    dashboard.browser.find("#push-renew").click()
    words = dashboard.wait_for_card("on")
    assert "could not be reached" not in words
    new = dashboard.service.devices[-1]
    assert new.endpoint != failing
    assert dashboard.devices == [new.endpoint]
    assert dashboard.visit() == "on"
    dashboard.site.visitor().write("Hello")
    assert dashboard.service.wait_ack(new).code == 100


def test_another_browsers_failures_are_not_this_ones(dashboard: Dashboard) -> None:
    phone = dashboard.service.new_device(dashboard.site.settings.vapid_public_key)
    dashboard.site.staff().subscribe(phone)
    with dashboard.site.database():
        db.session.execute(update(Subscription).values(failures=9))
        db.session.commit()
    dashboard.sign_in()
    dashboard.turn_on()
    assert "did not get through" not in dashboard.wait_for_card("on")


def test_installing_is_suggested_once_notifications_work_and_the_browser_offers_it(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.sign_in()
    browser.script(OFFER)
    assert browser.script("return window.offer.defaultPrevented")
    assert not browser.find("#install").is_displayed
    dashboard.turn_on()
    browser.wait_for(lambda: browser.find("#install").is_displayed)
    browser.find("#install-accept").click()
    browser.wait_for(lambda: browser.script("return window.asked"))
    assert not browser.find("#install").is_displayed


def test_a_declined_suggestion_does_not_return(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.sign_in()
    dashboard.turn_on()
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
