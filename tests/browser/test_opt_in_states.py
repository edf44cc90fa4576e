"""decide() and gather() of static/admin/push-subscribe.js, in the browser that they are written for."""

from typing import Any

import pytest

from tests.browser.dashboard import Dashboard
from tests.browser.firefox import Firefox
from tests.site import Site

_ON = {
    "secure": True,
    "supported": True,
    "ios": False,
    "iosVersion": None,
    "installed": False,
    "brave": False,
    "permission": "granted",
    "subscribed": True,
    "known": True,
    "trouble": None,
}
_IPHONE = {"supported": False, "ios": True, "iosVersion": 1604, "permission": "default"}
_OFF = {"subscribed": False, "known": False}
_ABORTED = {"kind": "browser", "name": "AbortError", "detail": "AbortError: push service error"}

TABLE: list[tuple[str, dict[str, Any]]] = [
    ("insecure", {"secure": False}),
    ("insecure", {"secure": False, "supported": False, "permission": "denied"}),
    ("unsupported", {"supported": False}),
    ("unsupported", {**_IPHONE, "installed": True}),
    ("ios-needs-install", _IPHONE),
    ("ios-needs-install", {**_IPHONE, "iosVersion": None}),
    ("ios-too-old", {**_IPHONE, "iosVersion": 1603}),
    ("ios-too-old", {**_IPHONE, "iosVersion": 1509, "installed": True}),
    ("brave-push-off", {**_OFF, "brave": True, "trouble": _ABORTED}),
    ("denied", {**_OFF, "permission": "denied"}),
    ("denied", {"permission": "denied"}),
    ("default", {**_OFF, "permission": "default"}),
    ("granted-not-subscribed", _OFF),
    ("granted-not-subscribed", {**_OFF, "trouble": _ABORTED}),
    ("granted-not-subscribed", {**_OFF, "brave": True}),
    ("granted-not-subscribed", {**_OFF, "brave": True, "trouble": {"kind": "unreachable"}}),
    ("on-but-the-server-forgot", {"known": False}),
    ("on-but-the-server-forgot", {"known": False, "trouble": {"kind": "no-answer"}}),
    ("on", {}),
    ("on-but-failing", {"known": False, "trouble": {"kind": "refused", "detail": "no"}}),
]
STATES = sorted({state for state, _ in TABLE})


@pytest.fixture
def visitor(firefox: Firefox, site: Site) -> Firefox:
    """The browser at a page where the script has nothing to do by itself."""
    if firefox.url != f"{site.url}/login":
        firefox.open(f"{site.url}/login")
    return firefox


def run(browser: Firefox, javascript: str, *args: Any) -> Any:
    """Run a script in the page with the module as `script`."""
    load = "const script = await import('/admin/push-subscribe.js');"
    return browser.async_script(f"{load} {javascript}", *args)


@pytest.mark.parametrize(("state", "facts"), TABLE)
def test_the_facts_add_up_to_the_state(visitor: Firefox, state: str, facts: dict[str, Any]) -> None:
    assert run(visitor, "return script.decide(arguments[0])", {**_ON, **facts}) == state


def test_the_table_has_every_state() -> None:
    assert len(STATES) == 11


def test_every_state_has_words_of_its_own(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    words = {state: _words(dashboard.browser, state) for state in STATES}
    assert all(words.values()), words
    assert len(set(words.values())) == len(STATES)


def test_the_facts_about_this_browser_are_known_before_any_click(visitor: Firefox) -> None:
    assert run(visitor, "return script.gather()") == {**_ON, **_OFF, "permission": "default"}


IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_3_1 like Mac OS X) AppleWebKit/605.1.15 Version/16.3 Safari/604.1"
IPAD = "Mozilla/5.0 (iPad; CPU OS 18_4 like Mac OS X) AppleWebKit/605.1.15 Version/18.4 Mobile/15E148 Safari/604.1"


@pytest.mark.parametrize(("user_agent", "version"), [(IPHONE, 1603), (IPAD, 1804)])
def test_an_ios_device_tells_its_version(visitor: Firefox, user_agent: str, version: int) -> None:
    visitor.chrome("Services.prefs.setStringPref('general.useragent.override', arguments[0])", user_agent)
    try:
        visitor.open(visitor.url)
        facts = run(visitor, "return script.gather()")
    finally:
        visitor.chrome("Services.prefs.clearUserPref('general.useragent.override')")
    assert (facts["ios"], facts["iosVersion"]) == (True, version)


def _words(browser: Firefox, state: str) -> str:
    find = "return [...document.querySelectorAll(`#push .push-words [data-when~='${arguments[0]}']`)]"
    return str(browser.script(f"{find}.map(element => element.textContent.trim()).join(' ')", state))
