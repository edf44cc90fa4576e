"""Several tabs of one browser and its service worker share a push subscription, in a real Firefox on a real site."""

from sqlalchemy import update

from feedback_push.database import db, utcnow
from feedback_push.push.models import DeviceState, Subscription
from tests.browser.dashboard import Dashboard
from tests.browser.firefox import Firefox

_HOLD_NEXT = """
const [path] = arguments;
const topic = "http-on-modify-request";
const observer = { observe(request) {
  const channel = request.QueryInterface(Ci.nsIHttpChannel);
  if (channel.URI.filePath !== path) return;
  Services.obs.removeObserver(observer, topic);
  channel.suspend();
  window.held = channel;
}};
Services.obs.addObserver(observer, topic);
"""
_HELD = "return window.held !== undefined"
_LET_GO = "window.held.resume(); delete window.held"
_TOLD = "return performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/push/subscribe'))"
_FREEZE = "await new Promise(mine => navigator.locks.request('feedback-push', () => new Promise(() => mine())))"


def others_that_wait(browser: Firefox) -> int:
    """Return how many tabs and workers wait for the lock; a page of the site must be open."""
    return int(browser.async_script("return (await navigator.locks.query()).pending.length"))


def freeze_another_tab(dashboard: Dashboard) -> None:
    """Open another tab that holds the lock until it is closed."""
    dashboard.browser.open_tab(f"{dashboard.site.dashboard}offline")
    dashboard.browser.async_script(_FREEZE)


def test_two_tabs_that_renew_at_once_leave_one_device(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.sign_in()
    [first] = browser.tabs
    old = dashboard.turn_on()
    second = browser.open_tab(dashboard.site.dashboard)
    browser.wait_for(lambda: browser.script(_TOLD))
    with dashboard.site.database():
        db.session.execute(update(Subscription).values(state=DeviceState.GONE, gone_at=utcnow()))
        db.session.commit()
    browser.chrome(_HOLD_NEXT, "/push/key")
    browser.open(browser.url)
    browser.wait_for(lambda: browser.chrome(_HELD))  # it has checked and found the missing subscription
    browser.switch_to_tab(first)
    browser.open(browser.url)
    browser.wait_for(lambda: others_that_wait(browser) == 1 or browser.script(_TOLD))
    browser.chrome(_LET_GO)
    for tab in (first, second):
        browser.switch_to_tab(tab)
        browser.wait_for(lambda: browser.script(_TOLD))
    new = dashboard.service.devices[-1]
    assert new is not old
    assert new.registered
    assert dashboard.devices == [new.endpoint]


def test_the_service_worker_renews_after_a_tab_that_is_at_it(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    dashboard.turn_on()
    made = len(dashboard.service.devices)
    freeze_another_tab(dashboard)
    dashboard.service.forget_browsers()
    dashboard.browser.wait_for(lambda: others_that_wait(dashboard.browser) == 1)
    assert len(dashboard.service.devices) == made
    dashboard.browser.close_tab()
    dashboard.wait_for_devices(dashboard.service.wait_device(made + 1))


def test_neither_it_nor_a_tab_waits_for_ever(dashboard: Dashboard) -> None:
    browser, service = dashboard.browser, dashboard.service
    dashboard.sign_in()
    dashboard.turn_on()
    [first] = browser.tabs
    made = len(service.devices)
    freeze_another_tab(dashboard)
    service.forget_browsers()
    new = service.wait_device(made + 1)
    dashboard.wait_for_devices(new)
    browser.switch_to_tab(first)
    browser.open(browser.url)
    browser.wait_for(lambda: others_that_wait(browser) == 1)
    browser.wait_for(lambda: browser.script(_TOLD))
    assert dashboard.devices == [new.endpoint]


def test_neither_a_notification_nor_signing_out_waits_for_a_tab_that_is_frozen(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.sign_in()
    device = dashboard.turn_on()
    [first] = browser.tabs
    freeze_another_tab(dashboard)
    dashboard.site.visitor().write("Hello", name="Ada")
    assert browser.alert().title == "Ada:"
    assert dashboard.service.wait_ack(device).code == 100
    browser.switch_to_tab(first)
    browser.find("details.menu summary").click()
    browser.find("[data-logout] button").click()
    browser.wait_for("#email")
    assert dashboard.devices == []


def test_a_browser_without_web_locks_agrees_all_the_same(bare_page: Firefox) -> None:
    without = "Object.defineProperty(navigator.wrappedJSObject ?? navigator, 'locks', { value: undefined });"
    agree = "const { agree } = await import('/static/admin/subscription-sync.js'); return (await agree()).trouble"
    trouble = bare_page.async_script(f"{without} {agree}")
    bare_page.open(bare_page.url)  # with locks for the next
    assert trouble is None
