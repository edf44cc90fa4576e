"""static/admin/live.js and keyboard.js in a real Firefox: new messages appear, and keyboard shortcuts work."""

from tests.browser.dashboard import Dashboard

_ROWS = "return [...document.querySelectorAll('#messages .row-link')].map(link => link.textContent)"
_PRESS = """
const target = document.activeElement ?? document.body;
target.dispatchEvent(new KeyboardEvent("keydown", {key: arguments[0], bubbles: true, cancelable: true}));
"""
# The page itself asks every ten seconds.
_STOP_TIMERS = "for (let id = setTimeout(() => {}); id > 0; id--) clearTimeout(id)"
_ASKED = "performance.getEntriesByType('resource').filter(({name}) => name.includes('/news')).length"
_WAKE = f"""
const asked = () => {_ASKED};
const before = asked();
for (let times = 0; times < 50; times++) document.dispatchEvent(new Event("visibilitychange")); // a push does it too
await new Promise(done => setTimeout(done, 3000));
return asked() - before;
"""


def test_a_pushed_message_appears_in_the_open_list_at_once(dashboard: Dashboard) -> None:
    browser, site = dashboard.browser, dashboard.site
    dashboard.sign_in()
    dashboard.turn_on()
    browser.script(_STOP_TIMERS)
    site.visitor().write("Hello <b>there</b>", name="Ada")
    browser.wait_for(lambda: browser.script(_ROWS) == ["Ada"])
    assert browser.find("#messages .excerpt").text == "Hello <b>there</b>"
    assert browser.find("#news").attribute("role") == "status"
    assert browser.script("return document.getElementById('news').textContent") == "1 new message"
    assert browser.find("#unread").text == "1 unread"
    assert str(browser.script("return document.title")).startswith("(1) Inbox")
    assert browser.alert("Ada:").body == "Hello <b>there</b>"


def test_the_inbox_is_used_with_keys_alone(dashboard: Dashboard) -> None:
    browser, site = dashboard.browser, dashboard.site
    for name in ("First", "Second", "Third"):
        site.visitor().write("Hello", name=name)
    dashboard.sign_in()

    def there_for_good() -> bool:
        return bool(browser.script("return document.readyState") == "complete")

    def press(*keys: str) -> None:
        browser.wait_for(there_for_good)
        for key in keys:
            browser.script(_PRESS, key)

    def rows() -> list[str]:
        return list(browser.script(_ROWS) or ())  # a page that is just being left has nothing to say

    press("j", "j", "j", "k")
    assert browser.script("return document.activeElement.textContent") == "Second"
    press("e")
    browser.wait_for(".undo")
    assert rows() == ["Third", "First"]
    browser.wait_for(there_for_good)
    browser.find(".undo button").click()
    browser.wait_for(lambda: rows() == ["Third", "Second", "First"])
    assert browser.script("return document.activeElement.textContent") == "Second"
    press("k", "x", "j", "x", "#")
    browser.wait_for(lambda: rows() == ["First"])
    press("?")
    assert browser.find("#keys").is_displayed
    browser.find("#keys button").click()
    press("/")
    assert browser.script("return document.activeElement.name") == "q"
    browser.script(_PRESS, "e")  # typed, and no command
    assert rows() == ["First"]
    browser.script("document.activeElement.blur()")
    press("j", "o")
    browser.wait_for("#content")
    press("u")
    browser.wait_for("#messages")


def test_a_page_that_wakes_up_asks_once_and_takes_no_cookie_from_a_sign_in_form(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    dashboard.sign_in()
    assert 1 <= browser.async_script(_WAKE) <= 2  # for all that was pushed meanwhile
    dashboard.lose_cookies()
    before = browser.script(f"return {_ASKED}")
    browser.script("document.dispatchEvent(new Event('visibilitychange'))")
    browser.wait_for(lambda: browser.script(f"return {_ASKED}") > before)
    assert browser.chrome("return Services.cookies.cookies.map(cookie => cookie.name)") == []
