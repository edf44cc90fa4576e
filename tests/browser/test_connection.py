"""static/admin/connection.js in a real Firefox: a page says that the session or the network is gone."""

from typing import Any

from sqlalchemy import select

from feedback_push.database import db
from feedback_push.feedback.models import Message
from tests.browser.dashboard import Dashboard
from tests.browser.firefox import Firefox
from tests.site import Site

_LOOK = "document.dispatchEvent(new Event('visibilitychange'))"
_PLACES = (
    "return [...document.querySelectorAll('main h1, #messages li, .bar')].map(each => each.getBoundingClientRect())"
)


def banner(browser: Firefox, text: str) -> None:
    """Wait until the banner says this."""
    browser.wait_for(lambda: text in browser.find("#connection").text)


def archive(browser: Firefox) -> None:
    browser.find("#messages [type=checkbox]").click()
    browser.find("button[value=archive]").click()


def states(site: Site) -> list[str]:
    with site.database():
        return [str(state) for state in db.session.scalars(select(Message.state).order_by(Message.id))]


def places(browser: Firefox) -> Any:
    return browser.script(_PLACES)


def test_an_ended_session_is_said_and_the_next_action_goes_on_after_signing_in(dashboard: Dashboard) -> None:
    browser, site = dashboard.browser, dashboard.site
    site.visitor().write("Hello")
    dashboard.sign_in(page="?list=new")
    before = places(browser)
    dashboard.lose_cookies()
    browser.script(_LOOK)
    banner(browser, "Your session has ended")
    assert places(browser) == before  # nothing moves
    assert browser.script("return document.elementFromPoint(20, 20).closest('#connection') !== null")
    assert str(browser.find("#connection a").attribute("href")) == "/login?next=/admin/?list%3Dnew"
    archive(browser)
    browser.wait_for("#interrupted")
    assert "Sign in to continue: Archive 1 message" in browser.text
    dashboard.fill_in_sign_in_form()
    browser.wait_for(lambda: browser.url.endswith("/admin/resume"))
    assert states(site) == ["new"]
    browser.find("#interrupted button").click()
    browser.wait_for(lambda: "1 message archived." in browser.text)
    assert browser.url.endswith("/admin/?list=new")
    assert states(site) == ["archived"]


def test_the_banner_leads_through_the_sign_in_page_and_back(dashboard: Dashboard) -> None:
    browser, site = dashboard.browser, dashboard.site
    dashboard.sign_in(page="devices")
    [first] = browser.tabs
    dashboard.lose_cookies()
    browser.script(_LOOK)
    banner(browser, "Your session has ended")
    browser.open_tab(site.dashboard)
    dashboard.fill_in_sign_in_form()
    browser.wait_for("#messages")
    browser.switch_to_tab(first)
    browser.script(_LOOK)
    browser.wait_for(lambda: not browser.find("#connection").is_displayed)  # another tab has signed in
    dashboard.lose_cookies()
    browser.script(_LOOK)
    banner(browser, "Your session has ended")
    browser.find("#connection a").click()
    dashboard.fill_in_sign_in_form()
    browser.wait_for(lambda: browser.url == f"{site.dashboard}devices")


def test_without_a_connection_an_action_is_kept_back_and_sent_once_the_site_is_back(dashboard: Dashboard) -> None:
    browser, site = dashboard.browser, dashboard.site
    site.visitor().write("Hello")
    dashboard.sign_in()
    before = places(browser)
    site.web.kill()
    browser.script(_LOOK)
    banner(browser, "No connection to the site")
    assert places(browser) == before
    archive(browser)
    banner(browser, "This was not done")
    browser.find("[data-when=unsent] button").click()
    banner(browser, "This was not done")
    site.serve()
    banner(browser, "Connected again. Your last action was not done.")
    browser.find("[data-when=reached] button").click()
    browser.wait_for(lambda: "1 message archived." in browser.text)
    assert states(site) == ["archived"]
    assert not browser.find("#connection").is_displayed


def test_an_action_that_meets_a_network_that_has_just_gone_is_not_said_to_be_done(dashboard: Dashboard) -> None:
    browser, site = dashboard.browser, dashboard.site
    site.visitor().write("Hello")
    dashboard.sign_in()
    dashboard.turn_on()
    browser.open(site.dashboard)
    site.web.kill()
    archive(browser)
    browser.wait_for(lambda: "may not have been done" in browser.text)
    site.serve()
    browser.find("main a").click()
    browser.wait_for("#messages li")
    assert states(site) == ["new"]
