"""static/admin/devices.js and history.js in a real Firefox: pages update without a reload."""

import pytest

from tests.browser.dashboard import Dashboard


@pytest.fixture
def device(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    dashboard.turn_on()


@pytest.mark.usefixtures("device")
def test_a_test_push_arrives_and_its_time_is_shown(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.visit("devices")
    browser.find('form[action$="/test"] button').click()
    assert browser.alert("It works").body == "This is the test notification you asked for."
    told = browser.wait_for(lambda: "Arrived" in browser.find("[data-test]").text and browser.find("[data-test]").text)
    assert str(told).endswith(" s.")
    assert not browser.find("form[data-remove]").is_displayed


@pytest.mark.usefixtures("device")
def test_the_history_of_an_open_message_is_updated(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.site.visitor().write("Hello", name="Ada")
    browser.alert("Ada:")
    dashboard.wait_for_receipt(lambda told: told.shown_at is not None)
    browser.open(f"{dashboard.site.dashboard}")
    browser.find("a.row-link").click()
    browser.wait_for("#history summary").click()
    assert "Shown" in browser.wait_for("#deliveries .pill").text
    browser.script("document.querySelector('#deliveries .pill').textContent = 'old'")
    browser.script("document.getElementById('history').dataset.moving = ''")
    browser.script("document.dispatchEvent(new Event('visibilitychange'))")
    browser.wait_for(lambda: "Shown" in browser.find("#deliveries .pill").text)
