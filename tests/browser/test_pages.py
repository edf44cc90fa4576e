"""Every page in a real Firefox: nothing is blocked, nothing is missing, no script fails."""

from tests.browser.dashboard import Dashboard

_COMPLAINTS = """
return Services.console.getMessageArray()
  .filter(message => message instanceof Ci.nsIScriptError)
  .map(message => `${message.sourceName}: ${message.errorMessage}`)
  .filter(text => text.startsWith(arguments[0]) || text.includes("Content-Security-Policy"));
"""
_MISSING = """
const fetched = performance.getEntriesByType("resource");
return fetched.filter(({ responseStatus }) => responseStatus >= 400).map(({ name }) => name);
"""


def test_no_page_is_short_of_anything_or_breaks_its_own_rules(dashboard: Dashboard) -> None:
    browser, site = dashboard.browser, dashboard.site
    site.visitor().write("Hello " * 100, email="ada@example.org")
    browser.chrome("Services.console.reset()")
    missing = []

    def look(address: str) -> None:
        browser.open(address)
        missing.extend(browser.script(_MISSING))

    for page in ("/feedback/", "/feedback/complete/", "/login", "/nothing-here"):
        look(site.url + page)
    dashboard.sign_in()
    dashboard.turn_on()
    message = str(browser.find(".row-link").attribute("href"))
    for page in ("", "?before=1", "devices", "nothing-here"):
        look(site.dashboard + page)
    look(site.url + message)
    assert browser.chrome(_COMPLAINTS, site.url) == []
    assert missing == []
