"""The offline page of static/admin/sw.js in a real Firefox: shown without the server, and all that is ever kept."""

import re
from urllib.parse import urlsplit

from tests.browser.dashboard import Dashboard

_KEPT = """
const names = await caches.keys();
const caught = await Promise.all(names.map(async name => (await (await caches.open(name)).keys())));
return caught.flat().map(({ url }) => url);
"""


def test_without_the_server_the_dashboard_says_so_and_looks_like_itself(dashboard: Dashboard) -> None:
    browser, site = dashboard.browser, dashboard.site
    dashboard.sign_in()
    dashboard.turn_on()
    site.web.kill()
    for page in ("", "devices", "messages/1"):
        browser.open(site.dashboard + page)
        assert browser.find("h1").text == "No connection"
        assert browser.url == site.dashboard + page
        assert browser.script("return getComputedStyle(document.querySelector('.card')).borderRadius") != "0px"
        assert browser.script("return getComputedStyle(document.documentElement).getPropertyValue('--pico-primary')")
    site.serve()
    browser.find("main a").click()
    browser.wait_for(lambda: browser.find("h1").text == "Nothing here")  # the server's answer, though it is an error
    assert browser.url == site.dashboard + "messages/1"


def test_nothing_private_is_ever_kept(dashboard: Dashboard) -> None:
    site = dashboard.site
    site.visitor().write("A secret")
    dashboard.sign_in()
    dashboard.turn_on()
    for page in ("", "devices", "messages/1"):
        dashboard.browser.open(site.dashboard + page)
    kept = {urlsplit(address).path for address in dashboard.browser.async_script(_KEPT)}
    without_hashes = {re.sub(r"\.[0-9a-f]{12}\.", ".", path) for path in kept}
    assert without_hashes == {"/admin/offline", "/static/site.css", "/static/admin/dashboard.css", "/theme.css"}
